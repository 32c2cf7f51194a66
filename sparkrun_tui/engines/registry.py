"""The engines that can be launched, by the runtime word of recipes; a new engine is one line here."""

from __future__ import annotations

from collections.abc import Mapping

from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.engines.engine import Engine
from sparkrun_tui.engines.eugr.plan import EugrVllm
from sparkrun_tui.engines.family import Family
from sparkrun_tui.engines.flags import Flag
from sparkrun_tui.engines.llama_cpp.plan import LlamaCpp
from sparkrun_tui.engines.logs.rules import NO_LOG, LogRules
from sparkrun_tui.engines.sglang.plan import Sglang
from sparkrun_tui.engines.vllm.plan import Vllm, without_ray

_ENGINES: tuple[Engine, ...] = (
    Vllm(),
    without_ray(),
    Sglang(),
    LlamaCpp(),
    EugrVllm(),
)

ENGINES: Mapping[str, Engine] = {word: engine for engine in _ENGINES for word in (engine.name, *engine.aliases)}
"""Each engine by its runtime word and its aliases."""
FAMILIES: Mapping[str, Family] = {engine.family.name: engine.family for engine in _ENGINES}
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
    family = family_of(runtime)
    if family is None:
        return NO_LOG
    return family.log
