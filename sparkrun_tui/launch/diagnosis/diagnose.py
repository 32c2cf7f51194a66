"""The first cause of a failure: the decisive line in the logs and exits of all hosts, with an explanation."""

from __future__ import annotations

import math
import re
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from sparkrun_tui.base.patterns import GAP, AnyOf, LinePattern
from sparkrun_tui.base.text import log_line, shorten
from sparkrun_tui.base.units import format_gib
from sparkrun_tui.engines.logs.causes import (
    Cause,
    Context,
    Repair,
    Weight,
    by_hand,
    cause,
    less_of_the_host,
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
    r"Worker failed with error '', please check|"
    r"Engine core initialization failed|EngineDeadError|WorkerProc initialization failed|RuntimeError: cancelled|"
    r"EngineCore (?:encountered a fatal error|failed to start)|Initialization failed\. Please see|SIGQUIT|"
    r"Received sigquit|kill_process_tree|SystemExit|KeyboardInterrupt|CancelledError|exiting due to|"
    rf"Scheduler hit an exception|CalledProcessError: Command {GAP}serve\.sh"
)
_EXCEPTION = re.compile(r"^([A-Za-z_][\w.]*+)(?:(:)(?: (.*))?)?$")
_ANOTHER = "During handling of the above exception, another exception occurred"
_NO_WORDS = LinePattern(r'^(?: *File "|Traceback \(most recent|During handling of|The above exception)')
"""Lines of a traceback that say nothing of its cause."""
_EXCEPTION_WORDS = ("Error", "Exception", "Failure", "Exit", "NotFound")
_FRAME = re.compile(r'^ *File "([^"]{1,400})", line (\d{1,9}), in ')
_DRIVER = re.compile(r"cudaMemGetInfo|mem_get_info")
_QUIET = frozenset({"DEBUG", "INFO", "WARNING", "D", "I", "W"})
_DEPTHS = (("Worker", 3), ("Ray", 3), ("TP", 3), ("rank", 3), ("Engine", 2), ("Main", 1), ("API", 1))
_MAX_EVIDENCE = 600
UNKNOWN = "Cause not known"
"""The beginning of the title of an exception that no rule describes."""
_NEAR = 30
_MOST_MORE = 4
"""Most lines that are taken as the words of an exception whose own line ends with a colon."""
_MOST_RANKED = 5

_STARVED = cause(
    r"out of memory",
    "The driver has no memory to give",
    "The GPU driver could not even report the free memory: the host is out of memory, independent of the fraction.",
    by_hand("stop other programs there, drop the page cache, and wait until memory is free"),
)


@dataclass(frozen=True, slots=True)
class GuardInfo:
    """What the memory guard of a host says of the end of its container; bytes."""

    stopped: bool
    """Whether it stopped the container."""
    left: int
    """What was available then, else the least in the last minute that it saw."""
    floor: int
    time: float | None = None
    """When, Unix seconds by the host's clock."""
    pressure: float | None = None
    """The share of ten seconds in which some process waited for memory, in percent."""


@dataclass(frozen=True, slots=True)
class ExitInfo:
    """How the container of a host, or the exec in it, ended; `code` is None while it runs or when it is unknown."""

    code: int | None = None
    oom_killed: bool = False
    stopped_by_us: bool = False
    restarted: bool = False
    """Whether the host was restarted since the launch."""
    guard: GuardInfo | None = None


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
    known: bool = True
    """Whether a rule describes it; an exception that none does is found, too."""

    def diagnosed(self) -> Diagnosed:
        """What is told of it."""
        return Diagnosed(
            host=self.host,
            title=self.title,
            explanation=self.explanation,
            evidence=shorten(self.evidence, _MAX_EVIDENCE),
            repairs=self.repairs,
        )


@dataclass(frozen=True, slots=True)
class _Hit:
    """What a line says."""

    weight: Weight
    title: str
    explanation: str
    repairs: tuple[Repair, ...] = ()
    known: bool = True


@dataclass(slots=True)
class _Open:
    """A finding whose words go on in the next lines of the same process."""

    at: int
    left: int = _MOST_MORE


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
        for rule in (*HOST_CAUSES, *PORT_CAUSES, *NETWORK_CAUSES, *IMAGE_CAUSES, *STACK_CAUSES, *MODEL_CAUSES)
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
        self._open: dict[tuple[str, tuple[str, ...]], _Open] = {}
        self._last: dict[tuple[str, tuple[str, ...]], int] = {}
        """The last exception of a process that no rule describes, while its traceback may go on."""

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
            self._go_on(host, line)
            hit = self._judge(line, before, _running(reader))
            if hit is not None:
                self._take(hit, host, line, log_line(raw).strip(), time)
            before.append(line.text)

    def result(self, exits: Mapping[str, ExitInfo] | None = None) -> Diagnosed | None:
        """The first cause in the lines and in the ends of the containers; None when none is found."""
        found = [*self._found, *_from_exits(exits or {}, self._context)]
        if not found:
            return None
        return _best(found).diagnosed()

    def ranked(self, exits: Mapping[str, ExitInfo] | None = None) -> tuple[Diagnosed, ...]:
        """Up to five causes that weigh as much as the best one, each title once, the best first."""
        found = [*self._found, *_from_exits(exits or {}, self._context)]
        ranked: list[Diagnosed] = []
        titles: set[str] = set()
        while found and len(ranked) < _MOST_RANKED:
            best = _best(found)
            if best.title not in titles:
                titles.add(best.title)
                ranked.append(best.diagnosed())
            is_alone = not best.known
            found = [item for item in found if item.weight is best.weight and item is not best]
            if is_alone:
                break
        return tuple(ranked)

    @property
    def weight(self) -> Weight | None:
        """How much the best finding in the lines says; None without one."""
        return max((item.weight for item in self._found), default=None)

    @property
    def is_known(self) -> bool:
        """Whether the best finding in the lines is one that a rule describes."""
        return bool(self._found) and _best(self._found).known

    def _take(self, hit: _Hit, host: str, line: Line, evidence: str, time: float) -> None:
        """Keep what a line says. An exception raised while another one was handled takes its place."""
        process = host, line.who
        found = _Found(
            hit.weight, time, _depth(line), host, evidence, hit.title, hit.explanation, hit.repairs, hit.known
        )
        at = self._last.pop(process, None)
        if at is not None and not hit.known and self._is_another(host):
            self._found[at] = found
        else:
            at = len(self._found)
            self._found.append(found)
        if not hit.known:
            self._last[process] = at
        if hit.explanation.endswith(":"):
            self._open[process] = _Open(at)

    def _is_another(self, host: str) -> bool:
        """Whether the traceback that ends here began while another exception was handled."""
        for text in reversed(self._before[host]):
            if _ANOTHER in text:
                return True
            if _EXCEPTION.match(text) and _exception(text, ()) is not None:
                return False
        return False

    def _go_on(self, host: str, line: Line) -> None:
        """Add a line to the words of the exception above it, where these ended with a colon."""
        process = host, line.who
        going_on = self._open.get(process)
        text = line.text.strip()
        if going_on is None or not text:
            return
        if line.level in _QUIET or _NO_WORDS.search(line.text) or going_on.left == 0:
            del self._open[process]
            return
        going_on.left -= 1
        found = self._found[going_on.at]
        self._found[going_on.at] = replace(
            found,
            explanation=shorten(f"{found.explanation} {text}", _MAX_EVIDENCE),
            evidence=shorten(f"{found.evidence} {text}", _MAX_EVIDENCE),
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
        return _Hit(rule.weight, rule.title, shorten(explanation, _MAX_EVIDENCE), offered)


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

    An exception without words, such as a failed `assert`, is described by the line of code that raised it. Where only a
    colon follows its name, its words are in the next lines.
    """
    match = _EXCEPTION.match(text)
    if match is None:
        return None
    name = match[1].rpartition(".")[2]
    is_named_so = name == "Exception" or any(word in name[1:] for word in _EXCEPTION_WORDS)
    if not name[:1].isupper() or not is_named_so:
        return None
    name = shorten(name, 100)
    explanation = f"The engine failed with {name}:"
    said = (match[3] or "").strip()
    if not said and not match[2]:
        said = _failed_at(before)
    if said:
        explanation = f"{explanation} {shorten(said, 300)}"
    return _Hit(Weight.UNKNOWN, f"{UNKNOWN}: {name}", explanation, known=False)


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
        known = ended.restarted or ended.code is not None or _by_guard(ended)
        if ended.stopped_by_us or not known:
            continue
        words = _exit_words(ended)
        if words is not None:
            weight, title, explanation = words
            repairs = _exit_repairs(ended, context)
            evidence = "" if ended.restarted else f"the container ended with exit code {ended.code}"
            if ended.guard is not None and (ended.restarted or ended.guard.stopped):
                evidence = _guard_line(ended.guard)
            found.append(_Found(weight, math.inf, 0, host, evidence, title, explanation, repairs))
    return found


def _by_guard(ended: ExitInfo) -> bool:
    return ended.guard is not None and ended.guard.stopped


def _ran_out(ended: ExitInfo) -> bool:
    """Whether a host that was restarted had too little memory at its end."""
    return ended.restarted and ended.guard is not None and ended.guard.left < ended.guard.floor


def _guard_line(guard: GuardInfo) -> str:
    """The decisive sample of a guard, as one line."""
    text = f"memory guard: {format_gib(guard.left)} available"
    if guard.time is not None:
        text += f" at {time.strftime('%H:%M:%S', time.localtime(guard.time))} by the host's clock"
    if guard.pressure:
        text += f", processes waited for memory {guard.pressure:.0f} % of the time"
    return text


def _exit_words(ended: ExitInfo) -> tuple[Weight, str, str] | None:
    if ended.guard is not None and ended.guard.stopped:
        title = f"The guard stopped the container: memory fell to {format_gib(ended.guard.left)}"
        words = (
            f"With less than {format_gib(ended.guard.floor)} left, the host would soon have stopped answering. "
            "The host itself goes on."
        )
        if ended.restarted:
            words = "It was restarted after that: it may have stopped answering before the guard could help."
        return Weight.OURS, title, words
    if ended.guard is not None and _ran_out(ended):
        title = f"The host ran out of memory and was restarted: {format_gib(ended.guard.left)} were left"
        return Weight.OURS, title, "The last samples of its memory guard show it. The guard could not help in time."
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
    if _by_guard(ended) or _ran_out(ended):
        return less_of_the_host(context)
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
