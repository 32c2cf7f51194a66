"""A benchmark as lines: how far it is, its figures, and an earlier result of the same recipe beside them."""

from __future__ import annotations

from collections.abc import Sequence

from sparkrun_tui.launch.bench import words
from sparkrun_tui.launch.bench.benchmark import Benchmark, Status
from sparkrun_tui.launch.bench.result import Result
from sparkrun_tui.ui.ink import Line, Span, cells_of, fit, width_of, wrap_line

_BAR = 30
_NOT_BESIDE = 44
"""Cells of a chart's row that are not its bar."""


def bench_lines(now: Benchmark | None, shown: Result | None, earlier: Result | None, width: int) -> list[Line]:
    """What is measured now, then the result that is shown, then the change since an earlier one."""
    lines: list[Line] = []
    if now is not None:
        lines += [*_progress(now, width), []]
    if shown is None:
        if now is None:
            lines.append([("Nothing was measured yet: m measures it.", "dim")])
        return lines
    lines += _facts(shown, width)
    lines += [[], *_table(words.HEAD, [words.row(point) for point in shown.points], width)]
    lines.append([(words.UNITS, "dim")])
    lines += [[], *_chart(shown, width)]
    if earlier is not None:
        lines += [[], *_compared(earlier, shown, width)]
    return lines


def _progress(now: Benchmark, width: int) -> list[Line]:
    """Where a benchmark is: a bar while it runs, else how it ended."""
    progress = now.progress
    if not now.is_over:
        share = progress.done / progress.total if progress.total else 0.0
        full = cells_of(share, _BAR)
        head: list[Span] = [("█" * full, "accent"), ("░" * (_BAR - full), "dim")]
        head.append((f" {progress.done} of {progress.total} requests", ""))
        if progress.rate is not None:
            head.append((f", {progress.rate:.1f} tokens/s the last one", ""))
        return [*wrap_line(head, width), *wrap_line([(progress.words, "dim")], width)]
    if now.status is Status.FAILED:
        lines: list[Line] = [*wrap_line([("✗ ", "bad"), (now.problem, "bad")], width)]
        if now.remedy:
            lines += wrap_line([(now.remedy, "")], width)
        return lines
    if now.status is Status.STOPPED:
        kept = "what was measured until then is below" if now.result is not None else "nothing was measured"
        return [[("stopped: ", "tight"), (kept, "")]]
    return [[("✓ ", "good"), ("measured", "")]]


def _facts(result: Result, width: int) -> list[Line]:
    lines: list[Line] = []
    for name, text in words.facts(result):
        style = "tight" if not result.is_complete and text == result.end else ""
        lines += wrap_line([(fit(name, 13), "dim"), (text, style)], width, indent=13)
    return lines


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[Line]:
    """Rows of figures, right-aligned; columns at the right edge that have no room are left out."""
    sizes = [max(width_of([(text, "")]) for text in column) for column in zip(head, *rows, strict=True)]
    shown = 0
    used = 0
    for size in sizes:
        if used + size + 2 > width + 2:
            break
        used += size + 2
        shown += 1
    lines: list[Line] = [[("  ".join(fit(head[n], sizes[n], "right") for n in range(shown)), "title")]]
    for row in rows:
        lines.append([("  ".join(fit(row[n], sizes[n], "right") for n in range(shown)), "")])
    return lines


def _chart(result: Result, width: int) -> list[Line]:
    rows = words.chart(result.points, max(min(width - _NOT_BESIDE, 60), 8))
    label = max((width_of([(row[0], "")]) for row in rows), default=0)
    return [[(fit(name, label), "dim"), ("  ", ""), (bar, "accent"), (f" {figure}", "")] for name, bar, figure in rows]


def _compared(earlier: Result, shown: Result, width: int) -> list[Line]:
    title = f"Since {earlier.id}, {words.facts(earlier)[0][1]}"
    lines: list[Line] = [[(title, "title")]]
    lines += _table(words.PAIR_HEAD, words.compared(earlier, shown), width)
    lines.append([(words.PAIR_UNITS, "dim")])
    for name, before, after in words.differing(earlier, shown):
        lines += wrap_line([(f"{name}: ", "dim"), (f"{before} → {after}", "changed")], width, indent=4)
    return lines
