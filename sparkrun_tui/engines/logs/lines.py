"""Splits a line of an engine's log into the prefixes of processes, the level, and the text."""

from __future__ import annotations

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.base.text import log_line

_MOST_PREFIXES = 32
"""Most prefixes that are removed from one line; a line has one for each process that passed it on."""

_OUTER = late_regex(
    r"^(?:[\w.-]{1,80}(?:-\d{1,3} {1,40}| {2,40})\| |"
    r"(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT[\d:.]{8,16}[+-]\d\d:?\d\d) "
    r"\S{1,100} [\w.@/-]{1,80}\[\d{1,9}\]: |"
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} \| (?!(?:TRACE|DEBUG|INFO|SUCCESS|WARNING|ERROR|CRITICAL) {0,8}\|))"
)
"""What Docker Compose, the system's journal and Docker Desktop write before each line."""
_STAMP = late_regex(r"\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d) (?:std(?:out|err) [FP](?: |$))?")
"""The time that Docker and containerd write before each line; containerd adds the stream."""
_LEVELS = r"DEBUG|INFO|WARNING|ERROR|CRITICAL"
_PREFIXES = (
    late_regex(
        r"\((?P<who>[A-Za-z][\w.-]*(?: (?:rank=\d{1,5}|[A-Z]{2,3}\d{1,5})){0,3}) pid=\d+(?:, ip=[\d.:a-f]+)?\) ?"
    ),
    late_regex(r"\(pid=\d+(?:, ip=[\d.:a-f]+)?\) ?"),
    late_regex(
        r"(?P<level>DEBUG|INFO|WARNING|ERROR|CRITICAL) (?:\d\d-\d\d (?:\d\d:\d\d:\d\d )?)?"
        r"(?:\[[^\]]{1,300}\]|[\w./-]{1,100}:\d{1,6}\]) ?"
    ),
    late_regex(r"\[(?P<who>rank\d{1,5})\]: ?"),
    late_regex(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?P<who>(?: [A-Z]{2,3}\d+)*)\] "),
    late_regex(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+ +(?P<level>[A-Z]+) \S+:\d+ -- "),
    late_regex(r"\d{1,9}\.\d\d\.\d{3}\.\d{3} (?P<level>[DIWE]) "),
    # SGLang since 2026, below its date: the level, and the file with its line.
    late_regex(rf"(?P<level>{_LEVELS}) [\w./-]{{1,100}}:\d{{1,6}}: "),
    # uvicorn and Python's own form.
    late_regex(rf"(?P<level>{_LEVELS}):(?: {{1,10}}|[\w.]{{1,80}}:)"),
    late_regex(r"(?P<level>Warning): "),
    # Libraries in C++: a letter, then month and day.
    late_regex(r"\[?(?P<level>[DIWEF])\d{3,4} \d\d:\d\d:\d\d\.\d{3,9} +(?:\d{1,9} )?[\w./-]{1,100}:\d{1,6}\] "),
    # Python's `warnings`.
    late_regex(r"[\w./-]{1,300}\.py:\d{1,6}: (?P<level>\w{0,40}Warning): "),
    # loguru.
    late_regex(rf"\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{{1,6}} \| (?P<level>{_LEVELS}) {{0,8}}\| \S{{1,200}} - "),
)


_QUIET = frozenset({"DEBUG", "INFO", "WARNING", "D", "I", "W"})


@dataclass(frozen=True, slots=True)
class Line:
    """The parts of a log line: the processes that passed it on (outermost first), its level, and its text."""

    who: tuple[str, ...]
    level: str
    text: str

    @property
    def is_note(self) -> bool:
        """Whether its level says that the program goes on: information or a warning."""
        return self.level in _QUIET or self.level.endswith("Warning")


def strip_prefixes(line: str) -> Line:
    """The line without colours, carriage returns, time stamp and prefixes, however often these repeat."""
    text = log_line(line)
    outer = _OUTER.match(text)
    if outer is not None:
        text = text[outer.end() :]
    stamp = _STAMP.match(text)
    if stamp is not None:
        text = text[stamp.end() :]
    who: list[str] = []
    level, at = "", 0
    for _ in range(_MOST_PREFIXES):
        match = None
        for pattern in _PREFIXES:
            match = pattern.match(text, at)
            if match is not None:
                break
        if match is None:
            break
        groups = match.groupdict()
        if groups.get("who"):
            who.append(groups["who"].strip())
        level = groups.get("level") or level
        at = match.end()
    return Line(tuple(who), level, text[at:])
