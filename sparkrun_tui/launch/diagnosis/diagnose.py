"""The first cause of a failure: the decisive line in the logs and exits of all hosts, with an explanation."""

from __future__ import annotations

import math
import re
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, replace

from sparkrun_tui.base.reading.patterns import GAP, AnyOf, LinePattern
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.regexes import late_regex
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
from sparkrun_tui.launch.diagnosis.common import (
    FLAG_CAUSES,
    MODEL_CAUSES,
    PORT_CAUSES,
    SETTING_CAUSES,
    STACK_CAUSES,
    engine_missing,
)
from sparkrun_tui.launch.diagnosis.host import HOST_CAUSES
from sparkrun_tui.launch.diagnosis.image import IMAGE_CAUSES
from sparkrun_tui.launch.diagnosis.kinds import KIND_CAUSES
from sparkrun_tui.launch.diagnosis.named import is_of_engine
from sparkrun_tui.launch.diagnosis.network import NETWORK_CAUSES
from sparkrun_tui.launch.diagnosis.tracebacks import Link, Part, Raised, Tracebacks, says_nothing
from sparkrun_tui.launch.diagnosis.unruled import (
    before_other_kernels,
    beside_the_cache,
    beside_the_drafter,
    beside_the_words,
    of_exception,
    with_classes,
)
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
    *KIND_CAUSES,
)


_REPEATED = "RuntimeError: Worker failed with error '"
_REPEATED_END = "', please check the stack trace above"
_HEADING = LinePattern(r"^\d{1,4} validation errors? for \w{1,80}$")
"""The words of an exception that only counts what the next lines name."""


def _in_order(rules: Iterable[Cause]) -> tuple[Cause, ...]:
    """Rules in the order in which a line is searched with them: those that say most of a line first."""
    return tuple(sorted(rules, key=lambda rule: (rule.weight < Weight.CAUSE, rule.generic)))


_OF_DOCKER = _in_order(
    (*HOST_CAUSES, *PORT_CAUSES, *NETWORK_CAUSES, *IMAGE_CAUSES, *STACK_CAUSES, *MODEL_CAUSES),
)
_ECHO = LinePattern(
    r"Worker failed with error '', please check|"
    r"Engine core initialization failed|EngineDeadError|WorkerProc initialization failed|RuntimeError: cancelled|"
    r"EngineCore (?:encountered a fatal error|failed to start)|Initialization failed\. Please see|SIGQUIT|"
    r"Received sigquit|kill_process_tree|SystemExit|KeyboardInterrupt|CancelledError|exiting due to|"
    r"Engine process failed to start|"
    rf"Scheduler hit an exception|CalledProcessError: Command {GAP}serve\.sh"
)
_GOES_ON = LinePattern(r"\b[Ii]gnor(?:e|ed|ing)\b|\b[Ff]alling back|\b[Ff]all back to|\b[Rr]etrying\b|\b[Ss]kipping\b")
"""Words by which a program says that it goes on all the same."""
_DRIVER = late_regex(r"cudaMemGetInfo|mem_get_info")
_WORKER = 3
_DEPTHS = (
    ("Worker", _WORKER),
    ("Ray", _WORKER),
    ("TP", _WORKER),
    ("rank", _WORKER),
    ("Engine", 2),
    ("Main", 1),
    ("API", 1),
)
_MAX_EVIDENCE = 600
UNKNOWN = "Cause not known"
"""The beginning of the title of an exception that no rule describes."""
_NEAR = 30
_MOST_MORE = 4
"""Most lines that are taken as the words of an exception whose own line ends with a colon."""
_MOST_BELOW = 12
"""Most lines below an unknown exception among which one that tells more is looked for."""
_TELLING = LinePattern(
    r"\b(?:[Ee]rror|ERROR|[Ff]atal|FATAL|[Uu]nable to|denied|refused|[Ff]ailed|[Cc]annot|[Uu]nsupported|"
    r"undefined (?:symbol|reference)|not (?:found|supported|installed|available))\b"
)
"""Words of a line that says what went wrong, within the words of an exception that has several lines."""
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
    who: tuple[str, ...] = ()
    moves: int = 0
    """Steps of the start that its host had made by then."""
    generic: bool = False
    """Whether its rule describes a kind of exception rather than one cause."""
    note: bool = False
    """Whether its line is of a level that says that the program goes on."""
    link: Link = Link.NONE

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
    generic: bool = False
    ruled: bool = True
    """Whether it is of a rule, rather than of what an exception says itself."""
    tells_below: bool = False
    """Whether the first line below that says what went wrong is shown with it."""


@dataclass(slots=True)
class _Host:
    """What was read of one host."""

    reader: PhaseReader
    before: deque[str] = field(default_factory=lambda: deque(maxlen=_NEAR))
    moves: list[tuple[str, ...]] = field(default_factory=list)
    """The process of each line with which the start made a step."""
    tracebacks: dict[tuple[str, ...], Tracebacks] = field(default_factory=dict)
    said: str = ""
    """The last line that speaks of a failure, whatever it means."""

    def feed(self, line: Line, raw: str) -> None:
        """Read how far the start has come."""
        step = self.reader.phase, self.reader.done
        self.reader.feed(raw)
        if (self.reader.phase, self.reader.done) != step:
            self.moves.append(line.who)

    def survived(self, found: _Found) -> bool:
        """Whether the start made a further step after a finding. One of another worker says nothing of this one."""
        for who in self.moves[found.moves :]:
            are_workers = _depth_of(who) == _depth_of(found.who) == _WORKER
            if who == found.who or not are_workers:
                return True
        return False

    @property
    def is_ready(self) -> bool:
        return self.reader.phase is Phase.READY and self.reader.done


@dataclass(slots=True)
class _Open:
    """A finding whose words go on in the next lines of the same process."""

    at: int
    left: int = _MOST_MORE
    telling: bool = False
    """Whether only the first line that tells what went wrong is taken: the exception's own line has words already."""


def causes_of(engine: str) -> tuple[Cause, ...]:
    """The causes that are searched in the log of an engine: its own, then those that all engines share."""
    family = family_of(engine)
    return _SHARED if family is None else (*family.causes, *engine_missing(family.modules), *_SHARED)


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
    lines = [line for line in map(str.strip, text.splitlines()) if line]
    rules = [rule for rule in _OF_DOCKER if rule.weight is Weight.CAUSE]
    # A rule for a kind of refusals, in whatever line, comes after all that name one cause.
    for rule in rules:
        for line in lines:
            match = rule.matches(line, ())
            if match is not None:
                return Diagnosed(
                    host=host,
                    title=rule.title,
                    explanation=shorten(rule.explain(match, context), _MAX_EVIDENCE),
                    evidence=shorten(line, _MAX_EVIDENCE),
                    repairs=rule.repairs_for(match, context),
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
        self._table = _in_order(causes_of(engine))
        self._known = AnyOf(cause.pattern for cause in self._table)
        self._context = Context(values or {}, memory_total=memory_total, engine=name)
        self._report = report
        self._guard = RuleGuard(report)
        self._hosts: dict[str, _Host] = {}
        self._found: list[_Found] = []
        self._open: dict[tuple[str, tuple[str, ...]], _Open] = {}
        self._last: dict[tuple[str, tuple[str, ...]], int] = {}
        """The last exception of a process that no rule describes, while its traceback may go on."""

    def read(self, host: str, lines: Iterable[LogLine | str]) -> None:
        """Read the next lines of a host. Hosts are read in rank order."""
        of_host = self._hosts.setdefault(host, _Host(PhaseReader(self._log, self._report)))
        for entry in lines:
            raw, moment = (entry, 0.0) if isinstance(entry, str) else (entry.text, entry.time)
            if not raw or raw.isspace():
                of_host.before.append("")
                continue
            line = self._guard.run("prefixes", Line((), "", log_line(raw)), strip_prefixes, raw)
            self._guard.run("phases", None, of_host.feed, line, raw)
            is_more = self._go_on(host, line)
            traceback = of_host.tracebacks.setdefault(line.who, Tracebacks())
            part = traceback.part(line.text)
            hit = self._judge(line, part, traceback, of_host)
            # Words of the exception above are none of their own, unless a rule knows them.
            if hit is not None and (hit.ruled or not is_more):
                self._take(hit, host, line, log_line(raw).strip(), moment, traceback.link())
            if part is Part.WORDS and _speaks_of_failure(line):
                of_host.said = log_line(raw).strip()
            if part is Part.WORDS and traceback.raised(line.text) is not None:
                traceback.ended()
            of_host.before.append(line.text)

    def result(self, exits: Mapping[str, ExitInfo] | None = None) -> Diagnosed | None:
        """The first cause in the lines and in the ends of the containers; None when none is found."""
        found = [*self._standing(), *self._ends(exits)]
        if not found:
            return None
        return _best(found).diagnosed()

    def ranked(self, exits: Mapping[str, ExitInfo] | None = None) -> tuple[Diagnosed, ...]:
        """Up to five causes that weigh as much as the best one, each title once, the best first."""
        found = [*self._standing(), *self._ends(exits)]
        ranked: list[Diagnosed] = []
        while found and len(ranked) < _MOST_RANKED:
            best = _best(found)
            ranked.append(best.diagnosed())
            if not best.known:
                break
            # All of this title go at once: a log may have it in every line.
            found = [item for item in found if item.weight is best.weight and item.title != best.title]
            if best.weight is Weight.CAUSE and not best.generic:
                # Beside a cause, a rule for a kind of failures adds nothing.
                found = [item for item in found if not item.generic]
        return tuple(ranked)

    @property
    def weight(self) -> Weight | None:
        """How much the best finding in the lines says; None without one."""
        return max((item.weight for item in self._standing()), default=None)

    @property
    def is_known(self) -> bool:
        """Whether the best finding in the lines is one that a rule describes."""
        found = self._standing()
        return bool(found) and _best(found).known

    @property
    def is_ready(self) -> bool:
        """Whether the server of a host became ready, by its lines."""
        return any(of_host.is_ready for of_host in self._hosts.values())

    def outlived(self) -> tuple[Diagnosed, ...]:
        """What rules found in the lines of a server that became ready all the same, each title once."""
        titles: dict[str, Diagnosed] = {}
        for item in self._found:
            if item.known and self._hosts[item.host].is_ready and self._hosts[item.host].survived(item):
                titles.setdefault(item.title, item.diagnosed())
        return tuple(titles.values())[:_MOST_RANKED]

    def _ends(self, exits: Mapping[str, ExitInfo] | None) -> list[_Found]:
        """The findings from the ends of the containers."""
        return _from_exits(exits or {}, self._context, {host: of_host.said for host, of_host in self._hosts.items()})

    def _standing(self) -> list[_Found]:
        """The findings, without those that the start survived.

        Where it went on after one and did not come to serve, the finding is only a hint: what ended the start is later.
        """
        standing = []
        for item in self._found:
            of_host = self._hosts[item.host]
            if item.weight is Weight.OURS or not of_host.survived(item):
                standing.append(item)
            elif not of_host.is_ready:
                standing.append(replace(item, weight=min(item.weight, Weight.HINT)))
        return standing

    def _take(self, hit: _Hit, host: str, line: Line, evidence: str, moment: float, link: Link) -> None:
        """Keep what a line says. An exception raised while another one was handled takes its place."""
        process = host, line.who
        found = _Found(
            weight=hit.weight,
            time=moment,
            depth=_depth_of(line.who),
            host=host,
            evidence=evidence,
            title=hit.title,
            explanation=hit.explanation,
            repairs=hit.repairs,
            known=hit.known,
            who=line.who,
            moves=len(self._hosts[host].moves),
            generic=hit.generic,
            note=line.is_note,
            link=link,
        )
        at = self._last.pop(process, None)
        if at is not None and not hit.ruled and link is Link.HANDLING:
            self._found[at] = found
        else:
            at = len(self._found)
            self._found.append(found)
        if not hit.ruled:
            self._last[process] = at
        if hit.explanation.endswith(":"):
            self._open[process] = _Open(at)
        elif hit.tells_below or not hit.known:
            self._open[process] = _Open(at, _MOST_BELOW, telling=True)

    def _go_on(self, host: str, line: Line) -> bool:
        """Add a line to the words of the exception above it, where these ended with a colon; whether it was one."""
        process = host, line.who
        going_on = self._open.get(process)
        text = line.text.strip()
        if going_on is None or not text:
            return False
        if line.is_note or says_nothing(line.text) or going_on.left == 0:
            del self._open[process]
            return False
        going_on.left -= 1
        if going_on.telling and _TELLING.search(text) is None:
            return False
        found = self._found[going_on.at]
        self._found[going_on.at] = replace(
            found,
            explanation=shorten(f"{found.explanation} {text}", _MAX_EVIDENCE),
            evidence=shorten(f"{found.evidence} {text}", _MAX_EVIDENCE),
        )
        if going_on.telling:
            del self._open[process]
            return False
        return True

    def _judge(self, line: Line, part: Part, traceback: Tracebacks, of_host: _Host) -> _Hit | None:
        text = _unwrapped(line.text)
        if not text or part in (Part.FRAME, Part.IGNORED):
            return None
        raised = traceback.raised(text) if part is Part.WORDS else None
        goes_on = line.is_note or (raised is None and _GOES_ON.search(text) is not None)
        is_outside = not line.who
        for place in self._known.places(text):
            rule = self._table[place]
            if goes_on and not rule.even_as_note:
                continue
            if rule.in_code is not (part is Part.CODE) or (rule.outside and not is_outside):
                continue
            match = rule.matches(text, of_host.before)
            if match is None:
                continue
            if _ECHO.search(text) and rule.weight > Weight.CONSEQUENCE:
                return None
            context = replace(self._context, before=tuple(of_host.before), phase=_running(of_host.reader))
            hit = self._apply(rule, match, context)
            if hit is None:
                continue
            if raised is None and part is not Part.CODE:
                return hit
            repairs = before_other_kernels(hit.repairs, traceback.files())
            repairs = beside_the_cache(repairs, traceback.functions())
            repairs = beside_the_drafter(repairs, traceback.files())
            if raised is not None and (rule.generic or rule.weight <= Weight.UNKNOWN):
                repairs = beside_the_words(repairs, raised, self._context)
            elif raised is not None:
                repairs = with_classes(repairs, raised, self._context)
            return replace(hit, repairs=tuple(item for item in repairs if is_of_engine(item, self._context)))
        if raised is None or goes_on or _ECHO.search(text):
            return None
        return _unruled(raised, self._context)

    def _apply(self, rule: Cause, match: re.Match[str], context: Context) -> _Hit | None:
        """The finding of a rule for its match; None when it has a defect. After a defect of its repairs it has none."""
        text = match.string
        if "out of memory" in text and context.phase in (None, Phase.START) and _asked_driver(context):
            rule, match = _STARVED, _STARVED.pattern.search(text) or match
        name = rule.pattern.text
        explanation = self._guard.run(f"why: {name}", None, rule.explain, match, context)
        if explanation is None:
            return None
        repairs = self._guard.run(f"repairs: {name}", (), rule.repairs_for, match, context)
        offered = tuple(
            repair for repair in repairs if may_be_offered(repair, context) and is_of_engine(repair, context)
        )
        return _Hit(
            rule.weight,
            rule.title,
            shorten(explanation, _MAX_EVIDENCE),
            offered,
            generic=rule.generic,
            tells_below=rule.tells_below,
        )


def _best(found: Sequence[_Found]) -> _Found:
    top = max(item.weight for item in found)
    first = [item for item in found if item.weight == top]
    # A line that says that the program goes on never beats one that does not.
    first = [item for item in first if not item.note] or first
    if top is Weight.UNKNOWN:
        deepest = max(item.depth for item in first)
        first = [item for item in first if item.depth == deepest]
        # A rule for a kind of exceptions never beats an exception of its own that no rule describes.
        first = [item for item in first if not item.generic and item.link is not Link.DIRECT] or first
    if top is Weight.CAUSE:
        # Docker's refusal has several lines: the first names only the kind, a later one the cause.
        first = [item for item in first if not item.generic] or first
    # Logs without times keep the order of hosts and lines; `min` returns the first of equals.
    return min(first, key=lambda item: item.time)


def _running(reader: PhaseReader) -> Phase | None:
    """The phase that is running: once the weights are loaded, the one after loading."""
    if reader.phase is Phase.LOAD and reader.done:
        return Phase.COMPILE
    return reader.phase


def _unruled(raised: Raised, context: Context) -> _Hit:
    """The finding for an exception that no rule describes."""
    saying = of_exception(raised, context)
    if saying is not None:
        repairs = tuple(repair for repair in saying.repairs if is_of_engine(repair, context))
        return _Hit(
            Weight.UNKNOWN, saying.title, saying.explanation, repairs, ruled=False, tells_below=saying.tells_below
        )
    explanation = f"The engine failed with {raised.name}:"
    if raised.words:
        explanation = f"{explanation} {shorten(raised.words, 300)}"
    # What is refused stands in the lines below it.
    weight = Weight.CONSEQUENCE if _HEADING.search(raised.words) is not None else Weight.UNKNOWN
    return _Hit(weight, f"{UNKNOWN}: {raised.name}", explanation, known=False, ruled=False)


def _unwrapped(text: str) -> str:
    """A line in which an engine repeats what one of its workers failed with, as the worker wrote it."""
    if not text.startswith(_REPEATED):
        return text
    return f"RuntimeError: {text[len(_REPEATED) :].partition(_REPEATED_END)[0]}"


def _asked_driver(context: Context) -> bool:
    return any(_DRIVER.search(text) for text in context.before)


def _depth_of(who: tuple[str, ...]) -> int:
    """How deep in the tree of processes a line was written: workers, engine, server, none."""
    innermost = who[-1] if who else ""
    for start, depth in _DEPTHS:
        if start in innermost:
            return depth
    return 0


def _speaks_of_failure(line: Line) -> bool:
    """Whether a line says that something went wrong, and is none in which a program goes on or repeats another."""
    if line.is_note or _TELLING.search(line.text) is None:
        return False
    return _GOES_ON.search(line.text) is None and _ECHO.search(line.text) is None


def _from_exits(exits: Mapping[str, ExitInfo], context: Context, said: Mapping[str, str]) -> list[_Found]:
    """The findings from the ends of the containers; `said` are the last lines of the hosts that speak of a failure."""
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
            if weight is Weight.CONSEQUENCE:
                evidence = said.get(host) or evidence
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
