"""Reads an engine's log line by line: the phase it is in, how far, and the figures it prints."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from sparkrun_tui.base.numbers import decimal
from sparkrun_tui.base.patterns import GAP, LinePattern
from sparkrun_tui.base.text import log_line
from sparkrun_tui.base.units import GIB, MIB
from sparkrun_tui.engines.logs.guard import Report, RuleGuard
from sparkrun_tui.engines.logs.marks import MARKS, NEEDLES, family
from sparkrun_tui.engines.plan import LogMark, Phase

_ORDER = {phase: index for index, phase in enumerate(Phase)}
_MOST_READ = 2000
"""Characters of a line in which marks and figures are looked for: they stand at its beginning."""
_MOST_PREFIXES = 32
"""Prefixes that are taken off one line; a line has one for each process that passed it on."""

_STAMP = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d) ")
_PREFIXES = (
    re.compile(r"\((?P<who>[A-Za-z][\w.-]*) pid=\d+(?:, ip=[\d.:a-f]+)?\) ?"),
    re.compile(r"\(pid=\d+(?:, ip=[\d.:a-f]+)?\) ?"),
    re.compile(r"(?P<level>DEBUG|INFO|WARNING|ERROR|CRITICAL) \d\d-\d\d \d\d:\d\d:\d\d \[[^\]]{1,300}\] ?"),
    re.compile(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?P<who>(?: [A-Z]{2,3}\d+)*)\] "),
    re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+ +(?P<level>[A-Z]+) \S+:\d+ -- "),
    re.compile(r"\d{1,9}\.\d\d\.\d{3}\.\d{3} (?P<level>[DIWE]) "),
)


@dataclass(frozen=True, slots=True)
class Line:
    """A log line taken apart: the processes that passed it on (outermost first), its level, and what it says."""

    who: tuple[str, ...]
    level: str
    text: str


def strip_prefixes(line: str) -> Line:
    """Take colours, carriage returns, time stamps and the prefixes of processes off, as often as they repeat."""
    text = _STAMP.sub("", log_line(line), count=1)
    who: list[str] = []
    level, at = "", 0
    for _ in range(_MOST_PREFIXES):
        match = next((found for pattern in _PREFIXES if (found := pattern.match(text, at))), None)
        if match is None:
            break
        groups = match.groupdict()
        if groups.get("who"):
            who.append(groups["who"].strip())
        level = groups.get("level") or level
        at = match.end()
    return Line(tuple(who), level, text[at:])


@dataclass(frozen=True, slots=True)
class Reading:
    """What one line told: the phase in force, whether it is over, percent done, and new figures.

    Figures: bytes (`weights_bytes`, `kv_bytes`, `graphs_bytes`, `activation_bytes`, `checkpoint_bytes`), tokens
    (`kv_tokens`, `max_model_len`), requests (`concurrency`), seconds (`load_seconds`, `init_seconds`).
    """

    phase: Phase | None
    done: bool = False
    progress: float | None = None
    detail: str = ""
    facts: Mapping[str, float] = field(default_factory=dict)


Figures = Mapping[str, float | None]
"""Figures by name; None for one that is not a number, or out of all bounds."""

Take = Callable[["re.Match[str]", Mapping[str, float]], Figures]

_LARGEST = 1e18
"""The largest figure that is believed: a thousand times the bytes and tokens of the largest cluster."""


@dataclass(frozen=True, slots=True)
class FactRule:
    """A line with figures: `take` makes facts of the match, knowing the facts so far."""

    pattern: LinePattern
    take: Take


def _number(text: str | None) -> float | None:
    """A figure of a line, None where it is none."""
    return None if text is None else decimal(text.replace(",", ""))


def _times(text: str | None, factor: float) -> float | None:
    number = _number(text)
    return None if number is None else number * factor


def _one(name: str, factor: float = 1.0) -> Take:
    return lambda match, _: {name: _times(match[1], factor)}


def _sum(name: str, factor: float) -> Take:
    def take(match: re.Match[str], facts: Mapping[str, float]) -> Figures:
        more = _times(match[1], factor)
        return {} if more is None else {name: facts.get(name, 0.0) + more}

    return take


def _kv_line(match: re.Match[str], _: Mapping[str, float]) -> Figures:
    return {
        "kv_tokens": _number(match[1]),
        "max_model_len": _number(match[2]),
        "concurrency": _number(match[3]),
    }


def _sglang_totals(match: re.Match[str], _: Mapping[str, float]) -> Figures:
    tokens, length = _number(match[1]), _number(match[2])
    concurrency = tokens / length if tokens is not None and length else None
    return {"kv_tokens": tokens, "max_model_len": length, "concurrency": concurrency}


def _sglang_pool(match: re.Match[str], facts: Mapping[str, float]) -> Figures:
    sizes = [size for size in (_times(match[group], GIB) for group in (2, 3, 4)) if size is not None]
    found: dict[str, float | None] = {}
    if sizes:
        found["kv_bytes"] = facts.get("kv_bytes", 0.0) + sum(sizes)
    if "kv_tokens" not in facts:
        found["kv_tokens"] = _number(match[1])
    return found


def _llama_slots(match: re.Match[str], facts: Mapping[str, float]) -> Figures:
    length = _number(match[2])
    cells = facts.get("kv_tokens", 0.0)
    return {"max_model_len": length, "concurrency": cells / length if cells and length else None}


def _first(name: str) -> Take:
    return lambda match, facts: {} if name in facts else {name: _number(match[1])}


def _rules(*rows: tuple[str, Take]) -> tuple[FactRule, ...]:
    return tuple(FactRule(LinePattern.of(pattern), take) for pattern, take in rows)


_VLLM_FACTS = _rules(
    (r"^Using max model len (\d+)", _one("max_model_len")),
    (r"Checkpoint size: ([\d.]+) GiB", _one("checkpoint_bytes", GIB)),
    (r"^Loading weights took ([\d.]+) seconds", _one("load_seconds")),
    (r"^Model loading took ([\d.]+) GiB", _one("weights_bytes", GIB)),
    (r"^Available KV cache memory: (-?[\d.]+) GiB", _one("kv_bytes", GIB)),
    (r"^Explicitly set \(([\d.]+)/[\d.]+\) GiB for KV cache", _one("kv_bytes", GIB)),
    (
        r"KV cache size: ([\d,]+) tokens(?:, Maximum concurrency for ([\d,]+) tokens per request: ([\d.,]+)x)?",
        _kv_line,
    ),
    (r"^Maximum concurrency for [\d,]+ tokens per request: ([\d.,]+)x", _one("concurrency")),
    (r"^Graph capturing finished in \d+ secs, took (-?[\d.]+) GiB", _one("graphs_bytes", GIB)),
    (r"^CUDA graph pool memory: ([\d.]+) GiB \(actual\)", _one("graphs_bytes", GIB)),
    (r"^init engine \([^)]*\) took ([\d.]+) s", _one("init_seconds")),
    (r"and ([\d.]+) GiB for CUDAGraph memory", _one("graphs_bytes", GIB)),
    (r"(?<![\d.])([\d.]++) GiB for peak activation", _one("activation_bytes", GIB)),
)

_SGLANG_FACTS = _rules(
    (rf"^Load weight end\.{GAP}?mem usage=([\d.]+) GB", _sum("weights_bytes", GIB)),
    (r"^Load weight end\. elapsed=([\d.]+) s", _one("load_seconds")),
    (
        rf"KV Cache is allocated\.{GAP}?(?:#tokens: (\d+), )?"
        r"(?:K size: ([\d.]+) GB, V size: ([\d.]+) GB|KV size: ([\d.]+) GB)",
        _sglang_pool,
    ),
    (rf"^Capture {GAP}graph end\.{GAP}?mem usage=([\d.]+) GB", _sum("graphs_bytes", GIB)),
    (rf"^max_total_num_tokens=(\d+),{GAP}context_len=(\d+)", _sglang_totals),
)

_LLAMA_FACTS = _rules(
    (r"load_tensors: +\S{1,100} model buffer size = +([\d.]+) MiB", _sum("weights_bytes", MIB)),
    (r"llama_kv_cache(?:_\w{1,40})?: size = +([\d.]+) MiB", _sum("kv_bytes", MIB)),
    (r"llama_memory_recurrent: size = +([\d.]+) MiB", _sum("kv_bytes", MIB)),
    (r"compute buffer size = +([\d.]+) MiB", _sum("activation_bytes", MIB)),
    (r"llama_context: n_ctx += (\d+)", _first("kv_tokens")),
    (r"initializing, n_slots = (\d+), n_ctx_slot = (\d+)", _llama_slots),
)

_FACTS: Mapping[str, tuple[FactRule, ...]] = {"vllm": _VLLM_FACTS, "sglang": _SGLANG_FACTS, "llama-cpp": _LLAMA_FACTS}

# llama-server plans the load once without allocating; what it prints meanwhile is not what it will take.
_REHEARSAL = re.compile(r"\bno_alloc += ([01])")


_RANK = re.compile(r"(?:[A-Z]{2,3}\d+ ?)+")
"""The ranks of a process as SGLang writes them into its prefix: `TP0`, `DP1 TP0`."""


class PhaseReader:
    """Follows the log of one container; a phase only moves forward.

    No line can end the reading: a rule with a defect finds nothing in it, and is told to `report`, once. Without
    `report` such a defect is raised.
    """

    def __init__(self, engine: str, marks: Sequence[LogMark] | None = None, report: Report | None = None) -> None:
        kind = family(engine)
        used = MARKS[kind] if marks is None else marks
        self._marks = [_compiled(mark) for mark in used]
        self._rules = _FACTS[kind]
        self._needles = NEEDLES[kind] if tuple(used) == MARKS[kind] else ("",)
        self._guard = RuleGuard(report)
        self._rehearsal = False
        self._rank = ""
        self.phase: Phase | None = None
        """The phase in force, None before the first mark."""
        self.done = False
        """Whether the phase in force is over and the next has not begun."""
        self.facts: dict[str, float] = {}
        """All figures so far, see `Reading`."""

    def feed(self, line: str) -> Reading | None:
        """Take in one line, with whatever prefixes it came; None when it tells nothing new."""
        if self.phase is Phase.READY and self.done:
            return None
        line = line[:_MOST_READ]
        if not any(needle in line for needle in self._needles):
            return None
        parts = self._guard.run("prefixes", None, strip_prefixes, line)
        return None if parts is None else self._take(parts)

    def _take(self, line: Line) -> Reading | None:
        text = line.text
        rehearsal = _REHEARSAL.search(text)
        if rehearsal is not None:
            self._rehearsal = rehearsal[1] == "1"
        facts = {} if self._rehearsal or self._other_rank(line) else self._figures(text)
        moved = self._move(text)
        if moved is None and not facts:
            return None
        progress, detail = moved if moved is not None else (None, "")
        return Reading(self.phase, self.done, progress, detail, facts)

    def _other_rank(self, line: Line) -> bool:
        """Whether a rank says this whose figures are not the ones that are read.

        Several ranks of SGLang share a log, each with the figures of its own GPU; those of the first are read.
        """
        rank = next((who for who in line.who if _RANK.fullmatch(who)), "")
        if not rank:
            return False
        self._rank = self._rank or rank
        return rank != self._rank

    def _figures(self, text: str) -> dict[str, float]:
        found: dict[str, float] = {}
        for rule in self._rules:
            match = rule.pattern.search(text)
            if match is not None:
                taken = self._guard.run(rule.pattern.regex.pattern, {}, rule.take, match, self.facts)
                found.update(_believed(taken))
        self.facts.update(found)
        return found

    def _move(self, text: str) -> tuple[float | None, str] | None:
        """Move to the phase a line marks; its percentage and detail, None when the line marks nothing new."""
        hit = next((mark for mark in self._marks if mark.pattern.search(text)), None)
        if hit is None or (hit.done and self._rehearsal):
            return None
        behind = self.phase is not None and _ORDER[hit.phase] < _ORDER[self.phase]
        if behind or (self.phase is hit.phase and self.done):
            return None
        self.phase, self.done = hit.phase, hit.done
        percent = hit.progress.search(text) if hit.progress is not None else None
        return (decimal(percent[1], least=0.0, most=100.0) if percent else None), hit.detail


@dataclass(frozen=True, slots=True)
class _Mark:
    """A mark with its patterns made."""

    phase: Phase
    pattern: LinePattern
    done: bool
    progress: re.Pattern[str] | None
    detail: str


@lru_cache(maxsize=512)
def _compiled(mark: LogMark) -> _Mark:
    progress = re.compile(mark.progress) if mark.progress else None
    return _Mark(mark.phase, LinePattern.of(mark.pattern), mark.done, progress, mark.detail)


def _believed(figures: Figures) -> dict[str, float]:
    """The figures that are numbers, and not out of all bounds."""
    return {name: value for name, value in figures.items() if value is not None and abs(value) <= _LARGEST}
