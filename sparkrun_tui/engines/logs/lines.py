"""A line of an engine's log taken apart: the prefixes of processes, the level, and what it says."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sparkrun_tui.base.text import log_line

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
