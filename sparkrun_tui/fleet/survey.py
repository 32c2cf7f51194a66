"""Surveys a cluster: every host's facts and containers, grouped into workloads; a silent host is unknown."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace

from sparkrun_tui.base.defects import LOOK, in_debug, unexpected
from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.user.settings import Cluster
from sparkrun_tui.engines.layout.common import ENGINE_BEGUN
from sparkrun_tui.engines.offers import NO_ENTRY
from sparkrun_tui.engines.registry import family_of
from sparkrun_tui.fleet.grouping import FoundContainer, group, is_foreign, is_ours, one_server_a_port
from sparkrun_tui.fleet.model import FleetView, Health, HostStatus, Workload
from sparkrun_tui.remote.docker.listening import Listener, Place, taken_text
from sparkrun_tui.remote.docker.types import MOST_CONTAINERS, ContainerInfo
from sparkrun_tui.remote.http.client import HttpCall, addresses_of_server
from sparkrun_tui.remote.ports.services import HostServices
from sparkrun_tui.remote.probe.facts import HostFacts
from sparkrun_tui.remote.transport import LinkState, LinkStatus

TIMEOUT = 20.0
"""Seconds that a host may take before it counts as not answering."""

HEALTH_TIMEOUT = 5.0
MOST_SHOWN = 256
"""The most containers of workloads that are inspected on one host: running ones first, then the newest."""

_JUDGING = 30.0
"""Seconds for asking all servers for their health."""
_CONCURRENT = 16
"""The most requests to one host, or to all servers, at the same time."""
_CACHE = "~/.cache/huggingface"


@dataclass(frozen=True, slots=True)
class _Answer:
    status: HostStatus
    containers: tuple[ContainerInfo, ...] | None
    """None when they could not be listed."""


async def survey(
    cluster: Cluster,
    services: HostServices,
    seen: Callable[[HostStatus], None] | None = None,
    leave_out: frozenset[str] = frozenset(),
) -> FleetView:
    """The state of all hosts of `cluster`, asked at the same time; `seen` is called with each as it answers or fails.

    Hosts in `leave_out` are not asked: they are not in the view, and what may run there is unknown.
    Never raises for a host: its status says why it did not answer. That holds for defects of this program, too: the
    answer of one host must not hide the others.
    """

    async def ask(name: str) -> _Answer:
        answer = await _ask(name, cluster, services)
        if seen is not None:
            seen(answer.status)
        return answer

    names = [name for name in cluster.hosts if name not in leave_out]
    answers = await asyncio.gather(*(ask(name) for name in names))
    containers: list[FoundContainer] = []
    silent = set(leave_out)
    addresses: dict[str, str] = {}
    prepared: set[str] = set()
    for name, answer in zip(names, answers, strict=True):
        facts = answer.status.facts
        if facts is not None:
            addresses[name] = facts.default_address
            if facts.lease is not None and facts.lease.launch is not None and facts.lease.in_force:
                prepared.add(facts.lease.launch)
        if answer.containers is None:
            silent.add(name)
        else:
            containers += [FoundContainer(name, info) for info in answer.containers]
    judge = _Judge(services, addresses, frozenset(prepared))
    found = one_server_a_port(group(containers, frozenset(silent)))
    workloads = await asyncio.gather(*(judge.judged(item) for item in found))
    return FleetView(
        cluster=cluster.name,
        taken=services.clock(),
        hosts=tuple(answer.status for answer in answers),
        workloads=tuple(workloads),
    )


async def _ask(name: str, cluster: Cluster, services: HostServices) -> _Answer:
    try:
        transport = services.connector(name)
    except HostError as error:
        return _unseen(name, services, error.what, error.remedy)
    try:
        async with asyncio.timeout(TIMEOUT):
            await transport.connect()
            facts = await services.probe(transport, (cluster.hf_cache or _CACHE,), ())
            containers, note = await _containers(facts, services, name)
    except HostError as error:
        return _Answer(HostStatus(name, _failed(transport.link, error)), None)
    except TimeoutError:
        return _unseen(name, services, f"no answer within {TIMEOUT:.0f} s")
    except Exception as error:
        if in_debug():
            raise
        return _unseen(name, services, unexpected(error), LOOK)
    return _Answer(HostStatus(name, transport.link, facts, note), containers)


def _unseen(name: str, services: HostServices, what: str, remedy: str = "") -> _Answer:
    """The answer of a host that could not be asked."""
    return _Answer(HostStatus(name, LinkStatus(LinkState.UNREACHABLE, services.clock(), what, remedy)), None)


def _failed(link: LinkStatus, error: HostError) -> LinkStatus:
    """The link's state and reason; a link that is up counts as unreachable, with the reason of `error`."""
    if link.state in (LinkState.UP, LinkState.IDLE):
        return LinkStatus(LinkState.UNREACHABLE, link.since, error.what, error.remedy)
    return LinkStatus(link.state, link.since, link.detail or error.what, link.remedy or error.remedy)


async def _containers(
    facts: HostFacts, services: HostServices, name: str
) -> tuple[tuple[ContainerInfo, ...] | None, str]:
    """The containers of workloads on a host (None when they cannot be listed), and what was left out, in words."""
    if facts.docker_access != "ok":
        return None, ""
    docker = services.docker(services.connector(name))
    listed = await docker.containers()
    wanted = [info for info in listed if is_ours(info) or is_foreign(info)]
    # Sorting is stable: among running containers, and among the others, the daemon's order (newest first) stays.
    shown = sorted(wanted, key=lambda info: not info.running)[:MOST_SHOWN]
    turns = asyncio.Semaphore(_CONCURRENT)

    async def whole(info: ContainerInfo) -> ContainerInfo:
        async with turns:
            # Docker's list has neither the start time nor the exit code of a container.
            return await docker.inspect(info.id) or info

    return tuple(await asyncio.gather(*map(whole, shown))), _left_out(len(listed), len(wanted), len(shown))


def _left_out(listed: int, wanted: int, shown: int) -> str:
    if shown < wanted:
        return f"it has {wanted:,} containers of workloads or more; {shown:,} are shown, running ones first"
    if listed >= MOST_CONTAINERS:
        return f"it has {listed:,} containers or more; older ones are not shown"
    return ""


class _Judge:
    """Asks the workloads that seem to run whether they serve.

    `addresses` has each host's own address by name, `prepared` the launches that a program prepares now.
    """

    def __init__(self, services: HostServices, addresses: Mapping[str, str], prepared: frozenset[str]) -> None:
        self._services = services
        self._addresses = addresses
        self._prepared = prepared
        self._turns = asyncio.Semaphore(_CONCURRENT)
        self._deadline = asyncio.get_running_loop().time() + _JUDGING

    async def judged(self, workload: Workload) -> Workload:
        """The workload with its health. Never raises."""
        if workload.health is not Health.STARTING or workload.port is None:
            return workload
        try:
            async with asyncio.timeout_at(self._deadline), self._turns:
                return await self._asked(workload, workload.port)
        except TimeoutError:
            return replace(workload, health=Health.UNKNOWN, detail="not asked in time: too many servers do not answer")
        except Exception as error:
            if in_debug():
                raise
            return replace(workload, health=Health.UNKNOWN, detail=unexpected(error))

    async def _asked(self, workload: Workload, port: int) -> Workload:
        head = workload.head_host
        taken = ""
        for address in addresses_of_server(self._addresses.get(head, "")):
            call = HttpCall(port, workload.health_path, address=address, timeout=HEALTH_TIMEOUT, key=None)
            place = Place(head, workload.ranks[0].container_id, port, address)
            try:
                transport = self._services.connector(head)
                reply = await self._services.http.ask(transport, call)
                listener = await self._services.listeners.at(place, self._services.docker(transport))
            except HostError:
                continue
            if listener is Listener.OTHER:
                taken = taken_text(address, port)
            if not listener.may_be_asked:
                continue
            found = replace(workload, address=address)
            if reply.ok or reply.status in NO_ENTRY:
                # Some guard this path with their API key, too: one that asks for it serves.
                return replace(found, health=Health.SERVING, detail="")
            family = family_of(workload.engine)
            loads = family is not None and reply.status == family.loading_status
            if reply.status == 503 and not loads:
                return replace(found, health=Health.DEGRADED, detail=f"{workload.health_path} answers 503")
            return replace(found, detail=f"{workload.health_path} answers {reply.status}")
        if workload.engine_is_exec and workload.launch_id not in self._prepared and not await self._begun(workload):
            detail = "the launch was never finished: its engine was not started; stop it, and launch again"
            return replace(workload, health=Health.DEGRADED, detail=detail)
        if taken:
            # It is no server of this workload: it gets neither its key nor a prompt.
            return replace(workload, health=Health.DEGRADED, detail=taken, port=None)
        return replace(workload, detail="it does not answer yet")

    async def _begun(self, workload: Workload) -> bool:
        """Whether the engine was started in the head's container; True where that is not known."""
        docker = self._services.docker(self._services.connector(workload.head_host))
        try:
            marked = await docker.run_exec(workload.ranks[0].container_id, ("test", "-d", ENGINE_BEGUN))
        except HostError:
            return True
        return marked.code != 1
