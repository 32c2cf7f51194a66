"""What every step of a launch is given: the plan, the services, the stream of events, and the containers so far."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from sparkrun_tui.base.secrets import Secret
from sparkrun_tui.engines.plan import ContainerSpec, Phase, RankPlan, Role
from sparkrun_tui.launch.plan.plan import LaunchPlan
from sparkrun_tui.launch.record.bus import Bus
from sparkrun_tui.launch.record.events import LinkChanged, Noticed, Progressed, StepChanged, StepState
from sparkrun_tui.launch.services import Services
from sparkrun_tui.remote.ports.docker import Docker
from sparkrun_tui.remote.ports.models import Transfer
from sparkrun_tui.remote.probe.facts import HostFacts
from sparkrun_tui.remote.transport import LinkState, Transport

if TYPE_CHECKING:
    from sparkrun_tui.launch.run.parts.follow import Followers

T = TypeVar("T")


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
