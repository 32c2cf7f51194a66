"""llama-server in the estimator."""

from __future__ import annotations

from dataclasses import replace

from sparkrun_tui.memory.llama_cpp.estimate import estimate_llama
from sparkrun_tui.memory.model import EngineModel
from sparkrun_tui.memory.settings import EngineSettings


def _slots(settings: EngineSettings) -> int:
    return max(settings.llama.parallel or 1, 1)


def length(settings: EngineSettings) -> int:
    """The context of one request in tokens: its own limit, else a share of the one that is asked for."""
    options = settings.llama
    if options.ctx_size is None and options.slot_tokens:
        return options.slot_tokens
    return (options.ctx_size or 0) // _slots(settings)


def with_length(settings: EngineSettings, tokens: int) -> EngineSettings:
    """The settings with another context of one request, in tokens."""
    return replace(settings, llama=replace(settings.llama, ctx_size=tokens * _slots(settings)))


MODEL = EngineModel(
    estimate_llama,
    options="llama",
    idle_options=frozenset({"ctx_size"}),
    length=length,
    with_length=with_length,
    cache_by_length=True,
)
