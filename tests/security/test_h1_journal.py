"""H1: a log that makes very many events does not hold the app up when their file is thinned."""

from __future__ import annotations

import json

import pytest

from sparkrun_tui.base.reading.json_text import parse_json
from sparkrun_tui.engines.plan import Phase
from sparkrun_tui.launch.record import event_file
from sparkrun_tui.launch.record.codec import to_json
from sparkrun_tui.launch.record.event_file import thinned
from sparkrun_tui.launch.record.events import (
    EngineFact,
    GuardSeen,
    GuardState,
    LinkChanged,
    MemorySeen,
    Noticed,
    Progressed,
    StepChanged,
    StepState,
)

WORDS = (
    "spark-1",
    "",
    'a"b',
    "a\\",
    '", "host": "spark-2',
    '\\", "host": "spark-2", "phase": "load',
    '}{"kind": "fact", ',
    "é\u202e\x1b",
    "x" * 5000,
)


@pytest.mark.parametrize("word", WORDS)
def test_a_row_is_known_without_reading_all_of_it(word: str) -> None:
    events = (
        EngineFact(seq=1, time=1.5, host=word, name=word, value=1.0),
        Noticed(level="note", text=word, host=word),
        Noticed(level=word, text=word),
        LinkChanged(host=word, state=word, detail=word),
        MemorySeen(host=word, available=1, total=2),
        GuardSeen(host=word, floor=1, state=GuardState.WATCHING, samples=(1, 2)),
        Progressed(host=word, phase=Phase.LOAD, done=1.0, total=None, detail=word),
        StepChanged(host=word, phase=Phase.LOAD, state=StepState.OK, detail=word),
    )
    for event in events:
        row = json.dumps(to_json(event), ensure_ascii=False).encode(errors="replace")
        quick, read = event_file._written_key(row), event_file._read_key(row)
        assert quick is not None and read is not None
        plain = json.dumps(word) == f'"{word}"'
        if plain:
            assert quick == read
        assert quick[0] == read[0]


@pytest.mark.parametrize(
    "row", [b"", b"torn", b'{"kind": "fact", "seq"', b'{"seq": 1, "kind": "fact"}', b"[]", b"[" * 9]
)
def test_a_row_of_another_form_is_read_whole(row: bytes) -> None:
    assert event_file._written_key(row) is None


def test_a_full_file_is_thinned_without_reading_each_row(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[bytes] = []

    def watched(row: bytes) -> object:
        read.append(row)
        return parse_json(row)

    monkeypatch.setattr(event_file, "parse_json", watched)
    rows = []
    for number in range(5000):
        event = EngineFact(seq=number, time=1.7e9 + number, host="spark-1", name="kv_tokens", value=float(number))
        rows.append(json.dumps(to_json(event)).encode())
    assert thinned([*rows, b"torn"]) == rows[-1:]
    assert read == [b"torn"]
