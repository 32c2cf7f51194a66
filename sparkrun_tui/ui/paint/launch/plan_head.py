"""The head of a plan: what is overridden, and the hosts with the mark of those that were chosen."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.text import clean_line
from sparkrun_tui.base.units import GIB, format_gib
from sparkrun_tui.fleet.world import Holding, HostNow, Seen, World
from sparkrun_tui.ui.ink import Line, Span, cells_of, clip, fit, wrap_line

_LABEL = 11
"""Cells of the words before a part."""
_BAR = 10


@dataclass(frozen=True, slots=True)
class PlanHead:
    """The lines of the head, and which of them (by number) are hosts."""

    lines: Sequence[Line] = ()
    hosts: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Choice:
    """The hosts that were chosen, how many are needed, and why so many."""

    chosen: tuple[str, ...]
    count: int
    reason: str

    @property
    def wrong(self) -> str:
        """What is wrong with the choice, in words; empty when it can be launched."""
        more = self.count - len(self.chosen)
        if more > 0:
            return f"choose {more} more {'host' if more == 1 else 'hosts'} (space)"
        if more < 0:
            return f"choose {-more} fewer {'host' if more == -1 else 'hosts'} (space)"
        return ""


def plan_head(world: World, choice: Choice, overrides: Sequence[str], width: int) -> PlanHead:
    """What is overridden, and a line for each host of the cluster."""
    lines: list[Line] = []
    if overrides:
        lines += wrap_line([(fit("overrides", _LABEL), "dim"), (", ".join(overrides), "changed")], width, indent=_LABEL)
    names = list(world.hosts)
    spans: list[Span] = [(fit("hosts", _LABEL), "dim"), (f"{len(choice.chosen)} of {len(names)}", "bold")]
    if choice.wrong:
        spans.append((f"  ✗ {choice.wrong}", "bad"))
    elif len(names) > choice.count:
        spans.append(("  space chooses", "accent"))
    if choice.reason:
        spans.append((f"  {clean_line(choice.reason)}", "dim"))
    # One line in any case: the hosts below do not move while they are chosen.
    lines.append(clip(spans, width))
    holdings = world.holdings()
    widest = max((cell_len(clean_line(name)) for name in names), default=0)
    room = min(widest, 20 if width >= 100 else 14)
    rows: list[tuple[int, str]] = []
    for name in names:
        rows.append((len(lines), name))
        lines.append(_host_line(world.hosts[name], choice, room, holdings, width))
    lines.append([])
    return PlanHead(lines, tuple(rows))


def _host_line(host: HostNow, choice: Choice, room: int, holdings: Sequence[Holding], width: int) -> Line:
    picked = host.name in choice.chosen
    spans: list[Span] = [("[x] " if picked else "[ ] ", "accent" if picked else "dim")]
    spans.append((fit(clean_line(host.name), room) + "  ", "bold" if picked else ""))
    if host.is_silent:
        spans.append(("✗ ", "bad"))
        spans.append((f"does not answer: {clean_line(host.problem)}" if host.problem else "does not answer", ""))
        return clip(spans, width)
    if host.facts is None:
        words = "asking …" if host.state is Seen.ASKING else "not asked yet"
        spans.append((f"○ {words}", "dim"))
        return clip(spans, width)
    facts = host.facts
    used = cells_of(1 - facts.memory_available / max(facts.memory_total, 1), _BAR)
    spans += [("▇" * used, "others"), ("▁" * (_BAR - used), "dim")]
    spans.append((f" {facts.memory_available / GIB:4.0f} GiB free", ""))
    if len(choice.chosen) > 1 and host.name == choice.chosen[0]:
        spans.append(("  head", "dim"))
    for holding in holdings:
        if host.name not in holding.hosts:
            continue
        held = holding.held.get(host.name)
        verb = "for" if holding.coming else "held by"
        figure = "memory" if held is None else f"about {format_gib(held, 0)}"
        spans += [(f"  {figure} {verb} ", ""), (clean_line(holding.name), "bold")]
        if holding.coming:
            spans.append((" (starting)", "dim"))
    return clip(spans, width)
