"""What a start does while it prints nothing: loading, compiling, waiting for a rank, or hung.

The hosts are asked for their counters once a start has been silent for a while. The verdict names the rank that is
behind, and where nothing moves, that the launch can be stopped. It never stops one by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from enum import StrEnum

from sparkrun_tui.base import shell
from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.text import in_quotes
from sparkrun_tui.base.units import MIB, format_duration, format_rate
from sparkrun_tui.engines.logs.waits import Wait, wait_in
from sparkrun_tui.engines.plan import Phase
from sparkrun_tui.launch.record.events import STOP, StepState
from sparkrun_tui.launch.run.parts.given import Given
from sparkrun_tui.launch.run.parts.host_work import drop
from sparkrun_tui.launch.run.parts.reporter import Reporter
from sparkrun_tui.launch.run.parts.running import Running
from sparkrun_tui.remote.probe.activity import Activity, activity_of

QUIET = 90.0
"""Seconds without news after which the hosts are asked: engines are silent for a minute while all is well."""

EVERY = 30.0
"""Seconds between two verdicts on the same silence."""

HUNG = 120.0
"""Seconds during which nothing may move before a start counts as hung."""

_POLL = 5.0
_AGAIN = 600.0
"""Seconds after which the same verdict is said again."""
_MOST_WORDS = 120
_MOST_LINES = 100
"""Lines of a host that are read at a time: who waits prints one in several seconds."""

_BUSY_CORES, _IDLE_CORES = 0.3, 0.05
_LOAD_RATE, _IDLE_RATE = 4.0 * MIB, 0.25 * MIB
_NETWORK_RATE = 16.0 * MIB
_BUSY_GPU, _IDLE_GPU = 5.0, 1.0
_ORDER = {phase: number for number, phase in enumerate(Phase)}


class Doing(StrEnum):
    """What a rank does."""

    LOADING = "loading"
    COMPILING = "compiling"
    WORKING = "working"
    WAITING = "waiting"
    IDLE = "idle"
    UNKNOWN = "unknown"


class Verdict(StrEnum):
    """What a silent start does."""

    LOADING = "loading"
    COMPILING = "compiling"
    WORKING = "working"
    WAITING = "waiting for another rank"
    HUNG = "hung"
    QUIET = "quiet"
    """Nothing moves, but not for long enough to say more; or the hosts do not say what they do."""


@dataclass(frozen=True, slots=True)
class RankSeen:
    """One rank of a silent start. `began` is whether its log has any line, `wait` what its last lines wait for."""

    rank: int
    host: str
    phase: Phase | None
    began: bool = True
    wait: Wait | None = None
    activity: Activity | None = None
    last: str = ""
    """The last line of its log."""

    @property
    def place(self) -> str:
        """The rank in words."""
        return f"rank {self.rank} on {self.host}"


@dataclass(frozen=True, slots=True)
class Judged:
    """The verdict on a silence; `behind` is the rank that the others wait for, None where there is none."""

    verdict: Verdict
    text: str
    behind: int | None = None
    stop: bool = False
    """Whether stopping the launch is offered."""


def doing(seen: RankSeen) -> Doing:
    """What one rank does, by its counters and its phase."""
    activity = seen.activity
    if activity is None or activity == Activity():
        return Doing.WAITING if seen.wait is not None else Doing.UNKNOWN
    cores, disk, network, gpu = (
        value or 0.0 for value in (activity.cores, activity.disk, activity.network, activity.gpu)
    )
    works = cores >= _BUSY_CORES or gpu >= _BUSY_GPU
    if activity.compilers:
        return Doing.COMPILING
    early = seen.phase in (None, Phase.START, Phase.LOAD)
    if early and (disk >= _LOAD_RATE or (seen.phase is Phase.LOAD and (network >= _NETWORK_RATE or works))):
        return Doing.LOADING
    if seen.phase in (Phase.COMPILE, Phase.GRAPHS) and works:
        return Doing.COMPILING
    if seen.wait is not None:
        return Doing.WAITING
    if cores < _IDLE_CORES and disk < _IDLE_RATE and network < _IDLE_RATE and gpu <= _IDLE_GPU:
        return Doing.IDLE
    return Doing.WORKING


def judge(ranks: Sequence[RankSeen], idle_for: float = 0.0) -> Judged:
    """The verdict on a start whose ranks have printed nothing new. Pure.

    `idle_for` is seconds during which no rank did anything.
    """
    done = [(seen, doing(seen)) for seen in ranks]
    busy = [(seen, what) for seen, what in done if what in (Doing.LOADING, Doing.COMPILING, Doing.WORKING)]
    still = [seen for seen, what in done if what in (Doing.WAITING, Doing.IDLE)]
    hopeless = next((seen for seen, _ in done if seen.wait is not None and seen.wait.hopeless), None)
    if hopeless is not None and hopeless.wait is not None:
        text = f"{hopeless.place}: {hopeless.wait.words}, which does not pass by itself"
        return Judged(Verdict.WAITING, text, hopeless.rank, stop=True)
    if busy and still:
        seen, what = min(busy, key=_behind)
        waiting = still[0]
        return Judged(
            Verdict.WAITING, f"{waiting.place} waits for {seen.place}, which is {_words(seen, what)}", seen.rank
        )
    if busy:
        seen, what = min(busy, key=_behind)
        verdict = Verdict(what.value)
        if len(ranks) == 1:
            return Judged(verdict, f"{_words(seen, what)} on {seen.host}")
        return Judged(verdict, f"{seen.place} is behind: {_words(seen, what)}", seen.rank)
    if not still:
        return Judged(Verdict.QUIET, "what the hosts do is not known")
    return _nothing_moves(ranks, idle_for)


def _nothing_moves(ranks: Sequence[RankSeen], idle_for: float) -> Judged:
    slowest = min(ranks, key=lambda seen: (seen.began, _ORDER.get(seen.phase or Phase.START, 0)))
    said = slowest.wait.words if slowest.wait is not None else ""
    if not said and slowest.last:
        said = f"its last line: {in_quotes(slowest.last, _MOST_WORDS)}"
    several = len(ranks) > 1
    ahead = [
        seen for seen in ranks if _ORDER.get(seen.phase or Phase.START, 0) > _ORDER.get(slowest.phase or Phase.START, 0)
    ]
    behind = slowest.rank if several and (ahead or not slowest.began) else None
    where = f"{slowest.place} is behind" if behind is not None else slowest.place if several else slowest.host
    if idle_for >= HUNG:
        hosts = " and ".join(dict.fromkeys(seen.host for seen in ranks))
        text = f"hung: CPU, GPU, network and disk of {hosts} have done nothing for {format_duration(idle_for)}"
        if behind is not None:
            text += f"; {where}"
        if said:
            text += f"; {said}"
        return Judged(Verdict.HUNG, text, behind, stop=True)
    text = f"nothing moves on {where}" if behind is None else f"nothing moves; {where}"
    if said:
        text += f"; {said}"
    return Judged(Verdict.WAITING if behind is not None else Verdict.QUIET, text, behind)


def _behind(item: tuple[RankSeen, Doing]) -> tuple[int, int]:
    """The order in which ranks are behind: by the phase, then by the rank."""
    seen, _ = item
    return _ORDER.get(seen.phase or Phase.START, 0), seen.rank


def _words(seen: RankSeen, what: Doing) -> str:
    """What a rank does, with the figure that shows it."""
    activity = seen.activity or Activity()
    if what is Doing.COMPILING and activity.compilers:
        return f"compiling ({', '.join(activity.compilers[:3])})"
    figures = []
    if what is Doing.LOADING and activity.disk and activity.disk >= _IDLE_RATE:
        figures.append(f"{format_rate(activity.disk)} from its disk")
    if what is Doing.LOADING and activity.network and activity.network >= _NETWORK_RATE:
        figures.append(f"{format_rate(activity.network)} over its network")
    if activity.cores is not None and (not figures or activity.cores >= _BUSY_CORES):
        figures.append(f"{activity.cores:.1f} cores busy")
    if activity.gpu is not None and activity.gpu >= _BUSY_GPU:
        figures.append(f"GPU {activity.gpu:.0f} %")
    return f"{what} ({', '.join(figures)})" if figures else str(what)


@asynccontextmanager
async def watching_silence(given: Given, running: Running, report: Reporter) -> AsyncIterator[None]:
    """While inside, say what the start does whenever it is silent for long."""
    task = asyncio.create_task(_Watch(given, running, report).run(), name=f"silence {given.plan.launch_id}")
    try:
        yield
    finally:
        await drop([task])


class _Watch:
    def __init__(self, given: Given, running: Running, report: Reporter) -> None:
        self._given = given
        self._running = running
        self._report = report
        self._clock = asyncio.get_running_loop().time
        self._read: dict[str, int] = {}
        """How many lines of each host have been read."""
        self._waits: dict[str, Wait | None] = {}
        self._news = self._clock()
        self._cells = self._state()
        self._said: tuple[Verdict, int | None] | None = None
        self._said_at = 0.0
        self._idle_since: float | None = None

    async def run(self) -> None:
        asked = 0.0
        while True:
            await asyncio.sleep(_POLL)
            now = self._clock()
            if self._has_news():
                self._news = now
                self._said = self._idle_since = None
                continue
            if now - self._news < QUIET or now - asked < EVERY or not self._running.containers:
                continue
            asked = now
            self._say(judge(await self._look(), self._idle()), now)

    def _has_news(self) -> bool:
        """Whether there are new lines that say something, or a phase has moved."""
        news = False
        for host, buffer in self._report.bus.logs.items():
            first = self._read.get(host, 0)
            # A flood is news whatever it says: only its end is read.
            news = news or buffer.end - first > _MOST_LINES
            for line in buffer.since(max(first, buffer.end - _MOST_LINES)):
                wait = wait_in(line.text)
                self._waits[host] = wait
                news = news or wait is None
            self._read[host] = buffer.end
        cells = self._state()
        if cells != self._cells:
            self._cells = cells
            news = True
        return news

    def _state(self) -> tuple[object, ...]:
        """What moves on without a line: phases that begin and end, and transfers."""
        found: list[object] = []
        for row in self._report.bus.state.hosts.values():
            for phase, cell in row.cells.items():
                found.append((row.name, phase, cell.state, cell.done))
        return tuple(found)

    async def _look(self) -> list[RankSeen]:
        """What every rank does now; hosts that cannot be asked say nothing."""

        async def one(rank: int, host: str, container: str) -> RankSeen:
            activity = None
            try:
                activity = await activity_of(self._given.transport(host), container)
            except HostError:
                # The link has a state of its own, which is shown.
                activity = None
            buffer = self._report.bus.logs.get(host)
            last = ""
            if buffer is not None and len(buffer):
                last = buffer[buffer.end - 1].text
            return RankSeen(
                rank,
                host,
                self._phase(host),
                buffer is not None and buffer.end > 0,
                self._waits.get(host),
                activity,
                last,
            )

        known = self._running.containers
        asked = [(rank.rank, rank.host, known[rank.rank]) for rank in self._given.ranks if rank.rank in known]
        seen = list(await asyncio.gather(*(one(*rank) for rank in asked)))
        quiet = all(doing(rank) in (Doing.IDLE, Doing.WAITING) for rank in seen)
        if not quiet:
            self._idle_since = None
        elif self._idle_since is None:
            self._idle_since = self._clock()
        return seen

    def _idle(self) -> float:
        return 0.0 if self._idle_since is None else self._clock() - self._idle_since

    def _phase(self, host: str) -> Phase | None:
        """The phase that a host is in: the last one that has begun."""
        row = self._report.bus.state.hosts.get(host)
        begun = [phase for phase, cell in row.cells.items() if cell.state is not StepState.PENDING] if row else []
        return max(begun, key=lambda phase: _ORDER[phase], default=None)

    def _say(self, judged: Judged, now: float) -> None:
        quiet = format_duration(now - self._news)
        self._show(judged, quiet)
        key = (judged.verdict, judged.behind)
        if key == self._said and now - self._said_at < _AGAIN:
            return
        self._said, self._said_at = key, now
        text = f"no news for {quiet}: {judged.text}"
        if judged.stop:
            text += f". To stop it: {shell.words(['sparkrun-tui', 'stop', self._given.plan.launch_id])}"
        level = "warning" if judged.stop or judged.verdict is Verdict.QUIET else "note"
        self._report.notice(level, text, self._host_of(judged), offers=STOP if judged.stop else "")

    def _host_of(self, judged: Judged) -> str:
        for rank in self._given.ranks:
            if rank.rank == judged.behind:
                return rank.host
        return self._given.plan.serve.ready.host

    def _show(self, judged: Judged, quiet: str) -> None:
        """Say it in the cell of the phase that goes on, too."""
        for row in self._report.bus.state.hosts.values():
            going = [phase for phase, cell in row.cells.items() if cell.state is StepState.RUNNING]
            if going and row.name == self._host_of(judged):
                phase = max(going, key=lambda phase: _ORDER[phase])
                self._report.step(row.name, phase, StepState.RUNNING, f"{judged.verdict}, no news for {quiet}")
        self._cells = self._state()
