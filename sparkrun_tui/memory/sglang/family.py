"""What SGLang does by a model's architecture: window pools, multimodal inputs, sparse attention, prefill graphs."""

from __future__ import annotations

from sparkrun_tui.memory.settings import EngineSettings
from sparkrun_tui.memory.sglang.versions import rules_for
from sparkrun_tui.models.config.values import flag, positive
from sparkrun_tui.models.facts import ModelFacts
from sparkrun_tui.models.layers import AttentionKind, StateKind, kinds

_WINDOW_POOL = (
    "GptOss",
    "MiMoV2",
    "Step3p5",
    "Step3p7",
    "Gemma4",
    "Llama4ForConditionalGeneration",
    "DeepseekV4",
    "GraniteSWA",
    "GraniteSwa",
    "Laguna",
    "Inkling",
)
"""Architectures with a pool of their own for window layers (configs/model_config.py, is_hybrid_swa_model)."""

_NARROW_WINDOWS = ("DeepseekV4", "Inkling")
_DRAFTER_IS_MODEL = frozenset(
    {
        "DeepseekV32ForCausalLM",
        "DeepseekV3ForCausalLM",
        "DeepseekV4ForCausalLM",
        "Glm4MoeForCausalLM",
        "Glm4MoeLiteForCausalLM",
        "GlmMoeDsaForCausalLM",
        "BailingMoeForCausalLM",
        "BailingMoeV2ForCausalLM",
        "BailingMoeV2_5ForCausalLM",
        "MistralLarge3ForCausalLM",
        "PixtralForConditionalGeneration",
        "HYV3ForCausalLM",
    }
)
"""Architectures for whose own modules the server takes the model's path for the drafter's."""

_TEXT_UNLESS_ASKED = ("Gemma3ForConditionalGeneration", "Llama4", "Step3VL")
_GRAPHS_THOUGH_MULTIMODAL = ("Qwen3_5", "Qwen4Exp", "Glm5Next", "KimiK25", "MiniMaxM3", "Cohere2Vision")


def attention_replicas(settings: EngineSettings) -> int:
    """Into how many replicas attention is split among the tensor-parallel ranks."""
    options = settings.sglang
    if options.attn_dp_size > 1:
        return options.attn_dp_size
    return max(1, settings.data_parallel) if options.dp_attention else 1


def is_deepseek_v4(facts: ModelFacts) -> bool:
    """Whether a model has DeepSeek V4's compressed caches."""
    return any(layer.attention is not None and layer.attention.compress is not None for layer in kinds(facts.layers))


def has_window_pool(facts: ModelFacts, settings: EngineSettings) -> bool:
    """Whether window layers get a pool of their own; all others are cached in full.

    Source: sglang/srt/configs/model_config.py (is_hybrid_swa_model).
    """
    if settings.sglang.disable_hybrid_swa_memory:
        return False
    windows = any(layer.attention is not None and layer.attention.window for layer in kinds(facts.layers))
    listed = facts.architecture.startswith(_WINDOW_POOL) or flag(facts.config, "is_hybrid_swa")
    return windows and listed


def window_ratio(facts: ModelFacts, settings: EngineSettings) -> float:
    """Window tokens per full token: the flag, else 0.8 (0.1 where windows are narrow)."""
    stated = settings.sglang.swa_full_tokens_ratio
    if stated is not None:
        return stated
    return 0.1 if facts.architecture.startswith(_NARROW_WINDOWS) else 0.8


def takes_images(facts: ModelFacts, settings: EngineSettings) -> bool:
    """Whether the server takes images or sound: a few families only with a flag.

    Source: sglang/srt/configs/model_config.py (is_multimodal).
    """
    if not facts.multimodal:
        return False
    return settings.sglang.enable_multimodal or not facts.architecture.startswith(_TEXT_UNLESS_ASKED)


def is_latent(facts: ModelFacts) -> bool:
    """Whether the attention layers cache a latent (MLA)."""
    return any(
        layer.attention is not None and layer.attention.kind is AttentionKind.MLA for layer in kinds(facts.layers)
    )


def is_sparse(facts: ModelFacts) -> bool:
    """Whether a latent model selects its tokens with index keys (DeepSeek sparse attention)."""
    return is_latent(facts) and bool(positive(facts.config, "index_topk") and positive(facts.config, "index_head_dim"))


def index_pool(facts: ModelFacts) -> int:
    """How many tokens share one index key."""
    return max((layer.attention.index_pool for layer in kinds(facts.layers) if layer.attention), default=1)


def budgets_own_modules(facts: ModelFacts, settings: EngineSettings) -> bool:
    """Whether the checkpoint's own drafting modules come out of the budget.

    Until 0.5.19 only where the server takes the model's path for the drafter's by itself. Source:
    sglang/srt/arg_groups/speculative_hook.py.
    """
    if rules_for(settings.version).own_modules_budgeted:
        return True
    speculative = settings.speculative
    if speculative is not None and speculative.model:
        return True
    return facts.architecture in _DRAFTER_IS_MODEL


def sparse_row_bytes(facts: ModelFacts, settings: EngineSettings, width: int) -> int:
    """The fp8 bytes of one latent row of `width` elements on a GB10: packed with scales, or plain.

    GLM's backend and FlashMLA take 656 bytes, TRT-LLM's one per element. Source:
    sglang/srt/mem_cache/kv_cache_configurator.py, arg_groups/ (DSA backends by capability).
    """
    chosen = (settings.sglang.dsa_prefill_backend, settings.sglang.dsa_decode_backend)
    named = next((name for name in chosen if name), "")
    if not named:
        packed = facts.architecture.startswith("GlmMoeDsa") or facts.model_type == "glm_moe_dsa"
        named = "flashinfer_sparse_mla" if packed else "trtllm"
    return 656 if named.startswith(("flashmla", "flashinfer")) else width


def has_prefill_graphs(facts: ModelFacts, settings: EngineSettings) -> bool:
    """Whether prefill runs in CUDA graphs, for which the default fraction leaves room.

    Source: sglang/srt/arg_groups/ (prefill graph resolution).
    """
    options = settings.sglang
    if options.disable_cuda_graph or options.disable_prefill_cuda_graph or settings.enforce_eager:
        return False
    if settings.pipeline_parallel > 1 or settings.context_parallel > 1 or is_deepseek_v4(facts):
        return False
    if not rules_for(settings.version).latent_graphs and _had_no_graphs(facts):
        return False
    if facts.architecture.startswith(_GRAPHS_THOUGH_MULTIMODAL):
        return True
    for layer in kinds(facts.layers):
        if layer.state is not None and layer.state.kind is StateKind.KDA:
            return False
    return not takes_images(facts, settings)


def _had_no_graphs(facts: ModelFacts) -> bool:
    """Whether a model's prefill ran without graphs until 0.5.17."""
    return (is_latent(facts) and not is_sparse(facts)) or facts.architecture.startswith("NemotronH")


def page_size(facts: ModelFacts, settings: EngineSettings) -> int:
    """The page in tokens, to which pools are rounded down.

    Source: sglang/srt/arg_groups/ (page size by backend and dtype; model_overrides/qwen4_exp.py).
    """
    if is_deepseek_v4(facts):
        return 256
    if is_sparse(facts):
        return 64 * (index_pool(facts) if rules_for(settings.version).pooled_index else 1)
    if index_pool(facts) > 1:
        return 64
    backend = settings.attention_backend
    forced = {"trtllm_mha": 64, "trtllm_mla": 64, "flashmla": 64, "cutlass_mla": 128, "fa4": 128}.get(backend)
    if settings.kv_cache_dtype == "nvfp4":
        forced = max(64, forced or 0)
    if settings.block_size is not None:
        return max(settings.block_size, forced or 1)
    return forced or 1
