"""What the list of recipes and its search need from the engines' tables of flags."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from sparkrun_tui.recipe.search.entry import CONTEXT_KEYS, TOOL_KEYS, EngineWords


@lru_cache(maxsize=1)
def search_words() -> EngineWords:
    """The runtime words that can be launched, and the flags of the keys that a search uses.

    The engines are imported here because they are not needed where all entries come from the cache.
    """
    from sparkrun_tui.engines.registry import ENGINES

    return EngineWords(
        launchable=frozenset(ENGINES),
        context=tuple(_spellings(CONTEXT_KEYS)),
        tools=tuple(_spellings(TOOL_KEYS)),
    )


def _spellings(keys: tuple[str, ...]) -> Iterator[str]:
    from sparkrun_tui.engines.registry import FAMILIES

    for family in FAMILIES.values():
        for row in family.flags:
            if row.key in keys:
                yield from row.spellings
