"""Every fault of tests/faults.yaml has a test that is there, or says what is still open."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.__main__ import PARTS

TESTS = Path(__file__).parents[1]
FAULTS: dict[str, dict[str, Any]] = yaml.safe_load((TESTS / "faults.yaml").read_text(encoding="utf-8"))

IDS = {
    *(f"F{number}" for number in range(1, 35)),
    *(f"S{number}" for number in range(1, 19)),
    *(f"H{number}" for number in range(1, 7)),
    *(f"M{number}" for number in range(7, 20)),
    *(f"L{number}" for number in range(20, 32)),
    *(f"C{number}" for number in range(1, 5)),
    *(f"K{number}" for number in range(1, 9)),
}

OPEN = {"S17", "M14", "L21", "L28", "L29"}
"""Faults without a test, since what must come does not come yet. The set only shrinks."""

ON_REAL_HOSTS = {
    *(f"F{number}" for number in (*range(1, 21), *range(22, 30))),
    *("H1", "H2", "H3", "H4", "H5", "M8", "M9", "M11", "M12", "M13", "M15", "L24", "L25", "S10", "S11", "S14", "S15"),
}
"""Faults that can be made on the test cluster, so that one of their tests runs there."""


@cache
def functions(path: Path) -> frozenset[str]:
    """The names of the tests of a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = (node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(name for name in found if name.startswith("test_"))


def test_every_fault_has_its_entry() -> None:
    assert set(FAULTS) == IDS


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_a_fault_has_a_test_that_is_there(fault: str) -> None:
    entry = FAULTS[fault]
    assert entry["fault"] and entry["outcome"]
    assert entry.keys() <= {"fault", "outcome", "tests", "bench", "open"}
    named = entry.get("tests", [])
    bench = entry.get("bench", "")
    assert (fault in OPEN) == ("open" in entry)
    assert named or bench or "open" in entry, f"{fault} has no test"
    assert not bench or bench in PARTS
    for place in named:
        file, _, name = place.partition("::")
        there = functions(TESTS / file)
        assert there if name == "*" else name in there, place
    if fault in ON_REAL_HOSTS:
        assert any(place.startswith("integration/") for place in named), f"{fault} is only tested on doubles"
