"""One picture of a cluster: what every survey, plan, launch, stop and metric says of its hosts, with its age.

Everything that the user sees of hosts is drawn from here, so that no two places say different things.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, replace
from enum import StrEnum

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.user.settings import Cluster
from sparkrun_tui.fleet.load import Load, Measured, measured
from sparkrun_tui.fleet.metrics import Metrics
from sparkrun_tui.fleet.model import FleetView, Health, HostStatus, Workload
from sparkrun_tui.fleet.samples import Samples
from sparkrun_tui.memory.hosts import IDLE
from sparkrun_tui.remote.probe.facts import HostFacts
from sparkrun_tui.remote.transport import LinkState, LinkStatus

NOTICEABLE = 512 << 20
"""Bytes by which the free memory of a host must change for verdicts to be worked out again."""

_RUNS = frozenset({Health.SERVING, Health.STARTING, Health.DEGRADED, Health.UNKNOWN})


class Seen(StrEnum):
    """What is known of a host."""

    UNKNOWN = "unknown"
    """It has not been asked."""
    ASKING = "asking"
    UP = "up"
    DOWN = "down"
    LOST = "lost"
    """It answered, and then the link to it broke."""


@dataclass(frozen=True, slots=True)
class HostNow:
    """A host as it was last seen. `facts` are kept while it is asked again, and dropped when it does not answer."""

    name: str
    state: Seen = Seen.UNKNOWN
    facts: HostFacts | None = None
    problem: str = ""
    """Why it is down, in words."""
    remedy: str = ""
    needs_user: bool = False
    """Whether it can only be reached once the user has done something."""
    status: HostStatus | None = None
    """Its row of the last survey; None before the first."""

    @property
    def is_silent(self) -> bool:
        """Whether it did not answer when it was last asked."""
        return self.facts is None and self.state in (Seen.DOWN, Seen.LOST)

    @property
    def taken(self) -> float | None:
        """When it was asked, in Unix seconds; None when nothing is known of it."""
        return self.facts.taken if self.facts is not None else None


@dataclass(frozen=True, slots=True)
class Holding:
    """A workload and the memory that it holds or is about to take; `held` is bytes by host, without unknown figures."""

    name: str
    launch_id: str
    """Empty for what another tool launched."""
    hosts: tuple[str, ...]
    held: Mapping[str, int]
    workload: Workload | None
    """What runs; None for a launch that has no containers yet."""
    coming: bool = False
    """Whether it is starting, so that the figure is what it will take."""

    @property
    def most(self) -> int | None:
        """The most bytes that it holds on one host; None when unknown."""
        return max(self.held.values(), default=None)


@dataclass(frozen=True, slots=True)
class _Promise:
    """A launch that is about to take memory: bytes a host, and what each host had available before."""

    recipe: str
    hosts: tuple[str, ...]
    needed: int | None
    before: Mapping[str, int]


class Whereabouts(StrEnum):
    """Whether a launch still runs."""

    RUNS = "runs"
    ENDED = "ended"
    """Its containers are there, and have ended."""
    GONE = "gone"
    UNKNOWN = "unknown"
    """A host of it has not been asked, or does not answer."""


@dataclass(slots=True)
class World:
    """The hosts of one cluster, and what runs there. Time comes from the answers; nothing is asked here.

    `revision` grows when something changed that verdicts depend on: readings of memory differ a little each time.
    """

    cluster: Cluster | None = None
    revision: int = 0
    surveys: int = 0
    """How many surveys were taken."""
    taken: float | None = None
    """When what runs there was last asked, in Unix seconds; None before the first survey."""
    workloads: tuple[Workload, ...] = ()
    loads: Mapping[str, Load] = field(default_factory=dict)
    """The load of servers by launch id."""
    samples: Samples = field(default_factory=Samples)
    """The figures of hosts and servers over the last minutes."""
    _hosts: dict[str, HostNow] = field(default_factory=dict)
    _judged: dict[str, int | None] = field(default_factory=dict)
    """The available memory by which verdicts were worked out."""
    _promises: dict[str, _Promise] = field(default_factory=dict)
    _measured: Mapping[str, Measured] = field(default_factory=dict)

    @classmethod
    def of(cls, cluster: Cluster | None) -> World:
        """The picture of a cluster of which nothing is known yet."""
        names = cluster.hosts if cluster is not None else ()
        return cls(cluster, _hosts={name: HostNow(name) for name in names})

    # What is known.

    @property
    def hosts(self) -> Mapping[str, HostNow]:
        """The hosts in the order of the cluster."""
        return self._hosts

    def oldest(self, names: Iterable[str] | None = None) -> float | None:
        """When that of these hosts was asked whose answer is oldest; None when none has answered."""
        found: list[float] = []
        for name in self._hosts if names is None else names:
            host = self._hosts.get(name)
            if host is not None and host.taken is not None:
                found.append(host.taken)
        return min(found, default=None)

    @property
    def view(self) -> FleetView | None:
        """What the last survey found; None before the first."""
        if self.taken is None or self.cluster is None:
            return None
        rows = tuple(map(_row, self._hosts.values()))
        return FleetView(self.cluster.name, self.taken, rows, self.workloads)

    @property
    def facts(self) -> Mapping[str, HostFacts]:
        """The facts of hosts that answer, with the memory that verdicts count on: what is promised is taken."""
        found: dict[str, HostFacts] = {}
        for name, host in self._hosts.items():
            if host.facts is None or host.state is Seen.DOWN:
                continue
            available = self._judged.get(name)
            found[name] = host.facts if available is None else replace(host.facts, memory_available=available)
        return found

    @property
    def running(self) -> tuple[Workload, ...]:
        """The workloads that run or start, newest first."""
        return tuple(item for item in self.workloads if item.health in _RUNS)

    def holdings(self, hosts: Iterable[str] | None = None) -> tuple[Holding, ...]:
        """Who holds memory on these hosts (None: on all), the largest first.

        What a workload holds is what its host has less than an idle one, when nothing else runs there; else what the
        driver says that its programs hold.
        """
        wanted = set(self._hosts if hosts is None else hosts)
        found: list[Holding] = []
        known = {item.launch_id for item in self.running if item.launch_id}
        for item in self.running:
            places = tuple(dict.fromkeys(rank.host for rank in item.ranks if rank.state == "running"))
            if wanted.intersection(places):
                promise = self._promises.get(item.launch_id)
                held = self._held(item, places) if promise is None else self._taken_by(promise)
                found.append(Holding(_named(item), item.launch_id, places, held, item, promise is not None))
        for launch_id, promise in self._promises.items():
            if launch_id not in known and wanted.intersection(promise.hosts):
                held = self._taken_by(promise)
                found.append(Holding(promise.recipe, launch_id, promise.hosts, held, None, True))
        return tuple(sorted(found, key=lambda holding: holding.most or 0, reverse=True))

    def _held(self, workload: Workload, places: Sequence[str]) -> dict[str, int]:
        held: dict[str, int] = {}
        for name in places:
            host = self._hosts.get(name)
            if host is None or host.facts is None:
                continue
            here = [item for item in self.running if any(rank.host == name for rank in item.ranks)]
            if len(here) == 1:
                used = host.facts.memory_total - host.facts.memory_available - IDLE
            else:
                of_gpu = host.facts.gpu_held
                used = sum(of_gpu.get(rank.container_id, 0) for rank in workload.ranks if rank.host == name)
            if used > 0:
                held[name] = used
        return held

    @staticmethod
    def _taken_by(promise: _Promise) -> dict[str, int]:
        return {} if promise.needed is None else dict.fromkeys(promise.hosts, promise.needed)

    def whereabouts(self, launch_id: str, hosts: Sequence[str], started: float | None = None) -> Whereabouts:
        """Whether a launch runs on the hosts on which it was started, by the last survey.

        A survey from before it was `started`, in Unix seconds, says nothing of it.
        """
        for item in self.workloads:
            if item.launch_id == launch_id:
                return Whereabouts.ENDED if item.health is Health.EXITED else Whereabouts.RUNS
        if self.taken is None or not hosts or not all(self.asked(name) for name in hosts):
            return Whereabouts.UNKNOWN
        if started is not None and started > self.taken:
            return Whereabouts.UNKNOWN
        return Whereabouts.GONE

    def asked(self, name: str) -> bool:
        """Whether it is known what runs on a host."""
        host = self._hosts.get(name)
        if host is None or host.facts is None or host.state not in (Seen.UP, Seen.ASKING):
            return False
        return host.facts.docker_access == "ok" and host.status is not None

    # What has been learned.

    def asking(self) -> None:
        """All hosts are being asked for the first time, or once more because the user wants to know."""
        for name, host in self._hosts.items():
            self._hosts[name] = replace(host, state=Seen.ASKING)

    def up(self, facts: HostFacts, name: str = "") -> None:
        """A host has said how it is, when it was probed or inspected for a plan."""
        name = name or facts.name
        host = self._hosts.get(name)
        if host is None:
            return
        if host.facts is not None and host.facts.taken > facts.taken:
            facts = host.facts
        self.samples.host_seen(facts, name)
        self._hosts[name] = replace(host, state=Seen.UP, facts=facts, problem="", remedy="", needs_user=False)
        self._judge(name)

    def down(self, name: str, problem: str, remedy: str = "", needs_user: bool = False) -> None:
        """A host does not answer: nothing is known of it from now on."""
        host = self._hosts.get(name)
        if host is None:
            return
        self._hosts[name] = replace(
            host, state=Seen.DOWN, facts=None, problem=problem, remedy=remedy, needs_user=needs_user
        )
        self._judge(name)

    def linked(self, name: str, state: str) -> None:
        """The state of the link to a host, as a launch or a survey has found it.

        A host that is connected to again is as it was before; it is asked with the next survey.
        """
        host = self._hosts.get(name)
        if host is None:
            return
        if state == LinkState.UP and host.state is Seen.LOST:
            back = Seen.UP if host.facts is not None else Seen.ASKING
            self._hosts[name] = replace(host, state=back, problem="", remedy="")
        elif state == LinkState.RECONNECTING or (state == LinkState.UNREACHABLE and host.state is Seen.UP):
            self._hosts[name] = replace(host, state=Seen.LOST)

    def surveyed(self, view: FleetView) -> None:
        """Take a survey. Hosts that it leaves out stay as they were."""
        for status in view.hosts:
            host = self._hosts.get(status.name)
            if host is None:
                continue
            self._hosts[status.name] = replace(host, status=status)
            if status.facts is not None:
                self.up(status.facts, status.name)
            else:
                link = status.link
                self.samples.host_silent(status.name, view.taken)
                self.down(status.name, link.detail, link.remedy, link.state is LinkState.NEEDS_USER)
            self.linked(status.name, status.link.state)
        before = _ids(self.running)
        self.surveys += 1
        self.workloads, self.taken = view.workloads, view.taken
        self.samples.keep_servers(item.launch_id for item in view.workloads)
        if _ids(self.running) != before:
            self.revision += 1

    def memory_seen(self, name: str, available: int, when: float) -> None:
        """A launch has measured the available memory of a host, in bytes."""
        host = self._hosts.get(name)
        if host is None or host.facts is None or host.state is not Seen.UP or when <= host.facts.taken:
            return
        facts = replace(host.facts, memory_available=available, taken=when)
        self._hosts[name] = replace(host, facts=facts)
        self.samples.memory_seen(name, facts.memory_total - available, when)
        self._judge(name)

    def measured(self, readings: Mapping[str, Metrics]) -> None:
        """Servers have said how busy they are; those of the last survey that are not among them have not."""
        self._measured = measured(self._measured, readings)
        self.loads = {launch_id: found.load for launch_id, found in self._measured.items()}
        for launch_id, load in self.loads.items():
            self.samples.server_seen(launch_id, load, readings[launch_id].taken)
        if self.taken is not None:
            silent = [item.launch_id for item in self.workloads if item.launch_id not in readings]
            self.samples.servers_silent(silent, self.taken)

    def launched(self, launch_id: str, recipe: str, hosts: Sequence[str], needed: int | None) -> None:
        """A launch begins that will take `needed` bytes of each of these hosts (None: unknown)."""
        before: dict[str, int] = {}
        for name in hosts:
            # What an earlier launch is still about to take is no longer there.
            available = self._judged.get(name)
            if available is not None:
                before[name] = available
        self._promises[launch_id] = _Promise(recipe, tuple(hosts), needed, before)
        self._judge_all()

    def settled(self, launch_id: str) -> None:
        """A launch serves, or is over: what its hosts say of their memory counts again."""
        if self._promises.pop(launch_id, None) is not None:
            self._judge_all()

    def stopped(self, launch_id: str) -> None:
        """A workload was stopped. Its hosts have to be asked what they have now."""
        gone = [item for item in self.workloads if launch_id and item.launch_id == launch_id]
        self.workloads = tuple(item for item in self.workloads if item not in gone)
        self._promises.pop(launch_id, None)
        self.revision += 1
        self._judge_all()

    def _judge_all(self) -> None:
        for name in self._hosts:
            self._judge(name, at_once=True)

    def _judge(self, name: str, at_once: bool = False) -> None:
        """Let verdicts count on what a host has now, unless that is about what they count on already."""
        host = self._hosts[name]
        now: int | None = None
        if host.facts is not None:
            now = host.facts.memory_available
            for promise in self._promises.values():
                if promise.needed is not None and name in promise.before:
                    now = min(now, max(promise.before[name] - promise.needed, 0))
        known = name in self._judged
        before = self._judged.get(name)
        if known and before == now:
            return
        small = before is not None and now is not None and abs(before - now) < NOTICEABLE
        if small and not at_once:
            return
        self._judged[name] = now
        self.revision += 1


def _row(host: HostNow) -> HostStatus:
    """The host as a survey shows it, also when the last survey left it out."""
    if host.status is not None:
        return host.status
    state = LinkState.IDLE
    if host.state is Seen.DOWN:
        state = LinkState.NEEDS_USER if host.needs_user else LinkState.UNREACHABLE
    return HostStatus(host.name, LinkStatus(state, 0.0, host.problem, host.remedy))


def _named(workload: Workload) -> str:
    if workload.recipe or workload.model:
        return workload.recipe or workload.model
    return workload.ranks[0].container_name if workload.ranks else "?"


def _ids(workloads: Iterable[Workload]) -> list[tuple[str, str, Health]]:
    return [(item.launch_id, item.recipe, item.health) for item in workloads]
