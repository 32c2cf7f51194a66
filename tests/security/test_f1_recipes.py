"""F1: recipes that build on others, that set values under conditions, and whose values have the names of options."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from sparkrun_tui.base.errors import RecipeError
from sparkrun_tui.base.user.settings import Settings
from sparkrun_tui.engines.search_words import search_words
from sparkrun_tui.launch.plan.consent import consent_needed
from sparkrun_tui.recipe.format.export import exported
from sparkrun_tui.recipe.format.loader import load_recipe, load_text
from sparkrun_tui.recipe.model import Source, SourceKind
from sparkrun_tui.recipe.search import patience
from sparkrun_tui.recipe.search.listing import finish, list_recipes
from sparkrun_tui.recipe.search.sources import find_recipe
from sparkrun_tui.recipe.trust import Kind
from sparkrun_tui.recipe.values.environment import wanted
from sparkrun_tui.recipe.values.overrides import render
from tests.cli.conftest import Cli, cli

__all__ = ["cli"]

RECIPE = "model: org/m\nruntime: vllm\ncontainer: a/b:1\ncommand: vllm serve {model}\n"
LARGE = RECIPE + "metadata:\n" + "".join(f"  k{number}: [1, 2, 3, 4, 5, 6, 7, 8]\n" for number in range(900))


@pytest.mark.parametrize(
    "below",
    [
        f"defaults: {{k: [{','.join(['*x'] * 9000)}]}}\n",
        "defaults:\n" + "".join(f"  k{number}: *x\n" for number in range(4500)),
        f"post_commands: [{','.join(['*x'] * 9000)}]\n",
    ],
)
def test_a_text_that_is_repeated_by_aliases_fills_no_memory(below: str, tmp_path: Path) -> None:
    anchor = f"description: &x '{'x' * 100_000}'\n"
    path = tmp_path / "r.yaml"
    path.write_text(RECIPE + anchor + below)
    with pytest.raises(RecipeError, match="MiB of text after aliases"):
        load_recipe(path)
    path.write_text(RECIPE + anchor + "defaults: {k: [*x, *x, *x]}\n")
    assert len(load_recipe(path).defaults["k"].text) > 300_000


def test_texts_of_included_files_are_bounded_together(tmp_path: Path) -> None:
    texts = "".join(f"  k{number}: *x\n" for number in range(12))
    (tmp_path / "base.yaml").write_text(RECIPE + f"description: &x '{'x' * 100_000}'\nmetadata:\n{texts}")
    (tmp_path / "r.yaml").write_text(f"include: base\nmaintainer: &x '{'y' * 100_000}'\ndefaults:\n{texts}")
    with pytest.raises(RecipeError, match="MiB of text"):
        load_recipe(tmp_path / "r.yaml")


def many_that_include(folder: Path, count: int) -> Settings:
    folder.mkdir()
    (folder / "base.yaml").write_text(LARGE)
    for number in range(count):
        (folder / f"r{number:03d}.yaml").write_text(f"include: base\nname: r{number}\n")
    return Settings(recipe_dirs=(folder,))


def test_a_list_does_not_wait_for_what_thousands_of_recipes_include(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience.Patience.__init__, "__defaults__", (0.2,))
    settings = many_that_include(tmp_path / "much", 60)
    whole = finish(list_recipes(settings, search_words))
    assert not whole.pending
    begun = time.process_time()
    again = list_recipes(settings, search_words, budget=0.1)
    assert time.process_time() - begun < 1.0, "sixty that are unchanged took longer than new ones may"
    assert again.pending
    assert {entry.source.path for entry in again.entries} == {entry.source.path for entry in whole.entries}
    begun = time.process_time()
    finish(again)
    with pytest.raises(RecipeError, match="no recipe"):
        find_recipe("no such name", settings)
    assert time.process_time() - begun < 2.0


def test_a_few_that_include_are_read_again(tmp_path: Path) -> None:
    settings = many_that_include(tmp_path / "few", 2)
    finish(list_recipes(settings, search_words, budget=60))
    (tmp_path / "few" / "base.yaml").write_text(RECIPE.replace("org/m", "org/other"))
    entries = list_recipes(settings, search_words, budget=60).entries
    mine = {entry.model for entry in entries if str(tmp_path) in entry.source.path}
    assert mine == {"org/other"}


def test_a_copy_is_made_of_what_was_shown(tmp_path: Path) -> None:
    base = tmp_path / "base.yaml"
    base.write_text(RECIPE)
    (tmp_path / "r.yaml").write_text("include: base\nname: r\n")
    recipe = load_recipe(tmp_path / "r.yaml")
    assert "vllm serve" in exported(recipe, {})
    base.write_text(RECIPE + "post_commands: ['true']\n")
    with pytest.raises(RecipeError, match="has changed since"):
        exported(recipe, {})


def test_flags_that_cannot_be_read_are_an_error_in_words() -> None:
    """They may come from a file of kept values, which nobody has checked."""
    with pytest.raises(RecipeError, match="not closed"):
        exported(load_text(RECIPE), {"extra_flags": "--x 'y"})


def test_a_variable_of_the_author_is_not_taken_for_the_users() -> None:
    text = RECIPE + "env: {A: b}\noverrides:\n- when: {nodes: 2}\n  env: {A: '${AWS_SECRET_ACCESS_KEY}'}\n"
    source = Source(SourceKind.REGISTRY, "r.yaml", registry="reg", root="/nowhere")
    rendered = render(load_text(text, source), {"env.A": "${MINE}"})
    found = {want.name: want.allowed for want in wanted(rendered.recipe, {})}
    assert found == {"AWS_SECRET_ACCESS_KEY": False, "MINE": True}
    asked = consent_needed(rendered, {"AWS_SECRET_ACCESS_KEY": "x", "MINE": "y"})
    assert [demand.title for demand in asked if demand.is_risky] == [
        "reads AWS_SECRET_ACCESS_KEY from this machine (set)"
    ]


def test_a_hook_is_shown_with_the_values_of_every_condition() -> None:
    text = (
        RECIPE + "defaults: {word: 'true', inner: '{word}'}\npost_commands: ['{inner}']\noverrides:\n"
        "- when: {nodes: 2}\n  defaults: {word: touch canary}\n- when: {tp: 8}\n  env: {A: b}\n"
    )
    source = Source(SourceKind.REGISTRY, "r.yaml", registry="reg", root="/nowhere")
    asked = consent_needed(render(load_text(text, source), {}), {})
    hooks = {demand.detail: demand for demand in asked if demand.kind is Kind.HOOK}
    assert set(hooks) == {"true", "touch canary"}
    assert hooks["touch canary"].is_risky and "nodes 2" in hooks["touch canary"].title


@pytest.mark.parametrize(
    ("key", "arguments"),
    [
        ("container", ("--image", "good/image:1")),
        ("env.VLLM_API_KEY", ("-e", "VLLM_API_KEY=canary-0123456789")),
        ("extra_flags", ("--", "--api-key", "canary-0123456789")),
    ],
)
def test_no_value_of_an_author_takes_an_option_away(
    cli: Cli, key: str, arguments: tuple[str, ...], tmp_path: Path
) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(RECIPE.replace("vllm serve", "true {extra_flags} && vllm serve") + f"defaults: {{{key}: mine}}\n")
    done = cli("run", str(path), "--dry-run", "-H", "spark-1", *arguments)
    assert done.code == 2
    assert f"value of its own called `{key}`" in done.err
    assert "canary" not in done.err


@pytest.mark.parametrize("option", ["labels: {ofelia.enabled: 'true'}", "restart_policy: always"])
def test_what_other_programs_act_on_is_asked_about(option: str, tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(RECIPE + f"executor_config: {{{option}}}\n")
    stranger = Source(SourceKind.PATH, str(path), stranger=True)
    assert consent_needed(render(load_recipe(path, stranger), {}), {})
    path.write_text(RECIPE)
    assert not consent_needed(render(load_recipe(path, stranger), {}), {})


@pytest.mark.parametrize(
    ("target", "stands"),
    [
        ("/run/sparkrun", False),
        ("/run/sparkrun/", False),
        ("/run/./x/../sparkrun/env", False),
        ("//run", False),
        ("/", False),
        ("/run/sparkrun2", True),
        ("/run/media", True),
        ("/models", True),
    ],
)
def test_no_volume_takes_the_place_of_the_containers_secrets(
    cli: Cli, target: str, stands: bool, tmp_path: Path
) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(RECIPE + f"executor_config: {{volumes: ['/tmp/sparkrun-x:{target}']}}\n")
    done = cli("run", str(path), "--dry-run", "-H", "spark-1")
    assert (done.code == 0) == stands
    assert ("finds its script and its secrets" not in done.out) == stands
