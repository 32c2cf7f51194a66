"""What a known cause of failure is: a pattern in a log line, plain words for it, and the changes that would help."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from sparkrun_tui.base.numbers import decimal
from sparkrun_tui.base.patterns import LinePattern
from sparkrun_tui.base.text import shorten
from sparkrun_tui.base.units import GIB
from sparkrun_tui.engines.plan import Phase

_MOST_WORDS = 600
"""Cells of a line that an explanation or a repair quotes."""


@dataclass(frozen=True, slots=True)
class Repair:
    """A change that would help: an override to set (`key` empty: something to do by hand)."""

    title: str
    why: str
    key: str = ""
    value: str = ""


class Weight(IntEnum):
    """How much a match says: a lower one is never shown while a higher one is there."""

    OURS = 5
    """Our own words about a step of ours."""
    CAUSE = 4
    """Names what is wrong."""
    UNKNOWN = 3
    """An exception nobody wrote a rule for."""
    HINT = 2
    """Fits the failure, but also comes in starts that go well."""
    CONSEQUENCE = 1
    """One process or host noticed that another one had failed."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a rule may know besides its own line. `values` are the recipe's values in force, as text."""

    values: Mapping[str, str]
    before: Sequence[str] = ()
    """Lines of the same log above the match without prefixes, nearest last."""
    phase: Phase | None = None
    """How far the start had come on that host."""
    memory_total: int | None = None
    """Bytes of the host's memory, None where it is not known."""
    engine: str = ""

    def key(self, *names: str) -> str:
        """The first of several names of a setting that the recipe has, else the first."""
        return next((name for name in names if name in self.values), names[0])

    def number(self, *names: str) -> float | None:
        """The value of the first of `names` that is a number, None without one."""
        for name in names:
            number = decimal(self.values.get(name, ""))
            if number is not None:
                return number
        return None

    def whole(self, *names: str) -> int | None:
        """The value of the first of `names` that is a number, rounded down; None without one."""
        number = self.number(*names)
        return None if number is None else math.floor(number)


Explain = Callable[["re.Match[str]", Context], str]
Mend = Callable[["re.Match[str]", Context], tuple[Repair, ...]]


@dataclass(frozen=True, slots=True)
class Cause:
    """One rule. `why` may hold `{0}`, `{1}` for the groups of the pattern."""

    pattern: LinePattern
    title: str
    why: str | Explain
    repairs: tuple[Repair, ...] | Mend = ()
    weight: Weight = Weight.CAUSE
    even_as_note: bool = False
    """Whether a line of level INFO or WARNING counts too."""

    def explain(self, match: re.Match[str], context: Context) -> str:
        """The explanation for a match."""
        if callable(self.why):
            return self.why(match, context)
        return self.why.format(*(_said(group) for group in match.groups()))

    def mend(self, match: re.Match[str], context: Context) -> tuple[Repair, ...]:
        """The repairs for a match."""
        return self.repairs(match, context) if callable(self.repairs) else self.repairs


def cause(
    pattern: str,
    title: str,
    why: str | Explain,
    *repairs: Repair,
    mend: Mend | None = None,
    weight: Weight = Weight.CAUSE,
    even_as_note: bool = False,
) -> Cause:
    """A rule from a pattern's text; either fixed `repairs`, or `mend` that works them out."""
    return Cause(LinePattern(pattern), title, why, mend or repairs, weight, even_as_note)


def by_hand(title: str, why: str = "") -> Repair:
    """Something to do that is not an override."""
    return Repair(shorten(title, _MOST_WORDS), shorten(why, _MOST_WORDS))


def _said(group: str | None) -> str:
    """A part of a line as an explanation quotes it."""
    return shorten((group or "").strip(), _MOST_WORDS)


LENGTH = ("max_model_len", "context_length", "ctx_size", "max_context_len")
UTILISATION = ("gpu_memory_utilization", "mem_fraction_static")
SEQS = ("max_num_seqs", "max_running_requests", "parallel")
BATCHED = ("max_num_batched_tokens", "chunked_prefill_size")


def set_length(tokens: int, context: Context, why: str = "the longest that fits") -> Repair:
    """Set the context length to `tokens`."""
    key = context.key(*LENGTH)
    return Repair(f"{key} {_arrow(context, key)}{tokens}", why, key, str(tokens))


def set_utilisation(value: float, context: Context, why: str) -> Repair:
    """Set the memory fraction, rounded down to a hundredth."""
    key = context.key(*UTILISATION)
    text = f"{math.floor(value * 100 + 1e-6) / 100:.2f}"
    return Repair(f"{key} {_arrow(context, key)}{text}", why, key, text)


def set_value(key: str, value: str, context: Context, why: str) -> Repair:
    """Set an override."""
    return Repair(f"{key} {_arrow(context, key)}{value}", why, key, value)


def _arrow(context: Context, key: str) -> str:
    return f"{context.values[key]} → " if key in context.values else "→ "


def smaller_half(context: Context, names: Sequence[str], why: str, default: int) -> tuple[Repair, ...]:
    """Halve a whole-number setting; nothing when it is 1 already."""
    key = context.key(*names)
    now = context.whole(key) or default
    return (set_value(key, str(max(1, now // 2)), context, why),) if now > 1 else ()


def more_utilisation(missing_gib: float, context: Context) -> tuple[Repair, ...]:
    """Raise the fraction by what is missing, when the host keeps at least 8 GiB besides it."""
    now = context.number(*UTILISATION)
    if now is None or context.memory_total is None:
        return ()
    total = context.memory_total / GIB
    value = math.ceil((now + missing_gib / total) * 100) / 100
    left = total * (1 - value)
    if value <= now or left < 8:
        return ()
    return (set_utilisation(value, context, f"the host keeps {left:.0f} GiB"),)


def less_utilisation(step: float, context: Context, why: str) -> tuple[Repair, ...]:
    """Lower the fraction by `step`; nothing where it is not known."""
    now = context.number(*UTILISATION)
    return (set_utilisation(now - step, context, why),) if now is not None and now - step > 0.1 else ()


OUT_OF_MEMORY = (
    r"OutOfMemoryError: CUDA out of memory\. Tried to allocate ([\d.]+ [KMG]iB)|"
    r"(?:OutOfMemoryError|AcceleratorError): CUDA (?:error: )?out of memory|"
    r"NVML_SUCCESS == r INTERNAL ASSERT FAILED"
)
"""PyTorch has no memory left. The last form is what it says where the GPU shares the host's memory: it asks NVML for
figures to put into its message, and NVML has none there (pytorch/pytorch#112377)."""


def ended_words(who: str, code: str) -> str:
    """That a process ended with an exit code, and what the code means where it is a kill."""
    killed = ": killed from outside, most often because the host ran out of memory." if code == "-9" else "."
    return f"{who} ended with exit code {code}{killed}"


def after_kill(_: re.Match[str], context: Context) -> tuple[Repair, ...]:
    """What to do after a process was killed: leave the host more room, and see who did it."""
    look = by_hand("journalctl -k -b | grep -i -e oom -e NVRM", "shows whether the kernel killed it")
    return (*less_utilisation(0.05, context, "leaves the host more room"), look)


def next_port(context: Context) -> tuple[Repair, ...]:
    """The next port number, and how to see who has this one."""
    port = context.whole("port") or 0
    look = by_hand("see who listens: ss -ltnp", "stop it, if it is an old server")
    return (set_value("port", str(port + 1), context, "the next one"), look) if 0 < port < 65_535 else (look,)
