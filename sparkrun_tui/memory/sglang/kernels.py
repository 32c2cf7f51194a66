"""What SGLang's kernels ask of a rank's share of the weights.

Sources (SGLang 0.5.23, sglang/srt/layers/quantization): fp8.py (validate_block_quant_shapes, and create_weights of
Fp8MoEMethod), awq/schemes/awq_linear.py, gptq/schemes/gptq_linear.py.
"""

from __future__ import annotations

from dataclasses import replace

from sparkrun_tui.memory.settings import EngineSettings
from sparkrun_tui.memory.sglang.family import attention_replicas
from sparkrun_tui.memory.weights.holdings import refusal_of_kernels
from sparkrun_tui.memory.weights.kernels import COMMON, Kernels, Loading, common_kernels
from sparkrun_tui.models.facts import ModelFacts


def _kernels(facts: ModelFacts, settings: EngineSettings) -> Kernels:
    return replace(common_kernels(facts, settings), blocks_of_experts=True)


LOADING = Loading(_kernels, COMMON.methods)


def sglang_kernel_refusal(facts: ModelFacts, settings: EngineSettings) -> str:
    """Why no kernel of SGLang takes a rank's share of the model, empty when one does or nothing is known.

    With replicas of attention its modules are shared by fewer ranks than the experts, and nothing is said.
    """
    if attention_replicas(settings) > 1:
        return ""
    return refusal_of_kernels(facts, settings, LOADING)
