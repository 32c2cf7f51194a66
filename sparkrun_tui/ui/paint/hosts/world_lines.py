"""What is known of the hosts, in words: how old it is, who holds their memory, and which of them do not answer."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from sparkrun_tui.base.text import clean_line
from sparkrun_tui.base.units import format_duration, format_gib
from sparkrun_tui.fleet.world import Holding, Seen, World
from sparkrun_tui.ui.ink import Line, Span, wrap_line

OLD = 60.0
"""Seconds after which the age of an answer is given besides its time."""

_MOST = 3
"""How many workloads are named one by one."""


def age_words(world: World | None, hosts: Sequence[str] | None, now: float) -> str:
    """When the hosts were asked: `as of 10:42:11`; for answers that are old also how old they are."""
    if world is None or world.cluster is None:
        return ""
    taken = world.oldest(hosts)
    if taken is None:
        names = world.hosts if hosts is None else hosts
        asking = any(world.hosts[name].state is Seen.ASKING for name in names if name in world.hosts)
        return "asking the hosts …" if asking else "no host has answered"
    words = time.strftime("as of %H:%M:%S", time.localtime(taken))
    age = now - taken
    return f"{words}, {format_duration(age)} ago" if age > OLD else words


def holding_words(holding: Holding) -> str:
    """What a workload holds: `holds about 83 GiB on spark-1, spark-2`."""
    verb = "will take" if holding.coming else "holds"
    where = ", ".join(clean_line(host) for host in holding.hosts)
    if holding.most is None:
        return f"{verb} memory on {where}"
    return f"{verb} about {format_gib(holding.most, 0)} on {where}"


def holding_lines(holdings: Sequence[Holding], width: int, hint: str = "") -> list[Line]:
    """Who holds memory of the hosts, each in a line of its own; `hint` follows the last one."""
    lines: list[Line] = []
    for holding in holdings[:_MOST]:
        lines += wrap_line(
            [("▞ ", "others"), (clean_line(holding.name), "bold"), (f" {holding_words(holding)}", "")], width, indent=2
        )
    if len(holdings) > _MOST:
        lines.append([(f"  and {len(holdings) - _MOST} more", "dim")])
    if lines and hint:
        lines += wrap_line([("  ", ""), (hint, "dim")], width, indent=2)
    return lines


def silent_lines(world: World, hosts: Iterable[str], width: int) -> list[Line]:
    """Hosts that do not answer, with the reason."""
    lines: list[Line] = []
    for name in hosts:
        host = world.hosts.get(name)
        if host is None or not host.is_silent:
            continue
        spans: list[Span] = [("✗ ", "bad"), (clean_line(name), "bold"), (" does not answer", "")]
        if host.problem:
            spans.append((f": {clean_line(host.problem)}", ""))
        lines += wrap_line(spans, width, indent=2)
    return lines


def world_lines(world: World | None, hosts: Sequence[str], width: int, hint: str = "") -> list[Line]:
    """What there is to know of these hosts beside their memory."""
    if world is None:
        return []
    return [*silent_lines(world, hosts, width), *holding_lines(world.holdings(hosts), width, hint)]
