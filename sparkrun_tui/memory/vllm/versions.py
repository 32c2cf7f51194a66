"""Which rules a vLLM version follows where they changed between versions."""

from __future__ import annotations

from dataclasses import dataclass

from sparkrun_tui.memory.releases import NEWEST, parse_version, release_of


@dataclass(frozen=True, slots=True)
class VllmRules:
    """The rules of one version that differ from others.

    `in_flight_batches`: windows are sized for every batch scheduled at once, not for one. `utilisation`: default
    share. `ngram_is_synchronous`: drafting by n-grams switches asynchronous scheduling off. `gdn_checkpoint`:
    Gated DeltaNet keeps one more state block where FlashInfer's kernel is used, and its block is a multiple of 64.
    `drafter_caps_length`: a draft model with a shorter context shortens the target's. `uncached_states`: families
    without attention have no prefix caching by default.
    `graphs_charged`: CUDA graphs come out of the budget. `null_block`: the check holds one block back.
    `checkpoint_block`: Mamba 2 keeps one more state block per request with prefix caching.
    `padded_pattern`: packed groups are padded to the longest kind. `prints_slots`: the log's size is
    slots of one group rather than concurrency times length. `known`: the version was stated, or follows
    from a date (`dated`).
    """

    version: tuple[int, int]
    known: bool
    in_flight_batches: bool
    ngram_is_synchronous: bool
    gdn_checkpoint: bool
    drafter_caps_length: bool
    uncached_states: bool
    utilisation: float
    graphs_charged: bool
    null_block: bool
    checkpoint_block: bool
    padded_pattern: bool
    prints_slots: bool
    dated: bool = False

    @property
    def name(self) -> str:
        """The version to show, and whether it was assumed."""
        label = f"vLLM {self.version[0]}.{self.version[1]}"
        if not self.known:
            return f"{label} (assumed)"
        return f"{label} (by the image's date)" if self.dated else label


def rules_for(version: str) -> VllmRules:
    """The rules of a version as an image or a log states it, of the newest when it states none.

    Sources: vllm/config/vllm.py (max_in_flight_tokens, since 0.26; n-grams and the drafter's length, 0.33),
    vllm/config/cache.py, vllm/v1/worker/gpu_worker.py (graphs, since 0.21), vllm/v1/core/kv_cache_planning.py,
    vllm/model_executor/layers/mamba/gdn/qwen_gdn_linear_attn.py (0.33).
    """
    stated = parse_version(version)
    number = stated or NEWEST
    return VllmRules(
        version=number,
        known=stated is not None,
        in_flight_batches=number >= (0, 26),
        ngram_is_synchronous=number < (0, 33),
        gdn_checkpoint=number >= (0, 33),
        drafter_caps_length=number >= (0, 33),
        uncached_states=number >= (0, 33),
        utilisation=0.92 if number >= (0, 20) else 0.90,
        graphs_charged=number >= (0, 21),
        null_block=number >= (0, 30),
        checkpoint_block=number >= (0, 30),
        padded_pattern=number < (0, 30),
        prints_slots=number < (0, 21),
        dated=stated is not None and release_of(version) is None,
    )
