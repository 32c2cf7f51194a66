"""What is running on a cluster, as lines: a row for each host with its load, below it those of its workloads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.cells import cell_len

from sparkrun_tui.base.bars import level_of
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.text import clean_line
from sparkrun_tui.base.units import GIB, TIB, format_duration
from sparkrun_tui.fleet.load import Load
from sparkrun_tui.fleet.model import FleetView, Health, HostStatus, Workload, WorkloadRank
from sparkrun_tui.remote.probe.facts import Disk, HostFacts
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
    """One line of the fleet: a host, or a rank of the `workload` that actions on this line work on.

    `key` is the same for the same row of another survey.
    """

    line: Line
    workload: Workload | None = None
    host: str = ""
    key: str = ""


def name_width(view: FleetView | None, width: int) -> int:
    """The width of the column of host names: as wide as the longest, up to what the screen has room for."""
    longest = 6
    if view is not None:
        for host in view.hosts:
            longest = max(longest, cell_len(clean_line(host.name)))
    most = 14 if width < 100 else 18
    return min(longest + 2, most)


_COLUMNS = (("memory left", 21), ("gpu", 9), ("power", 7), ("temp", 8), ("disk", 11), ("clock", 9))
"""The columns of a host behind its name, the most important first, with their widths."""


def _columns(view: FleetView | None, width: int) -> dict[str, int]:
    """The columns that there is room for."""
    room = width - name_width(view, width)
    found: dict[str, int] = {}
    for name, size in _COLUMNS:
        room -= size
        if room < 0:
            break
        found[name] = size
    return found


def header(view: FleetView | None, width: int) -> Line:
    """The names of the columns."""
    text = fit("host", name_width(view, width))
    for name, size in _columns(view, width).items():
        text += fit(name, size)
    return [(clip([(text, "dim")], width)[0])]


def fleet_rows(view: FleetView, now: float, width: int, loads: Mapping[str, Load] | None = None) -> list[FleetRow]:
    """One row for each host, and below it one for each rank on it. `loads` are by launch id."""
    rows: list[FleetRow] = []
    columns = _columns(view, width)
    for host in view.hosts:
        line = clip(_host(host, now, name_width(view, width), columns), width)
        rows.append(FleetRow(line, host=host.name, key=f"host {host.name}"))
        for workload, rank in _on_host(view, host.name):
            load = None
            if workload.ours and loads is not None:
                load = loads.get(workload.launch_id)
            spans: list[Span] = [("  ", ""), *_workload(workload, rank, now, load, width - 2)]
            key = f"rank {host.name} {workload.key} {rank.rank}"
            rows.append(FleetRow(clip(spans, width), workload, host.name, key))
    listed = {host.name for host in view.hosts}
    for workload in view.workloads:
        if not any(rank.host in listed for rank in workload.ranks):
            line = clip([("? ", "tight"), (clean_line(workload.recipe), "")], width)
            rows.append(FleetRow(line, workload, key=f"lost {workload.key}"))
    return rows


def _on_host(view: FleetView, host: str) -> list[tuple[Workload, WorkloadRank]]:
    """The ranks on a host, each with its workload."""
    found: list[tuple[Workload, WorkloadRank]] = []
    for workload in view.workloads:
        for rank in workload.ranks:
            if rank.host == host:
                found.append((workload, rank))
    return found


def _host(host: HostStatus, now: float, room: int, columns: Mapping[str, int]) -> list[Span]:
    name: Span = (fit(clean_line(host.name), room - 1) + " ", "bold")
    if host.facts is None:
        ago = now - host.link.since if host.link.since else 0.0
        since = f" since {format_duration(ago)}" if ago >= 1 else ""
        return [name, ("? ", "tight"), (f"{host.link.state.value}{since}  {clean_line(host.link.detail)}", "dim")]
    facts = host.facts
    spans: list[Span] = [name]
    for column, size in columns.items():
        spans += _cell(facts, column, size)
    if host.note:
        spans.append((f"{host.note} ", "tight"))
    return spans


def _cell(facts: HostFacts, column: str, size: int) -> list[Span]:
    """One column of a host."""
    if column == "memory left":
        return _memory(facts)
    if column == "disk":
        return [(fit(_disk(facts), size), "dim")]
    return [(fit(_gpu(facts, column), size), "accent" if column == "gpu" else "")]


def _memory(facts: HostFacts) -> list[Span]:
    share = facts.memory_available / facts.memory_total if facts.memory_total else 0.0
    used = cells_of(1 - share, 10)
    style = free_style(facts) or "kv"
    return [("▇" * used, style), ("▁" * (10 - used), "dim"), (f"{facts.memory_available / GIB:5.0f} GiB ", "")]


def free_style(facts: HostFacts) -> str:
    """The style of what a host has left: empty while it is enough."""
    if facts.memory_available < 4 * GIB:
        return "bad"
    return "tight" if facts.memory_available < 8 * GIB else ""


def _gpu(facts: HostFacts, column: str) -> str:
    """A column of the first GPU of a host; empty where it is not known."""
    if not facts.gpus:
        return "no GPU" if column == "gpu" else ""
    gpu = facts.gpus[0]
    if column == "gpu":
        if gpu.utilisation is None:
            return "?"
        return f"{level_of(gpu.utilisation / 100, _EIGHTHS)} {gpu.utilisation:3.0f} %"
    if column == "power":
        return "" if gpu.power_watts is None else f"{gpu.power_watts:3.0f} W"
    if column == "temp":
        return "" if gpu.temperature is None else f"{gpu.temperature:.0f} °C"
    return "" if gpu.clock_mhz is None else f"{gpu.clock_mhz / 1000:.1f} GHz"


def disk_words(disk: Disk) -> str:
    """What is left on a disk: `812 GiB free of 3.6 TiB`."""
    return f"{_size(disk.free)} free of {_size(disk.total)}"


def _disk(facts: HostFacts) -> str:
    if not facts.disks:
        return ""
    return _size(min(disk.free for disk in facts.disks))


def _size(count: int) -> str:
    return f"{count / TIB:.1f} TiB" if count >= TIB else f"{count / GIB:.0f} GiB"


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
