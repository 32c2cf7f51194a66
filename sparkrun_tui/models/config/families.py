"""The families of models whose attention caches are modelled here; nothing is assumed of other families."""

from __future__ import annotations

_ATTENTION = """
    afmoe apertus aquila arcee arctic aria aria_text aya_vision baichuan bailing_moe beam bloom chatglm cohere
    cohere2 cohere2_moe cohere2_vision commandr cosmos3_edge cosmos3_edge_text cwm dbrx deepseek dots1 ernie4_5
    ernie4_5_moe exaone exaone4 exaone4_5 exaone_moe falcon flex_olmo gemma gemma2 gemma3 gemma3_text gemma3n
    gemma3n_text gemma4 gemma4_text glm glm4 glm4_moe glm4v glm4v_moe glm4v_moe_text glm4v_text glm_ocr
    glm_ocr_text gpt2 gpt_bigcode gpt_neox gpt_oss gptj granite granite_swa granitemoe granitemoe_swa
    granitemoeshared hrm_text hunyuan_v1_dense hunyuan_v1_moe hyperclovax idefics3 inkling_mm_model
    inkling_model inkling_text internlm internlm2 internlm3 internvl internvl_chat jais jais2 kolibri1 laguna
    llama llama4 llama4_text llava llava_next llava_onevision mellum mimo mimo_v2 mimo_v2_flash minicpm minicpmv
    minicpmv4_7 minimax_m2 minimax_m3 ministral ministral3 mistral mistral3 mixtral mpt muse_glimmer muse_glimmer_text
    nemotron nemotron-nas olmo olmo2 olmo3 olmoe opt orion paddleocr_vl paddleocr_vl_text paligemma persimmon
    phi phi3 phi3_v phi4mm phimoe pixtral qwen qwen2 qwen2_5_omni qwen2_5_omni_text qwen2_5_omni_thinker
    qwen2_5_vl qwen2_5_vl_text qwen2_audio qwen2_moe qwen2_vl qwen2_vl_text qwen3 qwen3_asr qwen3_moe
    qwen3_omni_moe qwen3_omni_moe_text qwen3_vl qwen3_vl_moe qwen3_vl_moe_text qwen3_vl_text refinedweb
    refinedwebmodel seed_oss shieldgemma2 smollm3 smolvlm solar stablelm stablelm_epoch starcoder2 step3_text
    step3p5 step3p7 telechat telechat2 vaultgemma xverse
"""
"""Full or windowed attention with grouped heads, by the usual keys of the file."""

_LATENT = """
    axk1 deepseek_ref deepseek_v2 deepseek_v3 deepseek_v32 deepseek_v4 deepseek_vl_v2 glm4_moe_lite glm5_next
    glm5_next_text glm_moe_dsa kimi_k2 kimi_k25 kimi_vl longcat_flash minicpm3
"""
"""Latent attention, with and without sparse selection."""

_STATES = """
    bailing_hybrid bailing_moe_linear bamba codestral_mamba falcon_h1 falcon_mamba granitemoehybrid jamba
    kimi_linear lfm2 lfm2_moe lfm2_vl mamba mamba2 minimax minimax_m1 minimax_text_01 nemotron_h olmo_hybrid
    qwen3_5 qwen3_5_moe qwen3_5_moe_text qwen3_5_text qwen3_next qwen4_exp qwen4_exp_text zamba2
"""
"""Recurrent states, alone or beside attention."""

_LOOPS = "dory iquestloopcoder iquest_loopcoder"

_MODELLED = frozenset(f"{_ATTENTION} {_LATENT} {_STATES} {_LOOPS} step5 step5_text step5_vl".split())
"""Values of `model_type`, of the text model where a file has several.

The families with observations and default configurations give the figures of vLLM's own planning code (0.32 and
0.33). The others are older families that vLLM runs with its common attention layer
(vllm/model_executor/models/registry.py); there is no observation of them.
"""

WITHOUT_ATTENTION = frozenset({"mamba", "falcon_mamba", "mamba2", "codestral_mamba"})
"""Families whose code has no attention at all, whatever the file says of its layers."""

INDEXED = frozenset({"qwen4_exp", "qwen4_exp_text"})
"""Families whose full attention layers cache keys of an index beside their tokens."""

DORY = "dory"
LOOPED = frozenset({DORY, "iquestloopcoder", "iquest_loopcoder"})
"""Families whose layers run several times and keep what they cache of each time, with one set of weights."""

STEP5 = frozenset({"step5", "step5_text", "step5_vl"})
"""Families that vLLM runs on Hopper and B200 since 0.33, with an index, and that a plugin runs on DGX Sparks.

Counted as the plugin has them: Step-3.5 with dense attention. A published start with it had about 1,000,000 tokens in
20 GB a rank (github.com/0xSero/Step-5-Preview-Four-Sparks, README.md at 2538368). See `unknown_cache` of vLLM's plan.
"""
STEP5_NOTE = "counted with dense attention, as the plugin for DGX Sparks has it; a port with an index takes more"

UNEQUAL_HEADS = frozenset({"mimo_v2", "mimo_v2_flash"})
"""Families whose keys are wider than their values, with kernels of their own."""

WITHOUT_CACHE_TYPE = frozenset({"falcon", "refinedweb", "refinedwebmodel"})
"""Families whose attention vLLM builds without the settings of the cache."""

BLOCK_SPARSE = frozenset({"minimax_m3"})
"""Families whose sparse layers cache one more key of an index for every token, whole on each rank."""

SPECIAL = INDEXED | LOOPED | STEP5 | BLOCK_SPARSE
"""Families that an engine caches in its own way, if it runs them at all."""

_MODELLED_ARCHITECTURES = ("Llama", "Mistral", "Mixtral", "Qwen2", "Qwen3For", "DeepseekV2", "DeepseekV3")
"""Beginnings of modelled architectures, for files without a `model_type`."""


def is_modelled(model_type: str, architecture: str) -> bool:
    """Whether a family's cache is modelled here; a file that names neither is read by its keys alone."""
    if model_type:
        return model_type.lower() in _MODELLED
    if not architecture:
        return True
    return architecture.startswith(_MODELLED_ARCHITECTURES)


def not_modelled(model_type: str, architecture: str) -> str:
    """The note for a family that is not modelled."""
    name = (model_type or architecture)[:60]
    return f"how models of the architecture {name} cache tokens is not known here"
