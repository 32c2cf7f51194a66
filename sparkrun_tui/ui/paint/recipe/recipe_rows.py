"""The fields of a recipe as rows of the override form."""

from __future__ import annotations

from sparkrun_tui.base.secrets import looks_secret
from sparkrun_tui.engines.fields.types import Field, FieldType
from sparkrun_tui.recipe.model import Recipe, Value
from sparkrun_tui.recipe.values import launch_keys
from sparkrun_tui.recipe.values.launch_keys import Kind
from sparkrun_tui.recipe.values.masking import holds_secret, private_texts
from sparkrun_tui.recipe.values.overrides import from_data
from sparkrun_tui.recipe.values.rendered import Origin, Rendered, value_text
from sparkrun_tui.ui.model.edits import Edits
from sparkrun_tui.ui.model.rows import FieldRow


def own_value(recipe: Recipe, key: str, user_defaults: dict[str, object]) -> Value | None:
    """The value of a key without any override: the user's default, else the recipe's."""
    if key in user_defaults or launch_keys.kind_of(recipe, key) is Kind.VALUE:
        default = recipe.defaults.get(key)
    else:
        default = launch_keys.own_value(recipe, key)
    return from_data(user_defaults[key], default) if key in user_defaults else default


def field_rows(rendered: Rendered, edits: Edits, user_defaults: dict[str, object]) -> list[FieldRow]:
    """The form of a recipe: its own keys, per-user defaults in use, and keys that were added."""
    from sparkrun_tui.engines.fields.filled import fields_of  # not before the first paint

    recipe = rendered.original
    overrides = edits.overrides
    extra = [key for key in user_defaults if key in rendered.used] + list(overrides)
    return [_row(rendered, item, overrides.get(item.key), user_defaults) for item in fields_of(recipe, extra)]


def _row(rendered: Rendered, item: Field, override: str | None, user_defaults: dict[str, object]) -> FieldRow:
    recipe = rendered.original
    own = own_value(recipe, item.key, user_defaults)
    own_text = value_text(own) if own else ""
    text, error = own_text, ""
    if override is not None:
        text, error = override, item.check(override)
    origin, effective = Origin.OVERRIDE, None
    link = rendered.chain.get(item.key)
    if link is not None:
        origin, effective = link.origin, link.value
    secret = (
        looks_secret(item.key)
        or bool(private_texts({item.key: text}))
        or holds_secret(item.key, own)
        or holds_secret(item.key, effective)
    )
    return FieldRow(
        key=item.key,
        title=item.title,
        value=text,
        own=own_text,
        help=item.help,
        origin=origin.value,
        values=_choices(item, text),
        steps=item.type in (FieldType.INT, FieldType.FLOAT),
        changed=text != own_text,
        used=_is_used(rendered, item.key),
        error=error,
        secret=secret,
    )


def _is_used(rendered: Rendered, key: str) -> bool:
    """Whether a value of this key changes anything."""
    from sparkrun_tui.engines.command.added import has_place  # not before the first paint

    return has_place(rendered, key)


def _choices(item: Field, text: str) -> tuple[str, ...]:
    if item.type is FieldType.BOOL:
        return ("false", "true")
    return item.values
