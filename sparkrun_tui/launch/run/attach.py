"""Watching what was launched before: a launch made again from its containers' labels, its logs, and its journal."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from sparkrun_tui.base import identifiers
from sparkrun_tui.base.errors import HostError, LaunchError
from sparkrun_tui.base.json_text import JsonError, parse_json
from sparkrun_tui.base.secrets import Secret
from sparkrun_tui.base.settings import Cluster
from sparkrun_tui.base.text import clean_line
from sparkrun_tui.engines.layout.labels import hosts_of, label_of, port_of, rank_of
from sparkrun_tui.engines.plan import ContainerExec, ContainerSpec, Phase, RankPlan, ReadyCheck, Role, ServePlan, Stage
from sparkrun_tui.launch.plan.archive import exec_paths
from sparkrun_tui.launch.plan.host_views import probe_paths, unprobed, view_of
from sparkrun_tui.launch.plan.plan import LaunchPlan
from sparkrun_tui.launch.record.events import LaunchBegan, LaunchStatus, StatusChanged, StepState
from sparkrun_tui.launch.record.journal import read_log
from sparkrun_tui.launch.run.given_secrets import secrets_of_container
from sparkrun_tui.launch.run.parts.given import Given
from sparkrun_tui.launch.run.parts.reporter import Reporter
from sparkrun_tui.launch.run.parts.running import Running
from sparkrun_tui.launch.run.readiness import until_ready
from sparkrun_tui.launch.run.watch import unless_ended, watch
from sparkrun_tui.launch.services import Services
from sparkrun_tui.recipe.model import Recipe, Source, SourceKind, Value
from sparkrun_tui.recipe.values.masking import shown_settings
from sparkrun_tui.recipe.values.rendered import ChainValue, Origin, Rendered
from sparkrun_tui.remote.docker.types import ContainerInfo
from sparkrun_tui.remote.failures import LinkLost
from sparkrun_tui.remote.probe.facts import HostFacts

TAIL = 2000
"""Lines of a log read at once when it was never read here before."""


class AttachableRank(Protocol):
    """A container of a workload."""

    @property
    def host(self) -> str:
        """Its host."""

    @property
    def container_id(self) -> str:
        """Its id."""


class Attachable(Protocol):
    """A workload as a survey found it."""

    @property
    def launch_id(self) -> str:
        """The id in its labels; empty for foreign ones."""

    @property
    def ranks(self) -> Sequence[AttachableRank]:
        """Its containers."""


@dataclass(frozen=True, slots=True)
class Found:
    """A workload found again: the plan as far as labels give it, its containers by rank, and what is missing."""

    plan: LaunchPlan
    containers: Mapping[int, str]
    facts: Mapping[str, HostFacts]
    began: LaunchBegan
    missing: tuple[int, ...]
    """Ranks of the launch that have no container, or one that was never started."""
    secrets: tuple[Secret, ...] = ()
    """What its containers were given of secrets, to be hidden in their logs."""


async def rebuild(workload: Attachable, cluster: Cluster, services: Services) -> Found:
    """Ask the hosts of a workload about its containers.

    Raises `HostError` when none answers, `LaunchError` when this program did not launch it or it is gone.
    """
    if identifiers.launch_id(workload.launch_id) is None:
        raise LaunchError("it was not launched from here, so it can only be looked at and stopped")
    hosts_asked = [rank.host for rank in workload.ranks]
    twice = next((host for host in hosts_asked if hosts_asked.count(host) > 1), "")
    if twice:
        raise LaunchError(
            f"{twice} has several containers that claim to be of launch {workload.launch_id}",
            host=twice,
            remedy="Look which one is yours: docker ps -a",
        )
    inspected: dict[str, ContainerInfo] = {}
    facts: dict[str, HostFacts] = {}
    errors: list[HostError] = []
    secrets: list[Secret] = []

    async def one(rank: AttachableRank) -> None:
        try:
            transport = services.connector(rank.host)
            await transport.connect()
            docker = services.docker(transport)
            info = await docker.inspect(rank.container_id)
            facts[rank.host] = await services.probe(transport, probe_paths(cluster), ())
            if info is not None:
                secrets.extend(await secrets_of_container(docker, info))
                inspected[rank.host] = info
        except HostError as error:
            errors.append(error)

    await asyncio.gather(*(one(rank) for rank in workload.ranks))
    if not inspected:
        raise errors[0] if errors else LaunchError(f"launch {workload.launch_id} has no containers any more")
    found = _found(workload.launch_id, inspected, facts, cluster)
    return replace(found, secrets=tuple(dict.fromkeys(secrets)))


def _found(
    launch_id: str, inspected: Mapping[str, ContainerInfo], facts: Mapping[str, HostFacts], cluster: Cluster
) -> Found:
    by_rank = _by_rank(launch_id, inspected)
    info = by_rank[min(by_rank)][1]
    hosts = hosts_of(info.labels) or tuple(inspected)
    if not _label(info, "rank"):
        by_rank = {hosts.index(host): (host, info) for host, info in inspected.items() if host in hosts}
    hosts = _hosts(hosts, by_rank, cluster)
    rendered = _rendered(info)
    views = tuple(view_of(facts[name], cluster, name) if name in facts else unprobed(name, cluster) for name in hosts)
    serve = _serve(launch_id, rendered, hosts, by_rank, info)
    plan = LaunchPlan(launch_id, rendered, cluster, views, serve, (), "found on the hosts")
    began = LaunchBegan(
        time=info.started or info.created or 0.0,
        launch_id=launch_id,
        recipe=rendered.recipe.name,
        engine=serve.engine,
        model=rendered.recipe.model,
        cluster=cluster.name,
        hosts=hosts,
        port=serve.ready.port,
        settings=shown_settings(rendered.overrides),
    )
    # Killed between making and starting it, the program left a container that will never do anything.
    containers = {rank: info.id for rank, (_, info) in by_rank.items() if info.state != "created"}
    return Found(plan, containers, facts, began, tuple(rank for rank in range(len(hosts)) if rank not in containers))


def _by_rank(launch_id: str, inspected: Mapping[str, ContainerInfo]) -> dict[int, tuple[str, ContainerInfo]]:
    """The containers by the rank that they claim. Raises `LaunchError` when two claim the same."""
    found: dict[int, tuple[str, ContainerInfo]] = {}
    for host, info in inspected.items():
        told = rank_of(info.labels)
        rank = told or 0
        if told is not None and rank in found:
            raise LaunchError(
                f"{found[rank][0]} and {host} both claim to hold rank {rank} of launch {launch_id}",
                remedy="One of these containers is not of that launch: look at both with docker ps -a",
            )
        found[rank] = (host, info)
    return found


def _hosts(told: Sequence[str], by_rank: Mapping[int, tuple[str, ContainerInfo]], cluster: Cluster) -> tuple[str, ...]:
    """The hosts by rank: where a container was found, that host, else the one that the labels name.

    A label may name any host there is, so none is gone to that the cluster does not have. Raises `LaunchError`.
    """
    hosts = []
    for rank, name in enumerate(told):
        if rank in by_rank:
            hosts.append(by_rank[rank][0])
        elif name in cluster.hosts:
            hosts.append(name)
        else:
            raise LaunchError(
                f"rank {rank} was launched on {clean_line(name)}, which is not among the hosts of {cluster.name}",
                remedy=f"If it is a host of yours, name all hosts of the launch: -H {','.join([*cluster.hosts, '…'])}",
            )
    return tuple(hosts)


def _label(info: ContainerInfo, name: str) -> str:
    return label_of(info.labels, name)


def _rendered(info: ContainerInfo) -> Rendered:
    """The recipe as far as labels give it: its name, model, engine and overrides; its command is in the container."""
    try:
        settings = parse_json(_label(info, "settings") or "{}")
    except JsonError:
        settings = {}
    overrides = {str(key): str(value) for key, value in settings.items()} if isinstance(settings, dict) else {}
    recipe = Recipe(
        name=_label(info, "recipe") or info.name,
        source=Source(SourceKind.PATH, ""),
        model=_label(info, "model"),
        runtime=_label(info, "engine"),
        container=info.image,
        digest=_label(info, "recipe-digest"),
    )
    chain = {key: ChainValue(Value(value, value), Origin.OVERRIDE) for key, value in overrides.items()}
    return Rendered(recipe, chain, overrides, None, (), frozenset(), ())


def _serve(
    launch_id: str,
    rendered: Rendered,
    hosts: Sequence[str],
    by_rank: Mapping[int, tuple[str, ContainerInfo]],
    head: ContainerInfo,
) -> ServePlan:
    engine = rendered.recipe.runtime
    delegated = head.name if not _label(head, "rank") else ""
    ranks = []
    for number, host in enumerate(hosts):
        known = by_rank.get(number)
        role = Role.SOLO if len(hosts) == 1 else (Role.WORKER if number else Role.HEAD)
        name = known[1].name if known else f"sparkrun-tui-{launch_id}-{number}"
        labels = known[1].labels if known else {}
        ranks.append(RankPlan(number, host, role, ContainerSpec(name, head.image, "", labels=labels)))
    ready = ReadyCheck(hosts[0], port_of(head.labels) or 0, _label(head, "served") or rendered.recipe.model)
    return ServePlan(
        launch_id=launch_id,
        recipe=rendered.recipe,
        engine=engine,
        image=head.image,
        models=(),
        ranks=() if delegated else tuple(ranks),
        stages=(),
        ready=ready,
        delegated=delegated,
    )


def announce(given: Given, running: Running, report: Reporter, found: Found) -> None:
    """Say what was found; the steps that must have been done are reported as done."""
    running.touched.update(given.hosts)
    running.facts.update(found.facts)
    running.containers.update(found.containers)
    report.bus.emit(found.began)
    for rank in given.ranks:
        if rank.rank in found.containers:
            cells = report.bus.state.hosts[rank.host].cells
            for phase in (Phase.CHECK, Phase.IMAGE, Phase.MODEL, Phase.START):
                if phase not in cells or cells[phase].state not in (StepState.OK, StepState.SKIPPED):
                    report.step(rank.host, phase, StepState.OK)


async def resume(given: Given, running: Running, report: Reporter) -> None:
    """Follow the logs on, find out whether it serves, and watch over it. Raises `SparkrunError` when it has ended."""
    for rank in given.ranks:
        if rank.rank in running.containers:
            _follow(running, report, rank)
    missing = [rank for rank in given.ranks if rank.rank not in running.containers]
    if missing:
        names = ", ".join(f"{rank.rank} on {rank.host}" for rank in missing)
        detail = f"the launch was never finished: rank {names} was never started; stop it and launch again"
        report.bus.emit(StatusChanged(status=LaunchStatus.DEGRADED, detail=detail))
        running.served = True
    else:
        await _find_executions(given, running)
        await unless_ended(given, running, report, until_ready(given, running, report))
        report.bus.emit(StatusChanged(status=LaunchStatus.READY))
    await watch(given, running, report)


def _follow(running: Running, report: Reporter, rank: RankPlan) -> None:
    """From where the log file here ends, else from the last lines."""
    journal = report.bus.journal
    known = read_log(journal.folder, rank.host) if journal is not None else []
    printed = [line for line in known if line.stream != "app"]
    report.bus.preload(rank.host, known)
    last = printed[-1].time if printed else None
    running.followers.follow(
        rank.rank,
        rank.host,
        running.containers[rank.rank],
        tail=None if printed else TAIL,
        since=last,
        seen=frozenset((round(line.time * 1_000_000), line.text) for line in printed[-4000:]),
    )


async def _find_executions(given: Given, running: Running) -> None:
    """Where the engine runs as an exec (several hosts over Ray), its folder in the head's container says so."""
    head = given.ranks[0]
    if len(given.ranks) < 2 or head.rank not in running.containers or given.plan.serve.delegated:
        return
    folder = exec_paths(0)[0]
    try:
        begun = (await given.docker(head.host).run_exec(running.containers[head.rank], ("test", "-d", folder))).ok
    except LinkLost:
        raise
    except HostError:
        # It has ended, which the watch reports better.
        return
    if begun:
        running.executions[0] = ""
        stage = Stage("Serve on the head", execs=(ContainerExec(head.rank, "the engine", ""),))
        given.plan = replace(given.plan, serve=replace(given.plan.serve, stages=(stage,)))
