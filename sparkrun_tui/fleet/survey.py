"""One look at a cluster: every host's load and containers, grouped to workloads; a silent host is unknown."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.settings import Cluster
from sparkrun_tui.fleet.grouping import Seen, group, is_foreign, is_ours
from sparkrun_tui.fleet.model import FleetView, Health, HostStatus, Workload
from sparkrun_tui.fleet.ports import FleetDocker, FleetServices
from sparkrun_tui.remote.docker_types import ContainerInfo
from sparkrun_tui.remote.facts import HostFacts
from sparkrun_tui.remote.http import HttpCall
from sparkrun_tui.remote.transport import LinkState, LinkStatus

TIMEOUT = 20.0
"""Seconds a host may take before it is shown as one that does not answer."""

HEALTH_TIMEOUT = 5.0
_CACHE = "~/.cache/huggingface"


@dataclass(frozen=True, slots=True)
class _Look:
    status: HostStatus
    containers: tuple[ContainerInfo, ...] | None
    """None when they could not be learned."""


async def survey(cluster: Cluster, services: FleetServices) -> FleetView:
    """Look at all hosts of `cluster` at once. Never raises for a host: its status says why it did not answer."""
    looks = await asyncio.gather(*(_look(name, cluster, services) for name in cluster.hosts))
    seen = [Seen(name, info) for name, look in zip(cluster.hosts, looks, strict=True) for info in look.containers or ()]
    silent = frozenset(name for name, look in zip(cluster.hosts, looks, strict=True) if look.containers is None)
    known = {look.status.name: look.status.facts.default_address for look in looks if look.status.facts is not None}
    workloads = await asyncio.gather(*(_judged(item, services, known) for item in group(seen, silent)))
    return FleetView(
        cluster=cluster.name,
        taken=services.clock(),
        hosts=tuple(look.status for look in looks),
        workloads=tuple(workloads),
    )


async def _look(name: str, cluster: Cluster, services: FleetServices) -> _Look:
    try:
        transport = services.connector(name)
    except HostError as error:
        return _Look(
            HostStatus(name, LinkStatus(LinkState.UNREACHABLE, services.clock(), error.what, error.remedy)), None
        )
    try:
        async with asyncio.timeout(TIMEOUT):
            await transport.connect()
            facts = await services.probe(transport, (cluster.hf_cache or _CACHE,), ())
            containers = await _containers(facts, services, name)
    except HostError as error:
        return _Look(HostStatus(name, _failed(transport.link, error)), None)
    except TimeoutError:
        detail = f"no answer within {TIMEOUT:.0f} s"
        return _Look(HostStatus(name, LinkStatus(LinkState.UNREACHABLE, services.clock(), detail)), None)
    return _Look(HostStatus(name, transport.link, facts), containers)


def _failed(link: LinkStatus, error: HostError) -> LinkStatus:
    """The link's own story where it is not up; else it is up, but the host could not answer."""
    if link.state in (LinkState.UP, LinkState.IDLE):
        return LinkStatus(LinkState.UNREACHABLE, link.since, error.what, error.remedy)
    return LinkStatus(link.state, link.since, link.detail or error.what, link.remedy or error.remedy)


async def _containers(facts: HostFacts, services: FleetServices, name: str) -> tuple[ContainerInfo, ...] | None:
    if facts.docker_access != "ok":
        return None
    docker = services.docker(services.connector(name))
    listed = await docker.containers()
    wanted = [info for info in listed if is_ours(info) or is_foreign(info)]
    return tuple(await asyncio.gather(*(_whole(docker, info) for info in wanted)))


async def _whole(docker: FleetDocker, info: ContainerInfo) -> ContainerInfo:
    """A list tells neither start nor exit code of a container."""
    return await docker.inspect(info.id) or info


async def _judged(workload: Workload, services: FleetServices, addresses: Mapping[str, str]) -> Workload:
    """A workload that seems to run is asked whether it serves; `addresses` are those of the hosts themselves."""
    if workload.health is not Health.STARTING or workload.port is None:
        return workload
    head = workload.head_host
    # Most servers listen everywhere, some only on the address they were given.
    for address in dict.fromkeys(("127.0.0.1", addresses.get(head) or "127.0.0.1")):
        call = HttpCall(workload.port, "/health", address=address, timeout=HEALTH_TIMEOUT)
        try:
            reply = await services.http.ask(services.connector(head), call)
        except HostError:
            continue
        found = replace(workload, address=address)
        if reply.ok:
            return replace(found, health=Health.SERVING, detail="")
        if reply.status == 503 and workload.engine != "llama-cpp":
            return replace(found, health=Health.DEGRADED, detail="/health answers 503")
        return replace(found, detail=f"/health answers {reply.status}")
    return replace(workload, detail="it does not answer yet")
