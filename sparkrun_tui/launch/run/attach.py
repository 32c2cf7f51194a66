"""Watching a launch of another process: it is rebuilt from its containers' labels, its logs, and its journal."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from sparkrun_tui.base.errors import HostError, LaunchError
from sparkrun_tui.base.reading import identifiers
from sparkrun_tui.base.reading.json_text import JsonError, parse_json
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.secrets import Secret
from sparkrun_tui.base.text import clean_line
from sparkrun_tui.base.user.settings import Cluster
from sparkrun_tui.engines.layout.common import ENGINE_BEGUN, container_name, role_of
from sparkrun_tui.engines.layout.labels import (
    engine_is_exec,
    health_path_of,
    hosts_of,
    label_of,
    offers_of,
    port_of,
    rank_of,
)
from sparkrun_tui.engines.plan import ContainerExec, ContainerSpec, Phase, RankPlan, ReadyCheck, ServePlan, Stage
from sparkrun_tui.launch.plan.host_views import probe_paths, views_of
from sparkrun_tui.launch.plan.plan import LaunchPlan
from sparkrun_tui.launch.record.events import LaunchBegan, LaunchStatus, StatusChanged, StepState
from sparkrun_tui.launch.record.journal import read_log
from sparkrun_tui.launch.record.logs import LogLine
from sparkrun_tui.launch.run.given_secrets import secrets_of_container
from sparkrun_tui.launch.run.guarding import expect_guards
from sparkrun_tui.launch.run.parts.follow import MOST_COMPARED, known_lines
from sparkrun_tui.launch.run.parts.given import Given
from sparkrun_tui.launch.run.parts.reporter import Reporter
from sparkrun_tui.launch.run.parts.running import Running
from sparkrun_tui.launch.run.readiness import until_ready
from sparkrun_tui.launch.run.silence import watching_silence
from sparkrun_tui.launch.run.steps.check import named
from sparkrun_tui.launch.run.watch import unless_ended, watch
from sparkrun_tui.launch.services import Services
from sparkrun_tui.recipe.model import Recipe, Source, SourceKind, Value
from sparkrun_tui.recipe.values.environment import references
from sparkrun_tui.recipe.values.launch_keys import ENV
from sparkrun_tui.recipe.values.masking import shown_settings
from sparkrun_tui.recipe.values.rendered import ChainValue, Origin, Rendered
from sparkrun_tui.remote.docker.types import ContainerInfo
from sparkrun_tui.remote.failures import LinkLost
from sparkrun_tui.remote.probe.facts import HostFacts

TAIL = 2000
"""How many lines of a log are read when it was never read on this machine."""

_ENGINE_POLL = 3.0
"""Seconds between two looks whether the program that prepares a launch has started its engine."""


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
    """A workload found on the hosts: the plan as far as labels describe it, and its containers by rank."""

    plan: LaunchPlan
    containers: Mapping[int, str]
    facts: Mapping[str, HostFacts]
    began: LaunchBegan
    missing: tuple[int, ...]
    """Ranks of the launch without a container, or with one that was never started."""
    secrets: tuple[Secret, ...] = ()
    """The secrets that its containers were given, to be hidden in their logs."""


async def rebuild(workload: Attachable, cluster: Cluster, services: Services) -> Found:
    """The containers of a workload, by asking its hosts.

    Raises `HostError` when no host answers, `LaunchError` when this program did not launch the workload, when its
    containers are gone, and when they contradict each other.
    """
    if identifiers.launch_id(workload.launch_id) is None:
        raise LaunchError(
            "this workload was not launched by sparkrun-tui: you can see its state and stop it, nothing else"
        )
    hosts_asked = [rank.host for rank in workload.ranks]
    twice = next((host for host in hosts_asked if hosts_asked.count(host) > 1), "")
    if twice:
        raise LaunchError(
            f"{twice} has several containers that claim to belong to launch {workload.launch_id}",
            host=twice,
            remedy="See which one is yours: docker ps -a",
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
        if errors:
            raise errors[0]
        raise LaunchError(f"launch {workload.launch_id} has no containers any more")
    found = _found(workload.launch_id, inspected, facts, cluster)
    return replace(found, secrets=tuple(dict.fromkeys(secrets)))


def _found(
    launch_id: str, inspected: Mapping[str, ContainerInfo], facts: Mapping[str, HostFacts], cluster: Cluster
) -> Found:
    by_rank = _by_rank(launch_id, inspected)
    _, first = by_rank[min(by_rank)]
    hosts = hosts_of(first.labels) or tuple(inspected)
    if not _label(first, "rank"):
        by_rank = {hosts.index(host): (host, info) for host, info in inspected.items() if host in hosts}
    hosts = _hosts(hosts, by_rank, cluster)
    rendered = _rendered(first)
    serve = _serve(launch_id, rendered, hosts, by_rank, first)
    plan = LaunchPlan(
        launch_id=launch_id,
        rendered=rendered,
        cluster=cluster,
        hosts=tuple(views_of(hosts, cluster, facts)),
        serve=serve,
        steps=(),
        host_reason="found on the hosts",
    )
    began = LaunchBegan(
        time=first.started or first.created or 0.0,
        launch_id=launch_id,
        recipe=rendered.recipe.name,
        engine=serve.engine,
        model=rendered.recipe.model,
        cluster=cluster.name,
        hosts=hosts,
        port=serve.ready.port,
        settings=shown_settings(rendered.overrides),
        claimed=True,
    )
    containers: dict[int, str] = {}
    for rank, (_, info) in by_rank.items():
        # A program that was killed between creating and starting a container leaves one that never does anything.
        if info.state != "created":
            containers[rank] = info.id
    missing = tuple(rank for rank in range(len(hosts)) if rank not in containers)
    return Found(plan, containers, facts, began, missing)


def _by_rank(launch_id: str, inspected: Mapping[str, ContainerInfo]) -> dict[int, tuple[str, ContainerInfo]]:
    """The containers by the rank in their labels. Raises `LaunchError` when two claim the same rank."""
    found: dict[int, tuple[str, ContainerInfo]] = {}
    for host, info in inspected.items():
        labelled = rank_of(info.labels)
        rank = labelled or 0
        if labelled is not None and rank in found:
            raise LaunchError(
                f"{found[rank][0]} and {host} both claim to hold rank {rank} of launch {launch_id}",
                remedy="One of these containers does not belong to the launch: compare them with docker ps -a",
            )
        found[rank] = (host, info)
    return found


def _hosts(
    labelled: Sequence[str], by_rank: Mapping[int, tuple[str, ContainerInfo]], cluster: Cluster
) -> tuple[str, ...]:
    """The hosts by rank: the host on which a rank's container was found, else the one that the labels name.

    A label may name any host, so only hosts of the cluster are accepted, and each once: a host that is named for many
    ranks would be asked for each of them. Raises `LaunchError` for others.
    """
    hosts: list[str] = []
    for rank, name in enumerate(labelled):
        host = name
        if rank in by_rank:
            host = by_rank[rank][0]
        elif name not in cluster.hosts:
            raise LaunchError(
                f"rank {rank} was launched on {clean_line(name)}, which is not among the hosts of {cluster.name}",
                remedy=f"If it is a host of yours, name all hosts of the launch: -H {','.join([*cluster.hosts, '…'])}",
            )
        if host in hosts:
            raise LaunchError(
                f"the labels of its container name {clean_line(host)} for two ranks, and a launch has one a host",
                remedy="See whether that container is yours: docker ps -a",
            )
        hosts.append(host)
    return tuple(hosts)


def _label(info: ContainerInfo, name: str) -> str:
    return label_of(info.labels, name)


def _rendered(info: ContainerInfo) -> Rendered:
    """The recipe as far as labels describe it: name, model, engine and overrides. Its command is in the container."""
    try:
        settings = parse_json(_label(info, "settings") or "{}")
    except JsonError:
        settings = {}
    overrides: dict[str, str] = {}
    if isinstance(settings, dict):
        for key, value in settings.items():
            # The host may say anything. In a variable, `${NAME}` would be one of this machine's in the command line
            # that launches it again.
            if not (str(key).startswith(ENV) and references(str(value))):
                overrides[str(key)] = str(value)
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
    ranks: list[RankPlan] = []
    # Containers that foreign scripts made carry no rank.
    by_scripts = not _label(head, "rank")
    if not by_scripts:
        for number, host in enumerate(hosts):
            ranks.append(_rank(launch_id, number, host, len(hosts), by_rank, head.image))
    served = _label(head, "served") or rendered.recipe.model
    ready = ReadyCheck(
        host=hosts[0],
        port=port_of(head.labels) or 0,
        served_name=served,
        health_path=health_path_of(head.labels),
        offers=offers_of(head.labels),
    )
    return ServePlan(
        launch_id=launch_id,
        recipe=rendered.recipe,
        engine=rendered.recipe.runtime,
        image=head.image,
        models=(),
        ranks=tuple(ranks),
        stages=(),
        ready=ready,
        by_scripts=by_scripts,
    )


def _rank(
    launch_id: str,
    number: int,
    host: str,
    count: int,
    by_rank: Mapping[int, tuple[str, ContainerInfo]],
    image: str,
) -> RankPlan:
    """Rank `number` of `count`, with the name and labels of its container when that was found."""
    name = container_name(launch_id, number)
    labels: Mapping[str, str] = {}
    if number in by_rank:
        _, info = by_rank[number]
        name, labels = info.name, info.labels
    return RankPlan(number, host, role_of(number, count), ContainerSpec(name, image, "", labels=labels))


def announce(given: Given, running: Running, report: Reporter, found: Found) -> None:
    """Report what was found; earlier steps of ranks that have a container are reported as done."""
    running.touched.update(given.hosts)
    running.facts.update(found.facts)
    running.containers.update(found.containers)
    report.bus.emit(found.began)
    for host, facts in found.facts.items():
        report.bus.emit(named(host, facts))
    for rank in given.ranks:
        if rank.rank not in found.containers:
            continue
        cells = report.bus.state.hosts[rank.host].cells
        for phase in (Phase.CHECK, Phase.IMAGE, Phase.MODEL, Phase.START):
            cell = cells.get(phase)
            if cell is None or cell.state not in (StepState.OK, StepState.SKIPPED):
                report.step(rank.host, phase, StepState.OK)


async def resume(given: Given, running: Running, report: Reporter) -> None:
    """Follow the logs, wait until the launch serves, and watch it. Raises `SparkrunError` when it has ended."""
    expect_guards(given, running, report)
    for rank in given.ranks:
        if rank.rank in running.containers:
            _follow(running, report, rank)
    missing = [rank for rank in given.ranks if rank.rank not in running.containers]
    if missing:
        names = ", ".join(f"{rank.rank} on {rank.host}" for rank in missing)
        detail = f"the launch is incomplete: rank {names} was never started; stop it and launch again"
        report.bus.emit(StatusChanged(status=LaunchStatus.DEGRADED, detail=detail))
        running.served = True
    else:
        if not await _engine_begun(given, running):
            detail = "the launch was never finished: its engine was not started; stop it and launch again"
            report.bus.emit(StatusChanged(status=LaunchStatus.DEGRADED, detail=detail))
            running.served = True
            await watch(given, running, report)
            return
        async with watching_silence(given, running, report):
            await unless_ended(given, running, report, until_ready(given, running, report))
        report.bus.emit(StatusChanged(status=LaunchStatus.READY, detail=running.note))
    await watch(given, running, report)


def _follow(running: Running, report: Reporter, rank: RankPlan) -> None:
    """Follow the log of a rank from where the log file on this machine ends, else from its last lines."""
    journal = report.bus.journal
    known: list[LogLine] = []
    if journal is not None:
        known = read_log(journal.folder, rank.host)
    report.bus.preload(rank.host, known)
    printed = [line for line in known if line.stream != "app"]
    container = running.containers[rank.rank]
    if not printed:
        running.followers.follow(rank.rank, rank.host, container, tail=TAIL)
        return
    newest = printed[-MOST_COMPARED:]
    running.followers.follow(rank.rank, rank.host, container, since=printed[-1].time, seen=known_lines(newest))


async def _engine_begun(given: Given, running: Running) -> bool:
    """Whether the engine was started, waiting for the program that still prepares the launch; True where not known.

    The exec of an engine that runs as one (several hosts over Ray) is noted, by its folder in the head's container.
    """
    head = given.ranks[0]
    if len(given.ranks) < 2 or given.plan.serve.delegated:
        return True
    while True:
        try:
            begun = await given.docker(head.host).run_exec(running.containers[head.rank], ("test", "-d", ENGINE_BEGUN))
            facts = await given.services.probe(given.transport(head.host), probe_paths(given.plan.cluster), ())
        except LinkLost:
            raise
        except HostError:
            # The container has ended; the watch reports that with its reason.
            return True
        if begun.ok:
            running.executions[0] = ""
            stage = Stage("Serve on the head", execs=(ContainerExec(head.rank, "the engine", ""),))
            given.plan = replace(given.plan, serve=replace(given.plan.serve, stages=(stage,)))
            return True
        if begun.code != 1 or not engine_is_exec(head.container.labels):
            return True
        lease = facts.lease
        if lease is None or lease.launch != given.plan.launch_id or not lease.in_force:
            return False
        await asyncio.sleep(_ENGINE_POLL)
