"""The events of a launch: one stream that the screen, the journal and the CLI read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum

from sparkrun_tui.base.quantities import Bytes, Figure, Moment, Number, Percent, Seconds
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.engines.logs.causes import Repair
from sparkrun_tui.engines.plan import Phase


class StepState(StrEnum):
    """The state of a step. `unknown`: the link was lost before the result was known; the host is asked again."""

    PENDING = "pending"
    RUNNING = "running"
    SKIPPED = "skipped"
    OK = "ok"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


class LaunchStatus(StrEnum):
    """The status of a launch."""

    STARTING = "starting"
    READY = "ready"
    DEGRADED = "degraded"
    FAILED = "failed"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    STOPPING = "stopping"
    STOPPED = "stopped"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """The common fields: a running number within the launch, and Unix time."""

    seq: Number = 0
    time: Moment = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchBegan(Event):
    """The first event: what is launched where. `hosts` are in rank order."""

    launch_id: str
    recipe: str
    engine: str
    model: str
    cluster: str
    hosts: tuple[str, ...]
    port: Number
    settings: Mapping[str, str] = field(default_factory=dict)
    reference: str = ""
    """What to type to mean the recipe again: its name, its path or its address; empty when it is not known."""
    claimed: bool = False
    """Whether only the labels of containers say all this, which everyone with access to a host's Docker can write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusChanged(Event):
    """The launch as a whole has a new status."""

    status: LaunchStatus
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepChanged(Event):
    """A phase on a host has a new state; `detail` is the text of the cell (`same digest`, `cached`)."""

    host: str
    phase: Phase
    state: StepState
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progressed(Event):
    """The progress of a phase on a host: bytes when `unit` is `B`, else counts or percent; `rate` is per second."""

    host: str
    phase: Phase
    done: Figure
    total: Figure | None
    rate: Figure | None = None
    unit: str = "B"
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkChanged(Event):
    """The link to a host changed (`up`, `reconnecting`, ...)."""

    host: str
    state: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemorySeen(Event):
    """A reading of a host's memory in bytes."""

    host: str
    available: Bytes
    total: Bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class HostNamed(Event):
    """What a host calls itself and the user who logs in there; reports hide both."""

    host: str
    names: tuple[str, ...]
    user: str = ""


class GuardState(StrEnum):
    """What a memory guard does."""

    WATCHING = "watching"
    STOPPED = "stopped"
    """It has stopped the container."""
    ENDED = "ended"
    """It has ended, as the container had."""
    SILENT = "silent"
    """It takes no samples any more, though the container may run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardSeen(Event):
    """What the memory guard of a host has recorded since the last such event. Memory is bytes of MemAvailable.

    `samples` are the least of about five seconds each, oldest first. `pressure` is the most of them: the share of ten
    seconds in which some process waited for memory, in percent.
    """

    host: str
    floor: Bytes
    state: GuardState
    samples: tuple[Bytes, ...] = ()
    now: Bytes | None = None
    """The newest sample."""
    pressure: Percent | None = None
    minute: tuple[Bytes, ...] = ()
    """Every sample of the minute before it stopped the container or the host was restarted, two a second."""
    stopped: Bytes | None = None
    """What was left when it stopped the container."""
    until: Seconds = 0.0
    """The time of the newest of `samples`, seconds since the host's start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFact(Event):
    """A figure the engine printed (`kv_tokens`, `kv_bytes`, `weights_bytes`, `concurrency`, `graphs_bytes`)."""

    host: str
    name: str
    value: Figure


STOP = "stop"
"""What a notice may offer: to stop the launch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Noticed(Event):
    """A message for the user; `level` is `note`, `warning` or `error`. `offers` is `stop` or empty."""

    level: str
    text: str
    host: str = ""
    offers: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointUp(Event):
    """The model is served: the base URL, and the model name for requests.

    `offers` is the kind of its answers, a name of `engines.offers` (empty: not known). `wants_key` says whether
    requests must send an API key, which is never part of an event.
    """

    url: str
    model: str
    offers: str = ""
    wants_key: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosed(Event):
    """The first cause of a failure: the host, an explanation, and the log line that shows it."""

    host: str
    title: str
    explanation: str
    evidence: str
    repairs: tuple[Repair, ...] = ()


AnyEvent = (
    LaunchBegan
    | StatusChanged
    | StepChanged
    | Progressed
    | LinkChanged
    | MemorySeen
    | HostNamed
    | GuardSeen
    | EngineFact
    | Noticed
    | EndpointUp
    | Diagnosed
)
