"""Which data type vLLM's KV cache gets, and which it refuses for a model, a checkpoint or a GPU."""

from __future__ import annotations

from sparkrun_tui.memory.settings import EngineSettings
from sparkrun_tui.memory.vllm.devices import Device
from sparkrun_tui.memory.vllm.versions import VllmRules
from sparkrun_tui.models.config.families import UNEQUAL_HEADS, WITHOUT_CACHE_TYPE
from sparkrun_tui.models.config.values import word
from sparkrun_tui.models.dtypes import plain_name
from sparkrun_tui.models.facts import ModelFacts
from sparkrun_tui.models.layers import AttentionKind, kinds

_FLOATS = ("float16", "bfloat16")

_PLAIN = ("auto", *_FLOATS)

_LATENT = ("auto", "float16", "bfloat16", "fp8", "fp8_e4m3", "fp8_ds_mla", "nvfp4_ds_mla")
"""The caches of latent attention that any backend for NVIDIA's GPUs reads (vllm/v1/attention/backends/mla/)."""

_SCALED_BY_FP8 = ("fp8", "quark")
"""Methods of checkpoints whose attention layers all have scales for a cache of fp8."""


def own_type(facts: ModelFacts) -> str:
    """The type of the checkpoint's scheme; the recipe's metadata counts when nothing else is known."""
    if facts.kv_scheme:
        return facts.kv_scheme
    if facts.declared is not None and not facts.config:
        return facts.declared.kv_dtype or "auto"
    return "auto"


def ignores_flag(facts: ModelFacts, rules: VllmRules) -> bool:
    """Whether the family's attention is built without the cache's settings, so that `--kv-cache-dtype` does nothing.

    Source: vllm/model_executor/models/falcon.py (all releases read, 0.30 to 0.33), mimo_v2.py (up to 0.31).
    """
    if facts.model_type in UNEQUAL_HEADS:
        return not rules.typed_mimo_cache
    return facts.model_type in WITHOUT_CACHE_TYPE


def asked_type(facts: ModelFacts, settings: EngineSettings, rules: VllmRules) -> str:
    """The type before the model's own layout is known: the flag where it counts, else the checkpoint's scheme."""
    asked = settings.kv_cache_dtype or "auto"
    if asked == "auto" or ignores_flag(facts, rules):
        return own_type(facts)
    return asked


def ignored_note(facts: ModelFacts, settings: EngineSettings, rules: VllmRules) -> str:
    """A note on a `--kv-cache-dtype` without effect, else empty."""
    asked = plain_name(settings.kv_cache_dtype)
    if asked in ("", *_PLAIN) or not ignores_flag(facts, rules):
        return ""
    release = f"vLLM {rules.version[0]}.{rules.version[1]}"
    return f"{release} does not apply --kv-cache-dtype to {facts.model_type}: the cache keeps the model's type"


def type_refusal(facts: ModelFacts, settings: EngineSettings, rules: VllmRules, device: Device) -> str:
    """Why the engine does not start with the type of the cache, empty when it does or nothing is known."""
    if rules.own_float_cache:
        foreign = _foreign_float(facts, settings)
        if foreign:
            return foreign
    asked = asked_type(facts, settings, rules)
    if asked != settings.kv_cache_dtype:
        # The type of the checkpoint, which its makers have run.
        return ""
    if not _reads_nvfp4(settings, rules, device):
        return f"vLLM {rules.version[0]}.{rules.version[1]} has no kernel for a KV cache of nvfp4 on this GPU"
    return _unread(facts, asked, device)


def _unread(facts: ModelFacts, asked: str, device: Device) -> str:
    """Why no kernel or no checkpoint goes with a type that was asked for, else empty.

    Source: vllm/model_executor/layers/attention/attention.py (_init_kv_cache_quant), vllm/v1/attention/backends/mla/
    (supported_kv_cache_dtypes).
    """
    attentions = [layer.attention for layer in kinds(facts.layers) if layer.attention is not None]
    latent = any(each.kind is AttentionKind.MLA and each.compress is None for each in attentions)
    if latent and plain_name(asked) not in _LATENT:
        return f"the model's latent attention has no kernel for a KV cache of {asked}: use fp8 or auto"
    if asked == "fp8_e5m2" and not latent and _has_cache_scales(facts):
        return "a KV cache of fp8_e5m2 does not go with an fp8 checkpoint: use --kv-cache-dtype fp8"
    if facts.model_type in UNEQUAL_HEADS and any(each.head_k != each.head_v for each in attentions):
        return _unread_unequal(asked, device)
    return ""


def _has_cache_scales(facts: ModelFacts) -> bool:
    """Whether the checkpoint's attention layers load scales of an fp8 cache.

    Those of compressed-tensors and ModelOpt do where the checkpoint has a scheme for its cache.
    """
    if facts.quant is None:
        return False
    return facts.quant.method in _SCALED_BY_FP8 or bool(facts.kv_scheme)


def _unread_unequal(asked: str, device: Device) -> str:
    """Why no kernel for keys and values of different width reads a type, else empty.

    FlashAttention takes them on Hopper and on GPUs of capability 10.x, Triton on others. Neither reads fp8_e5m2; of
    other quantised types Triton reads fp8 alone. Source: vllm/v1/attention/backends/triton_attn_diffkv.py,
    flash_attn_diffkv.py, fa_utils.py (flash_attn_supports_kv_cache_dtype).
    """
    if plain_name(asked) in _PLAIN or asked in ("fp8", "fp8_e4m3"):
        return ""
    on_triton = device.capability is not None and device.capability[0] not in (9, 10)
    if asked == "fp8_e5m2" or on_triton:
        return f"the model's attention has no kernel for a KV cache of {asked}: use fp8 or auto"
    return ""


def _foreign_float(facts: ModelFacts, settings: EngineSettings) -> str:
    """Why a KV cache of float16 or bfloat16 is not the model's own type, empty when it is or the type is not known.

    Source: vllm/config/vllm.py (_reject_mismatched_float_kv_cache).
    """
    cache = plain_name(settings.kv_cache_dtype)
    own = plain_name(settings.dtype)
    if own in ("", "auto"):
        own = plain_name(word(facts.config, "torch_dtype", "dtype"))
    if cache not in _FLOATS or own not in _FLOATS or cache == own:
        return ""
    return f"a KV cache of {cache} does not go with a model in {own}: use --kv-cache-dtype auto"


def _reads_nvfp4(settings: EngineSettings, rules: VllmRules, device: Device) -> bool:
    """Whether the KV cache is none of nvfp4, or the release has a kernel for it: on other GPUs than 10.x since 0.32.

    Source: vllm/v1/attention/backends/flashinfer.py (supports_kv_cache_dtype).
    """
    if settings.kv_cache_dtype not in ("nvfp4", "nvfp4_4over6") or rules.nvfp4_cache:
        return True
    if rules.dated:
        # A build between releases may have it already, as published logs show.
        return True
    return device.capability is not None and device.capability[0] == 10
