"""Which kernels vLLM loads a checkpoint for, and what it quantises while it loads.

The rules are those of 0.32 and 0.33 on a GB10 with every kernel package of the official image: DeepGEMM for fp8 in
blocks, FlashInfer's CUTLASS for NVFP4 and fp8 experts, Marlin for AWQ, GPTQ, mxfp4 and weights of four bits alone.
"""

from __future__ import annotations

from dataclasses import replace

from sparkrun_tui.memory.settings import EngineSettings
from sparkrun_tui.memory.vllm.devices import SPARK, Device
from sparkrun_tui.memory.vllm.versions import rules_for
from sparkrun_tui.memory.weights.holdings import refusal_of_kernels
from sparkrun_tui.memory.weights.kernels import Kernels, Loading, common_kernels
from sparkrun_tui.memory.weights.on_rank import Weights, weights_of
from sparkrun_tui.models.facts import ModelFacts

_COMPUTED = (0, 32)
"""The first release for which these kernels are known to be chosen on a GB10."""

_FLASHINFER = ("", "auto", "flashinfer_cutlass")
"""Values of `--moe-backend` with which experts go to FlashInfer's CUTLASS."""

_AT_LOAD = (
    "fp8",
    "fp8_per_tensor",
    "fp8_per_channel",
    "fp8_per_block",
    "mxfp8",
    "int8_per_channel_weight_only",
)


def _kernels(facts: ModelFacts, settings: EngineSettings) -> Kernels:
    """The kernels for a model.

    Before 0.32 fp8 in blocks kept its scales, and Marlin took the experts. Qwen3.5 has CUTLASS in place of DeepGEMM,
    and Triton for its experts since 0.33. Source: vllm/model_executor/layers/quantization/utils/fp8_utils.py
    (should_use_deepgemm_for_fp8_linear), fused_moe/oracle/fp8.py, fused_moe/oracle/mxfp4.py,
    fused_moe/oracle/nvfp4.py.
    """
    release = rules_for(settings.version).version
    computed = release >= _COMPUTED
    plain_scales = facts.model_type in ("qwen3_5_text", "qwen3_5_moe_text")
    packed_experts = computed and settings.moe_backend != "triton"
    if plain_scales and release >= (0, 33):
        packed_experts = False
    return replace(
        common_kernels(facts, settings),
        packed_scales=computed and not plain_scales,
        packed_expert_scales=packed_experts,
        flashinfer_experts=computed and settings.moe_backend in _FLASHINFER,
        pads=True,
        drops_zeros=True,
        unfolds_latent=True,
        whole_vision=settings.mm_encoder_tp_mode == "data",
        blocks_of_experts=_asks_for_whole_blocks(facts, release),
    )


def _asks_for_whole_blocks(facts: ModelFacts, release: tuple[int, ...]) -> bool:
    """Whether experts in fp8 blocks must be whole blocks wide on a rank; only 0.33 was read, and only this method.

    Source: compressed_tensors_moe_w8a8_fp8.py and fp8_utils.py (validate_fp8_block_shape_moe). A checkpoint of the
    method `fp8` gets finer blocks instead (fp8.py).
    """
    return release >= (0, 33) and facts.quant is not None and facts.quant.method == "compressed-tensors"


def _methods(settings: EngineSettings) -> tuple[str, ...]:
    """The values of `--quantization` that convert a plain checkpoint; 0.32 no longer has bitsandbytes."""
    if rules_for(settings.version).version < _COMPUTED:
        return (*_AT_LOAD, "bitsandbytes")
    return _AT_LOAD


LOADING = Loading(_kernels, _methods)


def vllm_weights(facts: ModelFacts, settings: EngineSettings) -> Weights | None:
    """The weights on vLLM's rank that holds most, None when their size is unknown."""
    return weights_of(facts, settings, LOADING)


def vllm_kernel_refusal(facts: ModelFacts, settings: EngineSettings, device: Device = SPARK) -> str:
    """Why no kernel of vLLM takes a rank's share of the model on this GPU, empty when one does or nothing is known.

    FlashInfer's NVFP4 experts need compute capability 10.0; GPUs before it have Marlin, which pads. Source:
    fused_moe/oracle/nvfp4.py, flashinfer_cutlass_moe.py (_supports_quant_scheme).
    """
    if device.capability is None or device.capability < (10, 0):
        settings = replace(settings, moe_backend="marlin")
    return refusal_of_kernels(facts, settings, LOADING)
