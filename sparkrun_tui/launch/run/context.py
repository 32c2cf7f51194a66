"""What every step of a launch is given: the plan, the services, the stream of events, and the containers so far."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from sparkrun_tui.base.errors import HostError, LaunchError, SparkrunError
from sparkrun_tui.base.secrets import Secret
from sparkrun_tui.engines.plan import ContainerSpec, Phase, RankPlan, Role
from sparkrun_tui.launch.plan.plan import LaunchPlan
from sparkrun_tui.launch.record.bus import Bus
from sparkrun_tui.launch.record.events import LinkChanged, Noticed, Progressed, StepChanged, StepState
from sparkrun_tui.launch.services import Services
from sparkrun_tui.remote.failures import LinkLost
from sparkrun_tui.remote.ports.docker import Docker
from sparkrun_tui.remote.ports.models import Transfer
from sparkrun_tui.remote.probe.facts import HostFacts
from sparkrun_tui.remote.transport import LinkState, Transport

if TYPE_CHECKING:
    from sparkrun_tui.launch.run.follow import Followers

T = TypeVar("T")

GIVE_UP_AFTER = 600.0
"""Seconds of a lost link after which a step gives up, its result still unknown."""

RETRY_PAUSE = 1.0
_MAX_PAUSE = 8.0


@dataclass(slots=True)
class Context:
    """One launch while it is being carried out. `containers` maps ranks to container ids once they exist."""

    plan: LaunchPlan
    services: Services
    bus: Bus
    memory_needed: int | None = None
    """Bytes that the estimate wants on each host."""
    overridden: frozenset[str] = frozenset()
    """Codes of failed checks that the user has waved through."""
    sent: Mapping[str, bytes] = field(default_factory=dict)
    """What the files hold that go into the containers, by digest: as they were when the launch began."""
    facts: dict[str, HostFacts] = field(default_factory=dict)
    containers: dict[int, str] = field(default_factory=dict)
    executions: dict[int | str, str] = field(default_factory=dict)
    """Ids of execs: numbered those that are the engine, by name those that are not."""
    jobs: list[tuple[str, str]] = field(default_factory=list)
    """Detached jobs under way, as (host, key): they go on when the launch is let go, and end when it is given up."""
    engine_seen: bool = False
    """Whether the engine was among the processes of a delegated container."""
    engine_missed: int = 0
    """How often in a row it was not, after that."""
    figures: dict[str, dict[str, float]] = field(default_factory=dict)
    """Of each host, what its engine has printed so far."""
    touched: set[str] = field(default_factory=set)
    """Hosts on which a container of the launch may exist: only those are cleaned."""
    followers: Followers | None = None
    leased: list[str] = field(default_factory=list)
    """Hosts whose lease is held."""
    renewing: asyncio.Task[None] | None = None
    force: asyncio.Event = field(default_factory=asyncio.Event)
    token: Secret | None = None
    """The Hugging Face token for downloads made on this machine."""
    attached: bool = False
    """Whether it was found on the hosts rather than begun here."""
    done: str = ""
    """Why it is over though nothing failed and nobody asked for it."""
    served: bool = False
    """Whether the endpoint has answered; from then on stopping grants grace."""

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts in rank order."""
        return self.plan.host_names

    @property
    def ranks(self) -> tuple[RankPlan, ...]:
        """The ranks; for a delegated launch those that the foreign scripts make, one a host."""
        serve = self.plan.serve
        if serve.ranks or not serve.delegated:
            return serve.ranks
        spec = ContainerSpec(serve.delegated, serve.image, "")
        roles = [Role.SOLO] if len(self.hosts) == 1 else [Role.HEAD, *[Role.WORKER] * (len(self.hosts) - 1)]
        return tuple(RankPlan(rank, host, roles[rank], spec) for rank, host in enumerate(self.hosts))

    def transport(self, host: str) -> Transport:
        """The shared transport of a host."""
        return self.services.connector(host)

    def docker(self, host: str) -> Docker:
        """The daemon of a host."""
        return self.services.docker(self.transport(host))

    def rank_of(self, host: str) -> int:
        """The rank that runs on a host."""
        return self.hosts.index(host)

    def step(self, host: str, phase: Phase, state: StepState, detail: str = "") -> None:
        """Tell that a phase on a host took a state."""
        self.bus.emit(StepChanged(host=host, phase=phase, state=state, detail=detail))

    def progress(self, host: str, phase: Phase, moved: Transfer) -> None:
        """Tell how far a transfer is."""
        self.bus.emit(
            Progressed(host=host, phase=phase, done=moved.done, total=moved.total, rate=moved.rate, detail=moved.detail)
        )

    def notice(self, level: str, text: str, host: str = "") -> None:
        """Tell something worth telling."""
        self.bus.emit(Noticed(level=level, text=text, host=host))

    def link(self, host: str, state: LinkState | str, detail: str = "") -> None:
        """Tell that the link of a host changed, when it did."""
        row = self.bus.state.hosts.get(host)
        if row is None or row.link != str(state) or row.link_detail != detail:
            self.bus.emit(LinkChanged(host=host, state=str(state), detail=detail))


async def insist(context: Context, host: str, phase: Phase, attempt: Callable[[], Awaitable[T]]) -> T:
    """The result of `attempt`, made again after each lost link once the host answers again.

    Every attempt must begin by looking at what is already true, so that doing it twice does it once. While the link
    is down the step is `unknown`. Raises `LinkLost` when it stays down for ten minutes.
    """
    while True:
        try:
            return await attempt()
        except LinkLost as lost:
            context.step(host, phase, StepState.UNKNOWN, "connection lost")
            await regain(context, host, lost)
            context.step(host, phase, StepState.RUNNING, "asked again")


async def regain(context: Context, host: str, lost: HostError, give_up_after: float = GIVE_UP_AFTER) -> None:
    """Wait until the host answers again; raises `lost` when it has not for `give_up_after` seconds."""
    context.link(host, LinkState.RECONNECTING, lost.what)
    deadline = asyncio.get_running_loop().time() + give_up_after
    pause = RETRY_PAUSE
    while True:
        try:
            async with asyncio.timeout_at(deadline):
                await context.transport(host).connect()
        except TimeoutError:
            raise lost from None
        except HostError as error:
            if asyncio.get_running_loop().time() + pause > deadline:
                raise lost from error
            context.link(host, LinkState.RECONNECTING, error.what)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _MAX_PAUSE)
        else:
            context.link(host, LinkState.UP)
            return


async def on_all(context: Context, phase: Phase, hosts: Sequence[str], work: Callable[[str], Awaitable[None]]) -> None:
    """Do `work` on all hosts at once; those that can, finish, then the first failure is raised for all.

    A host that fails shows it at once, with its reason; the others are not cut short, since what they have moved
    is there for the next launch. Cancelling cancels all.
    """
    tasks = [asyncio.create_task(_reported(context, phase, host, work)) for host in dict.fromkeys(hosts)]
    try:
        await asyncio.wait(tasks) if tasks else None
    except asyncio.CancelledError:
        await drop(tasks)
        raise
    errors = [error for task in tasks if (error := task.exception()) is not None]
    if errors:
        raise errors[0]


async def _reported(context: Context, phase: Phase, host: str, work: Callable[[str], Awaitable[None]]) -> None:
    try:
        await work(host)
    except asyncio.CancelledError:
        context.step(host, phase, StepState.CANCELLED)
        raise
    except LinkLost as error:
        context.step(host, phase, StepState.UNKNOWN, error.what)
        raise _failure(error, host) from error
    except SparkrunError as error:
        context.step(host, phase, StepState.FAILED, error.what)
        context.notice("error", error.what, host)
        raise _failure(error, host) from error


def _failure(error: SparkrunError, host: str) -> LaunchError:
    if isinstance(error, LaunchError):
        return error
    return LaunchError(error.what, host=error.host or host, spot=error.spot, remedy=error.remedy)


async def drop(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks and wait until they have ended, whatever they end with."""
    pending = list(tasks)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
