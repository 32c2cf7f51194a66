"""A launch in progress: hosts by phases, logs below, why it failed or where it serves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from textual import on
from textual.widget import Widget
from textual.widgets import Input

from sparkrun_tui.engines.command.added import with_value
from sparkrun_tui.engines.logs.causes import Repair
from sparkrun_tui.engines.logs.levels import LineLevel
from sparkrun_tui.fleet.model import Workload
from sparkrun_tui.launch.record.events import LaunchStatus, StepState
from sparkrun_tui.launch.record.fold import FINAL
from sparkrun_tui.launch.record.journal import GONE
from sparkrun_tui.launch.record.state import LaunchState
from sparkrun_tui.recipe.model import Recipe
from sparkrun_tui.recipe.values.launch_keys import FLAGS
from sparkrun_tui.ui.actions import Scope, bindings
from sparkrun_tui.ui.model.launch_status import COMING, SERVING
from sparkrun_tui.ui.model.ports import LaunchPort, PastLaunch, ReplayPort
from sparkrun_tui.ui.paint.launch.change_lines import change_words
from sparkrun_tui.ui.paint.launch.launch_text import STATUS, endpoint_lines, time_words
from sparkrun_tui.ui.paint.launch.past_lines import ran_words
from sparkrun_tui.ui.paint.launch.phases import LastTime
from sparkrun_tui.ui.screens.again import launch_again
from sparkrun_tui.ui.screens.base import PageScreen
from sparkrun_tui.ui.screens.dialogs.dialog import Confirm
from sparkrun_tui.ui.widgets.list_pane import ListPane
from sparkrun_tui.ui.widgets.log.deck import LogDeck
from sparkrun_tui.ui.widgets.panel import Panel
from sparkrun_tui.ui.widgets.phase_table import PhaseTable
from sparkrun_tui.ui.widgets.repair_list import RepairList
from sparkrun_tui.ui.widgets.search_box import SearchBox
from sparkrun_tui.ui.widgets.text_pane import TextPane


def _hidden(widget: Widget) -> Widget:
    """The widget, hidden. Not in `on_mount`: a screen that is left at once may have lost its widgets by then."""
    widget.display = False
    return widget


def _nothing() -> None:
    """Does nothing: no launch is watched yet."""


class LaunchScreen(PageScreen):
    """Watches one launch. The backend owns it: leaving this screen changes nothing on any host."""

    BINDINGS = bindings(Scope.LAUNCH)
    AUTO_FOCUS = "LogView"
    WHERE = "launch"

    def __init__(self, launch: LaunchPort, past: PastLaunch | None = None) -> None:
        """`past` is the record of a launch that is not watched, but shown as its journal has it."""
        super().__init__()
        self.launch = launch
        self._past = past
        self._forget: Callable[[], None] = _nothing
        self._diagnosed = False
        self._last: LastTime | None = None
        self._unclear = ""
        """Why the filter that is being typed is no pattern."""

    def body(self) -> Iterable[Widget]:
        """Phases, cause or endpoint, logs, search; what is not needed yet is hidden from the start."""
        self.phases = PhaseTable()
        layout = self.sparkrun.state.layout
        self.deck = LogDeck(self.launch.logs, tuple(self.launch.state.hosts), layout, self._past is not None)
        phases = Panel(self.phases, id="phases-panel")
        phases.display = not layout.phases_hidden
        yield phases
        endpoint = TextPane(lambda width: endpoint_lines(self.launch.state, width), id="endpoint")
        endpoint.can_focus = False
        yield _hidden(Panel(endpoint, id="endpoint-panel"))
        yield _hidden(Panel(RepairList(), id="repairs-panel"))
        yield self.deck
        yield _hidden(SearchBox("find in the logs", id="find"))
        yield _hidden(SearchBox("show only lines with: a regular expression, such as nccl|rank [01]", id="filter"))

    def on_mount(self) -> None:
        """Count the seconds, and look up how long it took the last time."""
        self.set_interval(1.0, self._second)
        self.background(self._look_back(), "history")

    async def _look_back(self) -> None:
        """How long this recipe took the last time, from the journals."""
        await self.sparkrun.opened.wait()
        for past in await asyncio.to_thread(self.sparkrun.backend.history):
            same = past.recipe == self.launch.state.recipe and past.launch_id != self.launch.launch_id
            if same and past.ready_after is not None:
                self._last = LastTime(past.phases, past.ready_after)
                self._show_phases()
                return

    def on_screen_resume(self) -> None:
        """Watch the launch while the screen is visible."""
        self._forget()
        self._forget = self.sparkrun.watch_launch(self.launch, self._changed)

    def on_screen_suspend(self) -> None:
        """Stop watching while another screen covers this one."""
        self._forget()

    def on_unmount(self) -> None:
        """Stop watching; the launch keeps running."""
        self._forget()

    # What is shown.

    def _changed(self, state_changed: bool, logs_changed: bool) -> None:
        if state_changed and self.whole:
            self._show_state()
        if logs_changed and self.whole:
            self.deck.pull()

    def _second(self) -> None:
        if self.is_current and self.launch.state.status not in FINAL | SERVING:
            self._show_phases()

    def _show_phases(self) -> None:
        state = self.launch.state
        sign, _ = STATUS[state.status]
        has_room = len(state.hosts) * 2 + 1 <= self.size.height // 3
        now = self.launch.now if isinstance(self.launch, ReplayPort) else None
        self.phases.show(state, has_room and self._active(state), self._last, now)
        title = state.recipe
        if state.cluster:
            title += f" on {state.cluster}"
        if self._past and state.status in FINAL:
            title += f"  {sign} {self._ran()}"
        elif state.status is not LaunchStatus.STARTING:
            title += f"  {sign} {state.status.value}"
            if state.detail and state.diagnosis is None:
                title += f": {state.detail}"
        before = self._last.phases if self._last is not None else {}
        self.query_one("#phases-panel", Panel).entitle(title, time_words(state, before, now or time.time()))

    def _ran(self) -> str:
        """When a launch that is over ran, and how it ended."""
        state = self.launch.state
        ran = ran_words(state.started, state.ended, seen=state.detail == GONE)
        ended = state.detail if state.detail == GONE else state.status.value
        if state.detail and state.detail != GONE and state.diagnosis is None:
            ended += f": {state.detail}"
        return f"{ended}; {ran}" if ran else ended

    def _active(self, state: LaunchState) -> bool:
        """Whether a host's second line has something to show: what it does now, or where it failed."""
        if state.status not in SERVING | FINAL:
            return self._past is None or isinstance(self.launch, ReplayPort)
        cells = [cell for row in state.hosts.values() for cell in row.cells.values()]
        return state.status in FINAL and any(cell.state in (StepState.FAILED, StepState.UNKNOWN) for cell in cells)

    def _show_state(self) -> None:
        state = self.launch.state
        self._show_phases()
        endpoint = self.query_one("#endpoint-panel", Panel)
        endpoint.display = state.endpoint is not None and state.status in SERVING
        if endpoint.display:
            endpoint.entitle("Endpoint", "t chat  s code  y copy URL")
            self.query_one("#endpoint", TextPane).repaint()
        self._show_diagnosis()
        self.update_bar()
        self.refresh_bindings()

    def _show_diagnosis(self) -> None:
        state = self.launch.state
        if state.diagnosis is None or self._diagnosed:
            return
        self._diagnosed = True
        panel = self.query_one("#repairs-panel", Panel)
        host = f"{state.diagnosis.host} · " if state.diagnosis.host else ""
        apply = "enter apply and launch again  " if any(repair.key for repair in state.diagnosis.repairs) else ""
        panel.entitle(f"{host}{state.diagnosis.title}", f"{apply}o overrides  y copy report")
        repairs = self.query_one(RepairList)
        repairs.show(state.diagnosis, self._values())
        panel.display = True
        self.add_class("-diagnosed")
        if not isinstance(self.focused, Input):
            repairs.focus()

    def _values(self) -> dict[str, str]:
        rendered = self.launch.rendered
        if rendered is None:
            return dict(self.launch.state.settings)
        return {key: link.value.text for key, link in rendered.chain.items()}

    # Actions.

    def why_not(self, name: str) -> str:
        """What can be done depends on the state of the launch."""
        state = self.launch.state
        if self._past and name in ("chat", "snippets", "bench", "stop", "cancel"):
            if isinstance(self.launch, ReplayPort):
                return "This is its record, shown once more: press f to see what runs."
            if state.status is LaunchStatus.UNKNOWN:
                return f"Only its record is open: {state.detail}."
            return f"Nothing of it runs: {self._ran()}."
        match name:
            case "chat" | "snippets" | "bench":
                return self._why_no_chat()
            case "stop" | "cancel" if state.status in FINAL:
                return f"The launch has already ended ({state.status.value})."
            case "cancel" if state.status in SERVING:
                return "It is serving: press x to stop it."
            case "notices" if not state.notices:
                return "There are no notices."
            case "save_logs" if not any(self.launch.logs.values()):
                return "There are no log lines yet."
            case "zoom" | "layout" if len(self.deck.hosts) < 2:
                return "There is only one host."
            case "wider" | "narrower" if not self.deck.splits:
                return "There is only one log in sight."
            case "layout" if self.deck.cramped:
                return "There is no room for one pane per host: press a number to show one host."
            case "overrides" if self.launch.rendered is None:
                return "It was launched from elsewhere: its recipe is not available here."
        return ""

    def _why_no_chat(self) -> str:
        state = self.launch.state
        if state.endpoint is None or state.status not in SERVING:
            return "There is no endpoint yet."
        return ""

    def do_layout(self) -> None:
        """Switch between merged and tiled logs."""
        self.deck.toggle_merged()

    def do_zoom(self) -> None:
        """Show the focused host only, or all again."""
        self.deck.zoom()

    def do_host(self, key: str) -> None:
        """Show the host with this number only; press again for all."""
        hosts = self.deck.hosts
        if int(key) <= len(hosts):
            host = hosts[int(key) - 1]
            self.deck.show_alone("" if self.deck.alone == host else host)

    def do_find(self) -> None:
        """Open the search box of the logs."""
        self._open("#find")

    def do_filter(self) -> None:
        """Open the box for the lines to show."""
        self._open("#filter")

    def _open(self, name: str) -> None:
        box = self.query_one(name, SearchBox)
        box.display = True
        box.focus()

    @on(Input.Changed, "#filter")
    def _filter_typed(self, event: Input.Changed) -> None:
        from sparkrun_tui.base.reading.typed_pattern import TypedPattern  # not before a filter is typed

        pattern = None
        try:
            if event.value:
                pattern = TypedPattern(event.value)
        except ValueError as error:
            # What was typed so far still holds: the pattern is probably not complete.
            self._unclear = str(error)
            return
        self._unclear = ""
        self.deck.sift(replace(self.deck.filter, pattern=pattern))

    @on(SearchBox.Left, "#filter")
    def _filter_left(self) -> None:
        self.deck.focused_view.focus()
        self.query_one("#filter").display = False
        if self._unclear:
            self.sparkrun.say(f"This is no pattern: {self._unclear}. The filter was not changed.", "warning")

    def do_level(self) -> None:
        """Show warnings and errors only, then errors only, then all lines."""
        wanted = self.deck.filter
        self.deck.sift(replace(wanted, least=LineLevel((wanted.least + 1) % len(LineLevel))))

    def do_phases(self) -> None:
        """Show the logs on the full screen, or the phases again."""
        layout = self.sparkrun.state.layout
        layout.phases_hidden = not layout.phases_hidden
        self._show_or_hide_phases()
        self.sparkrun.keep_soon()

    def _show_or_hide_phases(self) -> None:
        self.query_one("#phases-panel").display = not self.sparkrun.state.layout.phases_hidden

    def do_wider(self) -> None:
        """Give the first log more room."""
        self._resize(1)

    def do_narrower(self) -> None:
        """Give the first log less room."""
        self._resize(-1)

    def _resize(self, steps: int) -> None:
        if self.sparkrun.state.layout.resize_head(steps):
            self.deck.tile()
            self.sparkrun.keep_soon()
        else:
            self.sparkrun.say("The first log is as large or as small as it gets.", "warning")

    @on(Input.Changed, "#find")
    def _find_typed(self, event: Input.Changed) -> None:
        self.deck.find(event.value)

    @on(SearchBox.Left, "#find")
    def _find_left(self) -> None:
        box = self.query_one("#find", SearchBox)
        view = self.deck.focused_view
        view.focus()
        box.display = False  # the line below the log shows the search
        if box.value:
            view.do_previous_match()

    def do_chat(self) -> None:
        """Talk to the model."""
        self.sparkrun.open_chat(self.launch)

    def do_snippets(self) -> None:
        """Show code that calls the endpoint."""
        self.sparkrun.open_snippets(self.launch)

    async def do_bench(self) -> None:
        """Measure how fast it answers; the hosts are asked for its containers where they were not yet."""
        workload = self._workload()
        if workload is None:
            await self.sparkrun.refresh_hosts()
            workload = self._workload()
        if workload is None:
            self.sparkrun.say("Its containers were not found on the hosts.", "warning")
            return
        from sparkrun_tui.ui.screens.bench import BenchScreen

        self.app.push_screen(BenchScreen(workload))

    def _workload(self) -> Workload | None:
        """What the hosts said of this launch when they were asked last."""
        world = self.sparkrun.state.known_world
        found = world.view.workloads if world is not None and world.view is not None else ()
        return next((item for item in found if item.launch_id == self.launch.launch_id), None)

    async def do_copy(self) -> None:
        """Copy the selection, the URL or the report, whichever there is."""
        selected = self.get_selected_text()
        state = self.launch.state
        log = self.deck.focused_view
        if log.has_range:
            self.sparkrun.copy(log.range_text, "lines")
            log.end_range()
        elif selected:
            self.sparkrun.copy(selected, "selection")
        elif state.status is not LaunchStatus.FAILED and not state.diagnosis and state.endpoint is not None:
            self.sparkrun.copy(state.endpoint.url, "URL")
        else:
            await self.do_report()

    async def do_report(self) -> None:
        """Copy the report and save it, and show where."""
        text, path = await self.sparkrun.backend.report(self.launch)
        self.sparkrun.copy(text, "report")
        self.sparkrun.say(f"saved the report in\n{path}")

    async def do_save_logs(self) -> None:
        """Save the complete logs, and show where."""
        saved = await self.sparkrun.backend.export_logs(self.launch)
        files = "one file" if len(saved.files) == 1 else f"{len(saved.files)} files"
        self.sparkrun.say(f"saved {saved.lines:,} lines in {files}:\n{saved.folder}")

    def do_notices(self) -> None:
        """Show the notices."""
        from sparkrun_tui.ui.screens.dialogs.notices import NoticesScreen

        self.app.push_screen(NoticesScreen(self.launch.state.notices))

    async def do_stop(self) -> None:
        """Stop, after a confirmation."""
        state = self.launch.state
        if state.status in COMING:
            await self.do_cancel()
            return
        where = ", ".join(state.hosts)
        lines = [f"Stop {state.recipe} on {where}?", "Its containers are stopped and removed; the logs are kept here."]
        if await self.sparkrun.ask(Confirm("Stop", lines, "Stop it", "Keep it")):
            unclear = await self.sparkrun.backend.stop(self.launch)
            self.sparkrun.say(f"{state.recipe}: {unclear or 'stopped'}", "error" if unclear else "note")

    async def do_cancel(self) -> None:
        """Cancel, after a confirmation; while it is cancelling, force it."""
        state = self.launch.state
        if state.status is LaunchStatus.CANCELLING:
            await self.sparkrun.backend.cancel(self.launch, force=True)
            self.sparkrun.say("forcing: containers are killed immediately", "warning")
            return
        lines = [f"Cancel the launch of {state.recipe}?", "What it started on the hosts is stopped and removed."]
        if await self.sparkrun.ask(Confirm("Cancel", lines, "Cancel it", "Keep going")):
            await self.sparkrun.backend.cancel(self.launch)

    def do_overrides(self) -> None:
        """Go to the overrides of this recipe."""
        repair = self.query_one(RepairList).current
        self._edit(repair)

    def _edit(self, repair: Repair | None) -> None:
        """Go to the recipe's overrides, with the value of a repair; a value without a place becomes a flag."""
        rendered = self.launch.rendered
        if rendered is None:
            return
        overrides = dict(rendered.overrides)
        if repair is not None and repair.key:
            changed = with_value(rendered, overrides, repair.key, repair.value)
            overrides = {**overrides, repair.key: repair.value} if changed is None else changed
            # The form opens on the first of them.
            first = repair.key if repair.key in overrides else FLAGS
            overrides = {first: overrides[first], **overrides}
        self.sparkrun.edit_recipe(rendered.recipe.source.path, overrides)

    @on(RepairList.Applied)
    def _applied(self, event: RepairList.Applied) -> None:
        self.background(self._launch_again(event.repair), "repair")

    async def _launch_again(self, repair: Repair) -> None:
        """Launch with the repair on the same hosts, after one confirmation that says what changes."""
        rendered = self.launch.rendered
        if rendered is None and self._past is not None and not self._past.claimed:
            await launch_again(self.sparkrun, self._past, repair)
            return
        if rendered is None:
            self.sparkrun.say("It was launched from elsewhere: open its recipe to launch it again.", "warning")
            return
        hosts = tuple(self.launch.state.hosts)
        before = self._values().get(repair.key, "unset")
        lines = [f"{rendered.recipe.name} on {', '.join(hosts)}", f"  {repair.key} {before} → {repair.value}"]
        others = {key: text for key, text in rendered.overrides.items() if key != repair.key}
        kept = change_words(rendered.original, others, self.sparkrun.state.settings.defaults)
        lines += [f"  {words} (as before)" for words in kept]
        lines += ["", "It is launched once its hosts were checked."]
        if not await self.sparkrun.ask(Confirm("Launch again?", lines, "Launch", "Cancel")):
            return
        self._edit(repair)
        recipe = self.sparkrun.state.catalog.recipe(rendered.recipe.source.path)
        cluster = self.sparkrun.state.cluster
        if isinstance(recipe, Recipe) and cluster is not None:
            found = self.sparkrun.state.evaluation(recipe)
            same = len(hosts) == found.hosts and set(hosts) <= set(cluster.hosts)
            self.sparkrun.open_plan(found.rendered, hosts if same else (), go=True)

    @on(ListPane.Chosen, "#repairs")
    def _repair_chosen(self) -> None:
        self.query_one(RepairList).action_do("apply")

    @on(RepairList.Left)
    def _keep_reading(self) -> None:
        self.deck.focused_view.focus()

    def do_back(self) -> None:
        """Leave the search box, then the range, then the single host, then the screen."""
        box = self.query_one("#find", SearchBox)
        if box.display and box.has_focus:
            self._find_left()
        elif self.deck.focused_view.has_range:
            self.deck.focused_view.end_range()
        elif self.deck.alone:
            self.deck.show_alone("")
        else:
            if self.launch.state.status in COMING | SERVING:
                self.sparkrun.say(f"{self.launch.state.recipe} keeps running; press f to see it again")
            self.app.pop_screen()
