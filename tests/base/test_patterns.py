"""Patterns for lines of logs, which are searched where one of their words is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkrun_tui.base.reading.patterns import AnyOf, LinePattern

PATTERNS = tuple(
    map(LinePattern, (r"out of memory", r"port (\d+) is taken|address in use", r"^x+$", r"a.b", r"\[err\]"))
)
LINES = (
    "CUDA out of memory.",
    "port 80 is taken",
    "Address in use",
    "address in use",
    "xxx",
    "a-b",
    "[err]",
    "fine",
    "",
)


@pytest.mark.parametrize("line", LINES)
def test_a_line_that_a_pattern_matches_is_not_left_out(line: str) -> None:
    matches = any(pattern.search(line) for pattern in PATTERNS)
    assert AnyOf(PATTERNS).may_match(line) or not matches
    assert not AnyOf(()).may_match(line)


def test_most_lines_are_left_out() -> None:
    assert not AnyOf(PATTERNS).may_match("INFO 12:00 loading weights")


@given(st.text(alphabet="outofmery. px]a[-b\n", max_size=40))
def test_no_match_is_ever_left_out(line: str) -> None:
    if any(pattern.search(line) for pattern in PATTERNS):
        assert AnyOf(PATTERNS).may_match(line)
