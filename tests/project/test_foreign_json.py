"""JSON from outside has one reader, whose errors are of one kind: bare `json.loads` is not used on the way."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import sparkrun_tui

ROOT = Path(sparkrun_tui.__file__).parent
OWN_PROGRAMS = {ROOT / "launch" / "bench" / "child.py"}
"""Run by another interpreter, which has nothing of this program; what they read is written by it."""
FILES = sorted(
    path
    for package in ("remote", "fleet", "launch")
    for path in (ROOT / package).rglob("*.py")
    if path not in OWN_PROGRAMS
)


def bare_readers(text: str) -> list[int]:
    """The lines on which a text reads JSON by itself."""
    found = []
    for node in ast.walk(ast.parse(text)):
        called = isinstance(node, ast.Attribute) and node.attr in ("load", "loads", "JSONDecoder")
        if called and isinstance(node.value, ast.Name) and node.value.id == "json":
            found.append(node.lineno)
        if isinstance(node, ast.ImportFrom) and node.module == "json":
            found.append(node.lineno)
    return sorted(found)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_json_is_read_by_parse_json(path: Path) -> None:
    assert bare_readers(path.read_text(encoding="utf-8")) == []


def test_a_bare_reader_would_be_seen() -> None:
    assert bare_readers("import json\njson.loads('1')\nfrom json import loads") == [2, 3]
