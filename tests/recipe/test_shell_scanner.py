"""The shell scanner beside bash: the words of every command are those that bash hands over."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkrun_tui.recipe.values.shell_scanner import MAX_DEPTH, quotes_at, simple_commands

from .shell_constructs import STATIC, WRITTEN

# Descriptor 9 is the pipe that the test reads: what a script does with its output does not matter.
HEAD = r"""
serve() { printf '%s\0' "$@" '|end of a command|' >&9; }
"""
END = b"|end of a command|\0"


def words_by_bash(script: str) -> list[list[str]]:
    """The words of every call of `serve` in a run of the script, in the order in which they ran."""
    bash = shutil.which("bash")
    assert bash is not None
    read_end, write_end = os.pipe()
    try:
        done = subprocess.run(
            [bash, "-c", f"exec 9>&{write_end}\n{HEAD}{script}"],
            pass_fds=[write_end],
            capture_output=True,
            check=False,
            timeout=30,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
        )
    finally:
        os.close(write_end)
    assert b"syntax error" not in done.stderr and b"unexpected" not in done.stderr, done.stderr
    with open(read_end, "rb") as output:
        calls = output.read().split(END)[:-1]
    return [[word.decode() for word in call.split(b"\0")[:-1]] for call in calls]


def words_by_scanner(script: str) -> list[list[str]]:
    """The words behind `serve` of every command that has it, assignments before it left out."""
    found = []
    for command in simple_commands(script):
        texts = [word.text for word in command]
        while texts and "=" in texts[0]:
            texts.pop(0)
        if texts and texts[0] == "serve":
            found.append(texts[1:])
    return found


def each_once(calls: Iterable[list[str]]) -> list[list[str]]:
    """Calls without those that were made twice, sorted: a script may run in parts at the same time."""
    return sorted({tuple(call): call for call in calls}.values())


@pytest.mark.parametrize("script", STATIC.values(), ids=STATIC.keys())
def test_words_are_those_that_bash_hands_over(script: str) -> None:
    by_bash = each_once(words_by_bash(script))
    assert by_bash
    # Branches that bash does not take say `n`.
    assert [words for words in each_once(words_by_scanner(script)) if words != ["n"]] == by_bash


@pytest.mark.parametrize(("script", "words"), WRITTEN.items())
def test_what_would_be_expanded_stays_as_it_is_written(script: str, words: list[str]) -> None:
    (command,) = simple_commands(script)
    assert [word.text for word in command] == ["serve", *words]


@pytest.mark.parametrize("script", [*STATIC.values(), *WRITTEN])
def test_words_know_their_places(script: str) -> None:
    at = 0
    for command in simple_commands(script):
        for word in command:
            assert at <= word.start < word.end <= len(script)
            at = word.end
            if command[0].text == "[[":
                continue
            # A word alone is the same word.
            (alone,) = simple_commands(f"serve {script[word.start : word.end]}")
            assert [each.text for each in alone[1:]] == [word.text]


def test_places_can_be_moved() -> None:
    (command,) = simple_commands("a 'b c'", offset=100)
    assert [(word.start, word.end) for word in command] == [(100, 101), (102, 107)]


@pytest.mark.parametrize(
    "text", ["a 'b", 'a "b', "a `b", "a $(b", "a ${b", "a $((b)", "a <(b", "A=(b", "a $'b\\'", '"$("']
)
def test_what_is_never_closed_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="unbalanced"):
        simple_commands(text)


@pytest.mark.parametrize(
    ("text", "around"),
    [
        ("a @", ""), ("a '@'", "'"), ('a "x@"', '"'), ("a $'@'", "$'"), ('a $"@"', '"'), ('a "x" @', ""),
        ('a "$(b @)"', ""), ("a \"$(b '@')\"", "'"), ('a "$(b)@"', '"'), ("a $(b '@')", "'"), ("a `b '@'`", "'"),
        ('a "${B:-@}"', '"'), ("a ${B:-@}", ""), ("a ${B:-'@'}", "'"), ("A=(b '@')", "'"), ("a <(b \"@\")", '"'),
        ("# it's\n@", ""), ("a # @", "#"), ("a#@", ""), ("a $(b # ')'\n@)", ""), ("a '# @'", "'"),
        ("cat <<E\n@\nE\n", "<"), ("cat <<E\nx\nE\n@", ""), ("cat <<E <<F\n@\nE\nx\nF\n", "<"),
        ("cat <<E <<F\nx\nE\n@\nF\n", "<"), ("$(cat <<E\n@\nE\n)", "<"), ("cat <<E\nnever ended @", "<"),
        ("a '@", "'"), ('a "$(b @', ""), ("((1 << @)) && b", ""), ("((a '@'); (b))", "'"),
    ],
)  # fmt: skip
def test_what_surrounds_a_place(text: str, around: str) -> None:
    place = text.index("@")
    assert quotes_at(text.replace("@", "{"), [place]) == {place: around}


def test_depth_is_bounded() -> None:
    """Each kind of nesting ends in an error of ours, not in one of the interpreter."""
    fits = MAX_DEPTH // 2
    for opening, closing in (("$(a ", ")"), ('"$(a ', ')"'), ("${A:-", "}"), ("<(a ", ")"), ("$((1 + ", "))")):
        levels = fits // 2
        assert len(simple_commands("a " + opening * levels + closing * levels)) == 1
        with pytest.raises(ValueError, match="inside each other"):
            simple_commands("a " + opening * 5000 + closing * 5000)
    with pytest.raises(ValueError, match="inside each other"):
        simple_commands("( " * 5000 + "a" + " )" * 5000)


PIECES = [
    *"ab '\"\\$(){}`<>|&;#\n\t=-0[]", "case x in ", "x) ", "esac", ";;", "A=(", "[[ ", " ]]", "<<E\n", "\nE\n",
    "$(", "$((", "((", "${A:-", "<(", "if ", "then ", "fi", "$'", "é",
]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=60).map("".join))
def test_any_text_is_read_or_refused(text: str) -> None:
    around = quotes_at(text, range(len(text) + 1))
    assert set(around.values()) <= {"", "'", '"', "$'", "<", "#"}
    try:
        commands = simple_commands(text)
    except ValueError as error:
        assert "unbalanced" in str(error) or "inside each other" in str(error)
        return
    for command in commands:
        for word in command:
            assert 0 <= word.start < word.end <= len(text)
