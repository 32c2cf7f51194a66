"""J1: damaged records, headers with odd figures, and values that would be flags."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from sparkrun_tui.base.text import first_hidden
from sparkrun_tui.launch.record.journal import launches_dir
from sparkrun_tui.remote.hub.host_cache import listing_in
from sparkrun_tui.remote.local_transport import LocalTransport
from tests.cli.conftest import Cli, cli

__all__ = ["cli"]

COMMIT = "0123456789" * 4
BEGAN = {
    "kind": "began", "launch_id": "abcdefgh", "recipe": "qwen", "engine": "vllm", "model": "org/m", "cluster": "lab",
    "hosts": ["spark-1"], "port": 8000, "time": 1790000000.0,
}  # fmt: skip
ENDED = {"kind": "status", "status": "failed", "detail": "it failed", "time": 1790000009.0}


def keep(*events: dict[str, object]) -> None:
    """Write the record of a launch."""
    folder = launches_dir() / "abcdefgh"
    folder.mkdir(parents=True)
    (folder / "events.jsonl").write_text("\n".join(map(json.dumps, events)))


@pytest.mark.parametrize("moment", [1e17, -1e17, 999_999_999_999_999_999, -1])
def test_a_moment_without_a_date_ends_no_list(private_home: Path, cli: Cli, moment: float) -> None:
    keep(BEGAN, {**BEGAN, "launch_id": "abcdefgk", "time": moment}, {**ENDED, "time": moment}, ENDED)
    for command in (["list"], ["show", "abcdefgh"], ["show", "abcdefgh", "--report"], ["replay", "abcdefgh"]):
        result = cli("history", *command)
        assert result.code == 0 and "qwen" in result.out, result.err


def test_no_word_of_a_record_steers_the_terminal_from_a_report(private_home: Path, cli: Cli) -> None:
    keep(BEGAN, {"kind": "notice", "level": "\x1b]0;t\x07", "text": "slow", "time": 1790000001.0}, ENDED)
    told = cli("history", "show", "abcdefgh", "--report").out
    assert "slow" in told
    assert all(first_hidden(line.replace("@\u200b", "")) is None for line in told.split("\n"))


@pytest.mark.parametrize("end", ["1000", "0001000", "09", "0000000000000001777"])
async def test_zeros_before_an_offset_hide_no_cut_file(tmp_path: Path, end: str) -> None:
    snapshot = tmp_path / "models--org--m/snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    for name, text in (("a", f"[0,{end}]"), ("b", "[0,5000]")):
        header = f'{{"w":{{"dtype":"U8","shape":[1],"data_offsets":{text}}}}}'.encode()
        (snapshot / f"{name}.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    found = await listing_in(LocalTransport(), str(tmp_path), "org/m", COMMIT)
    assert found is not None
    assert found.cut == frozenset({"a.safetensors", "b.safetensors"})


@pytest.mark.parametrize("value", ["--trust-remote-code", "--x", "--enable-sleep-mode=1"])
def test_a_typed_value_becomes_no_flag(cli: Cli, value: str) -> None:
    result = cli("run", "--dry-run", "--solo", "qwen3-1.7b-vllm", "-o", f"served_model_name={value}")
    assert result.code != 0
    assert "must not begin with `--`" in result.out + result.err


@pytest.mark.parametrize("value", ["-x", "a--b", "qwen"])
def test_other_values_with_dashes_pass(cli: Cli, value: str) -> None:
    result = cli("run", "--dry-run", "--solo", "qwen3-1.7b-vllm", "-o", f"served_model_name={value}")
    assert "must not begin with" not in result.out + result.err
