"""The tables of n-gram embeddings, which engines keep in the host's memory; on unified memory they count too."""

from __future__ import annotations

from sparkrun_tui.base.units import format_gib
from sparkrun_tui.memory.settings import EngineSettings
from sparkrun_tui.models.facts import ModelFacts
from sparkrun_tui.models.modules.ngrams import table_bytes


def mapped_bytes(facts: ModelFacts, settings: EngineSettings) -> int:
    """The bytes of a rank's tables that are read from a file as they are needed, 0 where they are in memory.

    Source: sglang/srt/models/qwen4_exp_ple_table.py (`file`).
    """
    if settings.sglang.ple_backend != "file":
        return 0
    return table_bytes(facts) // max(1, settings.tensor_parallel)


def table_note(facts: ModelFacts, settings: EngineSettings) -> str:
    """What to know of the tables, empty for a model without any.

    They are pinned by default. Source: vllm/config/engram.py (cpu_offload),
    sglang/srt/arg_groups/model_overrides/qwen4_exp.py (ple_offload_embedding).
    """
    size = table_bytes(facts)
    if not size:
        return ""
    if mapped_bytes(facts, settings):
        return f"the n-gram tables of {format_gib(size)} are mapped from a file and not counted"
    return f"the weights include n-gram tables of {format_gib(size)}, which lie in the host's memory, pinned"
