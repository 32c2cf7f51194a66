"""JSON files that the program keeps: read once until they change, none when damaged, the newest entries kept."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from sparkrun_tui.base.disk import kept_json
from sparkrun_tui.base.disk.kept_json import keep_newest, read_kept, update_kept


def test_a_file_is_read_again_only_when_it_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "kept.json"
    reads: list[Path] = []
    read = kept_json.read_text

    def counted(file: Path) -> str:
        reads.append(file)
        return read(file)

    monkeypatch.setattr(kept_json, "read_text", counted)
    update_kept(path, lambda _: [1])
    assert [read_kept(path) for _ in range(3)] == [[1], [1], [1]]
    assert reads == [path]
    path.write_text("[2, 3]")
    os.utime(path, ns=(1, 1))
    assert read_kept(path) == [2, 3]
    path.unlink()
    assert read_kept(path) is None


@pytest.mark.parametrize("text", ["", "{", "[" * 10_000, "\udc80"])
def test_a_damaged_file_counts_as_none_and_is_replaced(tmp_path: Path, text: str) -> None:
    path = tmp_path / "kept.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert read_kept(path) is None
    given: list[Any] = []
    update_kept(path, lambda data: given.append(data) or [1])
    assert given == [None]
    assert read_kept(path) == [1]


@pytest.mark.parametrize("data", [None, [1], "text"])
def test_what_is_no_mapping_is_dropped(data: Any) -> None:
    assert keep_newest(data, "a", 1, 5) == {"a": 1}


def test_the_newest_entries_are_kept() -> None:
    assert list(keep_newest({"a": 1, "b": 2, "c": 3}, "a", 4, 2).items()) == [("c", 3), ("a", 4)]
