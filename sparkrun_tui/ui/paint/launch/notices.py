"""The notices of a launch: the newest warning on one line, and all of them as a page."""

from __future__ import annotations

import time
from collections.abc import Sequence

from sparkrun_tui.base.text import clean_line
from sparkrun_tui.launch.record.events import Noticed
from sparkrun_tui.ui.ink import Line, Span, spread, wrap

_SIGNS = {"error": ("✗", "bad"), "warning": ("!", "tight")}
_NOTE = ("·", "dim")


def pressing(notices: Sequence[Noticed]) -> Noticed | None:
    """The newest notice that is more than a note."""
    return next((notice for notice in reversed(notices) if notice.level in _SIGNS), None)


def newest_line(notices: Sequence[Noticed], width: int) -> Line | None:
    """The newest warning, and how many notices there are to read; None when there is no warning."""
    notice = pressing(notices)
    if notice is None:
        return None
    sign, style = _SIGNS[notice.level]
    count = f"  all {len(notices)}: !" if len(notices) > 1 else "  more: !"
    return spread([(f"{sign} ", style), (_text_of(notice), "")], [(count, "dim")], width)


def notice_lines(notices: Sequence[Noticed], width: int) -> list[Line]:
    """All notices, oldest first, each in full."""
    lines: list[Line] = []
    for notice in notices:
        sign, style = _SIGNS.get(notice.level, _NOTE)
        stamp: Span = (time.strftime("%H:%M:%S ", time.localtime(notice.time)), "dim")
        rows = wrap(_text_of(notice), max(width - 11, 20))
        lines.append([stamp, (f"{sign} ", style), (rows[0], "")])
        lines += [[(" " * 11 + row, "")] for row in rows[1:]]
    return lines


def _text_of(notice: Noticed) -> str:
    host = f"{clean_line(notice.host)}: " if notice.host else ""
    return host + clean_line(notice.text)
