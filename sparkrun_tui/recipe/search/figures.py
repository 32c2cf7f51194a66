"""The figures of a recipe's model: what the recipe states, and what is known of a model by its name."""

from __future__ import annotations

from dataclasses import replace

from sparkrun_tui.models.known_sizes import KnownSize, known_size
from sparkrun_tui.recipe.search.entry import RECIPE


def figures_of(model: str, params: int | None, active: int | None, dtype: str) -> KnownSize:
    """What is known of a recipe's model: what the recipe states, and for the rest what is known by the model's name."""
    if params and dtype:
        return KnownSize(params, active, dtype, RECIPE, RECIPE)
    known = known_size(model)
    if params:
        known = replace(known, params=params, active=active, params_from=RECIPE)
    if dtype:
        known = replace(known, dtype=dtype, dtype_from=RECIPE)
    return known
