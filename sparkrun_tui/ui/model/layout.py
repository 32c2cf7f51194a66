"""How the screens are laid out beside the list's own order: hidden panes, shares of room, and how logs are shown."""

from __future__ import annotations

from sparkrun_tui.base.reading.numbers import whole
from sparkrun_tui.base.records import dataclass

LEAST, MOST, STEP = 25, 75, 5
"""Limits and steps of the first pane's share, in percent."""
HEAD = 60
"""The share of the head node's log beside another one, in percent: it prints most of what matters."""

_SWITCHES = ("list_hidden", "detail_hidden", "form_hidden", "phases_hidden", "cut_lines", "no_times")


@dataclass(slots=True)
class Layout:
    """What is kept of the layout from one session to the next."""

    head_share: int = HEAD
    list_hidden: bool = False
    detail_hidden: bool = False
    form_hidden: bool = False
    phases_hidden: bool = False
    cut_lines: bool = False
    """Whether long lines of logs are cut instead of wrapped."""
    no_times: bool = False
    """Whether lines of logs are shown without their time."""

    @property
    def text(self) -> str:
        """All of it, as it is kept."""
        switched = [name for name in _SWITCHES if getattr(self, name)]
        return ",".join([str(self.head_share), *switched])

    def read(self, text: str) -> None:
        """Take what was kept; what is damaged or missing stays as it is at first."""
        share, *switched = text.split(",")
        self.head_share = whole(share, least=LEAST, most=MOST) or HEAD
        for name in _SWITCHES:
            setattr(self, name, name in switched)
        if self.list_hidden:
            self.detail_hidden = False

    def resize_head(self, steps: int) -> bool:
        """Give the head node's log more room, or less; false where it is at its limit."""
        before = self.head_share
        self.share_head(before + steps * STEP)
        return self.head_share != before

    def share_head(self, share: int) -> None:
        """Give the head node's log a share, in percent, within its limits."""
        self.head_share = min(max(share, LEAST), MOST)
