"""The logs of a launch: tiled, merged into one, or one host alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from textual import events
from textual.app import ComposeResult
from textual.containers import Container

from sparkrun_tui.launch.record.logs import LogBuffer
from sparkrun_tui.ui.model.layout import Layout
from sparkrun_tui.ui.widgets.log.source import HostLog, LineFilter, MergedLog
from sparkrun_tui.ui.widgets.log.view import LogView

_NARROWEST = 60
"""The least cells of a pane beside another."""

_LOWEST = 5
"""The least rows of a pane: its title, three lines of log, and its status."""


_TOGETHER = 3
"""Views that are painted at a time: a key waits for no more, however many logs there are."""

_STEP = 0.1
"""Seconds between two of these times. Of eight floods, each is painted almost four times a second."""


class LogDeck(Container):
    """Holds one view per host and one for all; only visible views are read and painted."""

    def __init__(self, logs: Mapping[str, LogBuffer], hosts: Sequence[str], layout: Layout, over: bool = False) -> None:
        """`over` is for logs that get no more lines."""
        super().__init__(id="logs")
        self._kept = layout
        self._logs = logs
        self._over = over
        self._known = hosts
        self._views: dict[str, LogView] = {}
        self._merged_source = MergedLog(logs)
        self._merged = LogView(self._merged_source, "all hosts", layout, over=over)
        self.is_merged = False
        self.cramped = False
        """Whether one pane per host would leave each too few lines; then all are merged."""
        self.alone = ""
        self._text = ""
        self._waiting: dict[LogView, None] = {}
        """The views with new lines, those first that wait for longest."""
        self._is_painting = False
        self._dragging = ""
        self.filter = LineFilter()

    def compose(self) -> ComposeResult:
        """The view for all hosts; those of single hosts are added as they become known."""
        yield self._merged

    def on_mount(self) -> None:
        """Start tiled."""
        self._add_new()
        self.tile()

    def _add_new(self) -> None:
        """Give each host its view: those known from the start, and those that appear later."""
        new = [host for host in dict.fromkeys((*self._known, *self._logs)) if host not in self._views]
        for host in new:
            self._views[host] = LogView(HostLog(self._logs, host), host, self._kept, over=self._over)
            self.mount(self._views[host], before=self._merged)
        if new:
            self._merged.tag(tuple(self._views))
            self.tile()

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts in order."""
        return tuple(self._views)

    @property
    def shown(self) -> list[LogView]:
        """The visible views."""
        if self.alone in self._views:
            return [self._views[self.alone]]
        if self.is_merged or self.cramped:
            return [self._merged]
        return list(self._views.values()) or [self._merged]

    @property
    def focused_view(self) -> LogView:
        """The view with the focus, else the first visible one."""
        return next((view for view in self.shown if view.has_focus), self.shown[0])

    def tile(self) -> None:
        """Show the chosen views, in as many columns as there is room for."""
        width = self.size.width or self.app.size.width
        across = max(min(len(self._views), width // _NARROWEST), 1)
        rows = -(-len(self._views) // across)
        self.cramped = len(self._views) > 1 and 0 < self.size.height < rows * _LOWEST
        shown = self.shown
        hides_focus = False
        for view in (*self._views.values(), self._merged):
            if view.has_focus and view not in shown:
                hides_focus = True
            view.display = view in shown
        if hides_focus:
            shown[0].focus()
        self._share_out(len(shown), min(len(shown), across))
        if self._merged in shown:
            self._merged_source.pull()
        for view in shown:
            view.sift(self.filter)
            searched = view.finder.text if view.finder else ""
            if searched != self._text:
                view.find(self._text)

    def _share_out(self, panes: int, across: int) -> None:
        """Give the head node's log more room than each other one: beside them, or above them."""
        self.styles.grid_size_columns = across
        first = f"{self._kept.head_share}fr"
        other = f"{100 - self._kept.head_share}fr"
        down = -(-panes // across)
        self.styles.grid_columns = " ".join([first, *[other] * (across - 1)])
        self.styles.grid_rows = " ".join([first, *[other] * (down - 1)]) if across == 1 else "1fr"

    # Dragging the border between the first log and the others.

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Take hold of the gap beside the first log, or of the title of the one below it."""
        shown = self.shown
        if len(shown) < 2:
            return
        first, second = shown[0].region, shown[1].region
        is_gap = first.y == second.y and first.right <= event.screen_x < second.x
        is_title = first.x == second.x and event.screen_y == second.y
        if is_gap or is_title:
            event.stop()
            self._dragging = "across" if is_gap else "down"
            self.capture_mouse()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Drag the border that is held."""
        if not self._dragging:
            return
        event.stop()
        share = (event.screen_x - self.region.x) * 100 // max(self.region.width, 1)
        if self._dragging == "down":
            share = (event.screen_y - self.region.y) * 100 // max(self.region.height, 1)
        self._kept.share_head(share)
        self.tile()

    def on_mouse_up(self, event: events.MouseUp) -> None:
        """Let go of the border."""
        if self._dragging:
            event.stop()
            self._dragging = ""
            self.release_mouse()

    @property
    def splits(self) -> bool:
        """Whether there are several panes to share the room."""
        return len(self.shown) > 1

    def sift(self, wanted: LineFilter) -> None:
        """Show only lines that pass a filter, in the visible views, and in others when they are shown."""
        self.filter = wanted
        for view in self.shown:
            view.sift(wanted)

    def on_resize(self) -> None:
        """Another number of columns may fit."""
        self.tile()

    def pull(self) -> None:
        """New lines may have come."""
        if any(host not in self._views for host in self._logs):
            self._add_new()
        shown = self.shown
        if self._merged in shown:
            self._merged_source.pull()
        for view in shown:
            if view.has_news:
                self._waiting.setdefault(view)
        if not self._is_painting:
            self._paint()

    def _paint(self) -> None:
        """Paint the next views with new lines, and go on in a moment."""
        shown = self.shown
        for view in list(self._waiting)[:_TOGETHER]:
            del self._waiting[view]
            if view in shown:
                view.pull()
        self._is_painting = bool(self._waiting)
        if self._is_painting:
            self.set_timer(_STEP, self._paint)

    def toggle_merged(self) -> None:
        """Switch between merged and tiled."""
        self.is_merged = not self.is_merged
        self.alone = ""
        self.tile()
        self.shown[0].focus()

    def show_alone(self, host: str) -> None:
        """One host alone; empty shows all again."""
        self.is_merged = False
        before = self.alone
        self.alone = host
        self.tile()
        view = self._views[host or before or self.hosts[0]]
        (view if view in self.shown else self.shown[0]).focus()

    def zoom(self) -> None:
        """The focused host alone, or all again."""
        view = self.focused_view
        host = next((host for host, shown in self._views.items() if shown is view), "")
        if self.cramped and not self.alone:
            host = self.hosts[0]
        self.show_alone("" if self.alone or self.is_merged else host)

    def find(self, text: str) -> None:
        """Search for `text` in the visible views, and in others when they are shown."""
        self._text = text
        for view in self.shown:
            view.find(text)
