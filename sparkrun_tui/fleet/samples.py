"""The figures of hosts and servers over the last minutes: a bounded series of points for each.

Each point has the time at which its own host or server answered. Nothing is asked here; `fleet.world` adds what
surveys, launches and readings of metrics say.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from itertools import pairwise

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.fleet.load import OLD, Load
from sparkrun_tui.remote.probe.facts import Gpu, HostFacts

KEPT = 900.0
"""Seconds for which points are kept."""

MOST = 720
"""The most points of one series."""

GAP = OLD
"""Seconds between two points from which on nothing is known of the time between them."""


class Figure(StrEnum):
    """What is sampled, with its unit."""

    MEMORY = "memory"
    """Bytes of the host's memory in use."""
    GPU_MEMORY = "GPU memory"
    """Bytes of all GPUs in use; unknown where GPU and programs share one memory."""
    GPU = "GPU load"
    """Percent, the mean of all GPUs."""
    CLOCK = "GPU clock"
    """MHz of the fastest GPU."""
    POWER = "GPU power"
    """Watts of all GPUs."""
    TEMPERATURE = "GPU temperature"
    """Degrees Celsius of the hottest GPU."""
    GENERATED = "generation"
    """Tokens per second."""
    PROMPTED = "prompt"
    """Tokens per second."""
    RUNNING = "running"
    """Requests."""
    WAITING = "waiting"
    """Requests."""
    KV = "KV cache"
    """Percent of the KV cache in use."""


@dataclass(frozen=True, slots=True)
class Point:
    """A figure at Unix time `time`; None where it was not known then."""

    time: float
    value: float | None


class Series:
    """The points of one figure, oldest first."""

    def __init__(self, points: Iterable[Point] = ()) -> None:
        self._points: deque[Point] = deque(points, MOST)

    def add(self, time: float, value: float | None) -> None:
        """Append a point. One that is not newer than the last is ignored."""
        if self._points:
            last = self._points[-1].time
            if time < last - GAP:
                # The clock of this machine was set back.
                self._points.clear()
            elif time <= last:
                return
        self._points.append(Point(time, value))
        while self._points[0].time < time - KEPT:
            self._points.popleft()

    def __len__(self) -> int:
        return len(self._points)

    @property
    def last(self) -> Point | None:
        """The newest point."""
        return self._points[-1] if self._points else None

    @property
    def known(self) -> list[Point]:
        """The points whose value is known."""
        return [point for point in self._points if point.value is not None]

    @property
    def first_known(self) -> Point | None:
        """The oldest point whose value is known; None where it was never known."""
        return next((point for point in self._points if point.value is not None), None)

    def runs(self) -> list[list[tuple[float, float]]]:
        """The (time, value) pairs in pieces without a gap: unknown values and long silences separate them."""
        pieces: list[list[tuple[float, float]]] = []
        before: float | None = None
        for point in self._points:
            if point.value is None:
                before = None
                continue
            if before is None or point.time - before > GAP:
                pieces.append([])
            pieces[-1].append((point.time, point.value))
            before = point.time
        return pieces

    def columns(self, start: float, end: float, count: int) -> list[float | None]:
        """The figure in `count` equal parts of the time from `start` to `end`; None where it is not known.

        A part with several points has their mean, one between two points of a piece the value on the line from one
        to the other.
        """
        sums = [0.0] * count
        counts = [0] * count
        found: list[float | None] = [None] * count
        step = (end - start) / count
        for piece in self.runs():
            for time, value in piece:
                if start <= time <= end:
                    place = min(int((time - start) / step), count - 1)
                    sums[place] += value
                    counts[place] += 1
            for (before, first), (after, second) in pairwise(piece):
                # The parts whose middle lies between the two points.
                earliest = max(math.ceil((before - start) / step - 0.5), 0)
                latest = min(math.floor((after - start) / step - 0.5), count - 1)
                for place in range(earliest, latest + 1):
                    middle = start + (place + 0.5) * step
                    found[place] = first + (second - first) * (middle - before) / (after - before)
        for place in range(count):
            if counts[place]:
                found[place] = sums[place] / counts[place]
        return found


EMPTY = Series()
"""The series of what was never sampled."""


class Samples:
    """All series of one cluster, by host and by launch id."""

    def __init__(self) -> None:
        self._hosts: dict[str, dict[Figure, Series]] = {}
        self._servers: dict[str, dict[Figure, Series]] = {}

    def of_host(self, name: str, figure: Figure) -> Series:
        """A figure of a host; empty when it was never sampled."""
        return self._hosts.get(name, {}).get(figure, EMPTY)

    def of_server(self, launch_id: str, figure: Figure) -> Series:
        """A figure of the server of a launch; empty when it was never sampled."""
        return self._servers.get(launch_id, {}).get(figure, EMPTY)

    def oldest(self) -> float | None:
        """The time of the oldest point of any host; None before the first."""
        times = []
        for series in self._hosts.values():
            for one in series.values():
                first = one.first_known
                if first is not None:
                    times.append(first.time)
        return min(times, default=None)

    def host_seen(self, facts: HostFacts, name: str) -> None:
        """A host has answered."""
        _add(self._hosts.setdefault(name, {}), facts.taken, host_figures(facts))

    def memory_seen(self, name: str, used: int, when: float) -> None:
        """A launch has measured how many bytes of a host's memory are in use."""
        _add(self._hosts.setdefault(name, {}), when, {Figure.MEMORY: float(used)})

    def host_silent(self, name: str, when: float) -> None:
        """A host was asked and did not answer."""
        _silence(self._hosts.get(name, {}), when)

    def server_seen(self, launch_id: str, load: Load, when: float) -> None:
        """A server has said how busy it is."""
        _add(self._servers.setdefault(launch_id, {}), when, server_figures(load))

    def servers_silent(self, launch_ids: Iterable[str], when: float) -> None:
        """Servers were asked and did not answer, or are not asked because they do not serve."""
        for launch_id in launch_ids:
            _silence(self._servers.get(launch_id, {}), when)

    def keep_servers(self, launch_ids: Iterable[str]) -> None:
        """Forget the servers of all other launches."""
        wanted = set(launch_ids)
        self._servers = {name: series for name, series in self._servers.items() if name in wanted}


def _add(series: dict[Figure, Series], time: float, values: Mapping[Figure, float | None]) -> None:
    for figure, value in values.items():
        series.setdefault(figure, Series()).add(time, value)


def _silence(series: Mapping[Figure, Series], time: float) -> None:
    for one in series.values():
        one.add(time, None)


def server_figures(load: Load) -> dict[Figure, float | None]:
    """The load of a server as figures."""
    return {
        Figure.GENERATED: load.tokens_per_second,
        Figure.PROMPTED: load.prompt_tokens_per_second,
        Figure.RUNNING: load.running,
        Figure.WAITING: load.waiting,
        Figure.KV: None if load.kv_usage is None else load.kv_usage * 100,
    }


def host_figures(facts: HostFacts) -> dict[Figure, float | None]:
    """What a host says of its memory and its GPUs, as figures; those of several GPUs are taken together."""
    used = float(facts.memory_total - facts.memory_available) if facts.memory_total else None
    found: dict[Figure, float | None] = {Figure.MEMORY: used}
    gpus = facts.gpus
    loads = _known(gpu.utilisation for gpu in gpus)
    found[Figure.GPU] = sum(loads) / len(loads) if loads else None
    found[Figure.CLOCK] = max(_known(gpu.clock_mhz for gpu in gpus), default=None)
    found[Figure.POWER] = _total([gpu.power_watts for gpu in gpus])
    found[Figure.TEMPERATURE] = max(_known(gpu.temperature for gpu in gpus), default=None)
    found[Figure.GPU_MEMORY] = _total([None if gpu.memory_used is None else float(gpu.memory_used) for gpu in gpus])
    return found


def gpu_memory_total(gpus: Sequence[Gpu]) -> float | None:
    """Bytes of memory of all GPUs; None where one of them does not say."""
    return _total([None if gpu.memory_total is None else float(gpu.memory_total) for gpu in gpus])


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _total(values: Sequence[float | None]) -> float | None:
    """The sum; None when one of the values is unknown, or there is none."""
    known = _known(values)
    if not known or len(known) < len(values):
        return None
    return sum(known)
