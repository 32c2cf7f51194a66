"""The sides of a comparison: recipes, or one recipe with several sets of overrides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.recipe.model import Recipe
from sparkrun_tui.recipe.values.kept_sets import kept_sets
from sparkrun_tui.recipe.values.masking import shown_settings

if TYPE_CHECKING:
    from sparkrun_tui.launch.sizing.evaluation import Evaluation
    from sparkrun_tui.ui.model.state import AppState

OWN = "its own values"
NOW = "overrides now"
MOST = 6


@dataclass(frozen=True, slots=True)
class Side:
    """A recipe with overrides, under a title; `kept` when these are a named set."""

    title: str
    recipe: Recipe
    overrides: Mapping[str, str]
    kept: bool = False


def sides_of(state: AppState, recipes: Sequence[Recipe]) -> list[Side]:
    """Several recipes as they are set now; of one recipe its own values, its overrides, and its named sets."""
    if len(recipes) > 1:
        return [Side(recipe.name, recipe, dict(state.edits_of(recipe.source.path).kept)) for recipe in recipes[:MOST]]
    found: list[Side] = []
    for recipe in recipes:
        found.append(Side(OWN, recipe, {}))
        now = dict(state.edits_of(recipe.source.path).kept)
        if now:
            found.append(Side(NOW, recipe, now))
        for name, overrides in kept_sets(recipe).items():
            found.append(Side(name, recipe, overrides, kept=True))
    return found[:MOST]


def evaluated(state: AppState, side: Side) -> Evaluation:
    """A side on the hosts of the cluster."""
    return state.catalog.evaluate(side.recipe, side.overrides, state.view)


def varied(state: AppState, side: Side, text: str) -> Side | str:
    """A side with one more value, typed as `key=value`; else what is wrong with it, in words.

    A value that the command has no place for becomes a flag behind its own.
    """
    from sparkrun_tui.engines.command.added import with_value
    from sparkrun_tui.engines.fields.completion import plain_key
    from sparkrun_tui.engines.fields.filled import field_of

    key, equals, value = text.partition("=")
    key, value = plain_key(key), value.strip()
    if not equals or not key or not value:
        return "write it as key=value, such as max_model_len=64k"
    wrong = field_of(side.recipe, key).check(value)
    if wrong:
        return f"{key} {wrong}"
    changed = with_value(evaluated(state, side).rendered, side.overrides, key, value)
    if changed is None:
        return f"the command has no place for {key}, and the engine no such flag"
    return Side(f"{key}={shown_settings({key: value})[key]}", side.recipe, changed)
