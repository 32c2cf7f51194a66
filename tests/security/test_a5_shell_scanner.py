"""A5: a recipe's command can neither hold the form that reads it at every key, nor break it by nesting."""

from __future__ import annotations

import time

import pytest

from sparkrun_tui.recipe.format.yamltree import MAX_TEXT
from sparkrun_tui.recipe.values.shell_scanner import quotes_at, simple_commands

SMALL = MAX_TEXT // 32
LARGE = MAX_TEXT // 4

REPEATED = [
    "a ", "\\", '"', "'a' ", "$'", "$", "`", "\n", "\t\t\n", "# '\n", "a\\\n", "1", "a=", "A[", "{", "case x in x) ",
    "case x in x) a;; esac\n", "f() {", "a(", "( ", "$(", '"$(', "$((", "((", "${", "${A:-", "<(",
]  # fmt: skip


def seconds(text: str) -> float:
    """The best of three tries to read a script in both ways."""
    tries = []
    for _ in range(3):
        start = time.process_time()
        try:
            simple_commands(text)
        except ValueError as error:
            assert "unbalanced" in str(error) or "inside each other" in str(error)
        quotes_at(text, range(0, len(text), 64))
        tries.append(time.process_time() - start)
    return min(tries)


def repeated(piece: str, size: int) -> str:
    return (piece * (size // len(piece) + 1))[:size]


@pytest.mark.parametrize("piece", REPEATED)
def test_time_is_linear_in_length(piece: str) -> None:
    """Eight times the text would take 64 times as long where time grows with the square."""
    small, large = repeated(piece, SMALL), repeated(piece, LARGE)
    assert any(seconds(large) < 32 * max(seconds(small), 0.002) for _ in range(3))


@pytest.mark.parametrize(
    ("opening", "closing"),
    [("((a $( ", " ) ) b)"), ("$((a $( ", " ) ) b)"), ("((a; ", "; b) c)"), ('"${A:-$(', ')}"'), ("x <($(", "))")],
)
def test_what_is_read_on_trial_is_not_read_again_at_every_level(opening: str, closing: str) -> None:
    levels = 14
    start = time.process_time()
    simple_commands(opening * levels + "x" + closing * levels)
    # Read again at each level it takes 16,000 times as long as once, which is minutes.
    assert time.process_time() - start < 10
