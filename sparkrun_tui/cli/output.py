"""The only place that writes to stdout: plain lines, aligned tables and JSON, all with secrets masked."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

from sparkrun_tui.base.text import visible_line, visible_text
from sparkrun_tui.cli.gate import gate


def line(text: str = "") -> None:
    """Print one line. Control characters and line breaks in `text` are shown as signs."""
    sys.stdout.write(gate().redact(visible_line(text)) + "\n")
    sys.stdout.flush()


def lines(texts: Iterable[str]) -> None:
    """Print lines that came together, each as `line` prints it, with one write."""
    shown = gate().redact.each([visible_line(text) for text in texts])
    if shown:
        sys.stdout.write("\n".join(shown) + "\n")
        sys.stdout.flush()


def piece(text: str) -> None:
    """Print a part of a line, such as a few words of an answer that is still arriving."""
    sys.stdout.write(gate().redact(visible_text(text)))
    sys.stdout.flush()


def raw(text: str) -> None:
    """Print text unchanged except for secrets, such as a recipe file; a missing final newline is added."""
    text = gate().redact(text)
    sys.stdout.write(text if text.endswith("\n") else text + "\n")
    sys.stdout.flush()


def as_json(value: Any) -> None:
    """Print one JSON document."""
    sys.stdout.write(gate().json(value, indent=2) + "\n")
    sys.stdout.flush()


def as_json_line(value: Any) -> None:
    """Print one JSON object on one line, for streams of events."""
    sys.stdout.write(gate().json(value) + "\n")
    sys.stdout.flush()


_WIDEST = 200
"""Cells of the widest cell of a table: one long name would fill up every other row with blanks."""


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, width: int | None = None) -> None:
    """Print rows below a header, each column as wide as its longest cell; lines are cut at `width` cells when given.

    A row is always one line: a line break in a cell cannot look like another row.
    """
    lines = [list(head)]
    for row in rows:
        lines.append([_cut(visible_line(cell), _WIDEST) for cell in row])
    widths = [0] * len(head)
    for cells in lines:
        for at, cell in enumerate(cells):
            widths[at] = max(widths[at], _width(cell))
    for cells in lines:
        text = ""
        for at, cell in enumerate(cells):
            text += cell + " " * (widths[at] - _width(cell) + 2)
        text = text.rstrip()
        if width:
            text = _cut(text, width)
        line(text)


def _width(text: str) -> int:
    """The width of a text in terminal cells."""
    if text.isascii():
        return len(text)
    # Most tables are ASCII: do not import Rich for them.
    from rich.cells import cell_len

    return cell_len(text)


def _cut(text: str, width: int) -> str:
    """A text in at most `width` cells, with `…` where it was cut."""
    if _width(text) <= width:
        return text
    from rich.cells import set_cell_size

    return set_cell_size(text, width - 1).rstrip() + "…"
