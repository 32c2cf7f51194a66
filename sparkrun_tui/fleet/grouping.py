"""Containers grouped to workloads by their labels, and what their states say of the whole; pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sparkrun_tui.base import identifiers
from sparkrun_tui.base.identifiers import LaunchId
from sparkrun_tui.engines.layout.labels import hosts_of, label_of, nodes_of, port_of, rank_of
from sparkrun_tui.engines.plan import LABEL
from sparkrun_tui.fleet.model import Health, Workload, WorkloadRank
from sparkrun_tui.remote.docker.types import ContainerInfo

FOREIGN_PREFIX = "sparkrun_"
"""How the sparkrun CLI names its containers: `sparkrun_<hash>_<role>`; they are shown, and never changed unasked."""

_OLD_ROLES = ("solo", "head", "worker", "node")


@dataclass(frozen=True, slots=True)
class FoundContainer:
    """A container on a host."""

    host: str
    info: ContainerInfo


def launch_of(info: ContainerInfo) -> LaunchId | None:
    """The launch that a container carries the label of; a label of another form makes none of ours."""
    return identifiers.launch_id(info.labels.get(f"{LABEL}launch"))


def is_ours(info: ContainerInfo) -> bool:
    """Whether a container carries our labels."""
    return launch_of(info) is not None


def is_foreign(info: ContainerInfo) -> bool:
    """Whether a container is one of the sparkrun CLI's."""
    return not is_ours(info) and info.name.startswith(FOREIGN_PREFIX)


def group(seen: Iterable[FoundContainer], silent: frozenset[str] = frozenset()) -> tuple[Workload, ...]:
    """Workloads, newest first. Ranks on hosts in `silent` are not known, which is not the same as gone."""
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
        # One of them is not what it says, and which one cannot be told: its server is neither believed nor asked.
        health, detail, port = Health.UNKNOWN, conflict, None
    return Workload(
        launch_id=launch,
        recipe=label_of(labels, "recipe"),
        engine=label_of(labels, "engine"),
        model=label_of(labels, "model"),
        served_name=label_of(labels, "served"),
        port=port,
        ranks=ranks,
        expected_ranks=expected,
        health=health,
        detail=detail,
    )


def _conflict(items: Sequence[FoundContainer]) -> str:
    """Why the containers cannot all be of one launch, in words; empty when they agree.

    Whoever may make containers on a host can give one the labels of a launch that is another's.
    """
    claimed: dict[int, FoundContainer] = {}
    for item in items:
        told = _claimed_rank(item)
        if told is None:
            continue
        first = claimed.setdefault(told, item)
        if first is not item:
            return f"rank {told} is claimed by {_place(first)} and by {_place(item)}: one of them is not of this launch"
    strays = [item for item in items if _claimed_rank(item) is None]
    if strays and claimed:
        return f"{_place(strays[0])} has no rank in it, and others have: one of them is not of this launch"
    for item in items[1:]:
        if any(label_of(item.info.labels, name) != label_of(items[0].info.labels, name) for name in ("hosts", "nodes")):
            return f"{_place(items[0])} and {_place(item)} name different hosts: one of them is not of this launch"
    return ""


def _claimed_rank(item: FoundContainer) -> int | None:
    """The rank that a container says it has, or that its host has among those it names; None where it has neither."""
    labelled = rank_of(item.info.labels)
    if labelled is not None:
        return labelled
    hosts = hosts_of(item.info.labels)
    return hosts.index(item.host) if item.host in hosts else None


def _place(item: FoundContainer) -> str:
    return f"{item.info.name or item.info.id[:12]} on {item.host}"


def _rank(item: FoundContainer) -> WorkloadRank:
    info = item.info
    hosts = hosts_of(info.labels)
    # Containers made by foreign scripts for one of our launches carry no rank of their own.
    fallback = hosts.index(item.host) if item.host in hosts else 0
    labelled = rank_of(info.labels)
    rank = fallback if labelled is None else labelled
    role = info.labels.get(f"{LABEL}role", "solo" if len(hosts) < 2 else ("worker" if rank else "head"))
    return WorkloadRank(
        item.host, info.id, info.name, rank, role, info.state, info.started, info.exit_code, info.oom_killed
    )


def _health(
    ranks: Sequence[WorkloadRank], hosts: Sequence[str], expected: int, silent: frozenset[str]
) -> tuple[Health, str]:
    """What the containers alone show: a workload whose ranks all run is STARTING until its endpoint has been asked."""
    present = {rank.rank for rank in ranks}
    missing = [number for number in range(expected) if number not in present]
    unknown = [number for number in missing if number < len(hosts) and hosts[number] in silent]
    gone = [number for number in missing if number not in unknown]
    ended = [rank for rank in ranks if rank.state not in ("running", "created", "restarting", "paused")]
    head = next((rank for rank in ranks if rank.rank == 0), None)
    if head is not None and head in ended:
        return Health.EXITED, _ending(head)
    if len(ended) == len(ranks):
        return Health.EXITED, _ending(ended[0])
    if ended:
        return Health.DEGRADED, f"rank {ended[0].rank} on {ended[0].host} {_ending(ended[0])}"
    if gone:
        return Health.DEGRADED, f"rank {gone[0]} has no container"
    if unknown:
        where = ", ".join(hosts[number] for number in unknown)
        return Health.UNKNOWN, f"{where} cannot be asked"
    return Health.STARTING, ""


def _ending(rank: WorkloadRank) -> str:
    if rank.oom_killed:
        return f"was killed at its memory limit (exit code {rank.exit_code})"
    return "ended" if rank.exit_code is None else f"ended with exit code {rank.exit_code}"


def _foreign(name: str, items: Sequence[FoundContainer]) -> Workload:
    ordered = sorted(items, key=lambda item: _old_order(item.info.name))
    ranks = tuple(
        WorkloadRank(
            item.host, item.info.id, item.info.name, number, item.info.name.rpartition("_")[2], item.info.state,
            item.info.started, item.info.exit_code, item.info.oom_killed,
        )
        for number, item in enumerate(ordered)
    )  # fmt: skip
    running = [rank for rank in ranks if rank.state == "running"]
    if not running:
        health, detail = Health.EXITED, _ending(ranks[0])
    elif len(running) < len(ranks):
        health, detail = Health.DEGRADED, f"{len(running)} of {len(ranks)} containers run"
    else:
        health, detail = Health.UNKNOWN, "launched by another tool, which does not say where it answers"
    return Workload(
        launch_id="",
        recipe=name,
        engine="",
        model="",
        served_name="",
        port=None,
        ranks=ranks,
        expected_ranks=len(ranks),
        health=health,
        detail=detail,
        ours=False,
    )


def _old_order(name: str) -> tuple[int, str]:
    role = name.rpartition("_")[2]
    stem = role.rstrip("0123456789")
    return (_OLD_ROLES.index(stem) if stem in _OLD_ROLES else len(_OLD_ROLES), name)
