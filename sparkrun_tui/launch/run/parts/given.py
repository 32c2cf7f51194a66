"""The input of a launch: its plan, the services for its hosts, and the decisions of the user."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.secrets import Secret
from sparkrun_tui.engines.layout.common import role_of
from sparkrun_tui.engines.plan import ContainerSpec, RankPlan
from sparkrun_tui.launch.plan.plan import LaunchPlan
from sparkrun_tui.launch.services import Services
from sparkrun_tui.remote.ports.docker import Docker
from sparkrun_tui.remote.transport import Transport


@dataclass(slots=True)
class Given:
    """The input of a launch. `plan` is made again once the hosts have answered; the rest does not change."""

    plan: LaunchPlan
    services: Services
    memory_needed: int | None = None
    """The memory estimate in bytes per host; None when unknown."""
    ignored: frozenset[str] = frozenset()
    """The codes of ignored checks: failed checks that the user has decided to ignore."""
    sent: Mapping[str, bytes] = field(default_factory=dict)
    """The content of the files to copy into the containers, by digest, as it was when the launch began.

    Emptied once they are copied.
    """
    token: Secret | None = None
    """The Hugging Face token for downloads made on this machine."""
    attached: bool = False
    """Whether the launch was found on the hosts rather than started by this process."""

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts in rank order."""
        return self.plan.host_names

    @property
    def ranks(self) -> tuple[RankPlan, ...]:
        """The ranks; for a delegated launch those that the foreign scripts make, one per host."""
        serve = self.plan.serve
        if serve.ranks or not serve.delegated:
            return serve.ranks
        spec = ContainerSpec(serve.delegated, serve.image, "")
        count = len(self.hosts)
        return tuple(RankPlan(rank, host, role_of(rank, count), spec) for rank, host in enumerate(self.hosts))

    def rank_of(self, host: str) -> int:
        """The rank that runs on a host."""
        return self.hosts.index(host)

    def transport(self, host: str) -> Transport:
        """The shared transport of a host."""
        return self.services.connector(host)

    def docker(self, host: str) -> Docker:
        """The Docker daemon of a host."""
        return self.services.docker(self.transport(host))
