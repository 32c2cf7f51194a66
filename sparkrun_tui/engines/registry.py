"""The engines that can be launched, by the runtime word of recipes; a new word is one line here.

An engine is imported when it is first asked for: most commands are about one recipe, and so about one engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial
from importlib import import_module
from typing import TYPE_CHECKING

from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.base.late_table import LateTable

if TYPE_CHECKING:
    from sparkrun_tui.engines.engine import Engine
    from sparkrun_tui.engines.family import Family
    from sparkrun_tui.engines.flags import Flag
    from sparkrun_tui.engines.logs.rules import LogRules

_ENGINES: Mapping[str, tuple[str, str, str]] = {
    "vllm": ("vllm", "vllm", "Vllm"),
    "vllm-ray": ("vllm", "vllm", "Vllm"),
    "vllm-distributed": ("vllm", "vllm", "without_ray"),
    "sglang": ("sglang", "sglang", "Sglang"),
    "llama-cpp": ("llama-cpp", "llama_cpp", "LlamaCpp"),
    "eugr-vllm": ("vllm", "eugr", "EugrVllm"),
}
"""By the runtime word: the name of its inference server, the folder of the engine, and what makes it there."""


@cache
def _engine(folder: str, maker: str) -> Engine:
    made: Engine = getattr(import_module(f"sparkrun_tui.engines.{folder}.plan"), maker)()
    return made


def _family(word: str) -> Family:
    return ENGINES[word].family


def _first_words() -> dict[str, str]:
    """The first runtime word of each inference server."""
    found: dict[str, str] = {}
    for word, (family, _, _) in _ENGINES.items():
        found.setdefault(family, word)
    return found


ENGINES: Mapping[str, Engine] = LateTable({word: partial(_engine, *row[1:]) for word, row in _ENGINES.items()})
"""Each engine by its runtime word and its aliases."""
FAMILIES: Mapping[str, Family] = LateTable({name: partial(_family, word) for name, word in _first_words().items()})
"""Each inference server once, by its name."""


def engine_for(runtime: str) -> Engine:
    """The engine of a runtime word. Raises `LaunchError`, which lists the known ones, for another word."""
    found = ENGINES.get(runtime)
    if found is None:
        known = ", ".join(ENGINES)
        raise LaunchError(f"`{runtime}` is not an engine that can be launched", remedy=f"use one of {known}")
    return found


def counterpart(word: str, family: Family) -> tuple[Family, Flag] | None:
    """The other engine that has the flag `word`, and this engine's flag for the same key; None where there is none."""
    for other in FAMILIES.values():
        key = other.flags.key_for(word)
        if not key:
            continue
        row = family.flags.by_key.get(key)
        if row is not None and word not in row.spellings:
            return other, row
    return None


def family_of(runtime: str) -> Family | None:
    """The inference server of a runtime word or a family's own name; None for a word that is not known."""
    engine = ENGINES.get(runtime)
    if engine is None:
        return FAMILIES.get(runtime)
    return engine.family


def families_of(runtime: str) -> tuple[Family, ...]:
    """The inference server of a runtime word; all of them for a word that is not known."""
    found = family_of(runtime)
    if found is None:
        return tuple(FAMILIES.values())
    return (found,)


def log_of(runtime: str) -> LogRules:
    """The rules for the log of an engine, by its runtime word; no rules for an engine that is not known."""
    from sparkrun_tui.engines.logs.rules import NO_LOG

    family = family_of(runtime)
    if family is None:
        return NO_LOG
    return family.log
