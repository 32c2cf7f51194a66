"""The state of a launch, which is computed from its events by `fold`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.engines.plan import Phase
from sparkrun_tui.launch.record.events import Diagnosed, EndpointUp, GuardState, LaunchStatus, Noticed, StepState


@dataclass(frozen=True, slots=True)
class Cell:
    """One phase on one host. Times are Unix seconds; `done`, `total`, `rate` in `unit` (`B` is bytes)."""

    state: StepState = StepState.PENDING
    detail: str = ""
    done: float | None = None
    total: float | None = None
    rate: float | None = None
    unit: str = "B"
    started: float | None = None
    ended: float | None = None


@dataclass(frozen=True, slots=True)
class GuardRow:
    """What the memory guard of a host has seen during the whole launch. Memory is bytes of MemAvailable.

    Each of `readings`, oldest first, is the least of `width` samples, of about five seconds each.
    """

    floor: int
    state: GuardState
    readings: tuple[int, ...] = ()
    width: int = 1
    waiting: tuple[int, ...] = ()
    """The newest samples, fewer than `width`, which are not among the readings yet."""
    now: int | None = None
    least: int | None = None
    pressure: float | None = None
    """The most of all, percent."""
    minute: tuple[int, ...] = ()
    """Every sample of the minute before it stopped the container, or before the host was restarted."""
    stopped: int | None = None
    """What was left when it stopped the container; None where it did not."""
    until: float = 0.0
    """The time of the newest sample among these, seconds since the host's start."""


@dataclass(frozen=True, slots=True)
class HostRow:
    """One host of a launch: its link, its phases, and the last readings of available memory (bytes, newest last)."""

    name: str
    rank: int
    link: str = "idle"
    link_detail: str = ""
    cells: Mapping[Phase, Cell] = field(default_factory=dict)
    memory: tuple[int, ...] = ()
    memory_total: int | None = None
    guard: GuardRow | None = None
    """What its memory guard has seen; None where it has none."""
    own_names: tuple[str, ...] = ()
    """What it calls itself; empty where that is not known."""
    user: str = ""
    """Who logs in there; empty where that is not known."""


@dataclass(frozen=True, slots=True)
class LaunchState:
    """A launch at one moment, for screens, readers of the journal, and scripts."""

    launch_id: str = ""
    recipe: str = ""
    engine: str = ""
    model: str = ""
    cluster: str = ""
    port: int = 0
    settings: Mapping[str, str] = field(default_factory=dict)
    reference: str = ""
    """What to type to mean the recipe again; empty when it is not known."""
    claimed: bool = False
    """Whether only labels of containers say what was launched."""
    hosts: Mapping[str, HostRow] = field(default_factory=dict)
    status: LaunchStatus = LaunchStatus.STARTING
    detail: str = ""
    started: float | None = None
    ended: float | None = None
    ready_at: float | None = None
    endpoint: EndpointUp | None = None
    diagnosis: Diagnosed | None = None
    notices: tuple[Noticed, ...] = ()
    facts: Mapping[str, float] = field(default_factory=dict)
