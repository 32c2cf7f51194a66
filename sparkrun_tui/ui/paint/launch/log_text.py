"""Log lines without the engine's own date, process id and source location, for easier reading."""

from __future__ import annotations

from sparkrun_tui.base.regexes import late_regex

_VLLM = late_regex(
    r"(?:\((?P<outer>\w+) pid=\d+(?:, ip=[\w.:]+)?\) )?(?:\((?P<inner>\w+) pid=\d+\) )?"
    r"(?P<level>DEBUG|INFO|WARNING|ERROR|CRITICAL) \d\d-\d\d \d\d:\d\d:\d\d \[[\w./<>-]+:\d+\] ?"
)
_WHO = late_regex(r"\((?P<outer>\w+) pid=\d+(?:, ip=[\w.:]+)?\) (?:\((?P<inner>\w+) pid=\d+\) )?")
_SGLANG = late_regex(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?: (?P<who>(?:[A-Z]+\d+ ?)+))?\] ")
_RAY = late_regex(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+ (?P<level>INFO|SUCC|WARN\w*|ERR\w*) [\w./]+:\d+ -- ")
_LLAMA = late_regex(r"\d{1,9}\.\d\d\.\d{3}\.\d{3} (?P<level>[IWED]) ")
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
    """What is kept of a prefix: who printed the line, and its level when it is not the usual one."""
    kept = ""
    for group in ("inner", "outer", "who"):
        who = found.get(group)
        if who:
            kept = f"({who.strip()}) "
            break
    level = found.get("level")
    if level and level not in _QUIET:
        kept += f"{_WORDS.get(level, level)} "
    return kept
