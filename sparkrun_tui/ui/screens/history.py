"""Earlier launches: when and where they ran, how they ended, and how long they took to become ready."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence

from rich.cells import cell_len
from textual import on
from textual.widget import Widget
from textual.widgets import Input

from sparkrun_tui.base.text import clean_line
from sparkrun_tui.base.units import format_duration
from sparkrun_tui.launch.record.again import run_again
from sparkrun_tui.ui.actions import Scope, bindings
from sparkrun_tui.ui.ink import Line, Span, clip, fit
from sparkrun_tui.ui.model.launch_status import OVER
from sparkrun_tui.ui.model.ports import PastLaunch
from sparkrun_tui.ui.paint.launch.past_lines import matches, outcome, settings_words
from sparkrun_tui.ui.screens.again import export_again, launch_again, plan_again
from sparkrun_tui.ui.screens.base import PageScreen
from sparkrun_tui.ui.screens.dialogs.dialog import Confirm
from sparkrun_tui.ui.widgets.list_pane import ListPane
from sparkrun_tui.ui.widgets.panel import Panel
from sparkrun_tui.ui.widgets.search_box import SearchBox

_ROOMY = 90
"""From this width in cells on, rows show everything."""

_OUTCOME = 13

_WIDE = ("%Y-%m-%d %H:%M", 18, 12, 14)
_NARROW = ("%m-%d %H:%M", 13, 10, 9)
"""The format of the start, and the widths of the columns `when`, `cluster` and `ready after`."""


class HistoryList(ListPane):
    """One row per launch, newest first."""

    def __init__(self, outcome_of: Callable[[PastLaunch], Span]) -> None:
        super().__init__(id="history")
        self.rows: Sequence[PastLaunch] = ()
        self.message = "reading journals …"
        self._outcome_of = outcome_of

    def show(self, rows: Sequence[PastLaunch], message: str) -> None:
        """Show these launches, or the message where there is none; the cursor stays on its launch."""
        current = self.current
        self.rows, self.message = rows, message
        places = [number for number, past in enumerate(rows) if current and past.launch_id == current.launch_id]
        self.cursor = places[0] if places else min(self.cursor, max(len(rows) - 1, 0))
        self.reveal(self.cursor + 1 if self.cursor else 0)
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
        name = max(min(width - when - cluster - _OUTCOME - took, longest), 16)
        if number == 0:
            heading = "ready after" if took > 13 else "took"
            text = f"{'when':<{when}}{fit('recipe', name)}{fit('cluster', cluster)}{'outcome':<{_OUTCOME}}"
            more = "overrides" if width >= _ROOMY else ""
            return clip([(f"{text}{heading:<{took}}{more}".rstrip(), "dim")], width)
        if not self.rows:
            return [(self.message, "dim")]
        past = self.rows[number - 1]
        began = time.strftime(stamp, time.localtime(past.started)) if past.started else "?"
        words, style = self._outcome_of(past)
        after = format_duration(past.ready_after) if past.ready_after is not None else ""
        spans: list[Span] = [
            (f"{began:<{when}}", "dim"),
            (fit(clean_line(past.recipe), name - 1) + " ", "bold"),
            (fit(clean_line(past.cluster), cluster - 1) + " ", ""),
            (fit(words, _OUTCOME), style),
            (fit(after, took), ""),
        ]
        settings = settings_words(past)
        if settings:
            spans.append((f"{settings}  ", "changed"))
        spans.append((clean_line(past.detail), "dim"))
        return clip(spans, width)


class HistoryScreen(PageScreen):
    """Launches are read from the journals on this machine; what still runs is known from the hosts."""

    BINDINGS = bindings(Scope.HISTORY)
    AUTO_FOCUS = "HistoryList"
    WHERE = "history"

    def __init__(self) -> None:
        super().__init__()
        self._all: Sequence[PastLaunch] | None = None
        self._asking = ""

    def body(self) -> Iterable[Widget]:
        """The filter, which appears when it is needed, and the list."""
        self.list = HistoryList(self._outcome)
        self.filter = SearchBox("filter: words of recipe, host, override or outcome", id="history-filter")
        yield Panel(self.filter, self.list, title="Earlier launches", id="history-panel")

    def on_mount(self) -> None:
        """Read the journals in the background."""
        self.filter.display = False
        self.background(self._read(), "read")

    async def _read(self) -> None:
        await self.sparkrun.opened.wait()
        self._all = await asyncio.to_thread(self.sparkrun.backend.history)
        self._show()

    def on_screen_resume(self) -> None:
        """A launch that was opened from here may have ended meanwhile."""
        if self._all is not None:
            self.background(self._read(), "read")

    def world_changed(self) -> None:
        """The hosts have said what runs."""
        self._show()

    def _outcome(self, past: PastLaunch) -> Span:
        launch = self.sparkrun.followed(past.launch_id)
        status = launch.state.status if launch is not None else ""
        return outcome(past, self.sparkrun.state.known_world, status)

    def _show(self) -> None:
        if self._all is None or not self.whole:
            return
        words = self.filter.value
        found = [past for past in self._all if matches(past, words, self._outcome(past)[0])]
        message = "nothing has been launched yet"
        if self._all:
            message = f"none of {len(self._all)} matches: esc clears the filter"
        self.list.show(found, message)
        self._describe()
        self.refresh_bindings()

    def _describe(self) -> None:
        """When rows have no room for it, the corner shows the overrides and the end of the launch under the cursor."""
        if not self.whole:
            return
        past = self.list.current
        total = len(self._all or ())
        title = "Earlier launches"
        if self.filter.value:
            title += f" {len(self.list.rows)} of {total}"
        words = self._asking
        if not words and past is not None and self.list.text_width < _ROOMY:
            words = "  ".join(part for part in (settings_words(past), past.detail) if part)
        self.query_one(Panel).entitle(title, words)

    @on(ListPane.Highlighted, "#history")
    def _moved(self) -> None:
        self._describe()
        self.refresh_bindings()

    def on_resize(self) -> None:
        """Rows may have more or less room now."""
        self._describe()

    @on(ListPane.Chosen, "#history")
    def _chosen(self) -> None:
        self.action_do("open")

    # The filter.

    def do_filter(self) -> None:
        """Go to the filter."""
        self.filter.display = True
        self.set_focus(self.filter)

    @on(Input.Changed, "#history-filter")
    def _typed(self) -> None:
        self._show()

    @on(SearchBox.Left, "#history-filter")
    def _left(self) -> None:
        self.set_focus(self.list)
        self.filter.display = bool(self.filter.value)

    # Actions.

    def why_not(self, name: str) -> str:
        """There must be a launch under the cursor."""
        past = self.list.current
        if name in ("back", "filter"):
            return "Nothing has been launched yet." if name == "filter" and not self._all else ""
        if past is None:
            return "Nothing has been launched yet."
        if name in ("launch", "plan", "forms") and past.claimed:
            return "It was launched elsewhere: only labels of its containers say how."
        if name in ("launch", "plan") and self.sparkrun.state.cluster is None:
            return "No cluster is chosen: press c."
        if name == "delete":
            launch = self.sparkrun.followed(past.launch_id)
            if launch is not None and launch.state.status not in OVER:
                return "It still runs, and is watched here: its record is being written."
        return ""

    async def do_open(self) -> None:
        """Show its phases and logs: of a launch that still runs live, else as they were recorded."""
        past = self.list.current
        if past is None:
            return
        known = self.sparkrun.followed(past.launch_id)
        if known is not None:
            self.sparkrun.open_launch(known)
            return
        state = self.sparkrun.state
        self._ask(f"asking {', '.join(past.hosts)} …" if past.outcome not in OVER else "")
        try:
            opened = await self.sparkrun.backend.reopen(past, state.clusters_known)
        finally:
            self._ask("")
        self.sparkrun.open_launch(opened.launch, None if opened.alive else past)

    def _ask(self, words: str) -> None:
        self._asking = words
        self._describe()

    async def do_launch(self) -> None:
        """Launch it again with its overrides, after one confirmation that says what is other than then."""
        past = self.list.current
        if past is not None:
            await launch_again(self.sparkrun, past)

    async def do_plan(self) -> None:
        """Show the plan of launching it again."""
        past = self.list.current
        if past is not None:
            await plan_again(self.sparkrun, past)

    async def do_delete(self) -> None:
        """Delete its record and logs, after a confirmation."""
        past = self.list.current
        if past is None:
            return
        began = time.strftime(_WIDE[0], time.localtime(past.started)) if past.started else "an unknown time"
        lines = [f"Delete the record of {past.recipe}, launched {began}?", "Its logs on this machine go with it."]
        words = self._outcome(past)[0]
        if past.outcome not in OVER and not words.startswith("–"):
            lines.append("What runs on its hosts goes on running.")
        if await self.sparkrun.ask(Confirm("Delete", lines, "Delete it", "Keep it")):
            await self.sparkrun.backend.forget(past)
            await self._read()

    async def do_replay(self) -> None:
        """Show it once more as it happened."""
        past = self.list.current
        if past is not None:
            self.sparkrun.open_launch(await self.sparkrun.backend.replay(past), past)

    async def do_forms(self) -> None:
        """Show it as other tools take it, with its overrides and hosts."""
        from sparkrun_tui.ui.screens.dialogs.export import ExportScreen

        past = self.list.current
        if past is not None:
            rendered = await export_again(self.sparkrun, past)
            self.app.push_screen(ExportScreen(rendered, past.hosts, of_launch=True))

    async def do_report(self) -> None:
        """Copy its report and save it, and show where."""
        past = self.list.current
        if past is None:
            return
        launch = self.sparkrun.followed(past.launch_id) or await self.sparkrun.backend.recorded(past)
        text, path = await self.sparkrun.backend.report(launch)
        self.sparkrun.copy(text, "report")
        self.sparkrun.say(f"saved the report in\n{path}")

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

    def do_back(self) -> None:
        """Clear the filter, then leave."""
        if self.filter.value:
            self.filter.value = ""
            self.filter.display = False
            self.set_focus(self.list)
        else:
            self.app.pop_screen()
