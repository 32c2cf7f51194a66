"""A container that made up long secrets which differ only at their ends does not make its lines slow to hide in."""

from __future__ import annotations

import random
import time

import pytest

from sparkrun_tui.base.secrets import LONG, MASK, ManyWords, Redactor, secrets_given

LIMIT = 0.1
"""Seconds of one line on a busy machine."""


def given(count: int, unit: str) -> Redactor:
    """A redactor of what a container was given: texts of a repeated unit, of several lengths, and a short one."""
    step = 4000 // count
    texts = [unit * ((number + 1) * step // len(unit)) + "!" for number in range(count)]
    return Redactor(secrets_given([f"A{number}_TOKEN={text}" for number, text in enumerate([*texts, "canary-1"])], ()))


@pytest.mark.parametrize("unit", ["A", "AB", "ABC", "AAAAAAAB"])
@pytest.mark.parametrize("count", [1, 3, 10, 60])
def test_a_line_is_hidden_in_quickly(count: int, unit: str) -> None:
    hide = given(count, unit)
    whole = unit * (8000 // len(unit))
    cut = (whole[:900] + "…") * 8
    for line in (whole, "canary-1 " + whole, cut, "canary-1 " + cut, (whole[:3999] + "?") * 2):
        began = time.thread_time()
        shown = hide(line)
        assert time.thread_time() - began < LIMIT
        assert "canary" not in shown


def plainly(text: str, long: set[str], short: set[str]) -> str:
    """What `ManyWords` does, word by word."""
    shown, at = "", 0
    while at < len(text):
        fitting = [word for word in long if text.startswith(word, at)]
        for word in short:
            before, after = text[at - 1 : at], text[at + len(word) : at + len(word) + 1]
            alone = not any(sign.isalnum() or sign == "_" for sign in before + after)
            if text.startswith(word, at) and alone:
                fitting.append(word)
        if fitting:
            shown += MASK
            at += len(max(fitting, key=len))
        else:
            shown += text[at]
            at += 1
    return shown


def test_words_that_begin_with_each_other_are_hidden_like_others() -> None:
    chance = random.Random(7)
    for _ in range(400):
        words = {"".join(chance.choices("ab", k=chance.randint(LONG, 14))) for _ in range(chance.randint(1, 40))}
        words |= {word[: chance.randint(LONG, len(word))] for word in words}
        text = "".join(chance.choices("ab ", weights=[8, 8, 1], k=200))
        assert ManyWords(words, {"ab1!"}).masked(text) == plainly(text, words, {"ab1!"})
