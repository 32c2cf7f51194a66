"""Finds every pattern that lines of logs are searched with, without a list: whatever the modules hold is taken."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import sparkrun_tui
from sparkrun_tui.base.reading.patterns import LinePattern
from sparkrun_tui.base.regexes import _LateRegex
from sparkrun_tui.engines.logs.rules import LogMark
from sparkrun_tui.engines.registry import ENGINES

FOLDERS = tuple(dict.fromkeys(engine.family.folder for engine in ENGINES.values()))
"""The folders of the engines, each with a reader of its log and its causes."""
READERS = (
    "sparkrun_tui.base.reading.patterns",
    "sparkrun_tui.base.secrets",
    "sparkrun_tui.base.text",
    "sparkrun_tui.launch.",
    "sparkrun_tui.remote.docker.logs",
    "sparkrun_tui.remote.script.lines",
    "sparkrun_tui.engines.logs.",
    *(f"sparkrun_tui.engines.{folder}.{part}" for folder in FOLDERS for part in ("causes", "log")),
    "sparkrun_tui.ui.paint.launch.log_text",
    "sparkrun_tui.ui.widgets.log.",
)
"""Modules (or, with a point at the end, all in a folder) whose patterns meet lines of logs."""


def modules() -> Iterator[str]:
    """The names of all modules of the program that read logs."""
    for found in pkgutil.walk_packages(sparkrun_tui.__path__, "sparkrun_tui."):
        if found.name.startswith(READERS):
            yield found.name


def all_patterns() -> dict[str, re.Pattern[str]]:
    """Every pattern by its text."""
    found: dict[str, re.Pattern[str]] = {}
    for name in modules():
        for value in vars(importlib.import_module(name)).values():
            for pattern in _within(value, set()):
                found.setdefault(pattern.pattern, pattern)
    return found


def _within(value: Any, seen: set[int]) -> Iterator[re.Pattern[str]]:
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, _LateRegex):
        value = re.compile(value.pattern, value.flags)
    if isinstance(value, re.Pattern):
        if isinstance(value.pattern, str):
            yield value
    elif isinstance(value, LogMark):
        yield from (re.compile(text) for text in (value.pattern, value.progress) if text)
    elif isinstance(value, LinePattern):
        yield value.regex
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from _within(getattr(value, field.name), seen)
    elif isinstance(value, Mapping):
        for item in (*value.keys(), *value.values()):
            yield from _within(item, seen)
    elif isinstance(value, tuple | list | set | frozenset):
        for item in value:
            yield from _within(item, seen)
