"""A word of a foreign text is not taken by its place: a text of blanks has none."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import sparkrun_tui

ROOT = Path(sparkrun_tui.__file__).parent
LEFT = frozenset({"launch/run/parts/owner.py"})
"""Expects an IndexError."""


def found_in(text: str) -> Iterator[str]:
    """Subscripts of a split at blanks, which gives an empty list for a text of blanks."""
    for node in ast.walk(ast.parse(text)):
        if not (isinstance(node, ast.Subscript) and isinstance(node.value, ast.Call)):
            continue
        function = node.value.func
        at_blanks = isinstance(function, ast.Attribute) and function.attr in ("split", "rsplit", "splitlines")
        if at_blanks and not node.value.args and not isinstance(node.slice, ast.Slice):
            yield ast.unparse(node)


def test_the_walk_sees_what_it_is_for() -> None:
    assert list(found_in("a = x.split()[0]")) == ["x.split()[0]"]
    assert not list(found_in("a = x.split(',')[0]; b = x.split()[:2]"))


def test_no_word_is_taken_by_its_place() -> None:
    found = {
        str(path.relative_to(ROOT)): words
        for path in ROOT.rglob("*.py")
        if (words := list(found_in(path.read_text(encoding="utf-8"))))
    }
    assert not found.keys() - LEFT, found
