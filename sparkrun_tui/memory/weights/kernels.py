"""What an engine's kernels make of a module on one rank: its share, padded and repacked, in bytes.

The layouts are those of vLLM's kernels; each engine says which of them it uses.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from math import ceil

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.memory.settings import EngineSettings
from sparkrun_tui.models.config.values import word
from sparkrun_tui.models.facts import ModelFacts
from sparkrun_tui.models.modules.module import Kind, Module, Split
from sparkrun_tui.models.storage.stored import Form, Stored

_VOCAB_PAD = 64
"""Rows of embedding and head come in such numbers (layers/vocab_parallel_embedding.py)."""


@dataclass(frozen=True, slots=True)
class Kernels:
    """Which kernels an engine uses for a model, over how many ranks.

    `ranks` share a module, `spread` ranks share the experts as whole ones (1: they share each expert's width).
    `gated` says whether experts have a gate, `at_load` whether the engine quantises a plain checkpoint itself. Of the
    rest each names one rule of `bytes_on_rank`.
    """

    ranks: int = 1
    spread: int = 1
    whole_experts: bool = False
    gated: bool = True
    at_load: bool = False
    packed_scales: bool = False
    packed_expert_scales: bool = False
    flashinfer_experts: bool = False
    pads: bool = False
    padded_mxfp4: bool = False
    drops_zeros: bool = False
    whole_vision: bool = False
    unfolds_latent: bool = False
    blocks_of_experts: bool = False

    @property
    def padded(self) -> bool:
        """Whether widths are padded: kernels of weights that the engine quantised itself do not ask for it."""
        return self.pads and not self.at_load


@dataclass(frozen=True, slots=True)
class Loading:
    """What an engine does with a checkpoint: `kernels` chooses them, `methods` are its values of `--quantization`.

    Whether experts have a gate, and whether a plain checkpoint is quantised, is filled in for each model.
    """

    kernels: Callable[[ModelFacts, EngineSettings], Kernels]
    methods: Callable[[EngineSettings], Collection[str]]


def common_kernels(facts: ModelFacts, settings: EngineSettings) -> Kernels:
    """What engines have in common: how ranks share modules, and the padding of mxfp4 experts."""
    ranks = max(1, settings.tensor_parallel)
    spread = ranks * settings.data_parallel if settings.expert_parallel else 1
    return Kernels(
        ranks,
        spread,
        whole_experts=settings.expert_parallel,
        padded_mxfp4=word(facts.config, "expert_dtype") != "fp4",
    )


COMMON = Loading(common_kernels, lambda settings: ("fp8", "mxfp8", "bitsandbytes"))
"""An engine of which no more is known."""


def bytes_on_rank(module: Module, stored: Stored, kernels: Kernels, element: int) -> float:
    """The bytes of a module on one rank; `element` is the bytes of one element of the model's dtype."""
    rows, columns = share(module, kernels)
    if module.kind is Kind.EXPERTS:
        copies = module.copies / kernels.spread
        return copies * _expert(module, stored, kernels, rows, columns)
    size = _dense(stored, kernels, rows, columns)
    is_latent = module.name.endswith(".kv_b_proj")
    if is_latent and kernels.unfolds_latent and stored.form is not Form.PLAIN:
        # Latent attention keeps an unfolded copy (attention/mla_attention.py process_weights_after_loading).
        size += rows * columns * element
    return module.copies * size


def share(module: Module, kernels: Kernels) -> tuple[int, int]:
    """The rows and columns of a module that one rank holds, before any padding."""
    rows, columns, ranks = module.rows, module.columns, kernels.ranks
    if module.kind in (Kind.EMBEDDING, Kind.HEAD):
        return _up(rows, _VOCAB_PAD) // ranks, columns
    if module.kind is Kind.EXPERTS and kernels.whole_experts:
        return rows, columns
    if module.split is Split.ROWS:
        if module.heads:
            return rows // module.heads * max(1, module.heads // ranks), columns
        return ceil(rows / ranks), columns
    if module.split is Split.COLUMNS:
        return rows, ceil(columns / ranks)
    return rows, columns


def _dense(stored: Stored, kernels: Kernels, rows: int, columns: int) -> float:
    """A dense layer.

    NVFP4: scales of 128 rows and 4 columns, weights in multiples of 32 (quantization/utils/nvfp4_utils.py). Marlin
    drops the zero points of symmetric integers (kernels/linear/mixed_precision/marlin.py).
    """
    if stored.form is Form.NVFP4 and kernels.padded:
        scales = _up(rows, 128) * _up(ceil(columns / stored.group), 4)
        return _up(rows, 32) * _up(columns, 32) / 2 + scales
    if stored.form is Form.FP8_BLOCK and kernels.packed_scales and rows % 64 == 0 and columns % 128 == 0:
        return _packed(rows, columns)
    size = stored.size(rows, columns)
    if stored.droppable and kernels.drops_zeros:
        size -= rows * columns / stored.group * stored.droppable / 8
    return size


def _packed(rows: int, columns: int) -> float:
    """fp8 in blocks with the scales that DeepGEMM packs: four bytes for each row and 512 columns.

    Source: vllm/utils/deep_gemm.py, fp8_utils.py (deepgemm_post_process_fp8_weight_block).
    """
    return rows * columns + 4 * _up(rows, 4) * ceil(columns / 512)


def _expert(module: Module, stored: Stored, kernels: Kernels, rows: int, columns: int) -> float:
    """One expert's matrix with the width that its kernel asks for.

    FlashInfer's CUTLASS wants multiples of 128 (fused_moe: flashinfer_fp4_moe.py, flashinfer_utils.py
    align_moe_weights_for_fi), Marlin of 64 for NVFP4, and for mxfp4 128 and a hidden size of 256 (oracle/mxfp4.py).
    """
    by_rows = module.split is Split.ROWS
    if stored.form is Form.PLAIN and not module.linear:
        # gpt-oss's biases: they are padded with the experts.
        if kernels.padded_mxfp4:
            rows = 2 * _up(rows // 2, 128) if by_rows else _up(rows, 256)
        return stored.size(rows, columns)
    width = rows if by_rows else columns
    other = columns if by_rows else rows
    if stored.form is Form.MXFP4 and kernels.padded_mxfp4:
        width, other = _up(width, 128), _up(other, 256)
    elif stored.form is Form.NVFP4 and kernels.padded:
        if not kernels.flashinfer_experts or not stored.activations:
            width = _up(width, 64)
        elif not kernels.gated:
            width = _up(width, 128)
    elif stored.form is Form.FP8 and kernels.padded and not stored.row_bytes and not kernels.gated:
        width = _up(width, 128 if kernels.flashinfer_experts else 64)
    elif stored.form is Form.FP8_BLOCK and kernels.packed_expert_scales and width % 128 == 0:
        return _packed(width, other) if by_rows else _packed(other, width)
    return stored.size(width, other) if by_rows else stored.size(other, width)


def _up(number: int, step: int) -> int:
    """The next multiple of `step`."""
    return -(-number // step) * step


def kernel_refusal(module: Module, stored: Stored, kernels: Kernels) -> str:
    """Why no kernel takes a module's share on one rank, empty when one does.

    A group of weights with a common scale must lie on one rank (layers/quantization/auto_awq.py, auto_gptq.py,
    compressed_tensors, fp8_utils.py validate_fp8_block_shape). FlashInfer's NVFP4 experts with a gate need gate and up
    projection together in multiples of 128 rows (flashinfer_fp4_moe.py). Where an engine takes only whole blocks of
    experts (`blocks_of_experts`), the width of an expert on a rank is a multiple of the block.
    """
    rows, columns = share(module, kernels)
    if module.kind is Kind.EXPERTS:
        computes = stored.form is Form.NVFP4 and stored.activations and kernels.flashinfer_experts
        if computes and kernels.gated and module.split is Split.ROWS and 2 * rows % 128:
            return (
                f"FlashInfer's NVFP4 experts need 2 x width in multiples of 128, and a rank has 2 x {rows:,}; "
                "use other ranks or --moe-backend marlin"
            )
        width = rows if module.split is Split.ROWS else columns
        if kernels.blocks_of_experts and stored.form is Form.FP8_BLOCK and stored.block and width % stored.block:
            return f"fp8 blocks of {stored.block} do not divide the width {width:,} that a rank has of the experts"
        return ""
    if module.split is not Split.COLUMNS or kernels.ranks == 1:
        return ""
    group = stored.block
    if stored.form is Form.INTEGER:
        group = stored.group
    if group and columns % group:
        name = module.name.partition(".")[2].lstrip("0123456789.")
        return f"quantisation groups of {group} do not divide the {columns:,} inputs that a rank has of {name}"
    return ""
