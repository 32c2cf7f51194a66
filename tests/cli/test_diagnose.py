"""`diagnose` on files, on stdin and on earlier launches."""

from __future__ import annotations

import io
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from sparkrun_tui.cli.commands import diagnose as command
from tests.cli.conftest import Cli
from tests.launch.fakes import FakeCluster

OOM = (
    "(EngineCore pid=31) INFO 03-01 10:42:50 [core.py:1] Initializing\n"
    "(EngineCore pid=31) ERROR 03-01 10:42:55 [core.py:9] torch.OutOfMemoryError: CUDA out of memory. Tried to "
    "allocate 20.00 GiB.\n"
)
UNKNOWN = (
    "(EngineCore pid=31) INFO 03-01 10:42:50 [core.py:1] about to split\n"
    "(EngineCore pid=31) ERROR 03-01 10:42:55 [core.py:9] ZebraError: stripes:\n"
    "(EngineCore pid=31) ERROR 03-01 10:42:55 [core.py:9] three of four are missing\n"
    "(APIServer pid=1) RuntimeError: Engine core initialization failed. See root cause above.\n"
)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "vllm.log"
    path.write_text(OOM)
    return path


def test_a_file_with_its_cause_line_and_repair(cli: Cli, log: Path) -> None:
    done = cli("diagnose", str(log))
    assert done.code == 0
    assert done.out.startswith("Out of GPU memory\n")
    assert "  > (EngineCore pid=31) ERROR" in done.out
    assert "  try: " in done.out


def test_json_is_an_array_best_first(cli: Cli, log: Path) -> None:
    log.write_text(OOM + "OSError: [Errno 28] No space left on device\n" + OOM)
    done = cli("diagnose", str(log), "--json")
    assert [item["title"] for item in done.json] == ["Out of GPU memory", "The disk is full"]
    assert set(done.json[0]) == {"title", "explanation", "evidence", "repairs"}
    assert set(done.json[0]["repairs"][0]) == {"title", "why", "key", "value"}


def test_stdin(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(OOM.encode())))
    assert cli("diagnose", "-", "--json").json[0]["title"] == "Out of GPU memory"


def test_an_unknown_failure_is_called_so_with_the_lines_around_it(cli: Cli, log: Path) -> None:
    log.write_text(UNKNOWN)
    done = cli("diagnose", str(log))
    assert done.code == 1
    assert "Cause not known: ZebraError" in done.out
    assert "stripes: three of four are missing" in done.out
    assert "about to split" in done.out.partition("around it:")[2]
    log.write_text("all is well\n")
    done = cli("diagnose", str(log), "--json")
    assert (done.code, done.json) == (1, [])


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("[2026-05-09 10:00:00 TP0] Scheduler hit an exception: Traceback\nRuntimeError: Not enough memory. Please "
         "try to increase --mem-fraction-static. Current value: 0.8\n", "No room for the KV cache"),
        ("0.00.500.000 E llama_model_load: error loading model: unknown model architecture: 'x'\n",
         "llama.cpp is too old for this model"),
        ("ValueError: No valid attention backend found for cuda\n", "No attention kernel for these settings"),
        ("failed to discover GPU vendor from CDI: no known GPU vendor found\n", "Docker has no GPU on this host"),
    ],
)  # fmt: skip
def test_the_engine_is_guessed(cli: Cli, log: Path, text: str, title: str) -> None:
    log.write_text(text)
    assert cli("diagnose", str(log), "--json").json[0]["title"] == title


def test_the_engine_can_be_said(cli: Cli, log: Path) -> None:
    log.write_text("common_init: failed to load model 'tiny.gguf'\nllama_model_load: error loading model: x\n")
    found = cli("diagnose", str(log), "--engine", "llama-cpp", "--json").json
    assert "llama.cpp" in found[0]["explanation"]
    assert cli("diagnose", str(log), "--engine", "vllm", "--json").json == []
    done = cli("diagnose", str(log), "--engine", "abacus")
    assert done.code == 2
    assert "`abacus` is no engine" in done.err


def test_secrets_of_a_log_are_masked(cli: Cli, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_canaryCanaryCanaryCanaryCanaryCanar")
    log.write_text(f"ValueError: bad {os.environ['HF_TOKEN']} and api_key='topsecretword1'\n")
    for done in (cli("diagnose", str(log)), cli("diagnose", str(log), "--json")):
        assert "ValueError" in done.out
        assert "hf_canary" not in done.out
        assert "topsecretword1" not in done.out


def test_what_cannot_be_read_is_said(cli: Cli, tmp_path: Path) -> None:
    done = cli("diagnose", str(tmp_path))
    assert (done.code, "is a folder" in done.err) == (2, True)
    done = cli("diagnose", "no-such-launch")
    assert (done.code, "no launch `no-such-launch` is remembered" in done.err) == (2, True)


def test_of_a_long_file_the_end_is_read_and_of_a_stream_the_beginning(
    cli: Cli, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "MOST_BYTES", 2000)
    noise = "fine\n" * 1000
    log.write_text(noise + OOM)
    done = cli("diagnose", str(log), "--json")
    assert done.json[0]["title"] == "Out of GPU memory"
    assert "are read" in done.err
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO((OOM + noise).encode())))
    done = cli("diagnose", "-", "--json")
    assert done.json[0]["title"] == "Out of GPU memory"
    assert "are read" in done.err


def test_an_endless_device_ends(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "MOST_BYTES", 1_000_000)
    assert cli("diagnose", "/dev/zero").code == 1


def test_an_earlier_launch_by_its_id(cli: Cli, lab: FakeCluster, solo: str) -> None:
    done = cli("run", solo, "-H", "spark-1", "--json")
    assert done.code == 0, done.err
    launch_id = str(done.events[0]["launch_id"])
    done = cli("diagnose", launch_id)
    assert done.code == 1
    assert done.out == "cause not known: no line of this log says why\n"


def test_a_launch_that_the_check_refused_repeats_the_reason(cli: Cli, lab: FakeCluster, solo: str) -> None:
    lab[1].facts = replace(lab[1].facts, docker_access="denied")
    done = cli("run", solo, "-H", "spark-1", "--json")
    assert done.code == 1
    reason = next(event for event in done.events if event["kind"] == "diagnosis")
    done = cli("diagnose", "solo")
    assert done.out.startswith("refused by the check of the hosts, before anything was started there:\n")
    assert f"spark-1: {reason['title']}" in done.out and "not known" not in done.out
    assert done.code == 0
    assert cli("diagnose", "solo", "--json").json[0]["title"] == reason["title"]


def test_a_log_of_a_server_that_became_ready_is_no_failure(cli: Cli, log: Path) -> None:
    ready = "0.02.100.000 I srv  llama_server: listening on http://0.0.0.0:8080\n"
    log.write_text("0.00.100.000 I srv    load_model: loading model '/m.gguf'\n" + ready)
    done = cli("diagnose", str(log))
    assert done.code == 1 and done.out == "no failure: by this log the server became ready\n"
    log.write_text("ggml_cuda_init: failed to initialize CUDA: no CUDA-capable device is detected\n" + log.read_text())
    done = cli("diagnose", str(log))
    assert "no failure" in done.out and "llama-server finds no GPU" in done.out
