"""Rules for known causes of failure: a pattern in a log line, an explanation, and changes that would help."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import IntEnum

from sparkrun_tui.base.reading.numbers import decimal, whole
from sparkrun_tui.base.reading.patterns import LinePattern
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.base.text import shorten
from sparkrun_tui.base.units import GIB
from sparkrun_tui.engines.plan import Phase

_MOST_WORDS = 600
"""Most terminal cells of a line that an explanation or a repair quotes."""


@dataclass(frozen=True, slots=True)
class Repair:
    """A change that would help: an override to set (`key` empty: something to do by hand)."""

    title: str
    why: str
    key: str = ""
    value: str = ""


class Weight(IntEnum):
    """How much a match says: one of lower weight is never shown beside one of higher weight."""

    OURS = 5
    """This program's own message about one of its steps."""
    CAUSE = 4
    """The line names the cause."""
    UNKNOWN = 3
    """An exception that no rule describes."""
    HINT = 2
    """Fits the failure, but also occurs in starts that succeed."""
    CONSEQUENCE = 1
    """A process or host noticed that another one had failed."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a rule knows besides its own line. `values` are the recipe's effective values, as text."""

    values: Mapping[str, str]
    before: Sequence[str] = ()
    """Lines of the same log above the match, without prefixes, nearest last."""
    phase: Phase | None = None
    """The phase of the start on that host."""
    memory_total: int | None = None
    """Bytes of the host's memory; None where it is not known."""
    engine: str = ""

    def key(self, *names: str) -> str:
        """The first of several names of a setting that the recipe has a value for, else the first name."""
        for name in names:
            if name in self.values:
                return name
        return names[0]

    def number(self, *names: str) -> float | None:
        """The value of the first of `names` that is a number; None without one."""
        for name in names:
            number = decimal(self.values.get(name, ""))
            if number is not None:
                return number
        return None

    def whole(self, *names: str) -> int | None:
        """The value of the first of `names` that is a number, rounded down; None without one."""
        number = self.number(*names)
        if number is None:
            return None
        return math.floor(number)


Explain = Callable[["re.Match[str]", Context], str]
RepairsFor = Callable[["re.Match[str]", Context], tuple[Repair, ...]]


@dataclass(frozen=True, slots=True)
class Cause:
    """One rule. `{0}`, `{1}` in `why` are filled with the groups of the pattern."""

    pattern: LinePattern
    title: str
    why: str | Explain
    repairs: tuple[Repair, ...] | RepairsFor = ()
    weight: Weight = Weight.CAUSE
    even_as_note: bool = False
    """Whether a line of level INFO or WARNING counts too."""
    outside: bool = False
    """Whether only lines count that no process of an engine wrote: those of Docker, of ssh and of the host."""
    in_code: bool = False
    """Whether it looks at the lines of code in a traceback rather than at what programs say."""
    generic: bool = False
    """Whether it describes a kind of exceptions: one that no rule describes, in the same process, goes before it."""
    near: LinePattern | None = None
    """What one of the lines above it must hold, too: the last 30 of the host."""
    unless: LinePattern | None = None
    """What none of these lines may hold."""
    tells_below: bool = False
    """Whether the first line below that says what went wrong is shown with it."""

    def matches(self, text: str, before: Iterable[str]) -> re.Match[str] | None:
        """The match in a line, of which `before` are the lines above."""
        match = self.pattern.search(text)
        if match is None or (self.near is None and self.unless is None):
            return match
        above = tuple(before)
        if self.near is not None and not any(self.near.search(line) for line in above):
            return None
        if self.unless is not None and any(self.unless.search(line) for line in above):
            return None
        return match

    def explain(self, match: re.Match[str], context: Context) -> str:
        """The explanation for a match."""
        if callable(self.why):
            return self.why(match, context)
        return self.why.format(*map(_quoted, match.groups()))

    def repairs_for(self, match: re.Match[str], context: Context) -> tuple[Repair, ...]:
        """The repairs for a match."""
        if callable(self.repairs):
            return self.repairs(match, context)
        return self.repairs


def cause(
    pattern: str,
    title: str,
    why: str | Explain,
    *repairs: Repair,
    repairs_for: RepairsFor | None = None,
    weight: Weight = Weight.CAUSE,
    even_as_note: bool = False,
    outside: bool = False,
    in_code: bool = False,
    generic: bool = False,
    near: str = "",
    unless: str = "",
    tells_below: bool = False,
) -> Cause:
    """A rule from a pattern's text, with fixed `repairs` or with `repairs_for`, which works them out from the match."""
    return Cause(
        pattern=LinePattern(pattern),
        title=title,
        why=why,
        repairs=repairs_for or repairs,
        weight=weight,
        even_as_note=even_as_note,
        outside=outside,
        in_code=in_code,
        generic=generic,
        near=LinePattern(near) if near else None,
        unless=LinePattern(unless) if unless else None,
        tells_below=tells_below,
    )


def by_hand(title: str, why: str = "") -> Repair:
    """Something to do that is not an override."""
    return Repair(shorten(title, _MOST_WORDS), shorten(why, _MOST_WORDS))


def first_of(match: re.Match[str], *groups: int) -> str:
    """The first of some groups that has text: alternatives of a pattern have one each. Empty where none has."""
    return next((match[group] for group in groups if match[group]), "")


def _quoted(group: str | None) -> str:
    """A part of a line as an explanation quotes it."""
    return shorten((group or "").strip(), _MOST_WORDS)


LENGTH = ("max_model_len", "context_length", "ctx_size", "max_context_len")
UTILISATION = ("gpu_memory_utilization", "mem_fraction_static")
SEQS = ("max_num_seqs", "max_running_requests", "parallel")
BATCHED = ("max_num_batched_tokens", "chunked_prefill_size")


SPARE = 8
"""GiB that a host keeps for itself when a repair raises the memory fraction."""

LOWERED = (*LENGTH, *SEQS, *BATCHED, "tensor_parallel")
"""Whole numbers that a repair only ever lowers."""

_SHORT = 4096
"""A context of so many tokens or fewer is not halved."""
_FLAG = late_regex(r"--?[A-Za-z][A-Za-z0-9_.-]{0,60}")


def may_be_offered(repair: Repair, context: Context) -> bool:
    """Whether a repair may be offered for a line of a log, which whoever wrote the container can have made up.

    A figure of such a line may lower a setting, and never raise it. The memory fraction may rise as far as the host,
    by its probe, keeps `SPARE` GiB: one that keeps less may freeze.
    """
    if repair.key in UTILISATION:
        return _may_use(decimal(repair.value), context)
    if repair.key not in LOWERED:
        return True
    now, wanted = context.whole(repair.key), decimal(repair.value)
    return now is None or (wanted is not None and wanted < now)


def _may_use(wanted: float | None, context: Context) -> bool:
    """Whether the memory fraction of a repair is lower than now, or leaves the host enough memory."""
    now = context.number(*UTILISATION)
    if wanted is None or (now is not None and wanted <= now):
        return wanted is not None
    return context.memory_total is not None and context.memory_total / GIB * (1 - wanted) >= SPARE


def flag_in(text: str) -> str:
    """The flag that a line of a log names, to be quoted in a repair; empty where it is anything else.

    A repair is read as advice of this program, so it never repeats a sentence or a command of a log.
    """
    return text if _FLAG.fullmatch(text) else ""


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


def set_env(name: str, value: str, why: str = "") -> Repair:
    """Set a variable of the containers, which is an override of its own (`env.NAME`)."""
    return Repair(f"env.{name} → {value}", why, f"env.{name}", value)


def _arrow(context: Context, key: str) -> str:
    if key not in context.values:
        return "→ "
    return f"{context.values[key]} → "


def smaller_half(context: Context, names: Sequence[str], why: str, default: int) -> tuple[Repair, ...]:
    """Halve a whole-number setting; empty when it is 1 already."""
    key = context.key(*names)
    now = context.whole(key) or default
    if now <= 1:
        return ()
    return (set_value(key, str(now // 2), context, why),)


def more_utilisation(missing_gib: float, context: Context) -> tuple[Repair, ...]:
    """Raise the memory fraction by what is missing; empty where the host would keep less than 8 GiB."""
    now = context.number(*UTILISATION)
    if now is None or context.memory_total is None:
        return ()
    total = context.memory_total / GIB
    value = math.ceil((now + missing_gib / total) * 100) / 100
    left = total * (1 - value)
    if value <= now or left < SPARE:
        return ()
    return (set_utilisation(value, context, f"the host keeps {left:.0f} GiB"),)


def less_utilisation(step: float, context: Context, why: str) -> tuple[Repair, ...]:
    """Lower the memory fraction by `step`; empty where it is not known or would become 0.1 or less."""
    now = context.number(*UTILISATION)
    if now is None or now - step <= 0.1:
        return ()
    return (set_utilisation(now - step, context, why),)


OUT_OF_MEMORY = (
    r"OutOfMemoryError: CUDA out of memory\. Tried to allocate ([\d.]+ [KMG]iB)|"
    r"(?:OutOfMemoryError|AcceleratorError|graph failed): CUDA (?:error: )?out of memory|"
    r"^RuntimeError: CUDA error: out of memory|"
    r"NVML_SUCCESS == r INTERNAL ASSERT FAILED"
)
"""PyTorch has no memory left. It prints the last form where the GPU shares the host's memory: it asks NVML for the
figures of its message, and NVML has none there (pytorch/pytorch#112377)."""


_CRASHES = {"-4": "illegal instruction", "-6": "abort", "-7": "bus error", "-11": "segmentation fault"}


def ended_words(who: str, code: str) -> str:
    """The sentence that a process ended with an exit code, with the meaning of the code where it is a kill."""
    if code == "-9":
        return f"{who} ended with exit code {code}: killed from outside, most often because the host ran out of memory."
    if code in _CRASHES:
        return f"{who} ended with exit code {code}: a compiled part of it crashed ({_CRASHES[code]})."
    return f"{who} ended with exit code {code}."


def after_kill(match: re.Match[str], context: Context) -> tuple[Repair, ...]:
    """Repairs after a process ended without a message: group 2 of the match is its exit code, where that is known.

    After a kill they leave the host more memory, and say how to find out what killed it.
    """
    code = match[2] if match.re.groups > 1 else None
    if code is not None and code != "-9":
        return (by_hand("read the lines above it, on all hosts", "the first failure is there"),)
    look = by_hand("journalctl -k -b | grep -i -e oom -e NVRM", "shows whether the kernel killed it")
    return (*less_utilisation(0.05, context, "leaves the host more room"), look)


def less_of_the_host(context: Context) -> tuple[Repair, ...]:
    """Repairs where a launch takes more memory than its host can spare: what lowers that of any engine.

    Where a fraction of the memory sizes the KV cache, a shorter context leaves the host no more.
    """
    repairs = [*less_utilisation(0.05, context, "leaves more memory to the host")]
    has_fraction = context.number(*UTILISATION) is not None
    if has_fraction:
        title = "PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True in env"
        repairs.append(by_hand(title, "several GiB more stay free while the engine starts"))
    seqs = context.whole(*SEQS)
    if seqs is not None:
        repairs += smaller_half(context, SEQS, "fewer requests at a time", seqs)
    length = context.whole(*LENGTH) or 0
    if length > _SHORT and not has_fraction:
        repairs.append(set_length(length // 2, context, "half the KV cache"))
    if not repairs:
        repairs.append(by_hand("a lower memory fraction, a shorter context, or a smaller quantisation"))
    return tuple(repairs)


_PORT = late_regex(r"(?<![\d.:])(?:\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?::|', ))?(\d{4,5})(?![\d.])")


def port_in(text: str) -> int | None:
    """The only port that a line of a log names; None where it names none or several."""
    ports = set(_PORT.findall(text))
    if len(ports) != 1:
        return None
    return whole(ports.pop(), least=1, most=65_535)


def next_port(text: str, context: Context) -> tuple[Repair, ...]:
    """Repairs for a port in use: the next port number, and how to see what listens on this one.

    Where the line `text` names another port than the recipe's, the recipe's stays.
    """
    look = by_hand("see what listens on it: ss -ltnp", "stop it, if it is an old server")
    port = context.whole("port") or 0
    if not 0 < port < 65_535 or port_in(text) not in (None, port):
        return (look,)
    return (set_value("port", str(port + 1), context, "the next one"), look)
