"""The list of recipes on the line API: rows are values, and only visible ones are painted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from typing import overload

from rich.cells import cell_len
from textual import events
from textual.message import Message

from sparkrun_tui.base.text import clean_line
from sparkrun_tui.ui.actions import Scope, bindings
from sparkrun_tui.ui.ink import MARK_STYLES, MARKS, Line, Span, fit
from sparkrun_tui.ui.model.columns import NAME, VERDICT, Sorting, Widths
from sparkrun_tui.ui.model.rows import RecipeRow
from sparkrun_tui.ui.widgets.list_pane import ListPane

_NOT_YET: Span = ("·", "dim")
_CELL_STYLES = {"engine": "dim", "origin": "dim", "last": "dim"}


Verdict = Callable[[str], str]
"""The sign of a recipe (`good`, `tight`, `bad`, `unknown`, `supposed`) by its key; empty while it is not known yet."""
Judged = Callable[[str], Mapping[str, str]]
"""The cells of a recipe's row, by its key, that are known once it was estimated; empty before."""


class Rows(Sequence[RecipeRow]):
    """Rows that are made when they are first used: a keystroke finds thousands of recipes and shows thirty.

    `keys` names all of them in order; `make` gives the row of a place.
    """

    def __init__(self, keys: Sequence[str], make: Callable[[int], RecipeRow]) -> None:
        self.keys = keys
        self._make = make
        self._made: dict[int, RecipeRow] = {}

    def __len__(self) -> int:
        return len(self.keys)

    @overload
    def __getitem__(self, place: int) -> RecipeRow: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[RecipeRow]: ...
    def __getitem__(self, place: int | slice) -> RecipeRow | Sequence[RecipeRow]:
        if isinstance(place, slice):
            return [self[number] for number in range(*place.indices(len(self.keys)))]
        row = self._made.get(place)
        if row is None:
            row = self._made[place] = self._make(range(len(self.keys))[place])
        return row

    def place(self, key: str) -> int | None:
        """The place of the recipe with this key, from 0; None when it is not among the rows."""
        try:
            return self.keys.index(key)
        except ValueError:
            return None


NO_ROWS = Rows((), lambda place: RecipeRow("", ""))


class RecipeList(ListPane):
    """Rows of recipes with their verdict for the current cluster."""

    BINDINGS = [*bindings(Scope.LIST), *bindings(Scope.RECIPES)]

    class Scrolled(Message):
        """Other rows are visible."""

        def can_replace(self, message: Message) -> bool:
            """One is enough."""
            return isinstance(message, RecipeList.Scrolled)

    class HeaderClicked(Message):
        """The title of a column was clicked."""

        def __init__(self, key: str) -> None:
            super().__init__()
            self.key = key

    class MarksChanged(Message):
        """Other rows are marked."""

    def __init__(self, verdict: Verdict, judged: Judged | None = None, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._verdict = verdict
        self._judged = judged or (lambda key: {})
        self.rows = NO_ROWS
        self.message = ""
        self.hidden: Sequence[str] = ()
        """The keys of the columns that the user does not want."""
        self.longest = 0
        """The cells of the longest name among all recipes."""
        self.sorting = Sorting()
        self.kept = False
        """Whether the rows are those of the last session, or of a first look, until the recipes are read."""
        self.marked: dict[str, None] = {}
        """The keys of the marked recipes, in the order in which they were marked."""

    @property
    def head(self) -> int:
        """One line names the columns."""
        return 1

    @property
    def line_count(self) -> int:
        """The rows, and the line above them."""
        return len(self.rows) + 1 if self.rows else 2

    @property
    def row_count(self) -> int:
        """How many recipes there are."""
        return len(self.rows)

    @property
    def current(self) -> RecipeRow | None:
        """The recipe under the cursor."""
        return self.rows[self.cursor] if 0 <= self.cursor < len(self.rows) else None

    @property
    def visible_rows(self) -> Sequence[RecipeRow]:
        """The visible recipes."""
        return self.rows[max(self.top - 1, 0) : self.top + self.page]

    def show(self, rows: Rows, message: str = "", keep: bool = True) -> None:
        """Show other rows; with `keep` the cursor stays on its recipe if that is still there.

        `Highlighted` is not posted: the caller knows that the row may have changed.
        """
        current = self.current
        line = self.cursor + self.head - self.top
        self.rows = rows
        self.message = message
        place = (rows.place(current.key) if keep and current else None) or 0
        self.cursor = min(place, max(len(rows) - 1, 0))
        if place == 0:
            self.top = 0
        elif self.kept:
            # The cursor stays on its line of the screen.
            self.top = self.cursor + self.head - line
        self.kept = False
        self.reveal(self.cursor + 1 if self.cursor else 0)
        self.refresh()

    def show_kept(self, rows: Sequence[RecipeRow], cursor: int, below: bool, longest: int) -> None:
        """Show these rows until the recipes are read; `below`: without the names of the columns."""
        self.rows = Rows([row.key for row in rows], rows.__getitem__)
        self.cursor, self.longest = cursor, longest
        self.top = self.head if below else 0
        self.kept = True
        self.refresh()

    def why_not(self, name: str) -> str:
        """Rows that are not those of recipes cannot be marked."""
        if name == "mark" and self.kept:
            return "Recipes are still being read."
        return super().why_not(name)

    def scrolled(self) -> None:
        """The wheel moved the view."""
        self.post_message(self.Scrolled())

    def select(self, key: str) -> None:
        """Put the cursor on the recipe with this key."""
        place = self.rows.place(key)
        if place is not None:
            self.move_to(place)

    def refresh_keys(self, keys: Set[str]) -> None:
        """Repaint those of these recipes that are visible."""
        first = max(self.top - self.head, 0)
        self.refresh_rows(n for n, row in enumerate(self.visible_rows, first) if row.key in keys)

    def line(self, number: int) -> Line:
        """The header, a row, or the message when there are none."""
        widths = self.widths
        if number == 0:
            return _header(widths, self.sorting)
        if not self.rows:
            return [("  " + self.message, "dim")]
        return self._row(self.rows[number - 1], widths, number - 1 == self.cursor)

    @property
    def widths(self) -> Widths:
        """The columns that are shown now."""
        return Widths.for_width(self.text_width, self.hidden, self.longest)

    def _row(self, row: RecipeRow, widths: Widths, current: bool) -> Line:
        spans: list[Span] = [("▌" if current else " ", "accent"), self._sign(row)]
        spans += _name(row, widths.name)
        judged = self._judged(row.key)
        last: list[Span] = []
        for column in widths.columns:
            text = judged.get(column.key, "") if column.judged else row.cells.get(column.key, "")
            span = (
                " " + fit(text, column.width, "right" if column.right else "left"),
                _CELL_STYLES.get(column.key, ""),
            )
            if column.key == "origin":
                last = [span]
            else:
                spans.append(span)
        level = "bad" if row.broken else self._verdict(row.key)
        spans.append((" ", ""))
        spans.append((MARKS[level], MARK_STYLES[level]) if level else _NOT_YET)
        return [*spans, *last]

    def _sign(self, row: RecipeRow) -> Span:
        """The sign before a name: marked, favourite, or with overrides."""
        if row.key in self.marked:
            return ("+", "key")
        if row.favourite:
            return ("★", "changed" if row.has_overrides else "key")
        return ("•" if row.has_overrides else " ", "changed")

    def do_mark(self) -> None:
        """Mark the current recipe, or no longer, and go on to the next."""
        row = self.current
        if row is None:
            return
        if row.key in self.marked:
            del self.marked[row.key]
        else:
            self.marked[row.key] = None
        self.refresh()
        self.post_message(self.MarksChanged())
        self.do_down()

    def unmark(self) -> None:
        """Mark nothing."""
        if self.marked:
            self.marked.clear()
            self.refresh()
            self.post_message(self.MarksChanged())

    def on_click(self, event: events.Click) -> None:
        """A click on a title sorts by its column."""
        if self.top == 0 and event.y == 0:
            key = self.widths.column_at(event.x)
            if key:
                self.post_message(self.HeaderClicked(key))
            event.prevent_default()


def _header(widths: Widths, sorting: Sorting) -> Line:
    def title(key: str, text: str, width: int, right: bool) -> Span:
        style = "dim"
        if sorting.key == key:
            text += "▾" if sorting.downwards else "▴"
            style = "key"
        return (fit(text, width, "right" if right else "left"), style)

    spans: list[Span] = [("  ", ""), title(NAME, "name", widths.name, False)]
    last: list[Span] = []
    for column in widths.columns:
        found = title(column.key, column.title, column.width, column.right)
        if column.key == "origin":
            last = [(" ", ""), found]
        else:
            spans += [(" ", ""), found]
    verdict = "▾" if sorting.downwards else "▴"
    spans += [(" ", ""), (verdict if sorting.key == VERDICT else " ", "key")]
    return [*spans, *last]


def _name(row: RecipeRow, width: int) -> list[Span]:
    shown, places = _elided(clean_line(row.name), width)
    base = "bad" if row.broken else ""
    if not row.matched:
        return [(shown, base)]
    spans: list[Span] = []
    for index, char in enumerate(shown):
        style = f"{base} match".strip() if index < len(places) and places[index] in row.matched else base
        if spans and spans[-1][1] == style:
            spans[-1] = (spans[-1][0] + char, style)
        else:
            spans.append((char, style))
    return spans


def _elided(name: str, width: int) -> tuple[str, Sequence[int]]:
    """A name in exactly `width` cells, and for each character shown its place in the name (-1: none).

    Long names lose their middle, because the names of one model differ at the end.
    """
    if len(name) <= width or width < 9 or cell_len(name) != len(name):
        shown = fit(name, width)
        return shown, range(len(name)) if len(name) <= width else [*range(len(shown.rstrip()) - 1), -1]
    tail = (width - 1) * 2 // 5
    head = width - 1 - tail
    return f"{name[:head]}…{name[-tail:]}", [*range(head), -1, *range(len(name) - tail, len(name))]
