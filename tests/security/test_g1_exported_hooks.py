"""G1: a copy of a recipe runs what the recipe runs: an override changes no hook and no option of a container."""

from __future__ import annotations

import pytest

from sparkrun_tui.base.errors import RecipeError
from sparkrun_tui.recipe.format.export import exported
from sparkrun_tui.recipe.format.loader import load_text

RECIPE = "model: org/m\nruntime: vllm\ncontainer: a/b:1\ncommand: vllm serve {model}\n"


@pytest.mark.parametrize(
    "below",
    [
        "defaults: {k: &k hello}\npost_commands: [*k]\n",
        "defaults:\n  k: &k hello\npre_exec:\n- *k\n",
        "defaults: {k: &k /srv}\nexecutor_config: {entrypoint: *k}\n",
        "defaults: {k: &k hello}\nenv: {A: *k}\n",
        "defaults: {k: &k hello}\nmodel_revision: *k\n",
    ],
)
def test_a_value_that_a_hook_refers_to_is_not_replaced(below: str) -> None:
    recipe = load_text(RECIPE + below)
    assert not [problem for problem in recipe.problems if problem.severity == "error"]
    with pytest.raises(RecipeError, match="refer to each other by anchors"):
        exported(recipe, {"k": "touch CANARY"})


def test_hooks_stay_as_they_are() -> None:
    below = "defaults: {k: hello}\npost_commands: ['echo {k}']\nenv: {A: b}\nexecutor_config: {user: me}\n"
    again = load_text(exported(load_text(RECIPE + below), {"k": "other", "env.B": "c"}))
    assert again.runtime_config["post_commands"] == ["echo {k}"]
    assert again.defaults["k"].text == "other"
    assert {name: value.text for name, value in again.env.items()} == {"A": "b", "B": "c"}
