"""The columns of the recipe list: what each shows, how wide it is, and in which order it sorts."""

from __future__ import annotations

from collections.abc import Sequence

from sparkrun_tui.base.records import dataclass


@dataclass(frozen=True, slots=True)
class Column:
    """One column besides the name and the verdict; widths in cells.

    `judged` columns are known once a recipe was estimated for the chosen hosts. `downwards` is whether the largest
    value comes first when the list is sorted by it.
    """

    key: str
    title: str
    width: int
    help: str
    right: bool = False
    judged: bool = False
    downwards: bool = False


COLUMNS = (
    Column("engine", "engine", 8, "the inference server"),
    Column("size", "size", 6, "parameters of the model", right=True, downwards=True),
    Column("hosts", "hosts", 5, "hosts that it needs", right=True),
    Column("dtype", "dtype", 8, "number format of the weights"),
    Column("context", "context", 7, "tokens of context that it asks for", right=True, downwards=True),
    Column("left", "left", 5, "GiB that stay free on the fullest host", right=True, judged=True, downwards=True),
    Column("once", "at once", 7, "requests of full length at once", right=True, judged=True, downwards=True),
    Column("decode", "tokens/s", 9, "new tokens a second of one request", right=True, judged=True, downwards=True),
    Column("prefill", "prompt/s", 9, "tokens of its prompt a second", right=True, judged=True, downwards=True),
    Column("last", "last", 6, "when it was launched last", right=True, downwards=True),
    Column("origin", "from", 12, "bundled, your own, or its registry"),
)
"""Every column, in the order in which they are shown."""
BY_KEY = {column.key: column for column in COLUMNS}
NAME = "name"
VERDICT = "fits"
SORTABLE = (NAME, *BY_KEY, VERDICT)
"""What the list can be sorted by."""
_BY_IMPORTANCE = ("size", "hosts", "engine", "dtype", "context", "left", "once", "last", "origin", "decode", "prefill")
"""Where there is no room for all, the first of these are shown."""
_MARKS = 4
"""Cells for the cursor, the mark, the verdict and the blank before it."""
_SHORTEST_NAME = 14
_SPARE = 8


@dataclass(frozen=True, slots=True)
class Sorting:
    """By what the list is sorted: a key of `SORTABLE`, empty for the best match first; and in which direction."""

    key: str = ""
    downwards: bool = False

    @property
    def text(self) -> str:
        """As it is kept: `size-`, `name+`."""
        if not self.key:
            return ""
        return self.key + ("-" if self.downwards else "+")

    @classmethod
    def read(cls, text: str) -> Sorting:
        """From the text that is kept; anything else is the best match first."""
        key = text[:-1]
        if key not in SORTABLE or text[-1:] not in ("+", "-"):
            return cls()
        return cls(key, text.endswith("-"))

    def chosen(self, key: str) -> Sorting:
        """After this column was chosen: its own direction first, then the other one, then the best match first."""
        column = BY_KEY.get(key)
        first = column is not None and column.downwards
        if self.key != key:
            return Sorting(key, first)
        if self.downwards == first:
            return Sorting(key, not first)
        return Sorting()


@dataclass(frozen=True, slots=True)
class Widths:
    """The cells of the name, and the columns that are shown beside it."""

    name: int
    columns: tuple[Column, ...]

    @classmethod
    def for_width(cls, width: int, hidden: Sequence[str] = (), longest: int = 0) -> Widths:
        """The columns that fit into `width` cells beside names of `longest` cells, without those that are hidden.

        Names come first: a column is shown where the longest name still has room. In a narrow list size and hosts are
        shown beside shorter names too.
        """
        room = width - _MARKS
        wanted = max(min(longest, 44), _SHORTEST_NAME)
        shown: set[str] = set()
        for key in _BY_IMPORTANCE:
            column = BY_KEY[key]
            if key in hidden:
                continue
            least = wanted
            if key in ("size", "hosts"):
                least = min(wanted, _SHORTEST_NAME)
            if room - column.width - 1 < least:
                # A wider list shows these and more.
                break
            shown.add(key)
            room -= column.width + 1
        if longest:
            # On a very wide screen the columns stay near the names.
            room = min(room, max(longest, _SHORTEST_NAME) + _SPARE)
        return cls(max(room, 4), tuple(column for column in COLUMNS if column.key in shown))

    def column_at(self, place: int) -> str:
        """The key of the column at a cell of the row, `name` or `fits` included; empty where there is none."""
        left = 2 + self.name
        if 0 <= place < left:
            return NAME
        for column in self.columns:
            if column.key == "origin":
                break
            left += column.width + 1
            if place < left:
                return column.key
        left += 2
        if place < left:
            return VERDICT
        return "origin" if any(column.key == "origin" for column in self.columns) else ""
