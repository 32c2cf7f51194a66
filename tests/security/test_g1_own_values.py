"""G1: the question for consent also shows what a recipe does without the values that the user has typed this time.

Consent counts for the recipe. A hook, an image or a model that an override replaces today would run in the next launch,
without one, and nobody would be asked again.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from sparkrun_tui.recipe.format.loader import load_text
from sparkrun_tui.recipe.model import Source, SourceKind
from sparkrun_tui.recipe.trust import Demand, demands
from sparkrun_tui.recipe.values.overrides import render
from tests.cli.conftest import Cli, cli, lab, no_hosts
from tests.launch.fakes import FakeCluster

__all__ = ["cli", "lab", "no_hosts"]

RECIPE = """\
model: /srv/evil/models
runtime: vllm
container: evil.example/image:1
defaults:
  port: 8000
  note: "$(touch CANARY)"
  api_key: sk-of-the-author-123456
command: vllm serve {model} --port {port}
post_commands:
- echo {note}
- curl -H {api_key} http://localhost
"""


@pytest.fixture
def recipe(tmp_path: Path) -> str:
    """A file from elsewhere, whose author recommends to launch it with some options."""
    path = tmp_path / "elsewhere" / "r.yaml"
    path.parent.mkdir()
    path.write_text(RECIPE)
    return str(path)


OPTIONS = ("-o", "note=hello", "-o", "model=org/m", "--image", "vllm/vllm-openai:v0.11.0")


def test_the_question_shows_what_the_options_replace(cli: Cli, lab: FakeCluster, recipe: str) -> None:
    done = cli("run", recipe, "-H", "spark-1", *OPTIONS)
    assert done.code == 2
    assert not lab.running
    assert "echo hello" in done.err
    assert "$(touch CANARY)" in done.err
    assert "/srv/evil/models" in done.err
    assert "evil.example/image:1" in done.err
    assert "vllm/vllm-openai:v0.11.0" in done.err
    assert "sk-of-the-author-123456" not in done.err


def of(text: str, overrides: dict[str, str], user_defaults: dict[str, object] | None = None) -> tuple[Demand, ...]:
    source = Source(SourceKind.REGISTRY, "/cache/r.yaml", "evil", "/cache", "evil", "https://example.org/evil")
    return demands(render(load_text(text, source), overrides, user_defaults or {}), {})


def test_every_demand_of_the_file_is_in_the_question_whatever_is_set() -> None:
    alone = of(RECIPE, {})
    shown = of(RECIPE, {"note": "hello", "model": "org/m", "container": "vllm/vllm-openai:v0.11.0"})
    titles = [demand.title.removesuffix(", without what you have set here") for demand in shown]
    for demand in alone:
        assert demand.title in titles
        assert demand.detail in [other.detail for other in shown]
    assert any(demand.is_risky and "/srv/evil/models" in demand.title for demand in shown)


def test_the_users_defaults_hide_nothing_either() -> None:
    shown = of(RECIPE, {}, {"note": "hello"})
    details = [demand.detail for demand in shown]
    assert "echo hello" in details
    assert any("$(touch CANARY)" in detail for detail in details)


def test_values_under_conditions_are_shown_beside_an_override() -> None:
    text = RECIPE + "overrides:\n- when: {nodes: 2}\n  defaults: {note: $(touch SECOND)}\n"
    details = [demand.detail for demand in of(text, {"note": "hello"})]
    assert any(detail.startswith("echo") and "SECOND" in detail for detail in details)


def test_what_is_the_same_is_shown_once() -> None:
    shown = of(RECIPE, {"port": "9000"})
    assert not [demand for demand in shown if demand.title.endswith("without what you have set here")]
    assert len(set(shown)) == len(shown)
