"""Reads an engine's log line by line: the phase it is in, how far, and the figures it prints."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sparkrun_tui.base.text import log_line
from sparkrun_tui.base.units import GIB, MIB
from sparkrun_tui.runtimes.marks import MARKS, NEEDLES, family
from sparkrun_tui.runtimes.plan import LogMark, Phase

_ORDER = {phase: index for index, phase in enumerate(Phase)}
_STAMP = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d) ")
_PREFIXES = (
    re.compile(r"\((?P<who>[A-Za-z][\w.-]*) pid=\d+(?:, ip=[\d.:a-f]+)?\) ?"),
    re.compile(r"\(pid=\d+(?:, ip=[\d.:a-f]+)?\) ?"),
    re.compile(r"(?P<level>DEBUG|INFO|WARNING|ERROR|CRITICAL) \d\d-\d\d \d\d:\d\d:\d\d \[[^\]]+\] ?"),
    re.compile(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?P<who>(?: [A-Z]{2,3}\d+)*)\] "),
    re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+ +(?P<level>[A-Z]+) \S+:\d+ -- "),
    re.compile(r"\d+\.\d\d\.\d{3}\.\d{3} (?P<level>[DIWE]) "),
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
    level = ""
    while True:
        match = next((found for pattern in _PREFIXES if (found := pattern.match(text))), None)
        if match is None:
            return Line(tuple(who), level, text)
        groups = match.groupdict()
        if groups.get("who"):
            who.append(groups["who"].strip())
        level = groups.get("level") or level
        text = text[match.end() :]


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


Take = Callable[["re.Match[str]", dict[str, float]], Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class FactRule:
    """A line with figures: `take` makes facts of the match, knowing the facts so far."""

    pattern: re.Pattern[str]
    take: Take


def _number(text: str) -> float:
    return float(text.replace(",", ""))


def _one(name: str, factor: float = 1.0) -> Take:
    return lambda match, _: {name: _number(match[1]) * factor}


def _sum(name: str, factor: float) -> Take:
    return lambda match, facts: {name: facts.get(name, 0.0) + _number(match[1]) * factor}


def _kv_line(match: re.Match[str], _: dict[str, float]) -> Mapping[str, float]:
    found = {"kv_tokens": _number(match[1])}
    if match[2]:
        found |= {"max_model_len": _number(match[2]), "concurrency": _number(match[3])}
    return found


def _sglang_totals(match: re.Match[str], _: dict[str, float]) -> Mapping[str, float]:
    tokens, length = _number(match[1]), _number(match[2])
    return {"kv_tokens": tokens, "max_model_len": length, "concurrency": tokens / length if length else 0.0}


def _sglang_pool(match: re.Match[str], facts: dict[str, float]) -> Mapping[str, float]:
    size = sum(_number(part) for part in (match[2], match[3], match[4]) if part) * GIB
    found = {"kv_bytes": facts.get("kv_bytes", 0.0) + size}
    if match[1] and "kv_tokens" not in facts:
        found["kv_tokens"] = _number(match[1])
    return found


def _llama_slots(match: re.Match[str], facts: dict[str, float]) -> Mapping[str, float]:
    length = _number(match[2])
    cells = facts.get("kv_tokens", 0.0)
    found = {"max_model_len": length}
    if cells and length:
        found["concurrency"] = cells / length
    return found


def _first(name: str) -> Take:
    return lambda match, facts: {} if name in facts else {name: _number(match[1])}


def _rules(*rows: tuple[str, Take]) -> tuple[FactRule, ...]:
    return tuple(FactRule(re.compile(pattern), take) for pattern, take in rows)


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
    (r"([\d.]+) GiB for peak activation", _one("activation_bytes", GIB)),
)

_SGLANG_FACTS = _rules(
    (r"^Load weight end\..*?mem usage=([\d.]+) GB", _sum("weights_bytes", GIB)),
    (r"^Load weight end\. elapsed=([\d.]+) s", _one("load_seconds")),
    (
        r"KV Cache is allocated\..*?(?:#tokens: (\d+))?, "
        r"(?:K size: ([\d.]+) GB, V size: ([\d.]+) GB|KV size: ([\d.]+) GB)",
        _sglang_pool,
    ),
    (r"^Capture .*graph end\..*?mem usage=([\d.]+) GB", _sum("graphs_bytes", GIB)),
    (r"^max_total_num_tokens=(\d+),.*context_len=(\d+)", _sglang_totals),
)

_LLAMA_FACTS = _rules(
    (r"load_tensors: +\S+ model buffer size = +([\d.]+) MiB", _sum("weights_bytes", MIB)),
    (r"llama_kv_cache(?:_\w+)?: size = +([\d.]+) MiB", _sum("kv_bytes", MIB)),
    (r"llama_memory_recurrent: size = +([\d.]+) MiB", _sum("kv_bytes", MIB)),
    (r"compute buffer size = +([\d.]+) MiB", _sum("activation_bytes", MIB)),
    (r"llama_context: n_ctx += (\d+)", _first("kv_tokens")),
    (r"initializing, n_slots = (\d+), n_ctx_slot = (\d+)", _llama_slots),
)

_FACTS: Mapping[str, tuple[FactRule, ...]] = {"vllm": _VLLM_FACTS, "sglang": _SGLANG_FACTS, "llama-cpp": _LLAMA_FACTS}

# llama-server plans the load once without allocating; what it prints meanwhile is not what it will take.
_REHEARSAL = re.compile(r"\bno_alloc += ([01])")


class PhaseReader:
    """Follows the log of one container; a phase only moves forward."""

    def __init__(self, engine: str, marks: Sequence[LogMark] | None = None) -> None:
        kind = family(engine)
        self._marks = [(mark, re.compile(mark.pattern)) for mark in (MARKS[kind] if marks is None else marks)]
        self._rules = _FACTS[kind]
        self._needles = NEEDLES[kind] if marks is None or tuple(marks) == MARKS[kind] else ("",)
        self._rehearsal = False
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
        if not any(needle in line for needle in self._needles):
            return None
        text = strip_prefixes(line).text
        rehearsal = _REHEARSAL.search(text)
        if rehearsal is not None:
            self._rehearsal = rehearsal[1] == "1"
        facts = {} if self._rehearsal else self._figures(text)
        moved = self._move(text)
        if moved is None and not facts:
            return None
        progress, detail = moved if moved is not None else (None, "")
        return Reading(self.phase, self.done, progress, detail, facts)

    def _figures(self, text: str) -> dict[str, float]:
        found: dict[str, float] = {}
        for rule in self._rules:
            match = rule.pattern.search(text)
            if match is not None:
                found.update(rule.take(match, self.facts))
        self.facts.update(found)
        return found

    def _move(self, text: str) -> tuple[float | None, str] | None:
        """Move to the phase a line marks; its percentage and detail, None when the line marks nothing new."""
        hit = next((mark for mark, pattern in self._marks if pattern.search(text)), None)
        if hit is None or (hit.done and self._rehearsal):
            return None
        behind = self.phase is not None and _ORDER[hit.phase] < _ORDER[self.phase]
        if behind or (self.phase is hit.phase and self.done):
            return None
        self.phase, self.done = hit.phase, hit.done
        percent = re.search(hit.progress, text) if hit.progress else None
        return (float(percent[1]) if percent else None), hit.detail
