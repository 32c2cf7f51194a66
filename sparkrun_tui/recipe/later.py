"""Fields that later versions of the format gave a meaning: what they would do, and whether this program does it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sparkrun_tui.recipe.model import Recipe, Runtime


@dataclass(frozen=True, slots=True)
class LaterField:
    """One such field of a recipe: its value, what it would do, and whether this program does that."""

    key: str
    data: Any
    meaning: str
    honoured: bool


_MEANINGS: Mapping[str, str] = {
    "pre_exec": "commands to run in the containers before the engine starts",
    "post_exec": "commands to run in the head's container once the server answers",
    "post_commands": "commands to run on the head host once the server answers",
    "stop_after_post": "to stop the server once these commands have run",
    "executor_config": "options of the container",
    "executor": "the program that runs the containers",
    "mods": "patches to apply to the container",
    "builder": "a program that builds the container image",
    "build_args": "arguments for building the container image",
    "distribution_config": "how image and model are sent to the hosts",
    "ssh": "how to reach the hosts",
    "benchmark": "settings of a benchmark",
}
_HARMLESS = frozenset({"benchmark", "distribution_config", "ssh"})
"""Fields that change nothing of what runs on the hosts."""
_HONOURED = frozenset({"pre_exec", "post_exec", "post_commands", "executor_config"})
_BY_EUGR = frozenset({"mods", "build_args"})
"""The scripts that an eugr recipe is delegated to see to these."""


def later_fields(recipe: Recipe) -> tuple[LaterField, ...]:
    """The later fields that the recipe gives, in the order of the file; empty ones are left out."""
    found = []
    for key, data in recipe.runtime_config.items():
        meaning = _MEANINGS.get(key)
        if meaning is None or data in (None, [], {}, ""):
            continue
        honoured = key in _HONOURED or (recipe.runtime == Runtime.EUGR_VLLM and key in _BY_EUGR)
        if key == "builder" and str(data) in ("none", "docker-pull"):
            honoured = True
        if key == "builder" and str(data) == "eugr" and recipe.runtime == Runtime.EUGR_VLLM:
            honoured = True
        if key == "stop_after_post" and data is False:
            honoured = True
        if key == "executor" and str(data) == "docker":
            honoured = True
        found.append(LaterField(key, data, meaning, honoured))
    return tuple(found)


def changes_launch(field: LaterField) -> bool:
    """Whether a field that is not honoured makes the launch another one than its author meant."""
    return not field.honoured and field.key not in _HARMLESS
