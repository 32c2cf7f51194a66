"""The page of a host or of a workload: what it is, and its figures over the last minutes as lines."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from textual import events
from textual.widget import Widget

from sparkrun_tui.fleet.model import Workload
from sparkrun_tui.ui.actions import Scope, bindings
from sparkrun_tui.ui.glyphs import glyphs_here
from sparkrun_tui.ui.ink import Line
from sparkrun_tui.ui.model.ports import Insight
from sparkrun_tui.ui.paint.hosts.load_lines import (
    WINDOWS,
    View,
    fitting_window,
    host_lines,
    window_words,
    workload_lines,
)
from sparkrun_tui.ui.screens.workload_acts import ACTS, WorkloadActs
from sparkrun_tui.ui.screens.world_page import WorldPage
from sparkrun_tui.ui.widgets.panel import Panel
from sparkrun_tui.ui.widgets.text_pane import TextPane

_LOOK = 30.0
"""Seconds between two looks at the log of a workload."""


class FiguresPane(TextPane):
    """Lines that are made for the room there is."""

    def on_resize(self, event: events.Resize) -> None:
        """More or fewer rows: plots have another height."""
        self.repaint()


class LoadPage(WorldPage, WorkloadActs):
    """Figures come from the picture of the cluster, which is fed while any screen is shown."""

    BINDINGS = bindings(Scope.FIGURES)
    AUTO_FOCUS = "FiguresPane"

    def __init__(self, key: str) -> None:
        """`key` is the name of the host, or the key of the workload."""
        super().__init__()
        self._key = key
        self._window: float | None = None
        """The seconds that the user wants to see; None for all that was sampled."""
        self._glyphs = glyphs_here()

    def body(self) -> Iterable[Widget]:
        """One box."""
        self.pane = FiguresPane(self._paint, id="figures")
        yield Panel(self.pane, id="figures-panel")

    def on_mount(self) -> None:
        """Show what is known, and ask the hosts now."""
        self.set_interval(1.0, self._second)
        self.world_changed()
        self.do_refresh()

    def _second(self) -> None:
        if self.is_current and self.whole:
            self.pane.repaint()

    @property
    def name_shown(self) -> str:
        """The name of the host or of the workload."""
        return self._key

    def _lines(self, view: View) -> Sequence[Line]:
        return ()

    def _paint(self, width: int) -> Sequence[Line]:
        world = self.sparkrun.state.world
        now = time.time()
        window = self._window or fitting_window(world.samples, now)
        return self._lines(View(world, now, window, width, self.pane.page, self._glyphs))

    def state_changed(self) -> None:
        """Another cluster may have been chosen, which has other hosts."""
        self.world_changed()

    def world_changed(self) -> None:
        """The hosts were asked."""
        if not self.whole:
            return
        self.query_one(Panel).entitle(self.name_shown, self.age)
        self.pane.repaint()
        self.refresh_bindings()

    # Other pages.

    def _pages(self) -> list[tuple[str, str]]:
        """All hosts and workloads in the order of the fleet: `host` or `workload`, and the key."""
        world = self.sparkrun.state.world
        found = [("host", name) for name in world.hosts]
        return found + [("workload", item.key) for item in world.workloads]

    def _turn(self, step: int) -> None:
        pages = self._pages()
        mine = (self.WHERE, self._key)
        place = pages.index(mine) + step if mine in pages else 0
        if pages:
            kind, key = pages[place % len(pages)]
            page = HostPage(key) if kind == "host" else WorkloadPage(key)
            page._window = self._window
            self.app.switch_screen(page)

    def do_next(self) -> None:
        """Show the next host or workload."""
        self._turn(1)

    def do_previous(self) -> None:
        """Show the previous host or workload."""
        self._turn(-1)

    # The length of time.

    def _shown_window(self) -> float:
        return self._window or fitting_window(self.sparkrun.state.world.samples, time.time())

    def _choose_window(self, step: int) -> None:
        place = WINDOWS.index(self._shown_window()) + step
        self._window = WINDOWS[place]
        self.sparkrun.say(f"the last {window_words(self._window)}")
        self.pane.repaint()
        self.refresh_bindings()

    def do_longer(self) -> None:
        """Show a longer time."""
        self._choose_window(1)

    def do_shorter(self) -> None:
        """Show a shorter time."""
        self._choose_window(-1)

    def why_not(self, name: str) -> str:
        """Most actions need a workload."""
        if name in ACTS:
            return self.why_not_with_workload(name)
        if name == "longer" and self._shown_window() == WINDOWS[-1]:
            return f"Figures are kept for {window_words(WINDOWS[-1])}."
        if name == "shorter" and self._shown_window() == WINDOWS[0]:
            return f"Less than {window_words(WINDOWS[0])} is not shown."
        if name in ("next", "previous") and len(self._pages()) < 2:
            return "There is no other host or workload."
        return ""


class HostPage(LoadPage):
    """A host: its GPU, its memory with its owners, its disks, and what runs there."""

    WHERE = "host"

    def _lines(self, view: View) -> Sequence[Line]:
        return host_lines(view, self._key)


class WorkloadPage(LoadPage):
    """A workload: where it serves, how busy it is, and what its log warns of."""

    WHERE = "workload"

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self._insight = Insight()
        self._last: Workload | None = None
        """The workload as it was last seen."""

    def on_mount(self) -> None:
        """Look at its log from time to time."""
        self._look()
        self.set_interval(_LOOK, self._look)

    @property
    def workload(self) -> Workload | None:
        """The workload; None when the last survey did not find it."""
        world = self.sparkrun.state.known_world
        if world is None:
            return None
        return next((item for item in world.workloads if item.key == self._key), None)

    @property
    def name_shown(self) -> str:
        """The name of its recipe."""
        item = self.workload or self._last
        return (item.recipe or item.model or "?") if item is not None else self._key

    def why_not_with_workload(self, name: str) -> str:
        """A workload that is gone can only be looked at."""
        return super().why_not_with_workload(name) if self.workload is not None else "It does not run any more."

    def _look(self) -> None:
        if self.workload is not None and (self.is_current or self._insight.warnings is None):
            self.background(self._look_into(self.workload), "look")

    async def _look_into(self, item: Workload) -> None:
        await self.sparkrun.opened.wait()
        cluster = self.sparkrun.state.cluster
        if cluster is not None:
            self._insight = await self.sparkrun.backend.look_into(item, cluster)
            self.world_changed()

    def _lines(self, view: View) -> Sequence[Line]:
        item = self.workload
        if item is not None:
            self._last = item
            return workload_lines(view, item, self._insight)
        gone: list[Line] = [[("– ", "dim"), ("it does not run any more; press esc to go back", "")], []]
        if self._last is None:
            return gone
        return [*gone, *workload_lines(view, self._last, self._insight)]
