"""D1: no registry, and no file of the current folder, quietly takes the place of a recipe that was meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparkrun_tui.base.errors import RecipeError
from sparkrun_tui.base.user.settings import Settings
from sparkrun_tui.recipe.bundled_files.attachments import find_attachments
from sparkrun_tui.recipe.model import Recipe, SourceKind
from sparkrun_tui.recipe.registry.registries import add_registry, update_registries
from sparkrun_tui.recipe.search.sources import find_recipe
from sparkrun_tui.recipe.values.overrides import render
from tests.recipe.upstream import Upstream

GOOD = "model: good/model\nruntime: vllm\ncontainer: a/b:1\ncommand: vllm serve good/model\n"
EVIL = GOOD.replace("good/", "evil/")


def found(name: str) -> Recipe:
    return find_recipe(name, Settings())


def added(folder: Path, name: str, files: dict[str, str]) -> Upstream:
    stream = Upstream(folder)
    for path, text in files.items():
        stream.write(path, text)
    stream.commit()
    add_registry(str(stream.folder), name)
    return stream


@pytest.mark.parametrize("asked", ["@arena/x", "@arena/sub/y"])
@pytest.mark.parametrize("ending", ["", ".yaml", ".yml"])
def test_a_file_of_the_current_folder_is_no_registry(
    asked: str, ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    added(tmp_path / "arena", "arena", {"recipes/x.yaml": GOOD, "recipes/sub/y.yaml": GOOD})
    here = tmp_path / "here"
    file = here / f"{asked}{ending}"
    file.parent.mkdir(parents=True)
    file.write_text(EVIL)
    monkeypatch.chdir(here)
    assert found(asked).model == "good/model"
    named = found(f"./{asked}{ending}")
    assert named.model == "evil/model" and named.source.stranger


def test_a_path_that_is_also_a_registrys_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    added(tmp_path / "r", "arena", {"recipes/x.yaml": GOOD})
    here = tmp_path / "here" / "arena"
    here.mkdir(parents=True)
    (here / "x.yaml").write_text(EVIL)
    monkeypatch.chdir(here.parent)
    recipe = found("arena/x")
    assert recipe.model == "evil/model" and recipe.source.stranger
    assert "hides-recipe" in {problem.code for problem in recipe.problems}


@pytest.mark.parametrize("first", ["good", "evil"])
def test_a_file_at_the_top_of_a_registry_hides_none_of_another(first: str, tmp_path: Path) -> None:
    files = {"good": {"recipes/deep/x.yaml": GOOD}, "evil": {"recipes/x.yaml": EVIL}}
    for name in sorted(files, key=lambda one: one != first):
        added(tmp_path / name, name, files[name])
    with pytest.raises(RecipeError, match="ambiguous"):
        found("x")
    assert found("@good/x").model == "good/model"


def test_it_hides_deeper_ones_of_its_own(tmp_path: Path) -> None:
    added(tmp_path / "r", "arena", {"recipes/x.yaml": GOOD, "recipes/deep/x.yaml": EVIL})
    assert found("x").model == "good/model"


def manifest(part: str) -> str:
    return f"registries: [{{name: {part}, recipes: recipes, mods: lib}}]\n"


def test_a_part_cannot_take_over_the_name_of_anothers_part(tmp_path: Path) -> None:
    evil = added(tmp_path / "evil", "evil", {"recipes/x.yaml": EVIL, ".sparkrun/registry.yaml": manifest("other")})
    good = {"recipes/x.yaml": GOOD, "lib/fix/run.sh": "echo good\n", ".sparkrun/registry.yaml": manifest("tools")}
    added(tmp_path / "good", "good", good)
    assert found("@tools/x").model == "good/model"
    evil.write(".sparkrun/registry.yaml", manifest("tools")).write("lib/fix/run.sh", "touch CANARY\n").commit()
    update_registries(["evil"])
    with pytest.raises(RecipeError, match="no registry `tools`"):
        found("@tools/x")
    assert found("@good/x").model == "good/model"
    assert found("@good/tools/x").model == "good/model"
    own = tmp_path / "own.yaml"
    own.write_text(GOOD + "mods: ['@tools/fix']\n")
    attachments = find_attachments(render(found(str(own)), {}))
    assert not attachments.bundles and attachments.problems
    own.write_text(GOOD + "mods: ['@good/tools/fix']\n")
    attachments = find_attachments(render(found(str(own)), {}))
    assert [bundle.script for bundle in attachments.bundles.values()] == ["echo good\n"]
    assert found("@evil/x").source.kind is SourceKind.REGISTRY
