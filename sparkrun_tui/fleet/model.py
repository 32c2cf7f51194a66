"""What a survey finds: the hosts, and the workloads on them, launched by this program or by others."""

from __future__ import annotations

from enum import StrEnum

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.engines.plan import HEALTH_PATH
from sparkrun_tui.remote.probe.facts import HostFacts
from sparkrun_tui.remote.transport import LinkStatus


class Health(StrEnum):
    """The health of a workload, judged over all its ranks."""

    SERVING = "serving"
    STARTING = "starting"
    DEGRADED = "degraded"
    EXITED = "exited"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class WorkloadRank:
    """One container of a workload. `started` is Unix seconds; `state` is Docker's word (`running`, `exited`)."""

    host: str
    container_id: str
    container_name: str
    rank: int
    role: str
    state: str
    started: float | None = None
    exit_code: int | None = None
    oom_killed: bool = False


@dataclass(frozen=True, slots=True)
class Workload:
    """Containers that serve or served one model, grouped by the launch id in their labels; foreign ones have no id."""

    launch_id: str
    recipe: str
    engine: str
    model: str
    served_name: str
    port: int | None
    ranks: tuple[WorkloadRank, ...]
    expected_ranks: int
    health: Health
    detail: str = ""
    ours: bool = True
    offers: str = ""
    """What its server answers, a name of `engines.offers`, where its command says so; empty where it does not."""
    health_path: str = HEALTH_PATH
    """The path that its server answers with success once it serves."""
    engine_is_exec: bool = False
    """Whether the engine is started in its container after the other ranks have joined, as over Ray."""
    address: str = "127.0.0.1"
    """Where its server answers, as seen from its head host."""

    @property
    def key(self) -> str:
        """What tells it from other workloads of a survey, and is the same in the next one."""
        if self.launch_id or not self.ranks:
            return self.launch_id
        return f"{self.head_host}/{self.ranks[0].container_name or self.ranks[0].container_id}"

    @property
    def head_host(self) -> str:
        """The host whose port answers."""
        return self.ranks[0].host if self.ranks else ""


@dataclass(frozen=True, slots=True)
class HostStatus:
    """One host of a survey: its facts when it answered, else the reason why not (`link`)."""

    name: str
    link: LinkStatus
    facts: HostFacts | None = None
    note: str = ""
    """What the view leaves out of this host, in words; empty when nothing is left out."""


@dataclass(frozen=True, slots=True)
class FleetView:
    """One survey of a cluster, taken at Unix time `taken`."""

    cluster: str
    taken: float
    hosts: tuple[HostStatus, ...]
    workloads: tuple[Workload, ...]
