"""What of a recipe must not be shown: values that stand in it, or were typed for it, under the name of a secret."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sparkrun_tui.base.secrets import MASK, Redactor, looks_secret
from sparkrun_tui.recipe.environment import references
from sparkrun_tui.recipe.model import Recipe, Value
from sparkrun_tui.recipe.rendered import Rendered


def is_private(key: str, value: Value) -> bool:
    """Whether a value is a secret itself; a reference to a variable that holds one is not."""
    return looks_secret(key) and isinstance(value.data, str) and bool(value.text) and not references(value.text)


def shown(key: str, value: Value) -> str:
    """A value's text as it may be shown."""
    return MASK if is_private(key, value) else value.text


def shown_data(key: str, value: Value) -> Any:
    """A value's data as it may be shown."""
    return MASK if is_private(key, value) else value.data


def redactor(recipe: Recipe, rendered: Rendered | None = None, typed: Mapping[str, str] | None = None) -> Redactor:
    """Takes the secrets of a recipe, of its values in force and of what was typed out of any text."""
    values: Iterable[tuple[str, Value]] = [*recipe.env.items(), *recipe.defaults.items()]
    if rendered is not None:
        values = [*values, *((key, link.value) for key, link in rendered.chain.items())]
    found = [value.text for key, value in values if is_private(key, value)]
    return Redactor([*found, *(text for key, text in (typed or {}).items() if looks_secret(key))])
