"""The figures that `./dev check` prints, on a package that is small enough to count by hand."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from benchmarks import structure

LEAF = '''\
"""A leaf."""

# A comment is no code.
ENGINE = "vllm"


def pick(left, right):
    if left and right or ENGINE:
        return [one for one in left if one]
    return left if right else None
'''
FILES = {
    "__init__.py": "",
    "launch/__init__.py": "",
    "launch/leaf.py": LEAF,
    "launch/plan/__init__.py": "",
    "launch/plan/steps.py": "from sparkrun_tui.launch import leaf\n",
    "launch/plan/more.py": "from sparkrun_tui.launch.leaf import pick\nfrom sparkrun_tui.launch.plan import steps\n",
}


@pytest.fixture
def modules(tmp_path: Path) -> list[structure.Module]:
    """A package of six modules in three folders."""
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return structure.read(tmp_path)


def test_lines_that_are_blank_or_comments_are_no_code(modules: list[structure.Module]) -> None:
    leaf = next(module for module in modules if module.name == "launch.leaf")
    assert structure.code_lines(leaf) == 6


def test_branches_of_statements_and_of_expressions(modules: list[structure.Module]) -> None:
    (pick,) = structure.functions(modules)
    # One way, and an `if`; then `and`, `or`, a comprehension with a condition, and a conditional expression.
    assert structure.branches(pick) == structure.Branches(statements=2, all=7)


def test_expressions_are_counted_by_kind(modules: list[structure.Module]) -> None:
    assert structure.count(modules, ast.IfExp) == 1
    assert structure.count(modules, ast.BoolOp) == 2
    assert structure.count(modules, ast.ListComp) == 1


def test_files_are_counted_by_folder(modules: list[structure.Module]) -> None:
    assert sorted(structure.folder_sizes(modules)) == [1, 2, 3]


def test_an_arrow_is_counted_once_and_none_inside_of_a_room(modules: list[structure.Module]) -> None:
    assert structure.arrows(modules, "launch") == (2, 1)


def test_names_of_engines_are_counted_outside_of_their_folders(modules: list[structure.Module]) -> None:
    assert structure.engine_names(modules) == (1, 1)


def test_this_checkout_can_be_measured() -> None:
    rows = structure.measure(Path(__file__).resolve().parents[2])
    assert all(row.figure for row in rows)
