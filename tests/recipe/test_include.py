"""`include`: a recipe as a few changes to another one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sparkrun_tui.base.errors import RecipeError
from sparkrun_tui.base.user.settings import Settings
from sparkrun_tui.engines.checks.validation import validate
from sparkrun_tui.engines.search_words import search_words
from sparkrun_tui.recipe.format.export import exported
from sparkrun_tui.recipe.format.loader import load_file, load_recipe, load_text
from sparkrun_tui.recipe.model import BrokenRecipe, Source, SourceKind
from sparkrun_tui.recipe.search.listing import finish, list_recipes
from sparkrun_tui.recipe.values.overrides import render

BASE = """\
# the base
model: org/Base-8B
runtime: vllm
container: org/img:1
metadata: {description: base, model_params: 8B, num_layers: 32}
defaults:
  port: 8000
  gpu_memory_utilization: 0.80
  speculative_config: {method: mtp, tokens: 2}
env: {A: "1", B: "2"}
overrides:
  - when: {nodes: 1}
    defaults: {max_num_seqs: 1}
command: |
  vllm serve {model} --port {port} \\
    --gpu-memory-utilization {gpu_memory_utilization}
"""
TOP = """\
include: base
metadata: {description: top, num_layers: null}
defaults: {port: 9000, speculative_config: {method: eagle}}
env: {A: null, C: "3"}
overrides:
  - when: {nodes: 2}
    defaults: {max_num_seqs: 2}
"""


def put(folder: Path, **texts: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder


def test_the_other_file_is_merged_below(tmp_path: Path) -> None:
    recipe = load_recipe(put(tmp_path, base=BASE, top=TOP) / "top.yaml")
    assert (recipe.name, recipe.model, recipe.container) == ("top", "org/Base-8B", "org/img:1")
    assert {key: value.text for key, value in recipe.defaults.items()} == {
        "port": "9000",
        "gpu_memory_utilization": "0.80",
        "speculative_config": '{"method":"eagle"}',
    }
    assert {key: value.text for key, value in recipe.env.items()} == {"B": "2", "C": "3"}
    assert (recipe.metadata.description, recipe.metadata.model_params, recipe.metadata.num_layers) == (
        "top",
        8_000_000_000,
        None,
    )
    assert [dict(layer.when) for layer in recipe.layers] == [{"nodes": 1}, {"nodes": 2}]
    assert [os.path.basename(file.path) for file in recipe.included] == ["base.yaml"]


def test_a_chain_goes_through_several_files(tmp_path: Path) -> None:
    middle = "include: base.yaml\ndefaults: {port: 1, gpu_memory_utilization: 0.5}\n"
    recipe = load_recipe(put(tmp_path, base=BASE, middle=middle, top="include: middle\n") / "top.yaml")
    assert recipe.defaults["port"].text == "1"
    assert [os.path.basename(file.path) for file in recipe.included] == ["middle.yaml", "base.yaml"]


def test_findings_name_the_file_in_which_they_are(tmp_path: Path) -> None:
    wrong = BASE.replace("{gpu_memory_utilization}\n", "{gpu_memory_utilization} {nope}\n").replace('A: "1"', "A: [1]")
    recipe = load_recipe(put(tmp_path, base=wrong, top="include: base\ndefaults: {port: 70000}\n") / "top.yaml")
    places = {problem.code: problem.spot for problem in validate(recipe, None, {})}
    assert str(places["unknown-placeholder"]).endswith("base.yaml:16:55")
    assert str(places["env-type"]).endswith("base.yaml:10:10")
    assert str(places["value-port"]).endswith("top.yaml:2:18")


def test_another_base_is_another_recipe(tmp_path: Path) -> None:
    folder = put(tmp_path, base=BASE, top=TOP)
    before = load_recipe(folder / "top.yaml").digest
    put(tmp_path, base=BASE.replace("org/img:1", "org/img:2"))
    assert load_recipe(folder / "top.yaml").digest != before


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ({"top": "include: top\n"}, "leads back"),
        ({"top": "include: a\n", "a": "include: b\n", "b": "include: a\n"}, "leads back"),
        ({"top": "include: nowhere\n"}, "there is no nowhere.yaml or nowhere.yml"),
        ({"top": "include: ../x\n"}, "same folder"),
        ({"top": "include: /etc/passwd\n"}, "same folder"),
        ({"top": "include: .hidden\n"}, "same folder"),
        ({"top": "include: sub/x\n"}, "same folder"),
        ({"top": "include: [a, b]\n"}, "name of one recipe"),
        ({"top": "include:\n"}, "name of one recipe"),
        ({"top": "include: {a: b}\n"}, "name of one recipe"),
        ({"top": "include: '@other/x'\n"}, "not of the registry"),
        ({"top": "include: a\n", "a": "- a list\n"}, "not a mapping"),
        ({"top": "include: a\n", "a": "model: [\n"}, "not valid YAML"),
        ({"top": "include: a\nrecipe_version: '1'\n", "a": BASE}, "version 1"),
        ({"top": "include: a\n", "a": "recipe_version: 1\n"}, "version 1"),
        ({"top": "include: a0\n", **{f"a{n}": f"include: a{n + 1}\n" for n in range(12)}}, "more than 8 files"),
    ],
)
def test_what_cannot_be_included(tmp_path: Path, texts: dict[str, str], words: str) -> None:
    broken = load_file(put(tmp_path, **texts) / "top.yaml")
    assert isinstance(broken, BrokenRecipe)
    assert words in broken.error.message
    assert broken.error.spot is not None


def test_a_text_without_a_file_includes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, base=BASE)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RecipeError, match="no folder"):
        load_text("include: base\n")


def test_all_files_together_are_not_larger_than_one(tmp_path: Path) -> None:
    filler = "# " + "x" * (600 << 10) + "\n"
    broken = load_file(
        put(tmp_path, top="include: a\n", a=f"{filler}include: b\n", b=f"{filler}model: x\n") / "top.yaml"
    )
    assert isinstance(broken, BrokenRecipe) and "larger than" in broken.error.message


def registry(root: Path, path: Path) -> Source:
    return Source(SourceKind.REGISTRY, str(path), "reg", str(root), "reg")


def test_a_registry_includes_its_own(tmp_path: Path) -> None:
    put(tmp_path / "common", base=BASE + "mods: [fix, '@other/mod']\n")
    put(tmp_path / "deep", top="include: '@reg/common/base'\n", stem="include: '@reg/base'\n")
    for name in ("top", "stem"):
        path = tmp_path / "deep" / f"{name}.yaml"
        recipe = load_recipe(path, registry(tmp_path, path))
        assert recipe.model == "org/Base-8B"
        assert recipe.runtime_config["mods"] == ["@reg/fix", "@other/mod"]


@pytest.mark.parametrize("name", ["@reg/../x", "@reg/a/../../x", "@reg/", "@reg//x", "@reg/.x"])
def test_a_registry_is_not_left(tmp_path: Path, name: str) -> None:
    put(tmp_path, x=BASE)
    path = put(tmp_path / "reg", top=f"include: '{name}'\n") / "top.yaml"
    with pytest.raises(RecipeError, match="include"):
        load_recipe(path, registry(tmp_path / "reg", path))


def test_an_export_needs_no_other_file(tmp_path: Path) -> None:
    folder = put(tmp_path / "here", base=BASE, top=TOP)
    recipe = load_recipe(folder / "top.yaml")
    text = exported(recipe, {"port": "1234", "max_num_seqs": "7"})
    alone = put(tmp_path / "there", alone=text) / "alone.yaml"
    again = load_recipe(alone)
    assert again.included == () and "include:" not in text
    assert again.defaults["port"].text == "1234"
    assert again.defaults["gpu_memory_utilization"].text == "0.80"
    assert [layer.defaults["max_num_seqs"].text for layer in again.layers] == ["7", "7"]
    assert render(again, {}).command == render(recipe, {"port": "1234"}).command
    assert again.env.keys() == recipe.env.keys() and again.metadata == recipe.metadata


def test_a_list_shows_what_the_included_file_says_now(tmp_path: Path) -> None:
    folder = put(tmp_path / "mine", base=BASE, top=TOP)
    settings = Settings(recipe_dirs=(folder,))

    def container() -> str:
        listing = finish(list_recipes(settings, search_words))
        return listing.by_path[str(folder / "top.yaml")].container

    assert container() == "org/img:1"
    put(folder, base=BASE.replace("org/img:1", "org/img:2"))
    assert container() == "org/img:2"
