"""How the screens are laid out beside the list's own order: hidden panes, shares of room, and how logs are shown."""

from __future__ import annotations

from sparkrun_tui.base.reading.numbers import whole
from sparkrun_tui.base.records import dataclass

LEAST, MOST, STEP = 25, 75, 5
"""Limits and steps of the first pane's share, in percent."""
HEAD = 60
"""The share of the head node's log beside another one, in percent: it prints most of what matters."""

BESIDE_FROM = 96
"""From this width of the detail on, form and command stand side by side."""
_BESIDE_NAME = 21
"""The cells of a row of the list beside the name: signs, size, hosts, verdict, and the border."""
_MORE_COLUMNS = (9, 9, 6, 8)
"""The cells of engine, data type, memory left and requests at once."""
_LEAST_DETAIL = 45
"""The cells in which the detail's tabs and its verdict are not cut."""
_ROOMY_DETAIL = 70
"""The cells that the detail keeps when the list gets more columns."""

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


def natural_share(longest: int, width: int) -> int:
    """The share of a list beside its detail, in percent, for names of up to `longest` cells on `width` cells.

    The names are not cut; more columns are shown where the detail keeps its room, and form and command stay side by
    side.
    """
    cells = min(longest + _BESIDE_NAME, width - _LEAST_DETAIL)
    for more in _MORE_COLUMNS:
        detail = width - cells - more
        parts_the_form = detail < BESIDE_FROM <= width - cells
        if detail < _ROOMY_DETAIL or parts_the_form:
            break
        cells += more
    return max(-(-cells * 100 // width), 36)
