"""G1: a log that somebody sends takes neither the memory nor minutes, however short and however alike its lines are."""

from __future__ import annotations

import io
import sys
import time
import tracemalloc
from pathlib import Path

import pytest

from sparkrun_tui.cli.commands import diagnose as command
from sparkrun_tui.launch.diagnosis.diagnose import Diagnosis
from tests.cli.conftest import Cli, cli, no_hosts

__all__ = ["cli", "no_hosts"]

CAUSE = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 GiB."


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "some.log"


def test_millions_of_empty_lines_take_no_memory(cli: Cli, no_hosts: None, log: Path) -> None:
    log.write_bytes(b"\n" * (command.MOST_BYTES - 200) + CAUSE.encode())
    tracemalloc.start()
    done = cli("diagnose", str(log), "--engine", "vllm", "--json")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert done.json[0]["title"] == "Out of GPU memory"
    assert "only the last 100,000 lines" in done.err
    assert most < 100 << 20


def test_the_first_lines_of_a_stream_are_read(
    cli: Cli, no_hosts: None, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = f"{CAUSE}\n".encode() + b"\n" * command.MOST_LINES
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    done = cli("diagnose", "-", "--engine", "vllm", "--json")
    assert done.json[0]["title"] == "Out of GPU memory"
    assert "only the first 100,000 lines" in done.err


def test_a_log_within_the_limits_is_read_whole(cli: Cli, no_hosts: None, log: Path) -> None:
    log.write_bytes(f"{CAUSE}\n".encode() + b"\n" * 1000)
    done = cli("diagnose", str(log), "--engine", "vllm", "--json")
    assert done.json[0]["title"] == "Out of GPU memory"
    assert "lines" not in done.err


def test_the_same_cause_in_every_line_is_ranked_in_time() -> None:
    diagnosis = Diagnosis("vllm")
    diagnosis.read("spark-1", [f"{CAUSE} GPU {number % 8}" for number in range(4000)])
    began = time.process_time()
    ranked = diagnosis.ranked()
    assert time.process_time() - began < 0.5
    assert [found.title for found in ranked] == ["Out of GPU memory"]


def test_other_causes_beside_it_are_still_ranked() -> None:
    diagnosis = Diagnosis("vllm")
    diagnosis.read("spark-1", [CAUSE, "OSError: [Errno 28] No space left on device", CAUSE])
    titles = [found.title for found in diagnosis.ranked()]
    assert len(titles) == len(set(titles)) == 2
