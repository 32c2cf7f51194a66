"""The line at the top: the current screen, the cluster with one dot per host, how many launches run, and DEMO."""

from __future__ import annotations

from textual import events
from textual.message import Message

from sparkrun_tui.base.text import clean_line
from sparkrun_tui.ui.ink import Line, Span, spread, width_of
from sparkrun_tui.ui.model.rows import Status
from sparkrun_tui.ui.widgets.line_pane import LinePane

DOTS = {"up": ("●", "good"), "asking": ("◌", "dim"), "down": ("✗", "bad"), "unknown": ("○", "dim")}
"""The dot of a host by its state."""


class TopBar(LinePane):
    """One line, the same on every screen."""

    ALLOW_SELECT = False
    SCROLLS = False

    class ClusterClicked(Message):
        """The cluster's name was clicked."""

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
        right = _right(self.status, names=True)
        if width_of(left) + width_of(right) + 2 > width:
            right = _right(self.status, names=False)
        return spread(left, right, width)

    def on_click(self, event: events.Click) -> None:
        """A click on the right half opens the cluster picker."""
        if event.x > self.size.width // 2:
            self.post_message(self.ClusterClicked())


def _right(status: Status, names: bool) -> list[Span]:
    spans: list[Span] = []
    if status.cluster:
        spans.append((f"{clean_line(status.cluster)}: " if names else f"{clean_line(status.cluster)} ", "bold"))
        for host, state in status.hosts:
            dot = DOTS[state]
            spans += [(f"{clean_line(host)} ", ""), dot, (" ", "")] if names else [dot]
    else:
        spans.append(("no cluster: press c", "tight"))
    if status.launching:
        spans.append((f"  ▶ {status.launching} starting", "accent"))
    if status.running:
        spans.append((f"  {status.running} running", "good"))
    if status.demo:
        spans += [("  ", ""), (" DEMO ", "demo")]
    spans.append((" ", ""))
    return spans
