"""The line at the top: the current screen, the cluster with one dot per host, how many launches run, and DEMO."""

from __future__ import annotations

from textual import events
from textual.message import Message

from sparkrun_tui.base.text import clean_line
from sparkrun_tui.ui.ink import Line, Span, spread, width_of
from sparkrun_tui.ui.model.rows import Status
from sparkrun_tui.ui.widgets.line_pane import LinePane

DOTS = {
    "up": ("●", "good"),
    "asking": ("◌", "dim"),
    "down": ("✗", "bad"),
    "unknown": ("○", "dim"),
    "lost": ("◌", "tight"),
}
"""The dot of a host by its state."""


class TopBar(LinePane):
    """One line, the same on every screen."""

    ALLOW_SELECT = False
    SCROLLS = False

    class ClusterClicked(Message):
        """The cluster's name was clicked."""

    class RunningClicked(Message):
        """What runs was clicked."""

    def __init__(self, where: str = "") -> None:
        super().__init__()
        self.where = where
        self.status = Status()

    @property
    def line_count(self) -> int:
        """One line."""
        return 1

    def show(self, status: Status) -> None:
        """Show another state."""
        if status != self.status:
            self.status = status
            self.refresh()

    def line(self, number: int) -> Line:
        """The bar for the current width."""
        left: list[Span] = [(" sparkrun-tui", "title")]
        if self.where:
            left += [(" › ", "dim"), (self.where, "bold")]
        width = self.text_width
        room = width - width_of(left) - 2
        return spread(left, _right(self.status, room), width)

    def on_click(self, event: events.Click) -> None:
        """A click on what runs opens the fleet, one on the rest of the right half the cluster picker."""
        column = 0
        for text, style in self.line(0):
            column += width_of([(text, style)])
            if event.x < column:
                if style in _WORK:
                    self.post_message(self.RunningClicked())
                    return
                break
        if event.x > self.size.width // 2:
            self.post_message(self.ClusterClicked())


_STARTING, _RUNNING = "accent", "good bold"
_WORK = (_STARTING, _RUNNING)
"""The styles of the parts that say what runs, by which a click finds them."""


def _right(status: Status, room: int) -> list[Span]:
    """The cluster and what runs, with as many names as there is room for."""
    spans: list[Span] = []
    for hosts, work in ((True, True), (False, True), (True, False), (False, False)):
        spans = _part(status, hosts, work)
        if width_of(spans) <= room:
            break
    return spans


def _part(status: Status, hosts: bool, work: bool) -> list[Span]:
    """The same with the names of hosts (`hosts`), and of what runs (`work`), or without."""
    spans: list[Span] = []
    if status.cluster:
        spans.append((f"{clean_line(status.cluster)}: " if hosts else f"{clean_line(status.cluster)} ", "bold"))
        for host, state in status.hosts:
            dot = DOTS[state]
            spans += [(f"{clean_line(host)} ", ""), dot, (" ", "")] if hosts else [dot]
    else:
        spans.append(("no cluster: press c", "tight"))
    if status.launching:
        spans.append((f"  ▶ {status.launching} starting", _STARTING))
    if status.running:
        spans.append((f"  {_running(status, work)}", _RUNNING))
    if status.demo:
        spans += [("  ", ""), (" DEMO ", "demo")]
    spans.append((" ", ""))
    return spans


def _running(status: Status, named: bool) -> str:
    count = f"{len(status.running)} running"
    return f"{count}: {clean_line(', '.join(status.running))}" if named else count
