"""The only place that writes to stdout: plain lines, aligned tables and JSON. Secrets are taken out of all of it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

from sparkrun_tui.base.text import visible_line, visible_text
from sparkrun_tui.cli.gate import gate


def line(text: str = "") -> None:
    """One line of output; foreign text is made safe here once more, and makes no lines of its own."""
    sys.stdout.write(gate().redact(visible_line(text)) + "\n")
    sys.stdout.flush()


def piece(text: str) -> None:
    """A part of a line, such as a few words of an answer that is still coming."""
    sys.stdout.write(gate().redact(visible_text(text)))
    sys.stdout.flush()


def raw(text: str) -> None:
    """Text that must come out as it is, such as a recipe file; a final newline is added when missing."""
    text = gate().redact(text)
    sys.stdout.write(text if text.endswith("\n") else text + "\n")
    sys.stdout.flush()


def as_json(value: Any) -> None:
    """One JSON document."""
    sys.stdout.write(gate().json(value, indent=2) + "\n")
    sys.stdout.flush()


def as_json_line(value: Any) -> None:
    """One JSON object on one line, for streams of events."""
    sys.stdout.write(gate().json(value) + "\n")
    sys.stdout.flush()


_WIDEST = 200
"""Cells of the widest cell of a table: one long name would fill up every other row with blanks."""


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, width: int | None = None) -> None:
    """Rows under a head, columns as wide as needed; the last column is cut to `width` cells of the whole line.

    A row is one line whatever stands in it: a text with a line break cannot pass for another row.
    """
    lines = [[_cut(visible_line(cell), _WIDEST) for cell in row] for row in rows]
    widths = [max([_width(name), *(_width(row[at]) for row in lines)]) for at, name in enumerate(head)]
    for row in (list(head), *lines):
        padded = [cell + " " * (widths[at] - _width(cell)) for at, cell in enumerate(row)]
        text = "  ".join(padded).rstrip()
        line(_cut(text, width) if width else text)


def _width(text: str) -> int:
    """The cells of a terminal that a text takes."""
    if text.isascii():
        return len(text)
    # Most tables need none of Rich.
    from rich.cells import cell_len

    return cell_len(text)


def _cut(text: str, width: int) -> str:
    """A text in at most `width` cells, with `…` where it was cut."""
    if _width(text) <= width:
        return text
    from rich.cells import set_cell_size

    return set_cell_size(text, width - 1).rstrip() + "…"
