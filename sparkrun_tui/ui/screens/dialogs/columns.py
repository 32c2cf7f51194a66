"""The columns of the recipe list: which are shown, and by which one it is sorted."""

from __future__ import annotations

from collections.abc import Callable

from textual.app import ComposeResult
from textual.screen import ModalScreen

from sparkrun_tui.ui.actions import Scope, bindings
from sparkrun_tui.ui.actor import Actor
from sparkrun_tui.ui.ink import Line, clip, fit
from sparkrun_tui.ui.model.columns import BY_KEY, SORTABLE
from sparkrun_tui.ui.model.list_order import ListOrder
from sparkrun_tui.ui.widgets.footer_keys import FooterKeys
from sparkrun_tui.ui.widgets.list_pane import ListPane
from sparkrun_tui.ui.widgets.panel import Panel

_TITLES = {"name": "the name", "fits": "whether it fits"}


class ColumnList(ListPane):
    """One row for the name, each column, and the verdict."""

    def __init__(self, order: ListOrder) -> None:
        super().__init__(id="columns")
        self.order = order

    @property
    def line_count(self) -> int:
        """One row each."""
        return len(SORTABLE)

    @property
    def current(self) -> str:
        """The key under the cursor."""
        return SORTABLE[self.cursor]

    def line(self, number: int) -> Line:
        """Whether a column is shown, its title, the direction of sorting, and what it shows."""
        key = SORTABLE[number]
        column = BY_KEY.get(key)
        box = "   "
        if column is not None:
            box = "[ ]" if key in self.order.hidden else "[x]"
        arrow = " "
        if self.order.sorting.key == key:
            arrow = "▾" if self.order.sorting.downwards else "▴"
        title = column.title if column is not None else key
        about = column.help if column is not None else _TITLES[key]
        return clip(
            [(f" {box} ", "key"), (fit(title, 8), "bold"), (f" {arrow} ", "key"), (about, "dim")], self.text_width
        )


class ColumnsScreen(ModalScreen[None], Actor):
    """Changes hold at once; `changed` is called after each."""

    BINDINGS = bindings(Scope.COLUMNS)
    AUTO_FOCUS = "ColumnList"

    def __init__(self, order: ListOrder, changed: Callable[[], None]) -> None:
        super().__init__()
        self._order, self._changed = order, changed
        self.list = ColumnList(order)

    def compose(self) -> ComposeResult:
        """One box, and its keys."""
        with Panel(title="Columns and order", classes="dialog"):
            yield self.list
        yield FooterKeys()

    def on_mount(self) -> None:
        """As high as its rows."""
        self.list.styles.height = min(len(SORTABLE), max(self.size.height - 6, 3))

    def why_not(self, name: str) -> str:
        """Name and verdict are always shown."""
        if name == "toggle" and self.list.current not in BY_KEY:
            return "Name and verdict are always shown."
        return ""

    def do_toggle(self) -> None:
        """Show this column, or no longer."""
        self._order.toggle_column(self.list.current)
        self._show()

    def do_sort(self) -> None:
        """Sort by this column, in the other direction when it is sorted so already, then no longer."""
        self._order.sorting = self._order.sorting.chosen(self.list.current)
        self._show()

    def _show(self) -> None:
        self.list.refresh()
        self._changed()

    def do_back(self) -> None:
        """Go back."""
        self.dismiss(None)
