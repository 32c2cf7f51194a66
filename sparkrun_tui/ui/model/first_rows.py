"""The rows last in sight, kept for the first frame of the next start: seen at once, put right when all are read.

They are shown and nothing else: what is done with a recipe waits for the real entry.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from sparkrun_tui.base.disk import paths
from sparkrun_tui.base.disk.files import read_text, write_private
from sparkrun_tui.base.reading.decoded import Decoded, decode_json
from sparkrun_tui.base.text import visible_line
from sparkrun_tui.ui.model.columns import BY_KEY
from sparkrun_tui.ui.model.rows import RecipeRow

_FORMAT = 1
_MOST_ROWS = 200
_LONGEST = 64 << 10
"""Bytes of the file; more is damage, and more is not written."""
_LONGEST_NAME = 300
_LONGEST_CELL = 60


class FirstRows(NamedTuple):
    """Rows in order, and the place of the cursor among them.

    `below` is whether rows above them are out of sight, `longest` how many cells the longest name of all recipes takes.
    """

    rows: tuple[RecipeRow, ...]
    cursor: int
    below: bool
    longest: int


def read_first_rows(listed: str) -> FirstRows | None:
    """The rows of the last session if the same is to be listed now; None where there are none.

    `listed` says what is listed, in what order: any text that differs where the rows would.
    """
    try:
        kept = decode_json(read_text(_file(), _LONGEST, encoding="ascii"))
        if kept.at("format").whole() != _FORMAT or kept.at("listed").text() != listed:
            return None
        rows = tuple(_row(row) for row in kept.at("rows").items(_MOST_ROWS))
        cursor = kept.at("cursor").whole(most=len(rows) - 1)
        longest = kept.at("longest").whole(most=_LONGEST_NAME)
        if not rows or cursor is None or longest is None:
            return None
        return FirstRows(rows, cursor, kept.at("below").is_true(), longest)
    except (OSError, ValueError):
        # A damaged file counts as none.
        return None


def keep_first_rows(listed: str, first: FirstRows) -> None:
    """Keep them for the next start; without them it shows its rows later."""
    rows = [_data(row) for row in first.rows[:_MOST_ROWS]]
    data = {
        "format": _FORMAT,
        "listed": listed,
        "rows": rows,
        "cursor": first.cursor,
        "below": first.below,
        "longest": min(first.longest, _LONGEST_NAME),
    }
    text = json.dumps(data, separators=(",", ":"))
    if len(text) <= _LONGEST:
        with suppress(OSError):
            write_private(_file(), text)


def _file() -> Path:
    return paths.cache_dir() / "first-rows.json"


def _data(row: RecipeRow) -> dict[str, object]:
    return {
        "key": row.key,
        "name": row.name,
        "cells": dict(row.cells),
        "matched": sorted(row.matched),
        "broken": row.broken,
        "overrides": row.has_overrides,
        "favourite": row.favourite,
    }


def _row(kept: Decoded) -> RecipeRow:
    """A row as it is shown: no text is longer than a column, none can act on the terminal. Raises `ShapeError`."""
    cells: dict[str, str] = {}
    for key, text in kept.at("cells").fields(len(BY_KEY)).items():
        if key in BY_KEY:
            cells[key] = visible_line(text.text()[:_LONGEST_CELL])
    matched: set[int] = set()
    for place in kept.at("matched").items(_LONGEST_NAME):
        number = place.whole(most=_LONGEST_NAME)
        if number is not None:
            matched.add(number)
    return RecipeRow(
        key=kept.at("key").present().text(),
        name=visible_line(kept.at("name").text()[:_LONGEST_NAME]),
        cells=cells,
        broken=kept.at("broken").is_true(),
        matched=frozenset(matched),
        has_overrides=kept.at("overrides").is_true(),
        favourite=kept.at("favourite").is_true(),
    )
