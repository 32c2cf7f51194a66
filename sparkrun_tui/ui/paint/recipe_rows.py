"""Entries as rows of the recipe list, and the fields of a recipe as rows of the override form."""

from __future__ import annotations

from collections.abc import Mapping

from sparkrun_tui.base.secrets import looks_secret
from sparkrun_tui.base.text import visible_line
from sparkrun_tui.base.units import GIB
from sparkrun_tui.engines.fields.types import Field, FieldType
from sparkrun_tui.recipe.model import Recipe, SourceKind, Value
from sparkrun_tui.recipe.search.entry import Entry, dtype_text
from sparkrun_tui.recipe.search.index import light
from sparkrun_tui.recipe.search.query import Query
from sparkrun_tui.recipe.values import launch_keys
from sparkrun_tui.recipe.values.launch_keys import Kind
from sparkrun_tui.recipe.values.masking import holds_secret, private_texts
from sparkrun_tui.recipe.values.overrides import from_data
from sparkrun_tui.recipe.values.rendered import Origin, Rendered, value_text
from sparkrun_tui.ui.model.edits import Edits
from sparkrun_tui.ui.model.rows import FieldRow, Figures, RecipeRow


def short_count(count: int | None) -> str:
    """A number of parameters in four characters: `122B`, `1.7B`, `350M`."""
    if not count:
        return ""
    for unit, factor in (("T", 10**12), ("B", 10**9), ("M", 10**6)):
        if count >= factor:
            value = count / factor
            return f"{value:.0f}{unit}" if value >= 10 or value == round(value) else f"{value:.1f}{unit}"
    return str(count)


def hosts_word(entry: Entry) -> str:
    """How many hosts a recipe takes: `2`, `1+` when it can take more, `2-4`."""
    if entry.error:
        return ""
    low = max(entry.min_nodes, 1)
    if entry.max_nodes == low:
        return str(low)
    if entry.max_nodes is None:
        return f"{entry.nodes}+" if entry.nodes == low else f"{low}-{entry.nodes}+"
    return f"{low}-{entry.max_nodes}"


def size_word(entry: Entry) -> str:
    """How many parameters a recipe's model has, with `~` where the recipe does not state it; empty when unknown."""
    count = short_count(entry.params)
    if count and not entry.stated_params:
        return f"~{count}"
    return count


def context_word(entry: Entry) -> str:
    """The context that a recipe asks for, short: `128k`, `262k`; empty when it states none."""
    tokens = entry.context
    if not tokens or tokens < 0:
        return ""
    if tokens % 1024 == 0:
        return f"{tokens // 1024}Ki"
    return f"{tokens // 1000}k" if tokens >= 1000 else str(tokens)


def ago(moment: float | None, now: float) -> str:
    """How long ago something was, in four characters at most: `5m`, `3h`, `12d`; empty when never."""
    if moment is None:
        return ""
    seconds = max(now - moment, 0)
    for unit, length in (("d", 86400), ("h", 3600)):
        if seconds >= length:
            return f"{int(seconds // length)}{unit}"
    return f"{int(seconds // 60)}m"


def judged_cells(figures: Figures | None) -> Mapping[str, str]:
    """The cells that are known once a recipe was estimated."""
    if figures is None:
        return {}
    return {
        "left": "?" if figures.left is None else f"{figures.left / GIB:.0f}",
        "once": "?" if figures.at_once is None else f"{figures.at_once:.1f}",
    }


def recipe_row(
    entry: Entry,
    title: str,
    query: Query,
    has_overrides: bool,
    favourite: bool = False,
    last: str = "",
) -> RecipeRow:
    """One entry as the list shows it, with the letters marked that the query matched; `last` is its last launch."""
    from sparkrun_tui.engines.registry import ENGINES  # not before the first paint

    source = entry.source
    origin = source.registry if source.kind is SourceKind.REGISTRY else source.kind.value
    engine = ENGINES.get(entry.runtime)
    return RecipeRow(
        key=source.path,
        name=title,
        cells={
            "engine": (engine.short if engine is not None else "") or visible_line(entry.runtime),
            "size": size_word(entry),
            "hosts": hosts_word(entry),
            "dtype": visible_line(dtype_text(entry)),
            "context": context_word(entry),
            "last": last,
            "origin": origin,
        },
        broken=bool(entry.error),
        matched=frozenset(light(title, query)) if query.words else frozenset(),
        has_overrides=has_overrides,
        favourite=favourite,
    )


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
