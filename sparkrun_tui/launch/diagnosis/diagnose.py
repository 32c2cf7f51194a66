"""The first cause of a failure: the decisive line in the logs and exits of all hosts, with an explanation."""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from sparkrun_tui.base.patterns import GAP, AnyOf, LinePattern
from sparkrun_tui.base.text import log_line, shorten
from sparkrun_tui.engines.logs.causes import (
    Cause,
    Context,
    Repair,
    Weight,
    by_hand,
    cause,
    less_utilisation,
    may_be_offered,
)
from sparkrun_tui.engines.logs.guard import Report, RuleGuard
from sparkrun_tui.engines.logs.lines import Line, strip_prefixes
from sparkrun_tui.engines.logs.phases import PhaseReader
from sparkrun_tui.engines.plan import Phase
from sparkrun_tui.engines.registry import family_of, log_of
from sparkrun_tui.launch.diagnosis.common import FLAG_CAUSES, MODEL_CAUSES, PORT_CAUSES, SETTING_CAUSES, STACK_CAUSES
from sparkrun_tui.launch.diagnosis.host import HOST_CAUSES
from sparkrun_tui.launch.diagnosis.image import IMAGE_CAUSES
from sparkrun_tui.launch.diagnosis.network import NETWORK_CAUSES
from sparkrun_tui.launch.record.events import Diagnosed
from sparkrun_tui.launch.record.logs import LogLine

_SHARED = (
    *FLAG_CAUSES,
    *PORT_CAUSES,
    *MODEL_CAUSES,
    *NETWORK_CAUSES,
    *IMAGE_CAUSES,
    *STACK_CAUSES,
    *HOST_CAUSES,
    *SETTING_CAUSES,
)
_ECHO = LinePattern(
    r"Engine core initialization failed|EngineDeadError|WorkerProc initialization failed|RuntimeError: cancelled|"
    r"EngineCore (?:encountered a fatal error|failed to start)|Initialization failed\. Please see|SIGQUIT|"
    r"Received sigquit|kill_process_tree|SystemExit|KeyboardInterrupt|CancelledError|exiting due to|"
    rf"Scheduler hit an exception|CalledProcessError: Command {GAP}serve\.sh"
)
_EXCEPTION = re.compile(r"^([A-Za-z_][\w.]*+)(?:: (.*))?$")
_EXCEPTION_WORDS = ("Error", "Exception", "Failure", "Exit", "NotFound")
_FRAME = re.compile(r'^ *File "([^"]{1,400})", line (\d{1,9}), in ')
_DRIVER = re.compile(r"cudaMemGetInfo|mem_get_info")
_QUIET = frozenset({"DEBUG", "INFO", "WARNING", "D", "I", "W"})
_DEPTHS = (("Worker", 3), ("Ray", 3), ("TP", 3), ("Engine", 2), ("Main", 1), ("API", 1))
_MAX_EVIDENCE = 600
_NEAR = 30

_STARVED = cause(
    r"out of memory",
    "The driver has no memory to give",
    "The GPU driver could not even report the free memory: the host is out of memory, independent of the fraction.",
    by_hand("stop other programs there, drop the page cache, and wait until memory is free"),
)


@dataclass(frozen=True, slots=True)
class ExitInfo:
    """How the container of a host, or the exec in it, ended; `code` is None while it runs or when it is unknown."""

    code: int | None = None
    oom_killed: bool = False
    stopped_by_us: bool = False
    restarted: bool = False
    """Whether the host was restarted since the launch."""


@dataclass(frozen=True, slots=True)
class _Found:
    weight: Weight
    time: float
    depth: int
    host: str
    evidence: str
    title: str
    explanation: str
    repairs: tuple[Repair, ...]


_Hit = tuple[Weight, str, str, tuple[Repair, ...]]
"""The weight, title, explanation and repairs for a line."""


def causes_of(engine: str) -> tuple[Cause, ...]:
    """The causes that are searched in the log of an engine: its own, then those that all engines share."""
    family = family_of(engine)
    return _SHARED if family is None else (*family.causes, *_SHARED)


def diagnose(
    engine: str,
    lines_by_host: Mapping[str, Sequence[LogLine | str]],
    exits: Mapping[str, ExitInfo] | None = None,
    *,
    values: Mapping[str, str] | None = None,
    memory_total: int | None = None,
    report: Report | None = None,
) -> Diagnosed | None:
    """The first cause in the logs of a launch, hosts in rank order; None when none is found.

    `values` are the recipe's effective values, which repairs start from; `memory_total` is bytes of a host. Echoes of
    failures of other processes are skipped. A known cause takes precedence over an unknown exception, and that over a
    consequence. See `Diagnosis` for `report`.
    """
    diagnosis = Diagnosis(engine, values=values, memory_total=memory_total, report=report)
    for host, lines in lines_by_host.items():
        diagnosis.read(host, lines)
    return diagnosis.result(exits)


def explain_refusal(text: str, host: str, values: Mapping[str, str]) -> Diagnosed | None:
    """The explanation of Docker's refusal to pull, create or start; None when no rule matches it."""
    context = Context(values)
    rules = [
        rule
        for rule in (*HOST_CAUSES, *PORT_CAUSES, *NETWORK_CAUSES, *IMAGE_CAUSES, *STACK_CAUSES)
        if rule.weight is Weight.CAUSE
    ]
    for line in filter(None, map(str.strip, text.splitlines())):
        for rule in rules:
            match = rule.pattern.search(line)
            if match is not None:
                return Diagnosed(
                    host=host,
                    title=rule.title,
                    explanation=shorten(rule.explain(match, context), _MAX_EVIDENCE),
                    evidence=shorten(line, _MAX_EVIDENCE),
                    repairs=rule.mend(match, context),
                )
    return None


class Diagnosis:
    """A diagnosis made in parts, so that the caller can pause between lines.

    A rule with a defect finds nothing, and its defect is passed to `report` once; without `report` it is raised.
    """

    def __init__(
        self,
        engine: str,
        *,
        values: Mapping[str, str] | None = None,
        memory_total: int | None = None,
        report: Report | None = None,
    ) -> None:
        family = family_of(engine)
        name = family.name if family is not None else engine
        self._log = log_of(engine)
        self._table = causes_of(engine)
        self._known = AnyOf(cause.pattern for cause in self._table)
        self._context = Context(values or {}, memory_total=memory_total, engine=name)
        self._report = report
        self._guard = RuleGuard(report)
        self._readers: dict[str, PhaseReader] = {}
        self._before: dict[str, deque[str]] = {}
        self._found: list[_Found] = []

    def read(self, host: str, lines: Iterable[LogLine | str]) -> None:
        """Read the next lines of a host. Hosts are read in rank order."""
        reader = self._readers.setdefault(host, PhaseReader(self._log, self._report))
        before = self._before.setdefault(host, deque(maxlen=_NEAR))
        for entry in lines:
            raw, time = (entry, 0.0) if isinstance(entry, str) else (entry.text, entry.time)
            if not raw or raw.isspace():
                before.append("")
                continue
            line = self._guard.run("prefixes", Line((), "", log_line(raw)), strip_prefixes, raw)
            self._guard.run("phases", None, reader.feed, raw)
            hit = self._judge(line, before, _running(reader))
            if hit is not None:
                weight, title, explanation, repairs = hit
                evidence = log_line(raw).strip()
                self._found.append(_Found(weight, time, _depth(line), host, evidence, title, explanation, repairs))
            before.append(line.text)

    def result(self, exits: Mapping[str, ExitInfo] | None = None) -> Diagnosed | None:
        """The first cause in the lines and in the ends of the containers; None when none is found."""
        found = [*self._found, *_from_exits(exits or {}, self._context)]
        if not found:
            return None
        best = _best(found)
        return Diagnosed(
            host=best.host,
            title=best.title,
            explanation=best.explanation,
            evidence=shorten(best.evidence, _MAX_EVIDENCE),
            repairs=best.repairs,
        )

    def _judge(self, line: Line, before: Iterable[str], phase: Phase | None) -> _Hit | None:
        text = line.text
        if not text:
            return None
        quiet = line.level in _QUIET
        rules = self._table if self._known.may_match(text) else ()
        for rule in rules:
            if quiet and not rule.even_as_note:
                continue
            match = rule.pattern.search(text)
            if match is None:
                continue
            if _ECHO.search(text):
                return None
            context = replace(self._context, before=tuple(before), phase=phase)
            hit = self._apply(rule, match, context)
            if hit is not None:
                return hit
        return None if quiet or _ECHO.search(text) else _exception(text, before)

    def _apply(self, rule: Cause, match: re.Match[str], context: Context) -> _Hit | None:
        """The finding of a rule for its match; None when it has a defect. After a defect of its repairs it has none."""
        text = match.string
        if "out of memory" in text and context.phase in (None, Phase.START) and _asked_driver(context):
            rule, match = _STARVED, _STARVED.pattern.search(text) or match
        name = rule.pattern.text
        explanation = self._guard.run(f"why: {name}", None, rule.explain, match, context)
        if explanation is None:
            return None
        repairs = self._guard.run(f"repairs: {name}", (), rule.mend, match, context)
        offered = tuple(repair for repair in repairs if may_be_offered(repair, context))
        return rule.weight, rule.title, shorten(explanation, _MAX_EVIDENCE), offered


def _best(found: Sequence[_Found]) -> _Found:
    top = max(item.weight for item in found)
    first = [item for item in found if item.weight == top]
    if top is Weight.UNKNOWN:
        deepest = max(item.depth for item in first)
        first = [item for item in first if item.depth == deepest]
    # Logs without times keep the order of hosts and lines; `min` returns the first of equals.
    return min(first, key=lambda item: item.time)


def _running(reader: PhaseReader) -> Phase | None:
    """The phase that is running: once the weights are loaded, the one after loading."""
    if reader.phase is Phase.LOAD and reader.done:
        return Phase.COMPILE
    return reader.phase


def _exception(text: str, before: Iterable[str]) -> _Hit | None:
    """The finding for the last line of a traceback: `package.SomeError: words`.

    An exception without words, such as a failed `assert`, is described by the line of code that raised it.
    """
    match = _EXCEPTION.match(text)
    if match is None:
        return None
    name = match[1].rpartition(".")[2]
    if not name[:1].isupper() or not any(word in name[1:] for word in _EXCEPTION_WORDS):
        return None
    said = match[2] or _failed_at(before)
    return Weight.UNKNOWN, shorten(name, 100), f"The engine failed with {shorten(name, 100)}: {shorten(said, 300)}", ()


def _failed_at(before: Iterable[str]) -> str:
    """The last line of code in a traceback, with its file and line number."""
    code, place = "", ""
    for line in before:
        where = _FRAME.match(line)
        if where is not None:
            code, place = "", f" ({where[1].rpartition('/')[2]}, line {where[2]})"
        elif place and not code:
            code = line.strip()
    return f"it stopped at `{shorten(code, 200)}`{shorten(place, 100)}" if code else "no further words"


def _asked_driver(context: Context) -> bool:
    return any(_DRIVER.search(text) for text in context.before)


def _depth(line: Line) -> int:
    """How deep in the tree of processes a line was written: workers, engine, server, none."""
    innermost = line.who[-1] if line.who else ""
    for start, depth in _DEPTHS:
        if start in innermost:
            return depth
    return 0


def _from_exits(exits: Mapping[str, ExitInfo], context: Context) -> list[_Found]:
    found = []
    for host, ended in exits.items():
        known = ended.restarted or ended.code is not None
        if ended.stopped_by_us or not known:
            continue
        words = _exit_words(ended)
        if words is not None:
            weight, title, explanation = words
            repairs = _exit_repairs(ended, context)
            evidence = "" if ended.restarted else f"the container ended with exit code {ended.code}"
            found.append(_Found(weight, math.inf, 0, host, evidence, title, explanation, repairs))
    return found


def _exit_words(ended: ExitInfo) -> tuple[Weight, str, str] | None:
    if ended.restarted:
        words = "The restart ended its containers. Containers of sparkrun-tui do not start again by themselves."
        return Weight.CAUSE, "The host was restarted", words
    if ended.oom_killed:
        return Weight.HINT, "Killed: the container's memory limit", "The kernel killed it at its memory limit."
    if ended.code == 137:
        words = "It was killed from outside: by the kernel or a guard for lack of memory, or by a user."
        return Weight.CONSEQUENCE, "Killed", words
    if ended.code == 139:
        return Weight.CONSEQUENCE, "Crashed", "The engine crashed (segmentation fault) without a message."
    if ended.code == 127:
        return Weight.CONSEQUENCE, "The image lacks the program", "The shell did not find the command."
    if ended.code == 0:
        words = "It ended by itself with exit code 0, which engines also do after a crash in service."
        return Weight.CONSEQUENCE, "Ended by itself", words
    return Weight.CONSEQUENCE, "Ended with an error", f"It ended with exit code {ended.code} and no known reason."


def _exit_repairs(ended: ExitInfo, context: Context) -> tuple[Repair, ...]:
    if ended.restarted:
        return (by_hand("launch it again"), by_hand("journalctl -b -1 -e", "the last log lines before the restart"))
    if ended.oom_killed:
        return (
            by_hand("raise `executor_config.memory_limit` of the recipe, or the limit for containers of that host"),
        )
    if ended.code == 137:
        look = by_hand("journalctl -k -b | grep -i -e oom -e NVRM", "shows whether the kernel killed it")
        return (*less_utilisation(0.05, context, "leaves more memory to the host"), look)
    return (by_hand("read the end of the log"),)
