"""Log lines for the eye: without the engine's own date, process id and source place, which the pane shows already."""

from __future__ import annotations

import re

_VLLM = re.compile(
    r"(?:\((?P<outer>\w+) pid=\d+(?:, ip=[\w.:]+)?\) )?(?:\((?P<inner>\w+) pid=\d+\) )?"
    r"(?P<level>DEBUG|INFO|WARNING|ERROR|CRITICAL) \d\d-\d\d \d\d:\d\d:\d\d \[[\w./<>-]+:\d+\] ?"
)
_WHO = re.compile(r"\((?P<outer>\w+) pid=\d+(?:, ip=[\w.:]+)?\) (?:\((?P<inner>\w+) pid=\d+\) )?")
_SGLANG = re.compile(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?: (?P<who>(?:[A-Z]+\d+ ?)+))?\] ")
_RAY = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+ (?P<level>INFO|SUCC|WARN\w*|ERR\w*) [\w./]+:\d+ -- ")
_LLAMA = re.compile(r"\d{1,9}\.\d\d\.\d{3}\.\d{3} (?P<level>[IWED]) ")
_QUIET = frozenset({"INFO", "SUCC", "I"})
_WORDS = {"W": "WARN", "E": "ERROR", "D": "DEBUG"}


def trimmed(text: str) -> str:
    """`text` without the prefix that vLLM, SGLang, Ray and llama-server put before each line."""
    for pattern in (_VLLM, _WHO, _SGLANG, _RAY, _LLAMA):
        match = pattern.match(text)
        if match is not None and match.end():
            return _prefix(match.groupdict()) + text[match.end() :]
    return text


def _prefix(found: dict[str, str | None]) -> str:
    who = found.get("inner") or found.get("outer") or found.get("who") or ""
    level = found.get("level") or ""
    shown = f"({who.strip()}) " if who else ""
    return shown if not level or level in _QUIET else f"{shown}{_WORDS.get(level, level)} "
