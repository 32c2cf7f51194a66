"""E7: values that a person typed for a recipe, a key perhaps, are not given to a recipe of another registry."""

from __future__ import annotations

from pathlib import Path

from sparkrun_tui.base.user.settings import Settings
from sparkrun_tui.recipe.registry.registries import add_registry, remove_registry, update_registries
from sparkrun_tui.recipe.search.sources import find_recipe
from sparkrun_tui.recipe.values.saved_overrides import save_overrides, saved_overrides
from tests.recipe.upstream import Upstream

RECIPE = "model: org/m\nruntime: vllm\ncontainer: a/b:1\ncommand: vllm serve org/m --api-key {api_key}\n"
TYPED = {"api_key": "s3cr3t-value"}


def repository(folder: Path, text: str) -> Upstream:
    stream = Upstream(folder)
    stream.write("recipes/x.yaml", text).commit()
    return stream


def test_a_registry_of_the_same_name_is_another_one(tmp_path: Path) -> None:
    friend = repository(tmp_path / "friend", RECIPE)
    stranger = repository(tmp_path / "stranger", RECIPE.replace("a/b:1", "evil/b:1"))
    add_registry(str(friend.folder), "team")
    save_overrides(find_recipe("@team/x", Settings()), TYPED)
    assert saved_overrides(find_recipe("@team/x", Settings())) == TYPED
    remove_registry("team")
    add_registry(str(stranger.folder), "team")
    recipe = find_recipe("@team/x", Settings())
    assert recipe.container == "evil/b:1"
    assert saved_overrides(recipe) == {}


def test_they_stay_through_an_update(tmp_path: Path) -> None:
    friend = repository(tmp_path / "friend", RECIPE)
    add_registry(str(friend.folder), "team")
    save_overrides(find_recipe("@team/x", Settings()), TYPED)
    friend.write("recipes/x.yaml", RECIPE.replace("a/b:1", "a/b:2")).commit()
    update_registries(["team"])
    recipe = find_recipe("@team/x", Settings())
    assert recipe.container == "a/b:2"
    assert saved_overrides(recipe) == TYPED
