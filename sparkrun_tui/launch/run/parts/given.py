"""What a launch is given when it begins: its plan, the ways to its hosts, and what the user has decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sparkrun_tui.base.secrets import Secret
from sparkrun_tui.engines.plan import ContainerSpec, RankPlan, Role
from sparkrun_tui.launch.plan.plan import LaunchPlan
from sparkrun_tui.launch.services import Services
from sparkrun_tui.remote.ports.docker import Docker
from sparkrun_tui.remote.transport import Transport


@dataclass(slots=True)
class Given:
    """What a launch is given. `plan` is laid out again once the hosts have answered; the rest stays as it is."""

    plan: LaunchPlan
    services: Services
    memory_needed: int | None = None
    """Bytes that the estimate wants on each host."""
    ignored: frozenset[str] = frozenset()
    """Codes of failed checks that the user ignores."""
    sent: Mapping[str, bytes] = field(default_factory=dict)
    """What the files hold that go into the containers, by digest: as they were when the launch began.

    Emptied once they are there.
    """
    token: Secret | None = None
    """The Hugging Face token for downloads made on this machine."""
    attached: bool = False
    """Whether the launch was found on the hosts rather than begun here."""

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

    def rank_of(self, host: str) -> int:
        """The rank that runs on a host."""
        return self.hosts.index(host)

    def transport(self, host: str) -> Transport:
        """The shared transport of a host."""
        return self.services.connector(host)

    def docker(self, host: str) -> Docker:
        """The daemon of a host."""
        return self.services.docker(self.transport(host))
