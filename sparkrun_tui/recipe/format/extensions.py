"""Fields that later versions of the format have added: their effect, and whether this program supports them."""

from __future__ import annotations

from typing import Any

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.recipe.format.keys import MEANINGS
from sparkrun_tui.recipe.model import Recipe, Runtime


@dataclass(frozen=True, slots=True)
class LaterField:
    """One such field of a recipe: its value, its effect, and whether this program supports it."""

    key: str
    data: Any
    meaning: str
    honoured: bool
    idle: str = ""
    """The reason why it has no effect in this recipe, empty when it has one."""


LATER_KEYS = frozenset(MEANINGS)
"""Keys that are read, whether or not this program supports them."""
_HARMLESS = frozenset(
    ["benchmark", "ssh", "capabilities", "unsupported_capabilities", "runtime_version",
     "min_sparkrun_version"]
)  # fmt: skip
"""Fields that do not change what runs on the hosts."""
_HONOURED = frozenset(
    {"pre_exec", "post_exec", "post_commands", "stop_after_post", "executor_config", "mods", "distribution_config"}
)


_BUILDING = frozenset({"builder", "build_args"})
_NO_BUILDERS = ("none", "docker-pull")
_VLLM = frozenset({Runtime.VLLM, Runtime.VLLM_DISTRIBUTED, "vllm-ray", Runtime.EUGR_VLLM})
_PULLED = "the image is pulled unchanged, so there is nothing to build"


NO_PROJECTOR = frozenset({"false", "none", "off", "no", "0", "disable", "disabled"})
"""Words of the key `mmproj` with which a model gets no projector."""


def projector_word(recipe: Recipe, other_model: bool = False) -> str:
    """The projector of a GGUF model that a recipe asks for, by its key `mmproj`: `auto` for the repository's own.

    Empty where the recipe says nothing of it. For another model that the user names the words for a file are left out:
    it has files with other names.
    """
    if recipe.runtime != Runtime.LLAMA_CPP:
        return ""
    data = recipe.runtime_config.get("mmproj")
    if isinstance(data, (list, dict)):
        return ""
    if data is None:
        return "auto" if "{mmproj}" in (recipe.command or "") else ""
    text = str(data).strip()
    if isinstance(data, bool):
        text = text.lower()
    if other_model and text.lower() not in NO_PROJECTOR:
        return "auto"
    return text or "auto"


def later_fields(recipe: Recipe) -> tuple[LaterField, ...]:
    """The later fields of the recipe, in the order of the file; empty ones are left out."""
    found = []
    for key, data in recipe.runtime_config.items():
        meaning = MEANINGS.get(key)
        if meaning is None or data in (None, [], {}, ""):
            continue
        honoured = key in _HONOURED or _done(recipe, key, str(data))
        found.append(LaterField(key, data, meaning, honoured, _why_idle(recipe, key, data)))
    return tuple(found)


def _why_idle(recipe: Recipe, key: str, data: Any) -> str:
    """The reason why a field has no effect, empty when it has one."""
    if key == "stop_after_post" and data is False:
        return "it has its default value"
    if key in _BUILDING and _asks_eugr(recipe) and not built_by_eugr(recipe):
        return _PULLED
    if key == "mmproj" and recipe.runtime != Runtime.LLAMA_CPP:
        return "only llama.cpp takes a projector of its own"
    return ""


def _done(recipe: Recipe, key: str, value: str) -> bool:
    """Whether this program supports a field with this value."""
    if key == "mmproj":
        return recipe.runtime == Runtime.LLAMA_CPP
    if key == "executor":
        return value == "docker"
    if key == "builder" and value in _NO_BUILDERS:
        return True
    return key in _BUILDING and built_by_eugr(recipe)


def built_by_eugr(recipe: Recipe) -> bool:
    """Whether the scripts of eugr/spark-vllm-docker build the image on the head when it is missing.

    They build images for vLLM. An image whose name has a registry is pulled.
    """
    if recipe.runtime == Runtime.EUGR_VLLM:
        return True
    return _asks_eugr(recipe) and "/" not in recipe.container


def _asks_eugr(recipe: Recipe) -> bool:
    """Whether a recipe for vLLM names eugr's builder, or arguments for it and no other."""
    if recipe.runtime not in _VLLM or not recipe.container:
        return False
    config = recipe.runtime_config
    builder = str(config.get("builder") or "")
    if builder:
        return builder == "eugr"
    return bool(config.get("build_args"))


def changes_launch(field: LaterField) -> bool:
    """Whether a field that is not supported makes the launch differ from what its author meant."""
    return not field.honoured and not field.idle and field.key not in _HARMLESS
