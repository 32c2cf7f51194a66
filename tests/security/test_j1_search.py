"""J1: a search takes no longer for what an author wrote, or for what was typed; each case took 8 seconds or more."""

from __future__ import annotations

import time
from itertools import product

import pytest

from sparkrun_tui.recipe.model import Source, SourceKind
from sparkrun_tui.recipe.search.entry import Entry
from sparkrun_tui.recipe.search.index import Index, light

LENGTH = 100_000
LETTERS = ("q-", "q.", "q/", "wen-q", "q e-w-n-", "qwe-", "q" * 50 + "-")
MOST = 1.0
"""Seconds of processor time."""


def entry(field: str, text: str) -> Entry:
    """An entry with a long field."""
    return Entry(**{"name": "n", "source": Source(SourceKind.REGISTRY, "/nowhere/r.yaml", "r"), field: text})


@pytest.mark.parametrize(("field", "letters"), product(["name", "model", "description"], LETTERS))
def test_long_fields_cost_no_search_much(field: str, letters: str) -> None:
    text = "wen" + (letters * LENGTH)[:LENGTH]
    began = time.process_time()
    index = Index([entry(field, text) for _ in range(3)])
    for word in ("qwen", "qqwen", "qz", "nwq"):
        index.search(word)
        light(text, word)
    assert time.process_time() - began < MOST


@pytest.mark.parametrize("text", ["a" * LENGTH, "ab-" * (LENGTH // 3), "a.b " * 2000, "-" * LENGTH, "params>" * 10_000])
def test_long_words_cost_no_search_much(text: str) -> None:
    entries = [Entry(name=f"abc-{number}", source=Source(SourceKind.PATH, f"/n/{number}.yaml")) for number in range(60)]
    began = time.process_time()
    index = Index(entries)
    index.search(text)
    index.search(text + "a")
    light("abc-1", text)
    assert time.process_time() - began < MOST


def test_letters_in_between_are_still_allowed() -> None:
    index = Index([entry("name", "qwen3-coder-30b"), entry("name", "q-then-w-then-much-more-and-e-and-n")])
    assert [found.name for found in index.search("qcoder")] == ["qwen3-coder-30b"]
    assert [found.name for found in index.search("qwn")] == ["qwen3-coder-30b"]
    assert light("qwen3-coder", "qcod") == (0, 6, 7, 8)


def test_a_word_that_a_shorter_search_has_found_is_found_again() -> None:
    index = Index([entry("name", "alpha"), entry("name", "alpine"), entry("name", "beta")])
    for word, count in (("al", 2), ("alp", 2), ("alpi", 1), ("alpha", 1)):
        assert len(index.search(word)) == count
