"""What is running on the cluster now: each host with its workloads, and all figures of the chosen row."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence

from textual import on
from textual.geometry import Size
from textual.widget import Widget

from sparkrun_tui.fleet.load import Load
from sparkrun_tui.fleet.model import FleetView, Workload
from sparkrun_tui.ui.actions import Scope, bindings
from sparkrun_tui.ui.glyphs import glyphs_here
from sparkrun_tui.ui.ink import Line
from sparkrun_tui.ui.paint.hosts.fleet_lines import FleetRow, fleet_rows, header
from sparkrun_tui.ui.paint.hosts.load_lines import (
    View,
    chosen_host_lines,
    chosen_workload_lines,
    fitting_window,
    window_words,
)
from sparkrun_tui.ui.screens.workload_acts import ACTS, WorkloadActs
from sparkrun_tui.ui.screens.world_page import WorldPage
from sparkrun_tui.ui.widgets.list_pane import ListPane
from sparkrun_tui.ui.widgets.panel import Panel
from sparkrun_tui.ui.widgets.text_pane import TextPane


class FleetList(ListPane):
    """A row for each host in the order of the cluster, and below it one for each rank on it."""

    def __init__(self) -> None:
        super().__init__(id="fleet")
        self.message = "querying the hosts …"
        self.view: FleetView | None = None
        """The survey that is shown; None before the first."""
        self._loads: Mapping[str, Load] = {}
        self._rows: Sequence[FleetRow] = ()
        self._width = 0
        self._chosen = ""
        """The key of the row that the user has chosen; empty before that."""

    def show(self, view: FleetView, found: Mapping[str, Load]) -> None:
        """Show a survey and the load of servers by launch id; the cursor keeps its row, also when rows come and go."""
        before = self.line_count
        self.view, self._loads = view, found
        self._width = 0
        self._lay_out()
        self._place_cursor()
        self.refresh(layout=self.line_count != before)

    def _place_cursor(self) -> None:
        """Put the cursor on the chosen row; before one is chosen, on the first workload."""
        places = [number for number, row in enumerate(self._rows) if row.key == self._chosen]
        if not self._chosen:
            places = [number for number, row in enumerate(self._rows) if row.workload is not None]
        if places:
            self.cursor = places[0]
        self.cursor = min(self.cursor, max(len(self._rows) - 1, 0))

    def move_to(self, row: int, step: int = 1) -> None:
        """Move the cursor; its row is the chosen one from now on."""
        super().move_to(row, step)
        current = self.current
        if current is not None:
            self._chosen = current.key

    def _lay_out(self) -> None:
        if self.view is not None and self._width != self.text_width:
            self._width = self.text_width
            self._rows = fleet_rows(self.view, time.time(), self.text_width, self._loads)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As many rows as lines."""
        return 1 + max(len(self._rows), 1)

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
    def current(self) -> FleetRow | None:
        """The row under the cursor."""
        return self._rows[self.cursor] if self.cursor < len(self._rows) else None

    def line(self, number: int) -> Line:
        """Header, a row, or the message."""
        if number == 0:
            return header(self.view, self.text_width)
        return self._rows[number - 1].line if self._rows else [(self.message, "dim")]


class FleetScreen(WorldPage, WorkloadActs):
    """Workloads are found by the labels of containers on the hosts, not by data on this machine."""

    BINDINGS = bindings(Scope.FLEET)
    AUTO_FOCUS = "FleetList"
    WHERE = "fleet"

    def body(self) -> Iterable[Widget]:
        """The list, and below it the figures of the chosen row."""
        self.list = FleetList()
        self.about = TextPane(self._about, id="fleet-about")
        self.about.can_focus = False
        self._glyphs = glyphs_here()
        cluster = self.sparkrun.state.cluster
        yield Panel(self.list, title=cluster.name if cluster else "no cluster", id="fleet-panel")
        yield Panel(self.about, id="fleet-about-panel")

    def on_mount(self) -> None:
        """Show what is known, and query the hosts now; they are queried again while the screen is visible."""
        self.world_changed()
        self.do_refresh()

    def state_changed(self) -> None:
        """The cluster may have changed."""
        if self.sparkrun.state.cluster is None:
            self.query_one("#fleet-panel", Panel).entitle("no cluster: press c")
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
        self.query_one("#fleet-panel", Panel).entitle(state.cluster.name, self.age)
        self._show_about()
        self.refresh_bindings()

    # The chosen row.

    @property
    def workload(self) -> Workload | None:
        """What the cursor is on; None on a host."""
        row = self.list.current
        return row.workload if row is not None else None

    def _about(self, width: int) -> Sequence[Line]:
        row, world = self.list.current, self.sparkrun.state.known_world
        if row is None or world is None:
            return ()
        now = time.time()
        window = fitting_window(world.samples, now)
        view = View(world, now, window, width, self.about.page, self._glyphs)
        if row.workload is not None:
            return chosen_workload_lines(view, row.workload)
        return chosen_host_lines(view, row.host)

    def _show_about(self) -> None:
        row, world = self.list.current, self.sparkrun.state.known_world
        title = corner = ""
        if row is not None and world is not None:
            title = row.host if row.workload is None else row.workload.recipe or row.workload.model or "?"
            corner = f"the last {window_words(fitting_window(world.samples, time.time()))}"
        self.query_one("#fleet-about-panel", Panel).entitle(title, corner)
        self.about.repaint()

    @on(ListPane.Highlighted, "#fleet")
    def _moved(self) -> None:
        self._show_about()
        self.refresh_bindings()

    @on(ListPane.Chosen, "#fleet")
    def _chosen(self) -> None:
        self.action_do("open")

    # Actions.

    def why_not(self, name: str) -> str:
        """Most actions need a workload under the cursor."""
        if name == "open" and self.list.current is None:
            return "The hosts have not answered yet."
        return self.why_not_with_workload(name) if name in ACTS else ""

    def do_stores(self) -> None:
        """Show models and images."""
        self.sparkrun.action_do("stores")

    def do_open(self) -> None:
        """Open the page of the host or of the workload."""
        row = self.list.current
        if row is None:
            return
        if row.workload is not None:
            self.sparkrun.open_workload(row.workload.key)
        else:
            self.sparkrun.open_host(row.host)
