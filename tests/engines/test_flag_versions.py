"""Flags that the engine in the image does not have yet, or no more, where the version is known."""

from __future__ import annotations

import pytest

from sparkrun_tui.engines.checks.flags import check_flags
from sparkrun_tui.engines.dumps import Change, load_flags
from sparkrun_tui.engines.registry import FAMILIES
from sparkrun_tui.launch.sizing.evaluation import Target, evaluate
from sparkrun_tui.launch.sizing.measured_store import ImageFacts, learn_image
from sparkrun_tui.recipe.format.loader import load_text
from sparkrun_tui.recipe.model import Recipe
from sparkrun_tui.recipe.values.overrides import render

NEW = ("flag-version", "`--performance-mode` was added in vLLM 0.17.0, and the image holds 0.12.0")


def recipe(command: str, tag: str, runtime: str = "vllm") -> Recipe:
    text = f"model: a/b\nruntime: {runtime}\ncontainer: acme/{runtime}:{tag}\ncommand: {command}\n"
    return load_text(text)


def found(command: str, tag: str, runtime: str = "vllm", version: str = "") -> list[tuple[str, str]]:
    problems = check_flags(render(recipe(command, tag, runtime), {}), version)
    return [(problem.code, problem.message) for problem in problems]


@pytest.mark.parametrize(
    ("tag", "problems"),
    [
        ("v0.12.0", [NEW]),
        ("v0.17.0", []),
        ("0.32.0", []),
        # Of the versions between the last without it and the first with it nothing is known.
        ("v0.16.1", []),
        ("latest", []),
        ("nightly-20260301", []),
    ],
)
def test_a_flag_that_came_later(tag: str, problems: list[tuple[str, str]]) -> None:
    assert found("vllm serve {model} --performance-mode balanced", tag) == problems


def test_a_flag_that_went() -> None:
    command = "vllm serve {model} --disable-log-requests"
    assert found(command, "v0.12.0") == [], "it is known there"
    (problem,) = found(command, "v0.20.0")
    assert problem == ("unknown-flag", "vLLM has no `--disable-log-requests` since 0.17.0, and the image holds 0.20.0")
    assert found(command, "latest") == [("unknown-flag", "vLLM 0.32.0 does not know `--disable-log-requests`")]


def test_a_flag_that_went_and_is_now_short_for_two_others() -> None:
    command = "sglang serve {model} --cuda-graph-max-bs 8 --max-running-requests 8"
    assert found(command, "v0.5.10", "sglang") == []
    assert [code for code, _ in found(command, "v0.5.23", "sglang")] == ["flag-ambiguous"]


def test_what_the_image_said_of_itself_counts_where_its_tag_says_nothing() -> None:
    given = recipe("vllm serve {model} --performance-mode balanced", "latest")
    assert "flag-version" not in {problem.code for problem in evaluate(given, {}, Target()).problems}
    learn_image(given.container, ImageFacts("sha256:1", "0.12.0"))
    assert NEW in {(problem.code, problem.message) for problem in evaluate(given, {}, Target()).problems}


@pytest.mark.parametrize("engine", sorted(FAMILIES))
def test_the_history_agrees_with_the_dump(engine: str) -> None:
    flags = load_flags(FAMILIES[engine])
    names = {flag.name for flag in flags.by_spelling.values()}
    assert flags.came.keys() <= names
    assert not flags.gone.keys() & flags.by_spelling.keys()


def test_versions_are_compared_by_their_numbers() -> None:
    change = Change("0.9.0", "0.10.0")
    assert change.not_yet("0.9") and change.not_yet("0.8.5") and not change.not_yet("0.10.0")
    assert change.done("0.10.0") and change.done("0.33") and not change.done("0.9.2")
    for unknown in ("", "20260301", "b11669", "0.x"):
        assert not change.not_yet(unknown) and not change.done(unknown)
