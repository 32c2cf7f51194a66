"""The only place that writes to stdout: plain lines, aligned tables and JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from sparkrun_tui.base.text import cell_width, escape_hidden, shorten, visible_text


def line(text: str = "") -> None:
    """One line of output; foreign text is made safe here once more."""
    sys.stdout.write(visible_text(text) + "\n")
    sys.stdout.flush()


def piece(text: str) -> None:
    """A part of a line, such as a few words of an answer that is still coming."""
    sys.stdout.write(visible_text(text))
    sys.stdout.flush()


def raw(text: str) -> None:
    """Text that must come out byte for byte, such as a recipe file; a final newline is added when missing."""
    sys.stdout.write(text if text.endswith("\n") else text + "\n")
    sys.stdout.flush()


def as_json(value: Any) -> None:
    """One JSON document; characters that cannot be seen are escaped."""
    sys.stdout.write(escape_hidden(json.dumps(value, indent=2, ensure_ascii=False, default=str)) + "\n")
    sys.stdout.flush()


def as_json_line(value: Any) -> None:
    """One JSON object on one line, for streams of events; escaped as in `as_json`."""
    sys.stdout.write(escape_hidden(json.dumps(value, ensure_ascii=False, default=str)) + "\n")
    sys.stdout.flush()


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, width: int | None = None) -> None:
    """Rows under a head, columns as wide as needed; the last column is cut to `width` cells of the whole line."""
    lines = [list(map(visible_text, row)) for row in rows]
    widths = [max([cell_width(name), *(cell_width(row[at]) for row in lines)]) for at, name in enumerate(head)]
    for row in (list(head), *lines):
        padded = [cell + " " * (widths[at] - cell_width(cell)) for at, cell in enumerate(row)]
        text = "  ".join(padded).rstrip()
        line(shorten(text, width) if width else text)
