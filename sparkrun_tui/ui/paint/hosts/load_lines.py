"""A host and a workload as lines: what they are, and their figures over the last minutes as plots or rows of bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.cells import cell_len

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.text import clean_line
from sparkrun_tui.base.units import GIB, format_duration, format_gib
from sparkrun_tui.engines.registry import family_of
from sparkrun_tui.fleet.model import Health, Workload
from sparkrun_tui.fleet.samples import KEPT, Figure, Samples, Series, gpu_memory_total
from sparkrun_tui.fleet.world import HostNow, Seen, World
from sparkrun_tui.remote.probe.facts import HostFacts
from sparkrun_tui.ui.glyphs import Glyphs
from sparkrun_tui.ui.ink import Line, Span, cells_of, clip, fit, join, width_of, wrap_line
from sparkrun_tui.ui.model.ports import Insight
from sparkrun_tui.ui.paint.hosts.fleet_lines import HEALTH, disk_words, free_style
from sparkrun_tui.ui.paint.hosts.time_plot import Plot, plot_lines, row_of, time_axis

WINDOWS = (120.0, 300.0, KEPT)
"""The lengths of time, in seconds, that can be shown."""

_NARROWEST = 36
"""The fewest cells of a plot that stands beside another."""
_GAP = 2
_LOWEST, _GOOD, _HIGHEST = 3, 6, 12
"""The fewest rows of a plot, those that it should have, and the most."""
_LABEL = 9
_ROOMY = 20
"""The fewest rows in which the fleet shows the chosen row like its page."""
_MOST_HOSTS = 4
"""The most hosts of a workload whose figures are shown."""


@dataclass(frozen=True, slots=True)
class View:
    """What is drawn from, when, and the room for it. `now` is Unix seconds, `window` the seconds before it."""

    world: World
    now: float
    window: float
    width: int
    height: int
    glyphs: Glyphs

    @property
    def start(self) -> float:
        """The time at the left end of plots."""
        return self.now - self.window


def fitting_window(samples: Samples, now: float) -> float:
    """The shortest length of time that shows all that was sampled."""
    oldest = samples.oldest()
    for window in WINDOWS:
        if oldest is None or now - oldest <= window:
            return window
    return WINDOWS[-1]


def window_words(window: float) -> str:
    """A length of time in words: `5 min`."""
    return f"{window / 60:.0f} min"


# Figures as plots.


def _now(series: Series, digits: int, unit: str, factor: float = 1.0) -> str:
    last = series.last
    if last is None or last.value is None:
        return "unknown"
    return f"{last.value * factor:,.{digits}f} {unit}"


def host_plots(samples: Samples, name: str, facts: HostFacts | None, prefix: str = "") -> list[Plot]:
    """The figures of a host; those that were never known are left out, except of its memory and its GPU's load."""

    def series(figure: Figure) -> Series:
        return samples.of_host(name, figure)

    total = facts.memory_total / GIB if facts is not None and facts.memory_total else None
    used = series(Figure.MEMORY)
    words = _now(used, 1, "GiB", 1 / GIB)
    if total is not None and used.last is not None and used.last.value is not None:
        words = f"{used.last.value / GIB:.1f} of {total:.1f} GiB"
    plots = [
        Plot(f"{prefix}memory", used, words, "GiB", "others", 1 / GIB, top=total),
        Plot(f"{prefix}GPU load", series(Figure.GPU), _now(series(Figure.GPU), 0, "%"), "%", "accent", top=100.0),
    ]
    gpu_total = gpu_memory_total(facts.gpus) if facts is not None else None
    top = None if gpu_total is None else gpu_total / GIB
    memory, clock = series(Figure.GPU_MEMORY), series(Figure.CLOCK)
    power, heat = series(Figure.POWER), series(Figure.TEMPERATURE)
    more = [
        Plot("GPU memory", memory, _now(memory, 1, "GiB", 1 / GIB), "GiB", "weights", 1 / GIB, top=top),
        Plot("GPU clock", clock, _now(clock, 0, "MHz"), "MHz", "kv"),
        Plot("GPU power", power, _now(power, 0, "W"), "W", "tight"),
        Plot("temperature", heat, _now(heat, 0, "°C"), "°C", "bad", bottom=20.0, top=100.0),
    ]
    return plots + [plot for plot in more if plot.series.first_known]


def server_plots(samples: Samples, launch_id: str) -> list[Plot]:
    """The figures of the server of a launch; none when it has never given any."""
    generated = samples.of_server(launch_id, Figure.GENERATED)
    prompted = samples.of_server(launch_id, Figure.PROMPTED)
    running = samples.of_server(launch_id, Figure.RUNNING)
    cache = samples.of_server(launch_id, Figure.KV)
    if not any(series.first_known for series in (generated, prompted, running, cache)):
        return []
    requests = _now(running, 0, "running")
    waiting = samples.of_server(launch_id, Figure.WAITING)
    if waiting.last is not None and waiting.last.value is not None:
        requests += f", {waiting.last.value:.0f} waiting"
    plots = [
        Plot("generation", generated, _now(generated, 0, "tok/s"), "tok/s", "accent"),
        Plot("prompts", prompted, _now(prompted, 0, "tok/s"), "tok/s", "weights"),
        Plot("requests", running, requests, "", "good"),
    ]
    if cache.first_known or running.first_known:
        plots.append(Plot("KV cache", cache, _now(cache, 0, "%"), "%", "kv"))
    return plots


@dataclass(frozen=True, slots=True)
class _Layout:
    """How many plots stand side by side, and the rows of each."""

    columns: int
    height: int


def _layout(width: int, room: int, counts: Sequence[int]) -> _Layout:
    """The layout for groups of so many plots in `room` rows: wide plots, as long as they can be high enough, too."""
    most = max((width + _GAP) // (_NARROWEST + _GAP), 1)
    best = _Layout(1, 0)
    for columns in range(min(2, most), most + 1):
        height = room // max(_bands(counts, columns), 1) - 1
        if height > best.height and best.height < _GOOD:
            best = _Layout(columns, height)
    if not best.height:
        best = _Layout(min(2, most), 0)
    return _Layout(best.columns, min(max(best.height, _LOWEST), _HIGHEST))


def _bands(counts: Sequence[int], columns: int) -> int:
    """How many rows of plots there are."""
    return sum(-(-count // columns) for count in counts)


def _grid(view: View, plots: Sequence[Plot], layout: _Layout) -> list[Line]:
    """Plots side by side, and the axis of time below them."""
    columns = min(layout.columns, len(plots))
    if not columns:
        return []
    width = (view.width - _GAP * (columns - 1)) // columns
    drawn = [plot_lines(plot, view.start, view.now, width, layout.height, view.glyphs) for plot in plots]
    lines: list[Line] = []
    for first in range(0, len(drawn), columns):
        for parts in zip(*drawn[first : first + columns], strict=True):
            lines.append(_beside(parts, width))
    in_last = (len(plots) - 1) % columns + 1
    axis = time_axis(window_words(view.window), width, view.glyphs)
    lines.append(_beside([axis] * in_last, width))
    return lines


def _beside(parts: Sequence[Line], width: int) -> Line:
    spans: list[Span] = []
    for number, part in enumerate(parts):
        if number:
            spans.append((" " * _GAP, ""))
        spans += part
        spans.append((" " * (width - width_of(part)), ""))
    return spans


# A host.


def host_lines(view: View, name: str) -> list[Line]:
    """The page of a host."""
    host = view.world.hosts.get(name)
    if host is None:
        return [[(f"{clean_line(name)} is not in this cluster", "dim")]]
    head = host_facts_lines(view, host)
    plots = host_plots(view.world.samples, name, host.facts)
    layout = _layout(view.width, view.height - len(head) - 2, [len(plots)])
    return [*head, [], *_grid(view, plots, layout)]


def host_facts_lines(view: View, host: HostNow) -> list[Line]:
    """What a host is, who holds its memory, its disks, and what runs there."""
    width = view.width
    if host.facts is None:
        return _unknown_host(host, width)
    facts = host.facts
    lines: list[Line] = [_machine(facts, width)]
    if host.state is Seen.LOST:
        lines.append([("? ", "tight"), ("the link to it broke; figures are from before", "dim")])
    lines += _memory_lines(view, host.name, facts)
    lines += _labelled("disks", _disks(facts), width)
    runs: list[Line] = [_run_words(item, host.name) for item in _on(view.world, host.name)]
    if not runs:
        known = view.world.asked(host.name)
        runs = [[("nothing", "dim") if known else ("unknown", "dim")]]
    return lines + _labelled("runs", join(runs, "   "), width)


def _unknown_host(host: HostNow, width: int) -> list[Line]:
    words = {Seen.UNKNOWN: "was not asked yet", Seen.ASKING: "is being asked …"}.get(host.state, "does not answer")
    spans: list[Span] = [("? ", "tight"), (words, "bold")]
    if host.problem:
        spans.append((f": {clean_line(host.problem)}", ""))
    lines: list[Line] = list(wrap_line(spans, width, indent=2))
    if host.remedy:
        lines += wrap_line([(f"  {clean_line(host.remedy)}", "dim")], width, indent=2)
    return lines


def _machine(facts: HostFacts, width: int) -> Line:
    parts: list[str] = []
    names = [clean_line(gpu.name) for gpu in facts.gpus]
    if names:
        parts.append(names[0] if len(names) == 1 else f"{len(names)} × {names[0]}")
    else:
        parts.append("no GPU")
    for word, version in (("driver", facts.driver), ("CUDA", facts.cuda), ("Docker", facts.docker_version)):
        if version:
            parts.append(f"{word} {clean_line(version)}")
    parts += [clean_line(text) for text in (facts.arch, facts.default_address) if text]
    return clip([(parts[0], "bold"), ("".join(f" · {part}" for part in parts[1:]), "")], width)


def _memory_lines(view: View, name: str, facts: HostFacts) -> list[Line]:
    """Memory in use, who holds it, and what is left."""
    used = facts.memory_total - facts.memory_available
    bar = 20 if view.width >= 70 else 6
    full = cells_of(used / facts.memory_total if facts.memory_total else 0.0, bar)
    words = f" {used / GIB:.1f} of {format_gib(facts.memory_total)} in use, "
    shared = ", shared with the GPU" if facts.unified_memory and view.width >= 90 else ""
    spans: list[Span] = [
        ("█" * full, "others"),
        ("░" * (bar - full), "free"),
        (words, ""),
        (f"{format_gib(facts.memory_available)} left", free_style(facts)),
        (shared, "dim"),
    ]
    lines = _labelled("memory", spans, view.width)
    held: list[Line] = []
    for holding in view.world.holdings([name]):
        size = holding.held.get(name)
        verb = "will take" if holding.coming else "holds"
        amount = "an unknown part" if size is None else f"about {format_gib(size)}"
        held.append([("▞ ", "others"), (clean_line(holding.name), "bold"), (f" {verb} {amount}", "")])
    if held:
        lines += _labelled("", join(held, "   "), view.width)
    return lines


def _disks(facts: HostFacts) -> Line:
    """What is left on the disks; folders that state the same figures lie on one."""
    folders: dict[str, list[str]] = {}
    for disk in facts.disks:
        folders.setdefault(disk_words(disk), []).append(clean_line(disk.path))
    if not folders:
        return [("unknown", "dim")]
    return join([[(f"{words} ", ""), (", ".join(paths), "dim")] for words, paths in folders.items()], "   ")


def _labelled(label: str, spans: Line, width: int) -> list[Line]:
    return list(wrap_line([(fit(label, _LABEL), "dim"), *spans], width, indent=_LABEL))


def _on(world: World, host: str) -> list[Workload]:
    return [item for item in world.workloads if any(rank.host == host for rank in item.ranks)]


def _run_words(item: Workload, host: str) -> Line:
    sign, style = HEALTH[item.health]
    spans: list[Span] = [(f"{sign} ", style), (clean_line(item.recipe or item.model or "?"), "bold")]
    if item.port and item.head_host == host:
        spans.append((f" :{item.port}", "accent"))
    if item.expected_ranks > 1:
        ranks = ", ".join(str(rank.rank) for rank in item.ranks if rank.host == host)
        spans.append((f" rank {ranks}", "dim"))
    return spans


# A workload.


def workload_lines(view: View, item: Workload, insight: Insight | None) -> list[Line]:
    """The page of a workload; without `insight` nothing is said of its log."""
    head = workload_facts_lines(view, item, insight)
    samples = view.world.samples
    served = server_plots(samples, item.launch_id) if item.launch_id else []
    on_hosts = _plots_of_hosts(view, item)
    warnings = _warning_lines(insight, view.width) if insight is not None else []
    axes = 2 if served else 1
    room = view.height - len(head) - len(warnings) - axes - 1
    layout = _layout(view.width, room, [len(served), len(on_hosts)])
    lines: list[Line] = [*head, []]
    lines += _grid(view, served, layout) if served else _no_figures(item, view.width)
    return [*lines, *warnings, *_grid(view, on_hosts, layout)]


def _plots_of_hosts(view: View, item: Workload) -> list[Plot]:
    """The memory and the load of a workload's hosts."""
    plots: list[Plot] = []
    names = dict.fromkeys(rank.host for rank in item.ranks)
    for name in list(names)[:_MOST_HOSTS]:
        host = view.world.hosts.get(name)
        prefix = f"{clean_line(name)} "
        plots += host_plots(view.world.samples, name, host.facts if host else None, prefix)[:2]
    return plots


def workload_facts_lines(view: View, item: Workload, insight: Insight | None, short: bool = False) -> list[Line]:
    """What a workload is, where it serves and since when; `short` leaves out its hosts and its memory."""
    width = view.width
    sign, style = HEALTH[item.health]
    first: list[Span] = [(f"{sign} {item.health.value}", f"bold {style}")]
    started = [rank.started for rank in item.ranks if rank.started and rank.state == "running"]
    if started:
        first.append((f" for {format_duration(max(view.now - min(started), 0.0))}", ""))
    if item.detail:
        first.append((f": {clean_line(item.detail)}", style))
    family = family_of(item.engine)
    engine = family.title if family is not None else clean_line(item.engine)
    facts = [engine or "another tool's"]
    if item.launch_id:
        facts.append(f"launch {item.launch_id}")
    first.append((f"   {' · '.join(facts)}", "dim"))
    lines: list[Line] = list(wrap_line(first, width, indent=2))
    model: list[Span] = [(clean_line(item.model) or "unknown", "")]
    if item.served_name and item.served_name != item.model:
        model += [(" as ", "dim"), (clean_line(item.served_name), "")]
    lines += _labelled("model", model, width)
    url = endpoint(item)
    where: list[Span] = [(url, "accent") if url else ("unknown", "dim")]
    if insight is not None and insight.context is not None:
        where.append((f"   context {insight.context:,} tokens", ""))
    lines += _labelled("endpoint", where, width)
    if short:
        return lines
    return lines + _labelled("hosts", join(_ranks(view.world, item), "   "), width)


def _ranks(world: World, item: Workload) -> list[Line]:
    """Each rank with its host and what it holds of its memory."""
    held: Mapping[str, int] = {}
    coming = False
    for holding in world.holdings():
        if holding.workload is item:
            held, coming = holding.held, holding.coming
    ranks: list[Line] = []
    for rank in item.ranks:
        words = f" rank {rank.rank}" if item.expected_ranks > 1 else ""
        spans: list[Span] = [(clean_line(rank.host), "bold"), (words, "dim")]
        spans.append((f" {clean_line(rank.state)}", "" if rank.state == "running" else "bad"))
        size = held.get(rank.host)
        if size is not None:
            verb = "will take" if coming else "holds"
            spans.append((f", {verb} about {format_gib(size)}", ""))
        ranks.append(spans)
    return ranks


def endpoint(item: Workload) -> str:
    """The URL at which a workload answers; empty when its port is not known."""
    if item.port is None:
        return ""
    return f"http://{clean_line(item.head_host.rpartition('@')[2])}:{item.port}/v1"


def _no_figures(item: Workload, width: int) -> list[Line]:
    """Why there is nothing to draw of a server."""
    family = family_of(item.engine)
    if item.health is not Health.SERVING:
        words = "its server does not serve, so it gives no figures"
    elif not item.ours:
        words = "servers of other tools are not asked for figures"
    elif family is not None and family.metrics_flag:
        words = f"its server gives no figures: {family.title} has them when it is started with {family.metrics_flag}"
    else:
        words = "its server has not given any figures yet"
    return list(wrap_line([("? ", "tight"), (words, "")], width, indent=2))


def _warning_lines(insight: Insight, width: int) -> list[Line]:
    """The newest warnings of its log, each on one line."""
    if insight.warnings is None:
        return [[("warnings ", "dim"), (insight.problem or "reading the log …", "dim")]]
    if not insight.warnings:
        return [[("warnings ", "dim"), ("none in its last lines", "dim")]]
    lines: list[Line] = []
    for number, warning in enumerate(insight.warnings):
        label = "warnings" if not number else ""
        style = "bad" if warning.grave else "tight"
        sign = "✗ " if warning.grave else "! "
        spans: list[Span] = [(fit(label, _LABEL), "dim"), (sign, style), (f"{warning.clock} ", "dim")]
        lines.append(clip([*spans, (clean_line(warning.words), "")], width))
    return lines


# The chosen row of the fleet.


def chosen_host_lines(view: View, name: str) -> list[Line]:
    """A host as its page has it, or with each figure on one line where there is no room for that."""
    host = view.world.hosts.get(name)
    if host is None or view.height >= _ROOMY:
        return host_lines(view, name)
    plots = host_plots(view.world.samples, name, host.facts)
    return [*host_facts_lines(view, host), *_bar_rows(view, plots)]


def chosen_workload_lines(view: View, item: Workload) -> list[Line]:
    """A workload as its page has it without the log, or with each figure of it and its hosts on one line."""
    if view.height >= _ROOMY:
        return workload_lines(view, item, None)
    samples = view.world.samples
    lines = workload_facts_lines(view, item, None, short=True)
    plots = server_plots(samples, item.launch_id) if item.launch_id else []
    if not plots:
        lines += _no_figures(item, view.width)
    return [*lines, *_bar_rows(view, [*plots, *_plots_of_hosts(view, item)])]


def _bar_rows(view: View, plots: Sequence[Plot]) -> list[Line]:
    """Each figure on one line."""
    name = min(max((cell_len(plot.title) for plot in plots), default=0) + 1, 24)
    return [row_of(plot, view.start, view.now, view.width, name, view.glyphs) for plot in plots]
