"""What if: recipes, or sets of overrides of one recipe, side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from textual.widget import Widget

from sparkrun_tui.base.text import clean_line, visible_line
from sparkrun_tui.recipe.values.kept_sets import LONGEST_NAME, forget_set, keep_set
from sparkrun_tui.ui.actions import Scope, bindings
from sparkrun_tui.ui.ink import MARKS, Line, Span, clip, fit
from sparkrun_tui.ui.model.sides import MOST, OWN, Side, evaluated, varied
from sparkrun_tui.ui.screens.base import PageScreen
from sparkrun_tui.ui.screens.dialogs.ask import AskScreen, Blank
from sparkrun_tui.ui.widgets.list_pane import ListPane
from sparkrun_tui.ui.widgets.panel import Panel

if TYPE_CHECKING:
    from sparkrun_tui.launch.sizing.comparison import Row

_LABEL = 22
_NARROW_LABEL = 17
_SMALLEST_SIDE = 16


class SideList(ListPane):
    """A row for each thing compared, a column for each side."""

    def __init__(self) -> None:
        super().__init__(id="sides")
        self.titles: Sequence[str] = ()
        self.rows: Sequence[Row] = ()
        self.side = 0

    @property
    def head(self) -> int:
        """One line names the sides."""
        return 1

    @property
    def row_count(self) -> int:
        """How many things are compared."""
        return len(self.rows)

    @property
    def line_count(self) -> int:
        """The rows, and the titles above them."""
        return len(self.rows) + 1

    def show(self, titles: Sequence[str], rows: Sequence[Row], side: int) -> None:
        """Show these sides, with `side` chosen."""
        self.titles, self.rows, self.side = titles, rows, side
        self.cursor = min(self.cursor, max(len(rows) - 1, 0))
        self.refresh()

    def _columns(self) -> tuple[int, int, range]:
        """The cells of the labels and of a side, and the sides in sight: those around the chosen one."""
        label = _LABEL if self.text_width >= 90 else _NARROW_LABEL
        room = max(self.text_width - label - 2, _SMALLEST_SIDE)
        count = max(min(len(self.titles), room // _SMALLEST_SIDE), 1)
        first = min(max(self.side - count + 1, 0), max(len(self.titles) - count, 0))
        return label, room // count - 1, range(first, first + count)

    def line(self, number: int) -> Line:
        """The titles, or one thing on every side."""
        label, width, sides = self._columns()
        if number == 0:
            spans: list[Span] = [(fit("", label + 2), "")]
            for place in sides:
                style = "key" if place == self.side else "dim"
                mark = "▸" if place == self.side else " "
                spans.append((fit(f"{mark}{clean_line(self.titles[place])}", width) + " ", style))
            return clip(spans, self.text_width)
        row = self.rows[number - 1]
        sign = "≠ " if row.differs else "  "
        spans = [(sign, "changed"), (fit(visible_line(row.label), label), "bold" if row.differs else "dim")]
        for place in sides:
            cell = row.cells[place]
            text, style = clean_line(cell.text), "" if row.differs else "dim"
            if cell.level is not None:
                text, style = f"{MARKS[cell.level]} {text}", cell.level.value
            spans.append((fit(text, width) + " ", style))
        return clip(spans, self.text_width)


class CompareScreen(PageScreen):
    """Nothing here changes a host; `enter` takes the values of a side over."""

    BINDINGS = bindings(Scope.COMPARE)
    AUTO_FOCUS = "SideList"
    WHERE = "what if"

    def __init__(self, sides: Sequence[Side]) -> None:
        super().__init__()
        self.sides = list(sides)
        self.at = len(self.sides) - 1

    def body(self) -> Iterable[Widget]:
        """One box."""
        self.list = SideList()
        yield Panel(self.list, id="compare-panel")

    def state_changed(self) -> None:
        """Hosts changed: estimate again."""
        self._compare()

    def _compare(self) -> None:
        from sparkrun_tui.launch.sizing.comparison import compare  # not before the first paint

        if not self.whole:
            return
        state = self.sparkrun.state
        rows = compare([evaluated(state, side) for side in self.sides])
        self.at = min(max(self.at, 0), len(self.sides) - 1)
        self.list.show([side.title for side in self.sides], rows, self.at)
        names = dict.fromkeys(side.recipe.name for side in self.sides)
        detail = self.sides[self.at]
        corner = f"{self.at + 1} of {len(self.sides)}: {detail.title}" if len(self.sides) > 1 else "a: add a side"
        self.query_one("#compare-panel", Panel).entitle(", ".join(names), corner)
        self.refresh_bindings()

    @property
    def current(self) -> Side:
        """The chosen side."""
        return self.sides[self.at]

    def why_not(self, name: str) -> str:
        """What can be done depends on the chosen side."""
        if name == "add" and len(self.sides) >= MOST:
            return f"{MOST} sides are compared at most: remove one with x."
        if name == "keep" and not self.current.overrides:
            return "This side has no overrides to keep."
        if name == "remove" and len(self.sides) < 2:
            return "One side is left."
        if name in ("left", "right") and len(self.sides) < 2:
            return "There is one side: a adds another."
        return ""

    def do_left(self) -> None:
        """Choose the side to the left."""
        self._choose(-1)

    def do_right(self) -> None:
        """Choose the side to the right."""
        self._choose(1)

    def _choose(self, steps: int) -> None:
        self.at = (self.at + steps) % len(self.sides)
        self._compare()

    async def do_add(self) -> None:
        """Ask for one more value, and add the chosen side with it."""
        base = self.current
        made: list[Side] = []

        def wrong(answers: Sequence[str]) -> str:
            found = varied(self.sparkrun.state, base, answers[0])
            if isinstance(found, str):
                return found
            made[:] = [found]
            return ""

        blank = Blank(f"One more value for: {base.title}", "", "kv_cache_dtype=fp8")
        answer = await self.sparkrun.answer(AskScreen("What if", (blank,), "The recipe itself is not changed.", wrong))
        if answer and made:
            self.sides.insert(self.at + 1, made[0])
            self.at += 1
            self._compare()

    async def do_keep(self) -> None:
        """Keep the overrides of the chosen side under a name."""
        side = self.current
        blank = Blank("Name of this set of overrides", side.title if side.kept else "", "long context")
        answer = await self.sparkrun.answer(AskScreen("Keep these overrides", (blank,), "", _named))
        if not answer:
            return
        name = answer[0][:LONGEST_NAME]
        try:
            keep_set(side.recipe, name, side.overrides)
        except OSError as error:
            self.sparkrun.say(f"the set cannot be saved: {error}", "error")
            return
        self.sides[self.at] = Side(name, side.recipe, side.overrides, kept=True)
        self._compare()
        self.sparkrun.say(f"kept for {side.recipe.name}: {name}")

    def do_remove(self) -> None:
        """Remove the chosen side; a named set is forgotten."""
        side = self.current
        if side.kept:
            try:
                forget_set(side.recipe, side.title)
            except OSError as error:
                self.sparkrun.say(f"the set cannot be forgotten: {error}", "error")
                return
        del self.sides[self.at]
        self._compare()

    def do_use(self) -> None:
        """Go to the recipe with the overrides of the chosen side."""
        side = self.current
        edits = self.sparkrun.state.edits_of(side.recipe.source.path)
        edits.use(side.overrides)
        self.sparkrun.edit_recipe(side.recipe.source.path, dict(side.overrides))
        what = "without overrides" if not side.overrides else f"with {side.title}"
        if side.title != OWN or side.overrides:
            self.sparkrun.say(f"{side.recipe.name} {what}; u undoes it")


def _named(answers: Sequence[str]) -> str:
    return "" if clean_line(answers[0]).strip() else "give it a name"
