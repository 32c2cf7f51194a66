"""Numbers and JSON from outside are read by base.numbers and base.json_text, and nowhere else."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import sparkrun_tui

ROOT = Path(sparkrun_tui.__file__).parent
PACKAGES = ("recipe", "models", "memory", "engines")
"""Packages that are walked."""
LEFT = frozenset({"recipe/registry/git.py", "recipe/registry/cache.py", "engines/logs/phases.py"})
"""Files that read git's answers, their own state, and log lines."""
ALLOWED = frozenset({
    ("memory/vllm/plan.py", "int(self.rules.null_block)"),
    ("memory/vllm/layers.py", "int(self.rules.checkpoint_block and (state.kind is StateKind.MAMBA2 or flash))"),
    ("memory/llama_cpp/case.py", "float(shape.slots)"),
    ("memory/vllm/case.py", "float(self.plan.sequences)"),
    ("memory/sglang/case.py", "float(self.plan.requests)"),
    ("memory/sglang/cell.py", "float(element_bytes(dtype) or facts.element_bytes)"),
    ("memory/sglang/cell.py", "float(total)"),
    ("memory/llama_cpp/cache.py", "int(full)"),
    ("memory/llama_cpp/cache.py", "int(indexer)"),
    ("memory/llama_cpp/cache.py", "int(window)"),
    ("recipe/values/shell_scanner.py", "int(short or long, 16)"),
    ("recipe/values/shell_scanner.py", "int(byte[1], 8)"),
    ("recipe/values/shell_scanner.py", "int(byte[2], 16)"),
})  # fmt: skip
"""Conversions of what is known to be a number or a truth value, or a few digits of another base."""


def found_in(text: str) -> Iterator[str]:
    """What reads a number or JSON by itself. `int` and `float` of something that was calculated are no reading."""
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Call):
            continue
        function, first = node.func, node.args[0] if node.args else None
        converts = isinstance(function, ast.Name) and function.id in ("int", "float")
        if converts and not isinstance(first, ast.BinOp | ast.Compare):
            yield ast.unparse(node)
        if isinstance(function, ast.Attribute) and _reads(function):
            yield ast.unparse(node)
        if not (isinstance(function, ast.Name) and function.id in ("isinstance", "issubclass")):
            passed = [word for word in node.args if isinstance(word, ast.Name) and word.id in ("int", "float")]
            yield from (ast.unparse(node)[:80] for _ in passed)


def _reads(function: ast.Attribute) -> bool:
    """Whether a method reads a number or JSON out of a text."""
    if function.attr in ("isdigit", "isdecimal", "isnumeric", "literal_eval"):
        return True
    return ast.unparse(function) in ("json.loads", "json.load")


def test_the_walk_sees_what_it_is_for() -> None:
    bad = ["int(text)", "float(match[1])", "x.isdigit()", "json.loads(x)", "map(int, x)", "f(x, float)"]
    assert all(list(found_in(line)) for line in bad)
    assert not any(list(found_in(line)) for line in ["int(a * 2)", "int(a == b)", "isinstance(x, int)", "whole(x)"])


def test_numbers_from_outside_are_read_in_one_place() -> None:
    found = []
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if name not in LEFT:
                found += [(name, text) for text in found_in(path.read_text(encoding="utf-8"))]
    assert [entry for entry in found if entry not in ALLOWED] == []
