"""The story as plain lines, as it runs without a terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparkrun_tui.cli.main import run
from tests.demo import samples


def _no_app(demo: bool, cluster: str, query: str) -> int:
    raise AssertionError("the story opens no app")


def test_the_story_comes_in_order_and_ends_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["demo-story", "--speed", "100"], open_app=_no_app) == 0
    out = capsys.readouterr().out
    marks = (
        "DEMO",
        "== Find",
        "== Does it fit?",
        "== Change something",
        "== Plan",
        "docker run -d",
        "== Launch",
        "ready",
        "== Ask it",
        "This is the demo",
        "== Come back later",
        "serving",
        "== Stop",
        "nothing is left",
        "== The end",
    )
    at = -1
    for mark in marks:
        at = out.find(mark, at + 1)
        assert at >= 0, f"{mark} is missing or out of order"


def test_a_recipe_that_does_not_fit_ends_the_story_with_its_cause(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "big.yaml"
    path.write_text(samples.VLLM.replace("max_model_len: 32768", "max_model_len: 1800000"))
    assert run(["demo-story", "--speed", "100", "--recipe", str(path)], open_app=_no_app) == 1
    printed = capsys.readouterr()
    assert "KV cache too small for the context" in printed.out
    assert "the demo launch ended as failed" in printed.err
