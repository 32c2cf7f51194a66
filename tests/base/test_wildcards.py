"""Wildcards for names, and the regular expressions that are rewritten as wildcards."""

from __future__ import annotations

import re

import pytest

from sparkrun_tui.base.reading.wildcards import globs_of, like_glob

NAMES = (
    "model.layers.0.self_attn.q_proj",
    "model.layers.17.mlp.gate",
    "model.layers.17.mlp.gate_proj",
    "model.layers.3.mlp.experts.0.down_proj",
    "model.visual.blocks.2.attn.qkv",
    "lm_head",
    "mtp.layers.0.mlp.gate",
)


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("*", "", True),
        ("a*", "a", True),
        ("a*b", "ab", True),
        ("a*b", "aab", True),
        ("a*b*b", "ab", False),
        ("a*b*b", "abb", True),
        ("ab", "abc", False),
        ("*.gate", "mlp.gate", True),
        ("*.gate", "mlp.gate_proj", False),
        ("mtp*", "model.mtp", False),
    ],
)
def test_a_star_stands_for_any_letters(pattern: str, name: str, matches: bool) -> None:
    assert like_glob(pattern, name) is matches


@pytest.mark.parametrize(
    "expression",
    [
        ".*mlp.gate$",
        r".*\.mlp\..*",
        "lm_head",
        "^model.*",
        r"model\.layers\.\d+\.self_attn\.(q|k|v|o)_proj",
        r"model\.layers\.[0-9]+\.mlp\.(?:gate|up)_proj$",
        r".*layers\.1[5-9]\..*",
        "(.*visual.*|.*lm_head)",
        ".*gate(_proj)?$",
        ".*mtp.*",
    ],
)
def test_expressions_in_use_match_the_same_names_as_wildcards(expression: str) -> None:
    globs = globs_of(expression)
    assert globs is not None
    for name in NAMES:
        assert any(like_glob(glob, name) for glob in globs) == bool(re.match(expression, name)), name


@pytest.mark.parametrize(
    "expression",
    ["(a+)+$", "(a|b)*", r"(x)\1", "(?!mlp).*", "(?i)mlp", "a{3}", "[^a]b", "(", ")", "[", "*a", "a**", "\\", "a$b"],
)
def test_other_expressions_are_unknown(expression: str) -> None:
    assert globs_of(expression) is None


def test_an_expression_stands_for_a_limited_number_of_wildcards() -> None:
    assert globs_of("(a|b|c)" * 12) is None
    assert globs_of("[a-z]" * 12) is None
    assert globs_of("(" * 300 + ")" * 300) is None
    assert globs_of("x" * 5000) is None
