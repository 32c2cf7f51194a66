"""vLLM's own limit on a start, raised where the weights are so large that loading them is known to take longer."""

from __future__ import annotations

from collections.abc import Mapping

from sparkrun_tui.base.units import GIB
from sparkrun_tui.models.weight_formats import bytes_per_parameter
from sparkrun_tui.recipe.model import Recipe
from sparkrun_tui.recipe.search.figures import figures_of

VARIABLE = "VLLM_ENGINE_READY_TIMEOUT_S"
"""Seconds that vLLM gives its engine to load and compile; 600 by itself (vLLM 0.33, envs.py)."""

RAISED = 3600
BY_NAME = "name"
"""The origin of a size that only the model's name suggests, which is none that is known."""

LARGE = 40 * GIB
"""Bytes of weights on one host from which the limit is raised: a slow disk gives 100 MiB a second, and what is compiled
for such a model takes minutes more."""


def start_limit(recipe: Recipe, hosts: int) -> Mapping[str, str]:
    """The variable that raises the limit; empty where the weights are small, or their size is not known."""
    size = weights_of(recipe)
    if size is None or size / max(hosts, 1) < LARGE:
        return {}
    return {VARIABLE: str(RAISED)}


def weights_of(recipe: Recipe) -> float | None:
    """The bytes of a model's weights by what the recipe states, or by published sizes; None where neither says it."""
    metadata = recipe.metadata
    figures = figures_of(recipe.model, metadata.model_params, metadata.active_params, metadata.model_dtype)
    if figures.params is None or figures.params_from == BY_NAME:
        return None
    per_parameter = bytes_per_parameter(figures.dtype) if figures.dtype else None
    if per_parameter is None:
        # What checkpoints have that do not say otherwise.
        per_parameter = 2.0
    return figures.params * per_parameter
