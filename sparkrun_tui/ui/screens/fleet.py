"""What is running on the cluster now: attach to it, try it, stop it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence

from textual import on
from textual.widget import Widget

from sparkrun_tui.base.settings import Cluster
from sparkrun_tui.fleet.load import Load
from sparkrun_tui.fleet.model import FleetView, Workload
from sparkrun_tui.fleet.world import World
from sparkrun_tui.ui.actions import Scope, bindings
from sparkrun_tui.ui.ink import Line
from sparkrun_tui.ui.paint.fleet_lines import FleetRow, fleet_rows, header, ranks_of
from sparkrun_tui.ui.paint.world_lines import age_words
from sparkrun_tui.ui.screens.base import PageScreen
from sparkrun_tui.ui.screens.dialogs.dialog import Confirm
from sparkrun_tui.ui.widgets.list_pane import ListPane
from sparkrun_tui.ui.widgets.panel import Panel


class FleetList(ListPane):
    """One row per rank, hosts in the order of the cluster."""

    def __init__(self) -> None:
        super().__init__(id="fleet")
        self.message = "querying the hosts …"
        self.view: FleetView | None = None
        """The survey that is shown; None before the first."""
        self._loads: Mapping[str, Load] = {}
        self._rows: Sequence[FleetRow] = ()
        self._width = 0

    def show(self, view: FleetView, found: Mapping[str, Load]) -> None:
        """Show a survey and the load of servers by launch id; the cursor keeps its row."""
        self.view, self._loads = view, found
        self._width = 0
        self._lay_out()
        self.cursor = min(self.cursor, max(len(self._rows) - 1, 0))
        self.refresh()

    def _lay_out(self) -> None:
        if self.view is not None and self._width != self.text_width:
            self._width = self.text_width
            self._rows = fleet_rows(self.view, time.time(), self.text_width, self._loads)

    @property
    def head(self) -> int:
        """One line names the columns."""
        return 1

    @property
    def line_count(self) -> int:
        """The rows and the header."""
        self._lay_out()
        return 1 + max(len(self._rows), 1)

    @property
    def workload(self) -> Workload | None:
        """What the cursor is on."""
        return self._rows[self.cursor].workload if self.cursor < len(self._rows) else None

    def line(self, number: int) -> Line:
        """Header, a row, or the message."""
        if number == 0:
            return header(self.view, self.text_width)
        return self._rows[number - 1].line if self._rows else [(self.message, "dim")]


class FleetScreen(PageScreen):
    """Workloads are found by the labels of containers on the hosts, not by data on this machine."""

    BINDINGS = bindings(Scope.FLEET)
    AUTO_FOCUS = "FleetList"
    WHERE = "fleet"
    WATCHES_HOSTS = True

    def body(self) -> Iterable[Widget]:
        """One box."""
        self.list = FleetList()
        cluster = self.sparkrun.state.cluster
        yield Panel(self.list, title=cluster.name if cluster else "no cluster", id="fleet-panel")

    def on_mount(self) -> None:
        """Show what is known, and query the hosts now; they are queried again while the screen is visible."""
        self._asking = False
        self._measuring = False
        self._measured = 0
        """The number of the survey whose servers were asked how busy they are."""
        self.world_changed()
        self.do_refresh()

    def state_changed(self) -> None:
        """The cluster may have changed."""
        if self.sparkrun.state.cluster is None:
            self.query_one(Panel).entitle("no cluster: press c")
        else:
            self.world_changed()

    def world_changed(self) -> None:
        """The hosts were asked."""
        state = self.sparkrun.state
        world = state.known_world
        if state.cluster is None or world is None:
            return
        view = world.view
        if view is not None:
            self.list.show(view, world.loads)
            if world.surveys != self._measured and not self._measuring:
                self._measured, self._measuring = world.surveys, True
                self.background(self._measure(view, state.cluster, world), "measure")
        words = "querying …" if self._asking else age_words(world, None, time.time())
        self.query_one(Panel).entitle(state.cluster.name, words)
        self.refresh_bindings()

    def do_refresh(self) -> None:
        """Query all hosts now."""
        if not self._asking and self.sparkrun.state.cluster is not None:
            self._asking = True
            self.world_changed()
            self.background(self._survey(), "survey")

    async def _survey(self) -> None:
        try:
            await self.sparkrun.opened.wait()
            await self.sparkrun.refresh_hosts()
        finally:
            self._asking = False
        self.world_changed()

    async def _measure(self, view: FleetView, cluster: Cluster, world: World) -> None:
        """Query the servers after the rows are shown, so that a slow server does not delay them."""
        try:
            world.measured(await self.sparkrun.backend.readings(view, cluster))
        finally:
            self._measuring = False
        if self.whole:
            self.world_changed()

    @on(ListPane.Highlighted, "#fleet")
    def _moved(self) -> None:
        self.refresh_bindings()

    @on(ListPane.Chosen, "#fleet")
    def _chosen(self) -> None:
        self.action_do("open")

    def why_not(self, name: str) -> str:
        """Most actions need a workload launched by this program under the cursor."""
        if name in ("back", "refresh", "stores"):
            return ""
        workload = self.list.workload
        if workload is None:
            return "Nothing is running in this row."
        if not workload.ours and name in ("open", "stop", "chat", "snippets"):
            return "This was not started by sparkrun-tui and can only be shown."
        if name in ("copy", "chat", "snippets") and workload.port is None:
            return "Its port is not known."
        return ""

    def do_stores(self) -> None:
        """Show models and images."""
        self.sparkrun.action_do("stores")

    async def do_open(self) -> None:
        """Attach to the workload."""
        workload, cluster = self.list.workload, self.sparkrun.state.cluster
        if workload is not None and cluster is not None:
            self.sparkrun.open_launch(await self.sparkrun.backend.attach(workload, cluster))

    async def do_chat(self) -> None:
        """Talk to its model."""
        if self.list.workload is not None:
            await self.sparkrun.chat_with(self.list.workload)

    async def do_snippets(self) -> None:
        """Show code that calls its endpoint."""
        workload, cluster = self.list.workload, self.sparkrun.state.cluster
        if workload is not None and cluster is not None:
            launch = await self.sparkrun.backend.attach(workload, cluster)
            self.sparkrun.follow(launch)
            self.sparkrun.open_snippets(launch)

    def do_copy(self) -> None:
        """Copy its URL."""
        workload = self.list.workload
        if workload is not None:
            host = workload.head_host.rpartition("@")[2]
            self.sparkrun.copy(f"http://{host}:{workload.port}/v1", "URL")

    async def do_stop(self) -> None:
        """Stop it, after a confirmation that names every container."""
        workload, view, cluster = self.list.workload, self.list.view, self.sparkrun.state.cluster
        if workload is None or view is None or cluster is None:
            return
        lines = [f"Stop {workload.recipe}?", *ranks_of(workload)]
        if await self.sparkrun.ask(Confirm("Stop", lines, "Stop it", "Keep it")):
            report = await self.sparkrun.backend.stop_workload(workload, view, cluster)
            self.sparkrun.say(f"{workload.recipe}: {report.text}", "note" if report.complete else "error")
            if report.complete:
                self.sparkrun.state.world.stopped(workload.launch_id)
                self.sparkrun.world_changed()
            self.do_refresh()
