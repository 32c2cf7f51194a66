"""How grave a line of an engine's log is: by the level that it states, else by its words."""

from __future__ import annotations

from enum import IntEnum

from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.engines.logs.lines import strip_prefixes


class LineLevel(IntEnum):
    """How grave a line is; each level includes those above it."""

    ALL = 0
    WARNING = 1
    ERROR = 2


_WORTH_READING = late_regex(r"(?i:warn|err|crit|fatal|fail|panic|traceback|exception)| [WEF] |(?:^|\[)[WEF]\d{3,4} ")
"""What each line above `ALL` has somewhere: to look for it is much cheaper than to take a line apart."""

_ERROR_WORDS = late_regex(
    r"\b(?:ERROR|CRITICAL|FATAL)\b|Traceback \(most|(?:Error|Exception):|^(?:error|fatal|panic):|^Error response"
    r"|\blevel=(?:error|fatal|panic)\b"
)
_WARNING_WORDS = late_regex(r"\b(?:WARN|WARNING|Warning)\b|\blevel=warn|^warning:")
_NOTES = ("DEBUG", "INFO", "SUCC", "D", "I")


def level_of(text: str) -> LineLevel:
    """The level of one line."""
    if _WORTH_READING.search(text) is None:
        return LineLevel.ALL
    line = strip_prefixes(text)
    if line.level.upper().startswith("W") or line.level.endswith("Warning"):
        return LineLevel.WARNING
    if line.level.startswith(_NOTES):
        return LineLevel.ALL
    if line.level or _ERROR_WORDS.search(line.text):
        return LineLevel.ERROR
    if _WARNING_WORDS.search(line.text):
        return LineLevel.WARNING
    return LineLevel.ALL
