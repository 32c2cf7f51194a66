"""One measured figure, and a table of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured, the figure, the goal, and the ratio to the reference of the same run."""

    what: str
    figure: str
    goal: str = ""
    ratio: str = ""


def print_table(title: str, rows: Iterable[Row]) -> None:
    """Print the rows, aligned."""
    print(f"\n{title}")
    for row in rows:
        print(f"  {row.what:<52} {row.figure:>16}  {row.ratio:>8}  {row.goal}")
