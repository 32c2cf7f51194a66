"""Choosing the cluster, saving a new one, or trying the demo."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from textual import on
from textual.app import ComposeResult
from textual.screen import ModalScreen

from sparkrun_tui.base.errors import UsageError
from sparkrun_tui.base.text import clean_line
from sparkrun_tui.base.user.settings import Cluster, check_hosts, check_name, config_file, save_cluster
from sparkrun_tui.ui.actions import Scope, bindings
from sparkrun_tui.ui.actor import Actor
from sparkrun_tui.ui.ink import Line, Span, fit, wrap, wrap_line
from sparkrun_tui.ui.model.state import AppState
from sparkrun_tui.ui.screens.dialogs.ask import AskScreen, Blank
from sparkrun_tui.ui.widgets.footer_keys import FooterKeys
from sparkrun_tui.ui.widgets.list_pane import ListPane
from sparkrun_tui.ui.widgets.panel import Panel
from sparkrun_tui.ui.widgets.text_pane import TextPane
from sparkrun_tui.ui.widgets.top_bar import DOTS

_DEMO = "demo"
_ADD = "add"


class ClusterList(ListPane):
    """The known clusters, then the demo, then the row that adds one."""

    def __init__(self, state: AppState) -> None:
        super().__init__(id="clusters")
        self._state = state
        self.rows: list[Cluster | str] = [*state.clusters, _DEMO, _ADD]

    @property
    def line_count(self) -> int:
        """One line per row."""
        return len(self.rows)

    @property
    def current(self) -> Cluster | str:
        """What the cursor is on."""
        return self.rows[self.cursor]

    def line(self, number: int) -> Line:
        """One cluster with its hosts."""
        row = self.rows[number]
        current = self._state.cluster
        if row == _DEMO:
            sign = "▌ " if current is not None and current.is_demo else "  "
            about = "two simulated Sparks, no hardware needed"
            return [(sign, "accent"), (" demo ", "demo"), (" " * 10, ""), (about, "dim")]
        if not isinstance(row, Cluster):
            return [("  + add a cluster", "accent")]
        active = current is not None and current.name == row.name
        spans: list[Span] = [("▌ " if active else "  ", "accent"), (fit(clean_line(row.name), 14), "bold"), ("  ", "")]
        for host in row.hosts:
            spans += [(clean_line(host), ""), (" ", "")]
            mark = self._state.marks.get(host)
            if active and mark is not None:
                spans.append(DOTS[mark.state])
            spans.append((" ", ""))
        if row.source == "sparkrun":
            spans.append((" (from sparkrun)", "dim"))
        return spans


def _answers(lines: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """The name, and the hosts, which are separated by commas or blanks."""
    return lines[0], tuple(host for host in re.split(r"[,\s]+", lines[1]) if host)


def _wrong(lines: Sequence[str], taken: Collection[str]) -> str:
    """What is wrong with a cluster as typed, where the names in `taken` are given away; empty when nothing is."""
    name, hosts = _answers(lines)
    if not name:
        return "The cluster needs a name."
    try:
        check_name(name)
        if name in taken:
            return f"There is already a cluster {name}."
        check_hosts(hosts)
    except UsageError as error:
        return f"{error.what[0].upper()}{error.what[1:]}."
    return ""


def _place(rows: Sequence[Cluster | str], current: Cluster | None) -> int:
    """The row of the current cluster; the first row when there is none."""
    if current is None:
        return 0
    for number, row in enumerate(rows):
        name = row.name if isinstance(row, Cluster) else row
        if name == (_DEMO if current.is_demo else current.name):
            return number
    return 0


class ClusterPicker(ModalScreen[None], Actor):
    """The list of clusters to choose from; all verdicts are for the chosen one."""

    BINDINGS = [*bindings(Scope.PICKER)]
    AUTO_FOCUS = "ClusterList"

    def compose(self) -> ComposeResult:
        """The list, and the problems of the chosen cluster's hosts."""
        with Panel(title="Cluster", classes="dialog wide"):
            yield ClusterList(self.sparkrun.state)
            yield TextPane(self._problems, id="problems")
        yield FooterKeys()

    def on_mount(self) -> None:
        """Put the cursor on the current cluster, or on the demo when nothing is configured."""
        state = self.sparkrun.state
        rows = self.query_one(ClusterList)
        rows.styles.height = min(len(rows.rows), 14)
        rows.move_to(_place(rows.rows, state.cluster))
        self.query_one("#problems").display = any(mark.problem for mark in state.marks.values())
        if state.cluster is None and not state.clusters:
            self.query_one(Panel).entitle("No cluster yet: try the demo, or add yours", "")

    def _problems(self, width: int) -> Sequence[Line]:
        """Why hosts of the current cluster are down, and what to do."""
        lines: list[Line] = []
        for host, mark in self.sparkrun.state.marks.items():
            if mark.problem:
                lines += [
                    [],
                    *wrap_line(
                        [("✗ ", "bad"), (f"{clean_line(host)}: ", "bold"), (clean_line(mark.problem), "")], width, 2
                    ),
                ]
                lines += [[("  " + row, "dim")] for row in wrap(clean_line(mark.remedy), width - 2) if row]
        return lines

    @on(ListPane.Chosen)
    def _chosen(self) -> None:
        self.do_choose()

    def do_choose(self) -> None:
        """Use what the cursor is on."""
        row = self.query_one(ClusterList).current
        if row == _ADD:
            self.action_do("add")
        elif row == _DEMO:
            self.sparkrun.background(self._demo(), "demo")
            self.dismiss(None)
        elif isinstance(row, Cluster):
            self.sparkrun.choose_cluster(row)
            self.dismiss(None)

    async def _demo(self) -> None:
        await self.sparkrun.opened.wait()
        self.sparkrun.choose_cluster(await self.sparkrun.backend.open_demo())

    async def do_add(self) -> None:
        """Ask for a new cluster, save it and use it."""
        blanks = (
            Blank("Name", example="lab"),
            Blank("Hosts, as you name them to ssh; the first is the head node", example="spark-1, spark-2"),
        )
        taken = {cluster.name for cluster in self.sparkrun.state.clusters}
        lines = await self.sparkrun.answer(
            AskScreen("Add a cluster", blanks, f"It is saved in {config_file()}.", lambda typed: _wrong(typed, taken))
        )
        if lines:
            cluster = Cluster(*_answers(lines))
            try:
                save_cluster(cluster)
            except UsageError as error:
                # Another program has added it meanwhile.
                self.sparkrun.say(error.first, "warning")
                return
            self.sparkrun.state.added_clusters.append(cluster)
            self.sparkrun.choose_cluster(cluster)
            self.dismiss(None)

    def do_back(self) -> None:
        """Keep the current cluster."""
        self.dismiss(None)
