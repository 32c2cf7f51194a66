"""H1: files that a model's author made very large cost the app neither memory nor its turns."""

from __future__ import annotations

import json
import threading
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from sparkrun_tui.models.snapshot import read_json, weight_bytes
from sparkrun_tui.remote.hub.cache import INDEX, looks_whole
from sparkrun_tui.remote.ports.models import ModelFile
from tests.support.weights import safetensors

COMMIT = "a" * 40
PART = "model-00001-of-00001.safetensors"


def snapshot(hub: Path, index: str) -> list[ModelFile]:
    """The files of a model that is whole if its index says so."""
    folder = hub / "models--org--m" / "snapshots" / COMMIT
    folder.mkdir(parents=True)
    files = {"config.json": "{}", "tokenizer.json": "{}", PART: "\x02\0\0\0\0\0\0\0{}", f"model{INDEX}": index}
    for name, text in files.items():
        (folder / name).write_text(text)
    return [ModelFile(name, len(text.encode()), cached=True) for name, text in files.items()]


def whole(hub: Path, index: str) -> bool:
    return looks_whole(hub, "org/m", COMMIT, snapshot(hub, index))


@pytest.mark.parametrize(
    ("index", "is_whole"),
    [
        (json.dumps({"metadata": {"format": "pt"}, "weight_map": {"a": PART, 'b"ü{': PART}}), True),
        (json.dumps({"weight_map": {"a": PART}, "metadata": {"x": "other"}}, indent=2) + "\n", True),
        (json.dumps({"weight_map": {"a": PART, "b": "other.safetensors"}}), False),
        (json.dumps({"weight_map": {"a": PART, "b": "other-ü.safetensors"}}), False),
        (json.dumps({"weight_map": {"a": PART, "b": PART}})[:-10], False),
        (json.dumps({"a": PART}), False),
        ("", False),
    ],
)
def test_the_files_of_an_index_must_be_there(index: str, is_whole: bool, tmp_path: Path) -> None:
    assert whole(tmp_path, index) is is_whole


def longest_wait(work: Callable[[], object]) -> float:
    """The longest time in which another thread had no turn, in seconds of the processor."""
    longest, over = 0.0, threading.Event()

    def watch() -> None:
        nonlocal longest
        before = time.process_time()
        while not over.is_set():
            time.sleep(0.005)
            now = time.process_time()
            longest, before = max(longest, now - before), now

    watcher = threading.Thread(target=watch)
    watcher.start()
    work()
    over.set()
    watcher.join()
    return longest


@pytest.mark.parametrize("file", [PART, "other.safetensors"])
def test_an_index_of_millions_of_tensors_costs_little(file: str, tmp_path: Path) -> None:
    count = (31 << 20) // (len(file) + 15)
    files = snapshot(tmp_path, '{"weight_map":{' + ",".join(f'"{n:07x}":"{file}"' for n in range(count)) + "}}")
    tracemalloc.start()
    longest = longest_wait(lambda: looks_whole(tmp_path, "org/m", COMMIT, files))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # Its own text twice: as bytes, and decoded.
    assert most < 110 << 20
    assert longest < 1


def test_a_model_in_very_many_parts_is_measured_at_once(tmp_path: Path) -> None:
    part = safetensors(4)
    for number in range(1, 4001):
        (tmp_path / f"model-{number:05d}-of-04000.safetensors").write_bytes(part)
    before = time.process_time()
    assert weight_bytes(tmp_path) == 4000 * len(part)
    assert time.process_time() - before < 1
    (tmp_path / "model-03000-of-04000.safetensors").unlink()
    assert weight_bytes(tmp_path) is None


def test_a_configuration_that_is_larger_than_any_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"a": ["x" * 20] * 200_000}))
    assert read_json(tmp_path / "config.json") is None
    (tmp_path / "config.json").write_text(json.dumps({"a": ["x" * 20] * 20_000}))
    assert read_json(tmp_path / "config.json") is not None
