"""C4: what is costly is made once for many words, and one long text widens no table."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import sparkrun_tui
from sparkrun_tui.cli import output

COSTLY = {"redactor", "_redactor", "outer_command", "simple_commands", "serve_argv"}
"""Calls that read a whole command or recipe: once for each of its words, they take the square of its length."""

_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def repeated(tree: ast.AST) -> Iterator[ast.Call]:
    """The costly calls that a comprehension makes for each of its items; what it goes over is worked out once."""
    for node in ast.walk(tree):
        if not isinstance(node, _COMPREHENSIONS):
            continue
        once = set(ast.walk(node.generators[0].iter))
        for call in ast.walk(node):
            if isinstance(call, ast.Call) and call not in once and _name(call.func) in COSTLY:
                yield call


def _name(called: ast.expr) -> str:
    if isinstance(called, ast.Attribute):
        return called.attr
    return called.id if isinstance(called, ast.Name) else ""


def test_nothing_costly_is_made_for_each_word() -> None:
    root = Path(sparkrun_tui.__file__).parent
    found = [
        f"{path.relative_to(root)}:{call.lineno}"
        for path in root.rglob("*.py")
        for call in repeated(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert found == []


def test_such_a_call_is_found() -> None:
    assert len(list(repeated(ast.parse("[self._redactor()(word) for word in serve_argv(text)]")))) == 1
    assert not list(repeated(ast.parse("[redact(word) for word in serve_argv(text)]")))


def test_a_long_name_widens_no_other_row(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(("NAME", "MODEL", "WHAT"), [("a", "x" * 58_000, "first"), *(("b", "y", "next") for _ in range(100))])
    told = capsys.readouterr().out
    assert len(told) < 101 * 300 and told.count("next") == 100 and "first" in told
