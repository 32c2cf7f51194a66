"""Which rules a vLLM version follows where they changed between versions."""

from __future__ import annotations

import re

from sparkrun_tui.base.reading.numbers import whole
from sparkrun_tui.base.records import dataclass

NEWEST = (0, 33)
"""The version assumed when an image does not state one."""


@dataclass(frozen=True, slots=True)
class VllmRules:
    """The rules of one version that differ from others.

    `in_flight_batches`: windows are sized for every batch scheduled at once, not for one. `utilisation`: default
    share. `ngram_is_synchronous`: drafting by n-grams switches asynchronous scheduling off. `gdn_checkpoint`:
    Gated DeltaNet keeps one more state block where FlashInfer's kernel is used, and its block is a multiple of 64.
    `windowed_drafts`: block drafters keep only the windows of their windowed layers. `long_draft_blocks`:
    those windows have the longest blocks that the kernels take, not the shortest. `draft_pass_limit`: the pass of a
    block drafter must fit the batched tokens, which limits the requests at once.
    `nvfp4_cache`: a KV cache of nvfp4 has kernels on other GPUs than those of capability 10.x.
    `typed_mimo_cache`: `--kv-cache-dtype` reaches MiMo V2's attention. `own_step5`: vLLM has Step-5 without a plugin.
    `own_float_cache`: a KV cache of float16 or bfloat16 must be the model's own type.
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
    windowed_drafts: bool
    long_draft_blocks: bool
    draft_pass_limit: bool
    nvfp4_cache: bool
    own_float_cache: bool
    typed_mimo_cache: bool
    own_step5: bool
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


_RELEASES = (
    ((2024, 1), (0, 3)),
    ((2024, 7), (0, 5)),
    ((2025, 1), (0, 7)),
    ((2025, 5), (0, 9)),
    ((2025, 8), (0, 10)),
    ((2025, 10), (0, 11)),
    ((2025, 12), (0, 12)),
    ((2026, 1), (0, 14)),
    ((2026, 2), (0, 15)),
    ((2026, 3), (0, 17)),
    ((2026, 4), (0, 19)),
    ((2026, 5), (0, 21)),
    ((2026, 6), (0, 23)),
    ((2026, 7), (0, 25)),
    ((2026, 8), (0, 27)),
    ((2026, 9), (0, 29)),
    ((2026, 10), (0, 31)),
    ((2026, 11), (0, 32)),
)
"""The release that was current in a month, for images and logs that state only a date."""


def _release(text: str) -> tuple[int, int] | None:
    """Read a release number such as `v0.32.0` out of free text."""
    found = re.search(r"(?<![\d.])v?0\.([0-9]{1,3})(?=[.\s\-+_a-z]|$)", text)
    return (0, whole(found.group(1)) or 0) if found else None


def parse_version(text: str) -> tuple[int, int] | None:
    """Read a version out of free text: `0.23.1rc1.dev531`, or a year and month; None when neither is there."""
    release = _release(text)
    if release is not None:
        return release
    date = re.search(r"(?<!\d)(20[0-9]{2})[-.]?(0[1-9]|1[0-2])(?:[-.]?\d\d){0,2}(?!\d)", text)
    if date is None:
        return None
    month = whole(date.group(1)) or 0, whole(date.group(2)) or 0
    earlier = [version for since, version in _RELEASES if since <= month]
    return earlier[-1] if earlier else None


def others_of(version: str) -> tuple[str, ...]:
    """The other releases that an image of a month may hold: those that came out since the month before.

    Empty where a release is stated, or neither a release nor a date.
    """
    newest = parse_version(version)
    if newest is None or _release(version) is not None:
        return ()
    earlier = [release for _, release in _RELEASES if release < newest]
    first = earlier[-1] if earlier else newest
    return tuple(f"0.{minor}" for minor in range(first[1], newest[1]))


def rules_for(version: str) -> VllmRules:
    """The rules of a version as an image or a log states it, of the newest when it states none.

    Sources: vllm/config/vllm.py (max_in_flight_tokens, since 0.26; n-grams, the drafter's length and its pass,
    the type of a plain cache, 0.33), vllm/model_executor/models/qwen3_dflash.py (windows, since 0.25),
    vllm/config/cache.py, vllm/v1/attention/backends/flashinfer.py (nvfp4, 0.32), vllm/v1/worker/gpu_worker.py
    (graphs, since 0.21), vllm/v1/core/kv_cache_planning.py,
    vllm/model_executor/layers/mamba/gdn/qwen_gdn_linear_attn.py (0.33), vllm/model_executor/models/mimo_v2.py (0.32),
    vllm/models/step5/ (0.33).
    """
    stated = parse_version(version)
    number = stated or NEWEST
    return VllmRules(
        version=number,
        known=stated is not None,
        in_flight_batches=number >= (0, 26),
        ngram_is_synchronous=number < (0, 33),
        gdn_checkpoint=number >= (0, 33),
        windowed_drafts=number >= (0, 25),
        long_draft_blocks=number >= (0, 30),
        draft_pass_limit=number >= (0, 33),
        nvfp4_cache=number >= (0, 32),
        own_float_cache=number >= (0, 33),
        typed_mimo_cache=number >= (0, 32),
        own_step5=number >= (0, 33),
        drafter_caps_length=number >= (0, 33),
        uncached_states=number >= (0, 33),
        utilisation=0.92 if number >= (0, 20) else 0.90,
        graphs_charged=number >= (0, 21),
        null_block=number >= (0, 30),
        checkpoint_block=number >= (0, 32),
        padded_pattern=number < (0, 30),
        prints_slots=number < (0, 21),
        dated=stated is not None and _release(version) is None,
    )
