"""A fixed number of mutated inputs per target: whatever is read, errors are for the person, time and memory bounded.

`./dev check --long` runs the same targets for an hour.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.hunt import Tally, hunt
from tests.fuzz.of_texts import check_gate
from tests.fuzz.targets import TARGETS

SEED = 20261130
_FOLDERS = tuple(Path(name) for name in os.environ.get("SPARKRUN_TUI_FUZZ_SEEDS", "").split(os.pathsep) if name)
"""Folders with more recipes and logs to begin from; the repository needs none."""


@pytest.mark.parametrize("name", TARGETS)
def test_no_input_gets_further_than_an_error_for_the_person(name: str, tmp_path: Path) -> None:
    tally = Tally(name)
    count = TARGETS[name].inputs
    hunt(tally, seed=SEED, first=0, count=count, seconds=300.0, folder=tmp_path, seeds=_FOLDERS, cutting=0.5)
    found = [f"{item.error} at {item.place or '?'}: {item.words} ({item.path})" for item in tally.findings.values()]
    assert found == [], f"seed {SEED}: {tally.row()}"
    assert tally.inputs == count


@given(
    st.text(max_size=60)
    | st.text(alphabet=[chr(code) for code in range(0xA0)] + list("[]m;?\u202e\u0301"), max_size=40)
)
@settings(max_examples=200, deadline=None, derandomize=True, database=None)
def test_no_text_gets_through_the_gate_that_steers_a_terminal(text: str) -> None:
    check_gate(text)
