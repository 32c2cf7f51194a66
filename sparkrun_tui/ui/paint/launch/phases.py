"""A launch's state as lines: one row per host, one column per phase, and below each host what it is doing now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sparkrun_tui.base.bars import bars
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.text import clean_line
from sparkrun_tui.base.units import GIB, format_bytes, format_duration, format_rate
from sparkrun_tui.engines.plan import Phase
from sparkrun_tui.launch.record.events import StepState
from sparkrun_tui.launch.record.guard_words import guard_words, nearest, picture
from sparkrun_tui.launch.record.state import Cell, HostRow, LaunchState
from sparkrun_tui.ui.ink import Line, Span, clip, fit
from sparkrun_tui.ui.model.launch_status import SERVING
from sparkrun_tui.ui.paint.launch.notices import newest_line

_SIGNS: dict[StepState, tuple[str, str]] = {
    StepState.PENDING: ("·", "dim"),
    StepState.RUNNING: ("▶", "accent"),
    StepState.SKIPPED: ("✓", "good"),
    StepState.OK: ("✓", "good"),
    StepState.FAILED: ("✗", "bad"),
    StepState.CANCELLED: ("–", "dim"),
    StepState.UNKNOWN: ("?", "tight"),
}
_REPORTED = (StepState.RUNNING, StepState.FAILED, StepState.UNKNOWN)
_LINKS = {"up": ("●", "good"), "reconnecting": ("◌", "tight"), "connecting": ("◌", "dim"), "unreachable": ("✗", "bad")}
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_MEMORY = 16
_MIN_CELL = 7


@dataclass(frozen=True, slots=True)
class LastTime:
    """How long the same recipe took the last time it became ready, in seconds."""

    phases: Mapping[Phase, float]
    total: float


def spark(readings: Sequence[int], total: int | None, width: int) -> str:
    """Readings of available memory as a row of bars, newest at the right."""
    if not readings or not total:
        return " " * width
    return bars(readings[-width:], total, width).rjust(width)


def progress_bar(share: float, width: int) -> list[Span]:
    """How far something is, in eighths of a cell."""
    filled = min(max(share, 0.0), 1.0) * width
    whole = int(filled)
    part = _EIGHTHS[int((filled - whole) * 8)] if whole < width else ""
    done = "█" * whole + part.strip()
    return [(done, "accent"), ("░" * (width - len(done)), "dim")]


def share_of(cell: Cell) -> float | None:
    """How far a cell is, from 0 to 1; None when that is not known."""
    if cell.done is None or not cell.total:
        return None
    return min(cell.done / cell.total, 1.0)


def cell_text(cell: Cell, now: float, width: int) -> str:
    """The text of a cell beside its sign: the progress, the detail or the time taken."""
    if cell.state is StepState.PENDING:
        return ""
    if cell.state is StepState.RUNNING:
        return _progress_text(cell, width) or _took(cell, now, width)
    detail = clean_line(cell.detail)
    if cell.state not in (StepState.OK, StepState.SKIPPED):
        return detail or cell.state.value
    if detail and len(detail) <= width:
        return detail
    return _took(cell, now, width) or detail


def _took(cell: Cell, now: float, width: int) -> str:
    """How long a cell took, or takes so far; empty when it has not started."""
    if cell.started is None:
        return ""
    return _short_time(max((cell.ended or now) - cell.started, 0), width)


def _short_time(seconds: float, width: int) -> str:
    """A duration; in whole seconds, or in minutes, where there is no room for more."""
    minutes = f"{seconds / 60:.0f} m"
    for text in (format_duration(seconds), f"{seconds:.0f} s"):
        if len(text) <= width:
            return text
    return minutes


def _progress_text(cell: Cell, width: int) -> str:
    """The progress in percent, with the rate where there is room; empty when the progress is unknown."""
    share = share_of(cell)
    if share is None:
        return ""
    text = f"{share * 100:.0f} %"
    if cell.rate and cell.unit == "B":
        rate = f" {cell.rate / (1 << 20):.0f}M/s"
        if len(text + rate) <= width:
            text += rate
    return text


def phases_shown(width: int) -> tuple[list[Phase], int, int]:
    """The phases that get a column, the width of a column, and that of host names."""
    name = 12 if width < 100 else 16
    phases = [phase for phase in Phase if phase is not Phase.CHECK or width >= 130]
    column = (width - name - _MEMORY) // len(phases)
    return phases, max(column, _MIN_CELL), name


def table(state: LaunchState, now: float, width: int, activity: bool, last: LastTime | None = None) -> list[Line]:
    """The whole table; with `activity` each host has a second line with what it does now."""
    phases, column, name = phases_shown(width)
    header = " " * name + "".join(fit(_word(phase, column - 1), column - 1) + " " for phase in phases) + "memory left"
    lines: list[Line] = [clip([(header, "dim")], width)]
    for row in sorted(state.hosts.values(), key=lambda row: row.rank):
        lines.append(clip(_host(row, phases, column, name, now, state.status in SERVING), width))
        if activity:
            lines.append(clip([("  ", ""), *_activity(row, now, width - 2)], width))
    if last is not None:
        times = [_short_time(last.phases[phase], column - 3) if phase in last.phases else "" for phase in phases]
        text = fit("last time", name) + "".join(fit("  " + took, column - 1) + " " for took in times)
        lines.append(clip([(f"{text}{format_duration(last.total)} in total", "dim")], width))
    guarded = guard_line(state, width)
    if guarded is not None:
        lines.append(guarded)
    noticed = newest_line(state.notices, width)
    return [*lines, noticed] if noticed is not None else lines


def guard_line(state: LaunchState, width: int) -> Line | None:
    """What the memory guards have seen: the host on which least was left; None where no host has a guard."""
    row = nearest(state)
    if row is None or row.guard is None:
        return None
    spans: list[Span] = [("memory guard  ", "dim")]
    if len(state.hosts) > 1:
        spans.append((f"{clean_line(row.name)}  ", "bold"))
    spans.append((picture(row, min(max(width - 70, 8), 60)), "kv"))
    style = "bad" if row.guard.stopped is not None else ""
    spans.append((f"  {guard_words(row.guard)}", style))
    return clip(spans, width)


def _word(phase: Phase, width: int) -> str:
    """The name of a phase, shortened where its column is narrow."""
    return phase.value if len(phase.value) <= width else phase.value[: width - 2] + "."


def _host(row: HostRow, phases: Sequence[Phase], column: int, name: int, now: float, serves: bool) -> list[Span]:
    """The row of a host; once the launch serves, a phase that it did not report is blank, not pending."""
    sign, style = _LINKS.get(row.link, ("○", "dim"))
    spans: list[Span] = [(f"{sign} ", style), (fit(clean_line(row.name), name - 3), "bold"), (" ", "")]
    check = row.cells.get(Phase.CHECK)
    for place, phase in enumerate(phases):
        cell = row.cells.get(phase, Cell())
        waiting = place == 0 and phase is not Phase.CHECK and cell.state is StepState.PENDING
        if waiting and check is not None and check.state in _REPORTED:
            sign, style = _SIGNS[check.state]
            spans.append((fit(f"{sign} check", column - 1) + " ", style))
            continue
        if serves and cell.state is StepState.PENDING:
            spans.append((" " * column, ""))
        else:
            spans += _cell(cell, column, now)
    if row.memory:
        spans.append((spark(row.memory, row.memory_total, 6), "kv"))
        spans.append((f" {row.memory[-1] / GIB:.0f} GiB", ""))
    return spans


def _cell(cell: Cell, width: int, now: float) -> list[Span]:
    sign, style = _SIGNS[cell.state]
    text = fit(cell_text(cell, now, width - 3), width - 3)
    plain = "" if cell.state is StepState.OK else style
    return [(sign, style), (f" {text} ", plain)]


def _activity(row: HostRow, now: float, width: int) -> list[Span]:
    if row.link not in ("up", "idle"):
        return [(f"└ {row.link}", "tight"), (f"  {clean_line(row.link_detail)}", "dim")]
    running = [(phase, cell) for phase, cell in row.cells.items() if cell.state is StepState.RUNNING]
    if not running:
        failed = [(p, cell) for p, cell in row.cells.items() if cell.state in (StepState.FAILED, StepState.UNKNOWN)]
        if failed:
            phase, cell = failed[-1]
            return [(f"└ {phase.value}: ", "bad"), (clean_line(cell.detail) or cell.state.value, "")]
        return [("└", "dim")]
    phase, cell = running[-1]
    spans: list[Span] = [(f"└ {phase.value:<8}", "accent")]
    share = share_of(cell)
    if share is not None and cell.total:
        spans += progress_bar(share, max(min(width // 4, 40), 8) if width >= 90 else 8)
        spans.append((f" {share * 100:3.0f} %  ", ""))
        spans += _amount(cell)
    if cell.detail:
        spans.append((clean_line(cell.detail), "dim"))
    return spans


def _amount(cell: Cell) -> list[Span]:
    assert cell.total is not None and cell.done is not None
    if cell.unit != "B":
        return []
    text = f"{format_bytes(cell.done)} of {format_bytes(cell.total)}  "
    if cell.rate:
        left = format_duration(max(cell.total - cell.done, 0) / cell.rate)
        text += f"{format_rate(cell.rate)}  {left} left  "
    return [(text, "")]
