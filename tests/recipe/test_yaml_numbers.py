"""Whole numbers of recipes are those of YAML 1.1, however they are read."""

from __future__ import annotations

import pytest
import yaml

from sparkrun_tui.recipe.format.yamltree import resolve, scalar_data

TEXTS = ("0", "7", "32768", "012", "0x1f", "0b101", "1_000", "1:30", "-5", "+7", "9" * 18, "9" * 19, "1" + "0" * 19)


@pytest.mark.parametrize("text", TEXTS)
def test_a_whole_number_is_that_of_yaml(text: str) -> None:
    assert resolve(text) == "int"
    assert scalar_data(text, "int") == yaml.safe_load(text)


@pytest.mark.parametrize("text", ["1" + "0" * 20, "9" * 90])
def test_a_larger_one_stays_text(text: str) -> None:
    assert scalar_data(text, "int") == text


@pytest.mark.parametrize("text", ["true", "no", "~", "", "1.5", "2026-12-01", "<<", "word", "w" * 31, "w" * 40])
def test_the_type_of_a_text_is_the_same_each_time(text: str) -> None:
    node = yaml.compose(text or "''")
    first = resolve(text)
    assert first == resolve(text)
    if text:
        assert node is not None and node.tag.removeprefix("tag:yaml.org,2002:") == first
