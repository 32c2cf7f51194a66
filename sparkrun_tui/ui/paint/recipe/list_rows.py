"""Entries as rows of the recipe list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sparkrun_tui.base.text import visible_line
from sparkrun_tui.base.units import GIB
from sparkrun_tui.engines.short_words import SHORT_WORDS
from sparkrun_tui.ui.model.rows import Figures, RecipeRow

if TYPE_CHECKING:
    from sparkrun_tui.recipe.search.entry import Entry
    from sparkrun_tui.recipe.search.query import Query


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
    from sparkrun_tui.memory.speed.words import figure  # not before the first paint

    return {
        "left": "?" if figures.left is None else f"{figures.left / GIB:.0f}",
        "once": "?" if figures.at_once is None else f"{figures.at_once:.1f}",
        "decode": "?" if figures.decode is None else f"~{figure(figures.decode)}",
        "prefill": "?" if figures.prefill is None else f"~{figure(figures.prefill)}",
    }


def recipe_row(
    entry: Entry,
    title: str,
    query: Query | None,
    has_overrides: bool,
    favourite: bool = False,
    last: str = "",
) -> RecipeRow:
    """One entry as the list shows it, with the letters marked that the query matched; `last` is its last launch."""
    from sparkrun_tui.recipe.model import SourceKind  # not before the first paint
    from sparkrun_tui.recipe.search.entry import dtype_text

    source = entry.source
    origin = source.registry if source.kind is SourceKind.REGISTRY else source.kind.value
    matched: frozenset[int] = frozenset()
    if query is not None and query.words:
        from sparkrun_tui.recipe.search.index import light

        matched = frozenset(light(title, query))
    return RecipeRow(
        key=source.path,
        name=title,
        cells={
            "engine": SHORT_WORDS.get(entry.runtime) or visible_line(entry.runtime),
            "size": size_word(entry),
            "hosts": hosts_word(entry),
            "dtype": visible_line(dtype_text(entry)),
            "context": context_word(entry),
            "last": last,
            "origin": origin,
        },
        broken=bool(entry.error),
        matched=matched,
        has_overrides=has_overrides,
        favourite=favourite,
    )
