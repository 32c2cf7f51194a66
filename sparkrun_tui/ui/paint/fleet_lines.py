"""What is running on a cluster, as lines: one row per host with its load, and the workloads on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.cells import cell_len

from sparkrun_tui.base.bars import level_of
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.text import clean_line
from sparkrun_tui.base.units import GIB, format_duration
from sparkrun_tui.fleet.load import Load
from sparkrun_tui.fleet.model import FleetView, Health, HostStatus, Workload, WorkloadRank
from sparkrun_tui.remote.probe.facts import HostFacts
from sparkrun_tui.ui.ink import Line, Span, cells_of, clip, fit, width_of

HEALTH: dict[Health, tuple[str, str]] = {
    Health.SERVING: ("✓", "good"),
    Health.STARTING: ("▶", "accent"),
    Health.DEGRADED: ("!", "tight"),
    Health.EXITED: ("✗", "bad"),
    Health.UNKNOWN: ("?", "tight"),
}
"""The sign and style of each health of a workload."""

_EIGHTHS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True)
class FleetRow:
    """One line of the fleet; `workload` is what actions on this line work on."""

    line: Line
    workload: Workload | None = None


def name_width(view: FleetView | None, width: int) -> int:
    """The width of the column of host names: as wide as the longest, up to what the screen has room for."""
    longest = 6
    if view is not None:
        for host in view.hosts:
            longest = max(longest, cell_len(clean_line(host.name)))
    most = 14 if width < 100 else 18
    return min(longest + 2, most)


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
    """One row for each rank on each host, and one for a host without any. `loads` are by launch id."""
    rows: list[FleetRow] = []
    for host in view.hosts:
        start: list[Span] = _host(host, now, width, name_width(view, width))
        found = _on_host(view, host.name)
        if not found:
            if host.facts:
                start.append(("–", "dim"))
            rows.append(FleetRow(clip(start, width)))
        for workload, rank in found:
            load = None
            if workload.ours and loads is not None:
                load = loads.get(workload.launch_id)
            spans = _workload(workload, rank, now, load, width - width_of(start))
            rows.append(FleetRow(clip([*start, *spans], width), workload))
            # The host is named on its first row only.
            start = [(" " * width_of(start), "")]
    listed = {host.name for host in view.hosts}
    for workload in view.workloads:
        if not any(rank.host in listed for rank in workload.ranks):
            rows.append(FleetRow(clip([("? ", "tight"), (clean_line(workload.recipe), "")], width), workload))
    return rows


def _on_host(view: FleetView, host: str) -> list[tuple[Workload, WorkloadRank]]:
    """The ranks on a host, each with its workload."""
    found: list[tuple[Workload, WorkloadRank]] = []
    for workload in view.workloads:
        for rank in workload.ranks:
            if rank.host == host:
                found.append((workload, rank))
    return found


def _host(host: HostStatus, now: float, width: int, room: int) -> list[Span]:
    name: Span = (fit(clean_line(host.name), room - 1) + " ", "bold")
    if host.facts is None:
        ago = now - host.link.since if host.link.since else 0.0
        since = f" since {format_duration(ago)}" if ago >= 1 else ""
        return [name, ("? ", "tight"), (f"{host.link.state.value}{since}  {clean_line(host.link.detail)}", "dim")]
    facts = host.facts
    share = facts.memory_available / facts.memory_total if facts.memory_total else 0.0
    used = cells_of(1 - share, 10)
    style = "kv"
    if facts.memory_available < 4 * GIB:
        style = "bad"
    elif facts.memory_available < 8 * GIB:
        style = "tight"
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
    if not facts.gpus:
        return [(fit("no GPU", 22), "dim")]
    gpu = facts.gpus[0]
    load, power, temperature = "?", "", ""
    if gpu.utilisation is not None:
        load = f"{level_of(gpu.utilisation / 100, _EIGHTHS)} {gpu.utilisation:3.0f} %"
    if gpu.power_watts is not None:
        power = f"{gpu.power_watts:3.0f} W"
    if gpu.temperature is not None:
        temperature = f"{gpu.temperature:.0f} °C"
    return [(fit(load, 8), "accent"), (fit(power, 7), ""), (fit(temperature, 7), "")]


def _disk(facts: HostFacts) -> str:
    if not facts.disks:
        return ""
    free = min(disk.free for disk in facts.disks)
    return f"{free / (1 << 40):.1f} TiB" if free >= 1 << 40 else f"{free / GIB:.0f} GiB"


def _workload(workload: Workload, rank: WorkloadRank, now: float, load: Load | None, room: int) -> list[Span]:
    if rank != workload.ranks[0]:
        state_style = "dim" if rank.state == "running" else "bad"
        return [("└ ", "dim"), (f"rank {rank.rank}", ""), (f" {rank.state}", state_style)]
    sign, style = HEALTH[workload.health]
    serving = workload.health is Health.SERVING
    spans: list[Span] = [(f"{sign} ", style), (clean_line(workload.recipe or workload.model or "?"), "bold")]
    if workload.port:
        spans.append((f" :{workload.port}", "accent"))
    if workload.expected_ranks > 1:
        spans.append((f" rank {rank.rank}", "dim"))
    if rank.started:
        spans.append((f"  {format_duration(max(now - rank.started, 0))}", ""))
    if serving and load is not None:
        figures = _load(load)
        if figures:
            return _with_load(spans, figures, room)
    words = workload.health.value
    if workload.detail:
        words += f": {workload.detail}"
    spans.append((f"  {clean_line(words)}", "dim" if serving else style))
    if not workload.ours:
        spans.append(("  another tool's", "dim"))
    return spans


def _with_load(spans: list[Span], figures: list[Span], room: int) -> list[Span]:
    """A serving workload with as many figures of its load as fit into `room` cells."""
    if width_of([*spans, figures[0]]) > room:
        # The rate matters more than the rank of the head, which is the first row anyway.
        spans = [span for span in spans if not span[0].startswith(" rank ")]
    # Figures that do not fit are left out whole, from the right.
    while figures and width_of([*spans, *figures]) > room:
        figures.pop()
    return [*spans, *figures]


def _load(load: Load) -> list[Span]:
    """The figures of the load, the most important first."""
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
