"""Earlier launches: when and where they ran, how they ended, and how long they took to become ready."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence

from rich.cells import cell_len
from textual import on
from textual.widget import Widget

from sparkrun_tui.base.text import clean_line
from sparkrun_tui.base.units import format_duration
from sparkrun_tui.launch.record.again import run_again
from sparkrun_tui.ui.actions import Scope, bindings
from sparkrun_tui.ui.ink import Line, Span, clip, fit
from sparkrun_tui.ui.model.ports import PastLaunch
from sparkrun_tui.ui.screens.base import PageScreen
from sparkrun_tui.ui.widgets.list_pane import ListPane
from sparkrun_tui.ui.widgets.panel import Panel

_SIGNS = {
    "ready": ("✓", "good"),
    "stopped": ("✓", "good"),
    "degraded": ("!", "tight"),
    "failed": ("✗", "bad"),
    "cancelled": ("–", "dim"),
}


_ROOMY = 90
"""From this width in cells on, rows show everything."""

_WIDE = ("%Y-%m-%d %H:%M", 18, 12, 14)
_NARROW = ("%m-%d %H:%M", 13, 10, 9)
"""The format of the start, and the widths of the columns `when`, `cluster` and `ready after`."""


class HistoryList(ListPane):
    """One row per launch, newest first."""

    def __init__(self) -> None:
        super().__init__(id="history")
        self.rows: Sequence[PastLaunch] = ()
        self.message = "reading journals …"

    def show(self, rows: Sequence[PastLaunch]) -> None:
        """Show these launches."""
        self.rows = rows
        self.message = "nothing has been launched yet"
        self.refresh()

    @property
    def head(self) -> int:
        """One line names the columns."""
        return 1

    @property
    def row_count(self) -> int:
        """How many launches there are."""
        return len(self.rows)

    @property
    def line_count(self) -> int:
        """The rows and the header."""
        return 1 + max(len(self.rows), 1)

    @property
    def current(self) -> PastLaunch | None:
        """The launch under the cursor."""
        return self.rows[self.cursor] if self.cursor < len(self.rows) else None

    def line(self, number: int) -> Line:
        """Header, a launch, or the message."""
        width = self.text_width
        stamp, when, cluster, took = _WIDE if width >= _ROOMY else _NARROW
        longest = max((cell_len(clean_line(past.recipe)) for past in self.rows), default=0) + 2
        name = max(min(width - when - cluster - 12 - took, longest), 16)
        if number == 0:
            heading = "ready after" if took > 13 else "took"
            text = f"{'when':<{when}}{fit('recipe', name)}{fit('cluster', cluster)}{'outcome':<12}{heading:<{took}}"
            return clip([(text, "dim")], width)
        if not self.rows:
            return [(self.message, "dim")]
        past = self.rows[number - 1]
        began = time.strftime(stamp, time.localtime(past.started)) if past.started else "?"
        sign, style = _SIGNS.get(past.outcome, ("?", "tight"))
        after = format_duration(past.ready_after) if past.ready_after is not None else ""
        spans: list[Span] = [
            (f"{began:<{when}}", "dim"),
            (fit(clean_line(past.recipe), name - 1) + " ", "bold"),
            (fit(clean_line(past.cluster), cluster - 1) + " ", ""),
            (fit(f"{sign} {past.outcome}", 12), style),
            (fit(after, took), ""),
            (clean_line(past.detail), "dim"),
        ]
        return clip(spans, width)


class HistoryScreen(PageScreen):
    """Launches are read from the journals on this machine."""

    BINDINGS = bindings(Scope.HISTORY)
    AUTO_FOCUS = "HistoryList"
    WHERE = "history"

    def body(self) -> Iterable[Widget]:
        """One box."""
        self.list = HistoryList()
        yield Panel(self.list, title="Earlier launches", id="history-panel")

    def on_mount(self) -> None:
        """Read the journals in the background."""
        self.background(self._read(), "read")

    async def _read(self) -> None:
        await self.sparkrun.opened.wait()
        self.list.show(await asyncio.to_thread(self.sparkrun.backend.history))
        self._moved()
        self.refresh_bindings()

    @on(ListPane.Highlighted, "#history")
    def _moved(self) -> None:
        """When rows have no room for it, the corner shows how the launch under the cursor ended."""
        if not self.whole:
            return
        past = self.list.current
        detail = past.detail if past is not None and self.list.text_width < _ROOMY else ""
        self.query_one(Panel).entitle("Earlier launches", detail)

    def on_resize(self) -> None:
        """Rows may have more or less room now."""
        self._moved()

    @on(ListPane.Chosen, "#history")
    def _chosen(self) -> None:
        self.action_do("open")

    def why_not(self, name: str) -> str:
        """There must be a launch under the cursor."""
        return "" if name == "back" or self.list.current else "Nothing has been launched yet."

    async def do_open(self) -> None:
        """Show its phases and logs; one of this session is still watched."""
        past = self.list.current
        if past is None:
            return
        known = self.sparkrun.followed(past.launch_id)
        launch = known or await self.sparkrun.backend.reopen(past)
        self.sparkrun.open_launch(launch, follow=known is not None)

    def do_copy(self) -> None:
        """Copy the command line that launches it again."""
        past = self.list.current
        if past is None:
            return
        command = run_again(past.reference or past.recipe, past.hosts, past.settings or {}, claimed=past.claimed)
        if command is None:
            self.sparkrun.say("It was launched elsewhere: only labels of its containers say how.")
        else:
            self.sparkrun.copy(command, "command line")
