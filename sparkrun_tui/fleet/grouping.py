"""Groups containers into workloads by their labels and judges each workload's health. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from sparkrun_tui.base.reading import identifiers
from sparkrun_tui.base.reading.identifiers import LaunchId
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.engines.layout.common import role_of
from sparkrun_tui.engines.layout.labels import (
    engine_is_exec,
    health_path_of,
    hosts_of,
    label_of,
    nodes_of,
    offers_of,
    port_of,
    rank_of,
)
from sparkrun_tui.engines.plan import LABEL
from sparkrun_tui.fleet.model import Health, Workload, WorkloadRank
from sparkrun_tui.remote.docker.types import ContainerInfo

FOREIGN_PREFIX = "sparkrun_"
"""The sparkrun CLI names its containers `sparkrun_<hash>_<role>`. They are shown, and never changed unasked."""

_OLD_ROLES = ("solo", "head", "worker", "node")
_NOT_RUNNING = {
    "created": "was never started: stop it, and launch again",
    "paused": "is paused: docker unpause",
    "restarting": "ends again and again, and Docker starts it again: see its log",
}
"""States in which no engine runs although the container has not ended, with what that means."""
_NOT_ENDED = frozenset({"running", *_NOT_RUNNING})


@dataclass(frozen=True, slots=True)
class FoundContainer:
    """A container on a host."""

    host: str
    info: ContainerInfo


def launch_of(info: ContainerInfo) -> LaunchId | None:
    """The launch id in a container's label; None without one, or when it does not have the form of a launch id."""
    return identifiers.launch_id(info.labels.get(f"{LABEL}launch"))


def is_ours(info: ContainerInfo) -> bool:
    """Whether this program launched a container, by its labels."""
    return launch_of(info) is not None


def is_foreign(info: ContainerInfo) -> bool:
    """Whether the sparkrun CLI launched a container, by its name."""
    return not is_ours(info) and info.name.startswith(FOREIGN_PREFIX)


def group(seen: Iterable[FoundContainer], silent: frozenset[str] = frozenset()) -> tuple[Workload, ...]:
    """Workloads, newest first. Ranks on hosts in `silent` are unknown, which is not the same as gone."""
    ours: dict[str, list[FoundContainer]] = {}
    foreign: dict[str, list[FoundContainer]] = {}
    for item in seen:
        launch = launch_of(item.info)
        if launch is not None:
            ours.setdefault(launch, []).append(item)
        elif is_foreign(item.info):
            foreign.setdefault(item.info.name.rpartition("_")[0] or item.info.name, []).append(item)
    found = [_workload(launch, items, silent) for launch, items in ours.items()]
    found += [_foreign(name, items) for name, items in foreign.items()]
    return tuple(sorted(found, key=_started, reverse=True))


def one_server_a_port(workloads: Sequence[Workload]) -> tuple[Workload, ...]:
    """The workloads, those that claim one port of one host as unknown: an answer there is not tied to any of them."""
    claims: dict[tuple[str, int], list[Workload]] = {}
    for item in workloads:
        if item.port is not None and item.health is Health.STARTING:
            claims.setdefault((item.head_host, item.port), []).append(item)
    judged = []
    for item in workloads:
        rivals = []
        if item.port is not None and item.health is Health.STARTING:
            rivals = [other.launch_id for other in claims[item.head_host, item.port] if other is not item]
        if rivals:
            detail = f"{', '.join(rivals)} runs on port {item.port} too: which of them answers there is not known"
            item = replace(item, health=Health.UNKNOWN, detail=detail)
        judged.append(item)
    return tuple(judged)


def _started(workload: Workload) -> float:
    return max((rank.started or 0.0 for rank in workload.ranks), default=0.0)


def _workload(launch: str, items: Sequence[FoundContainer], silent: frozenset[str]) -> Workload:
    ranks = tuple(sorted((_rank(item) for item in items), key=lambda rank: rank.rank))
    labels = min(items, key=lambda item: rank_of(item.info.labels) or 0).info.labels
    hosts = hosts_of(labels)
    expected = nodes_of(labels) or len(ranks)
    health, detail = _health(ranks, hosts, expected, silent)
    port = port_of(labels)
    conflict = _conflict(items)
    if conflict:
        # One of them carries false labels, and it is not known which: its server is not asked.
        health, detail, port = Health.UNKNOWN, conflict, None
    return Workload(
        launch_id=launch,
        recipe=label_of(labels, "recipe"),
        engine=label_of(labels, "engine"),
        model=label_of(labels, "model"),
        served_name=label_of(labels, "served"),
        offers=offers_of(labels),
        health_path=health_path_of(labels),
        port=port,
        ranks=ranks,
        expected_ranks=expected,
        health=health,
        detail=detail,
        engine_is_exec=engine_is_exec(labels),
    )


def _conflict(items: Sequence[FoundContainer]) -> str:
    """Why the containers cannot all belong to one launch, in words; empty when they agree.

    Anyone who may create containers on a host can give one the labels of another launch.
    """
    claimed: dict[int, FoundContainer] = {}
    for item in items:
        rank = _claimed_rank(item)
        if rank is None:
            continue
        first = claimed.setdefault(rank, item)
        if first is not item:
            return f"rank {rank} is claimed by {_place(first)} and by {_place(item)}: one of them is not of this launch"
    strays = [item for item in items if _claimed_rank(item) is None]
    if strays and claimed:
        return f"{_place(strays[0])} has no rank in it, and others have: one of them is not of this launch"
    for item in items[1:]:
        if _claimed_hosts(item) != _claimed_hosts(items[0]):
            return f"{_place(items[0])} and {_place(item)} name different hosts: one of them is not of this launch"
    return ""


def _claimed_rank(item: FoundContainer) -> int | None:
    """The rank that a container says it has, or that its host has among those it names; None where it has neither."""
    labelled = rank_of(item.info.labels)
    if labelled is not None:
        return labelled
    hosts = hosts_of(item.info.labels)
    return hosts.index(item.host) if item.host in hosts else None


def _claimed_hosts(item: FoundContainer) -> tuple[str, str]:
    """The labels that name a launch's hosts and count them, which all its containers share."""
    return label_of(item.info.labels, "hosts"), label_of(item.info.labels, "nodes")


def _place(item: FoundContainer) -> str:
    return f"{item.info.name or item.info.id[:12]} on {item.host}"


def _rank(item: FoundContainer) -> WorkloadRank:
    labels = item.info.labels
    hosts = hosts_of(labels)
    rank = rank_of(labels)
    if rank is None:
        # Containers that foreign scripts made for a launch of this program carry no rank.
        rank = hosts.index(item.host) if item.host in hosts else 0
    usual_role = role_of(rank, max(len(hosts), 1))
    return _workload_rank(item, rank, labels.get(f"{LABEL}role", str(usual_role)))


def _workload_rank(item: FoundContainer, rank: int, role: str) -> WorkloadRank:
    info = item.info
    return WorkloadRank(
        host=item.host,
        container_id=info.id,
        container_name=info.name,
        rank=rank,
        role=role,
        state=info.state,
        started=info.started,
        exit_code=info.exit_code,
        oom_killed=info.oom_killed,
    )


def _health(
    ranks: Sequence[WorkloadRank], hosts: Sequence[str], expected: int, silent: frozenset[str]
) -> tuple[Health, str]:
    """What the containers alone show: a workload whose ranks all run is STARTING until its endpoint has been asked."""
    ended = [rank for rank in ranks if rank.state not in _NOT_ENDED]
    head = ranks[0]
    if head.rank == 0 and head in ended:
        return Health.EXITED, _ending(head)
    if len(ended) == len(ranks):
        return Health.EXITED, _ending(ended[0])
    if ended:
        return Health.DEGRADED, f"rank {ended[0].rank} on {ended[0].host} {_ending(ended[0])}"

    for rank in ranks:
        why = _NOT_RUNNING.get(rank.state, "")
        if why:
            return Health.DEGRADED, f"rank {rank.rank} on {rank.host} {why}"

    present = {rank.rank for rank in ranks}
    unanswered = []
    for number in range(expected):
        if number in present:
            continue
        on_silent_host = number < len(hosts) and hosts[number] in silent
        if not on_silent_host:
            return Health.DEGRADED, f"rank {number} has no container"
        unanswered.append(hosts[number])
    if unanswered:
        return Health.UNKNOWN, f"{', '.join(unanswered)} cannot be asked"
    return Health.STARTING, ""


def _ending(rank: WorkloadRank) -> str:
    if rank.oom_killed:
        return f"was killed at its memory limit (exit code {rank.exit_code})"
    return "ended" if rank.exit_code is None else f"ended with exit code {rank.exit_code}"


def _foreign(name: str, items: Sequence[FoundContainer]) -> Workload:
    ordered = sorted(items, key=lambda item: _old_order(item.info.name))
    ranks = []
    for number, item in enumerate(ordered):
        role = item.info.name.rpartition("_")[2]
        ranks.append(_workload_rank(item, number, role))
    running = [rank for rank in ranks if rank.state == "running"]
    if not running:
        health, detail = Health.EXITED, _ending(ranks[0])
    elif len(running) < len(ranks):
        health, detail = Health.DEGRADED, f"{len(running)} of {len(ranks)} containers run"
    else:
        health, detail = Health.UNKNOWN, "launched by another tool, which does not record where it serves"
    return Workload(
        launch_id="",
        recipe=name,
        engine="",
        model="",
        served_name="",
        port=None,
        ranks=tuple(ranks),
        expected_ranks=len(ranks),
        health=health,
        detail=detail,
        ours=False,
    )


def _old_order(name: str) -> tuple[int, str]:
    """The sort key of a container of the sparkrun CLI: its role, unknown roles last, then its name."""
    role = name.rpartition("_")[2].rstrip("0123456789")
    if role in _OLD_ROLES:
        return _OLD_ROLES.index(role), name
    return len(_OLD_ROLES), name
