"""Draft models without a cache of their own: Gemma 4's assistants read keys and values of the target's layers."""

from __future__ import annotations

from sparkrun_tui.memory.settings import Speculative
from sparkrun_tui.models.facts import ModelFacts


def reads_targets_cache(facts: ModelFacts, speculative: Speculative) -> bool:
    """Whether the draft model is an assistant: by its file where that is known, else by its name.

    Source: vllm/model_executor/models/gemma4_mtp.py, vllm/v1/worker/gpu/spec_decode/gemma4/speculator.py,
    sglang/srt/models/gemma4_mtp.py, speculative/frozen_kv_mtp_worker_v2.py.
    """
    if not facts.model_type.startswith("gemma4"):
        return False
    if facts.drafter is not None and facts.drafter.config:
        return facts.drafter.architecture.endswith("AssistantForCausalLM")
    return "assistant" in speculative.model.lower()
