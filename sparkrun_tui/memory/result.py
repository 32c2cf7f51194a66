"""The shapes of an estimate: what each host's memory is used for, three verdicts, and proposals."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum

from sparkrun_tui.base.records import dataclass


class Level(StrEnum):
    """The level of a verdict, from best to worst; `UNKNOWN` is never better than a known level."""

    GOOD = "good"
    TIGHT = "tight"
    BAD = "bad"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class HostMemory:
    """What is known of one host's memory, in bytes.

    `total` is the device total that the engine multiplies its fraction with; on unified memory it is
    `MemTotal`. `available` is what was free for a new process when the host was last asked.
    """

    name: str
    total: int
    available: int | None
    assumed: bool
    source: str
    gpus: int = 1
    unified: bool = True
    gpu_name: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """One term of a host's breakdown, in bytes, with its band and where the figure comes from.

    `kind` is one of `others`, `weights`, `kv`, `activation`, `graphs`, `overhead`.
    """

    kind: str
    bytes: int
    low: int
    high: int
    source: str


@dataclass(frozen=True, slots=True)
class HostPicture:
    """One host's stacked bar, in bytes.

    `budget` is what the engine may take of this host (the utilisation line); `free` what stays for
    the host, None when a part is unknown. Below `floor_red` the host is in danger, from
    `floor_green` on it is comfortable.
    """

    host: HostMemory
    parts: tuple[Part, ...]
    budget: int | None
    free: int | None
    floor_red: int
    floor_green: int


REFUSED = "refused by the engine"
"""The text of a verdict on settings that the engine refuses."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One judgement: a level, a short text for a narrow pane, and a sentence with the numbers."""

    level: Level
    text: str
    detail: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """One override to apply: the recipe key, its present and proposed value, and what it buys."""

    key: str
    old: str
    new: str
    why: str


@dataclass(frozen=True, slots=True)
class Rate:
    """Tokens a second: the likely figure and its band."""

    likely: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast one request is served alone, with a short context and without drafts.

    `decode` is the rate of new tokens. `prefill` is that of a prompt of some thousand tokens, None for GPUs for which
    nothing was published here. `drafts` says that a drafter is configured, which raises the decode rate by what its
    proposals are worth. `read` is what one token reads of the weights on a rank, in bytes.
    """

    decode: Rate
    prefill: Rate | None
    drafts: bool
    read: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """What an engine will allocate for a recipe on some hosts, and what follows from it.

    Every optional figure is None when it is unknown, never zero instead.
    `kv_bytes_per_request` is the cache of one request of full length on the rank that needs most,
    `pool_tokens` what the whole pool holds, `weights_bytes` the whole model, `concurrency` how
    many requests of full length run at once. `speed` is that of one request alone.
    """

    hosts: tuple[HostPicture, ...]
    starts: Verdict
    context: Verdict
    headroom: Verdict
    notes: tuple[str, ...]
    engine_version: str
    facts_source: str
    max_context: int | None = None
    concurrency: float | None = None
    min_hosts: int | None = None
    max_utilisation: float | None = None
    min_utilisation: float | None = None
    proposals: tuple[Proposal, ...] = ()
    kv_bytes_per_request: int | None = None
    pool_tokens: int | None = None
    weights_bytes: int | None = None
    speed: Speed | None = None
    hosts_needed: int | None = None
    """The hosts that the parallel sizes need; None where only one engine process is counted."""

    @property
    def refusal(self) -> str:
        """Why the engine refuses the settings at its start; empty where it does not."""
        return self.starts.detail if self.starts.text == REFUSED else ""

    @property
    def level(self) -> Level:
        """The worst of the three verdicts."""
        return worst(self.starts.level, self.context.level, self.headroom.level)


def without_contradictions(found: Estimate) -> Estimate:
    """The estimate without verdicts that another one makes void.

    What does not start has no context, and hosts that are not there keep nothing free.
    """
    context, headroom, min_hosts = found.context, found.headroom, found.min_hosts
    if found.starts.level is Level.BAD and context.level in (Level.GOOD, Level.TIGHT):
        context = Verdict(Level.UNKNOWN, "no context until it starts", f"if it started: {context.text}")
    few = found.hosts_needed is not None and found.hosts_needed > len(found.hosts)
    if few:
        min_hosts = None
        if headroom.level in (Level.GOOD, Level.TIGHT):
            headroom = Verdict(Level.UNKNOWN, "hosts are missing", f"with all hosts: {headroom.detail}")
    return replace(found, context=context, headroom=headroom, min_hosts=min_hosts)


def without_hosts(found: Estimate, reason: str) -> Estimate:
    """The estimate of a recipe that these hosts cannot run, for the reason in words: it does not start."""
    starts = found.starts
    if starts.level is not Level.BAD:
        starts = Verdict(Level.BAD, "cannot run on these hosts", reason)
    headroom = found.headroom
    if headroom.level in (Level.GOOD, Level.TIGHT):
        headroom = Verdict(Level.UNKNOWN, "hosts are missing", f"where it could run: {headroom.detail}")
    return without_contradictions(replace(found, starts=starts, headroom=headroom, min_hosts=None))


def badness(level: Level) -> int:
    """Order levels so that the worst comes last; a certain refusal outranks what is unknown."""
    return (Level.GOOD, Level.TIGHT, Level.UNKNOWN, Level.BAD).index(level)


def worst(*levels: Level) -> Level:
    """The worst of some levels; a known BAD outranks UNKNOWN, which outranks the rest.

    A refusal that is certain stays certain even when another input is missing. Of none it is UNKNOWN.
    """
    return max(levels, key=badness, default=Level.UNKNOWN)


@dataclass(frozen=True, slots=True)
class ContextCurve:
    """Lengths in tokens, the cache of one request at each in bytes, and the pool it must fit in.

    `longest` is the longest length that fits; `pool` and `longest` are None when unknown.
    """

    points: tuple[tuple[int, int], ...]
    pool: int | None
    longest: int | None
