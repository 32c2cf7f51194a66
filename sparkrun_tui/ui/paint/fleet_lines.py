"""What runs on a cluster as lines: a row a host with its load, and the workloads on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.cells import cell_len

from sparkrun_tui.base.text import clean_line
from sparkrun_tui.base.units import GIB, format_duration
from sparkrun_tui.fleet.load import Load
from sparkrun_tui.fleet.model import FleetView, Health, HostStatus, Workload, WorkloadRank
from sparkrun_tui.remote.probe.facts import HostFacts
from sparkrun_tui.ui.ink import Line, Span, cells_of, clip, fit, level_of, width_of

HEALTH: dict[Health, tuple[str, str]] = {
    Health.SERVING: ("✓", "good"),
    Health.STARTING: ("▶", "accent"),
    Health.DEGRADED: ("!", "tight"),
    Health.EXITED: ("✗", "bad"),
    Health.UNKNOWN: ("?", "tight"),
}
"""The sign of a workload's health."""

_EIGHTHS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True)
class FleetRow:
    """One line of the fleet; `workload` is what actions on it act on."""

    line: Line
    workload: Workload | None = None


def name_width(view: FleetView | None, width: int) -> int:
    """The width of the column of host names: as wide as they are, within what the screen has room for."""
    names = [cell_len(clean_line(host.name)) for host in view.hosts] if view is not None else []
    return min(max([6, *names]) + 2, 14 if width < 100 else 18)


def header(view: FleetView | None, width: int) -> Line:
    """The names of the columns."""
    host = name_width(view, width)
    text = fit("host", host) + fit("memory left", 21)
    if width >= 100:
        text += fit("gpu", 8) + fit("power", 7) + fit("temp", 7)
    if width >= 80:
        text += fit("disk", 11)
    return [(clip([(text + "workload", "dim")], width)[0])]


def fleet_rows(view: FleetView, now: float, width: int, loads: Mapping[str, Load] | None = None) -> list[FleetRow]:
    """A row for each rank on each host; hosts that run nothing have one row, too. `loads` are by launch id."""
    rows: list[FleetRow] = []
    for host in view.hosts:
        found = [(workload, rank) for workload in view.workloads for rank in workload.ranks if rank.host == host.name]
        first: list[Span] = _host(host, now, width, name_width(view, width))
        if not found:
            idle: list[Span] = [("–", "dim")] if host.facts else []
            rows.append(FleetRow(clip([*first, *idle], width)))
        for place, (workload, rank) in enumerate(found):
            start = first if place == 0 else [(" " * width_of(first), "")]
            load = (loads or {}).get(workload.launch_id) if workload.ours else None
            spans = _workload(workload, rank, now, load, width - width_of(start))
            rows.append(FleetRow(clip([*start, *spans], width), workload))
    listed = {host.name for host in view.hosts}
    for workload in view.workloads:
        if not any(rank.host in listed for rank in workload.ranks):
            rows.append(FleetRow(clip([("? ", "tight"), (clean_line(workload.recipe), "")], width), workload))
    return rows


def _host(host: HostStatus, now: float, width: int, room: int) -> list[Span]:
    name: Span = (fit(clean_line(host.name), room - 1) + " ", "bold")
    if host.facts is None:
        ago = now - host.link.since if host.link.since else 0.0
        since = f" since {format_duration(ago)}" if ago >= 1 else ""
        return [name, ("? ", "tight"), (f"{host.link.state.value}{since}  {clean_line(host.link.detail)}", "dim")]
    facts = host.facts
    share = facts.memory_available / facts.memory_total if facts.memory_total else 0.0
    used = cells_of(1 - share, 10)
    style = "bad" if facts.memory_available < 4 * GIB else "tight" if facts.memory_available < 8 * GIB else "kv"
    spans: list[Span] = [name, ("▇" * used, style), ("▁" * (10 - used), "dim")]
    spans.append((f"{facts.memory_available / GIB:5.0f} GiB ", ""))
    if host.note:
        spans.append((f"{host.note} ", "tight"))
    if width >= 100:
        spans += _gpu(facts)
    if width >= 80:
        spans.append((fit(_disk(facts), 11), "dim"))
    return spans


def _gpu(facts: HostFacts) -> list[Span]:
    gpu = facts.gpus[0] if facts.gpus else None
    if gpu is None:
        return [(fit("no GPU", 22), "dim")]
    load = gpu.utilisation
    sign = level_of(load / 100, _EIGHTHS) if load is not None else "?"
    text = fit(f"{sign} {load:3.0f} %" if load is not None else "?", 8)
    power = fit(f"{gpu.power_watts:3.0f} W" if gpu.power_watts is not None else "", 7)
    temp = fit(f"{gpu.temperature:.0f} °C" if gpu.temperature is not None else "", 7)
    return [(text, "accent"), (power, ""), (temp, "")]


def _disk(facts: HostFacts) -> str:
    if not facts.disks:
        return ""
    free = min(disk.free for disk in facts.disks)
    return f"{free / (1 << 40):.1f} TiB" if free >= 1 << 40 else f"{free / GIB:.0f} GiB"


def _workload(workload: Workload, rank: WorkloadRank, now: float, load: Load | None, room: int) -> list[Span]:
    sign, style = HEALTH[workload.health]
    head = workload.ranks and rank == workload.ranks[0]
    if not head:
        return [
            ("└ ", "dim"),
            (f"rank {rank.rank}", ""),
            (f" {rank.state}", "dim" if rank.state == "running" else "bad"),
        ]
    spans: list[Span] = [(f"{sign} ", style), (clean_line(workload.recipe or workload.model or "?"), "bold")]
    if workload.port:
        spans.append((f" :{workload.port}", "accent"))
    if workload.expected_ranks > 1:
        spans.append((f" rank {rank.rank}", "dim"))
    if rank.started:
        spans.append((f"  {format_duration(max(now - rank.started, 0))}", ""))
    shown = _load(load) if load is not None and workload.health is Health.SERVING else []
    if shown:
        if width_of([*spans, shown[0]]) > room:
            # The rate is worth more than the number of a head, which stands first anyway.
            spans = [span for span in spans if not span[0].startswith(" rank ")]
        # The sign says that it serves. From the right, what has no room is left out whole.
        while shown and width_of([*spans, *shown]) > room:
            shown.pop()
        return [*spans, *shown]
    words = workload.health.value + (f": {workload.detail}" if workload.detail else "")
    spans.append((f"  {clean_line(words)}", style if workload.health is not Health.SERVING else "dim"))
    if not workload.ours:
        spans.append(("  not ours", "dim"))
    return spans


def _load(load: Load) -> list[Span]:
    """The load in pieces, what matters most first."""
    pieces: list[Span] = []
    if load.tokens_per_second is not None:
        pieces.append((f"  {load.tokens_per_second:.0f} tok/s", "accent"))
    if load.running is not None:
        pieces.append((f"  {load.running:.0f} running", ""))
    if load.waiting is not None:
        pieces.append((f"  {load.waiting:.0f} waiting", "tight" if load.waiting else "dim"))
    if load.kv_usage is not None:
        pieces.append((f"  KV {load.kv_usage:.0%}".replace("%", " %"), "kv"))
    return pieces


def ranks_of(workload: Workload) -> Sequence[str]:
    """The hosts and containers of a workload, for the question before stopping."""
    return [f"{rank.host}: {rank.container_name or rank.container_id[:12]} ({rank.state})" for rank in workload.ranks]
