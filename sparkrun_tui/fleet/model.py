"""What a look at the hosts finds: their load and the workloads on them, ours and foreign."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sparkrun_tui.remote.probe.facts import HostFacts
from sparkrun_tui.remote.transport import LinkStatus


class Health(StrEnum):
    """How a workload is, judged over all its ranks."""

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
    """Something that serves or did: grouped by the launch id in the containers' labels; foreign ones have none."""

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
    address: str = "127.0.0.1"
    """Where its server answers, as seen from its head host."""

    @property
    def head_host(self) -> str:
        """The host whose port answers."""
        return self.ranks[0].host if self.ranks else ""


@dataclass(frozen=True, slots=True)
class HostStatus:
    """One host of a survey: its facts when it answered, else why not (`link`)."""

    name: str
    link: LinkStatus
    facts: HostFacts | None = None
    note: str = ""
    """What is not shown of it, in words; empty when all is."""


@dataclass(frozen=True, slots=True)
class FleetView:
    """One look at a cluster, taken at Unix time `taken`."""

    cluster: str
    taken: float
    hosts: tuple[HostStatus, ...]
    workloads: tuple[Workload, ...]
