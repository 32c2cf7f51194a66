"""Keys of GGUF headers with the sizes of published models, and loads of llama-server on them."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import Any

from sparkrun_tui.memory.llama_cpp.plan import LlamaPlan, plan_llama, wanted_context
from sparkrun_tui.memory.settings import EngineSettings
from sparkrun_tui.models.facts import ModelFacts
from sparkrun_tui.models.gguf.reader import facts_from_gguf
from tests.support.settings import settings_of

MIB = 1 << 20


def keys(
    arch: str, context: int, hidden: int, blocks: int, heads: Any, kv: Any, vocab: int, **more: Any
) -> dict[str, Any]:
    """A header without its architecture's prefix; underscores in names of ``more`` before a word stand for dots."""
    base = {
        "arch": arch,
        "vocab": vocab,
        "context_length": context,
        "embedding_length": hidden,
        "block_count": blocks,
        "attention.head_count": heads,
        "attention.head_count_kv": kv,
    }
    return base | {name.replace("__", "."): value for name, value in more.items()}


DENSE = keys("llama", 131072, 4096, 32, 32, 8, 128256, feed_forward_length=14336)
WINDOWED = keys(
    "gemma3",
    131072,
    5376,
    62,
    32,
    16,
    262208,
    feed_forward_length=21504,
    attention__key_length=128,
    attention__value_length=128,
    attention__sliding_window=1024,
)
GPT_OSS = keys(
    "gpt-oss",
    131072,
    2880,
    24,
    64,
    8,
    201088,
    attention__key_length=64,
    attention__value_length=64,
    attention__sliding_window=128,
    expert_count=32,
    expert_used_count=4,
    expert_feed_forward_length=2880,
    feed_forward_length=2880,
)
GDN = keys(
    "qwen35",
    262144,
    5120,
    64,
    24,
    4,
    248320,
    feed_forward_length=17408,
    attention__key_length=256,
    attention__value_length=256,
    full_attention_interval=4,
    ssm__conv_kernel=4,
    ssm__inner_size=6144,
    ssm__state_size=128,
    ssm__group_count=16,
    ssm__time_step_rank=48,
)
GDN_MTP = GDN | {"block_count": 65, "nextn_predict_layers": 1}
LATENT = keys(
    "deepseek2",
    163840,
    2048,
    27,
    16,
    1,
    102400,
    attention__key_length=576,
    attention__value_length=512,
    attention__key_length_mla=192,
    attention__value_length_mla=128,
    attention__kv_lora_rank=512,
    rope__dimension_count=64,
    feed_forward_length=10944,
)
SHORT_CONV = keys(
    "lfm2",
    128000,
    2048,
    16,
    32,
    [0, 0, 8, 0, 0, 8, 0, 0, 8, 0, 8, 0, 8, 0, 8, 0],
    65536,
    feed_forward_length=8192,
    shortconv__l_cache=3,
)
CHUNKED = keys(
    "llama4",
    1048576,
    5120,
    48,
    40,
    8,
    202048,
    feed_forward_length=16384,
    expert_count=16,
    expert_used_count=1,
    expert_feed_forward_length=8192,
    attention__key_length=128,
    attention__value_length=128,
    interleave_moe_layer_step=1,
)
SHARED = keys(
    "gemma3n",
    32768,
    2048,
    35,
    8,
    2,
    262400,
    feed_forward_length=16384,
    attention__key_length=256,
    attention__value_length=256,
    attention__sliding_window=512,
    attention__shared_kv_layers=15,
)
MIXED_HEADS = keys(
    "gemma4",
    262144,
    3840,
    48,
    16,
    [8, 8, 8, 8, 8, 1] * 8,
    262144,
    feed_forward_length=15360,
    attention__key_length=512,
    attention__value_length=512,
    attention__key_length_swa=256,
    attention__value_length_swa=256,
    attention__sliding_window=1024,
    attention__sliding_window_pattern=[True, True, True, True, True, False] * 8,
)


COMPRESSED = keys(
    "deepseek4",
    1048576,
    4096,
    43,
    64,
    1,
    129280,
    attention__key_length=512,
    attention__value_length=512,
    attention__sliding_window=128,
    attention__compress_ratios=[0, 0, 4] + [128, 4] * 20,
    attention__indexer__key_length=128,
)


def facts(header: dict[str, Any], gib: float | None = None) -> ModelFacts:
    """The facts of a header, with files of a known size in GiB."""
    return facts_from_gguf(header, total_bytes=int(gib * (1 << 30)) if gib else None)


def told(args: str, build: str = "b11669") -> EngineSettings:
    """What a server is told by a line of arguments."""
    return replace(settings_of("llama-cpp", ["llama-server", *shlex.split(args)]), version=build)


def load(header: dict[str, Any], args: str) -> LlamaPlan:
    """The plan of a load on the CPU, without --fit."""
    model, settings = facts(header), told(args)
    want = wanted_context(model, settings)
    assert want is not None
    return plan_llama(model, settings, want, device=False)
