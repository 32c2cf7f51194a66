"""Answers how a checkpoint stores the weights of a module, by the module's name and the checkpoint's own lists."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.models.config.values import word
from sparkrun_tui.models.facts import ModelFacts
from sparkrun_tui.models.modules.module import Kind, Module
from sparkrun_tui.models.storage.names import names_of
from sparkrun_tui.models.storage.stored import (
    FP8,
    FP8_BLOCKS,
    FP8_ROWS,
    INT8_ROWS,
    MXFP4,
    MXFP8,
    NVFP4,
    NVFP4_WEIGHTS,
    Stored,
    other,
    plain,
)
from sparkrun_tui.models.weight_formats import WeightFormat

ALGORITHMS: Mapping[str, Stored] = {
    "fp8": FP8,
    "fp8_per_channel_per_token": FP8_ROWS,
    "fp8_pb_wo": FP8_BLOCKS,
    "fp8_pb_real": FP8_BLOCKS,
    "nvfp4": NVFP4,
    "nvfp4_awq": NVFP4,
    "w4a16_nvfp4": NVFP4_WEIGHTS,
    "w4a8_nvfp4_fp8": NVFP4,
    "mxfp8": MXFP8,
    "mxfp4": MXFP4,
    "w4a8_mxfp4_fp8": MXFP4,
}
"""ModelOpt's `quant_algo` in lower case (vllm/model_executor/layers/quantization/modelopt.py)."""

Choice = Callable[[Module, Sequence[str]], Stored | None]
"""How a module is stored, by it and its names; None: as it was."""


@dataclass(frozen=True)
class Scheme:
    """How a checkpoint stores its modules.

    `listed` says whether it has lists that decide for single modules, `exact` whether all of them were understood,
    `numbered` whether they tell equal modules of different layers apart, `wildcards` how many each is compared with.
    `at_load` marks a plain checkpoint that the engine quantises while it loads it.
    """

    choose: Choice
    element: int = 2
    listed: bool = True
    exact: bool = True
    numbered: bool = False
    wildcards: int = 0
    at_load: bool = False

    def of(self, module: Module) -> Stored:
        """How a module is stored; embeddings, norms and the like are never quantised."""
        if module.element or not module.linear:
            return plain(module.element or self.element)
        found = self.choose(module, names_of(module))
        return plain(self.element) if found is None else found


def plain_scheme(facts: ModelFacts) -> Scheme:
    """A checkpoint that is not quantised."""
    return Scheme(everything(None), facts.element_bytes)


def format_scheme(facts: ModelFacts, form: WeightFormat) -> Scheme:
    """What a format's word says, without any list: usual bits for attention, feed-forward and ends."""
    mixing = form.mixing_bits_of_experts if facts.experts else form.mixing_bits
    exact = ALGORITHMS.get(form.name)

    def choose(module: Module, names: Sequence[str]) -> Stored | None:
        if form.plain:
            return other(form.bits)
        if module.kind in (Kind.VISION, Kind.ROUTER, Kind.SMALL):
            return None
        if module.kind is Kind.HEAD:
            return other(form.bits) if form.quantises_ends else None
        if module.kind in (Kind.ATTENTION, Kind.RECURRENCE):
            return other(mixing) if mixing else None
        if module.kind is Kind.EXPERTS and word(facts.config, "expert_dtype") == "fp4":
            return MXFP4
        if exact is not None and exact.size(8, 128) == 128 * form.bits:
            return exact
        return other(form.bits)

    return Scheme(choose, facts.element_bytes, listed=False, exact=False)


_AT_LOAD: Mapping[str, Stored] = {
    "fp8": FP8,
    "fp8_per_tensor": FP8,
    "fp8_per_channel": FP8_ROWS,
    "fp8_per_block": FP8_BLOCKS,
    "mxfp8": MXFP8,
    "bitsandbytes": other(4.127),
}
"""Values of `--quantization` that convert every linear layer of a plain checkpoint while it is loaded."""

_EXPERTS_AT_LOAD: Mapping[str, Stored] = {"int8_per_channel_weight_only": INT8_ROWS}
"""Those that convert routed experts only."""


def load_scheme(facts: ModelFacts, quantization: str) -> Scheme | None:
    """What `--quantization` makes of a plain checkpoint, None for a value that converts nothing.

    Embedding and head stay as they are. `nvfp4_per_token` changes no dense model. Source: vllm/config/quantization.py,
    vllm/model_executor/layers/quantization/online/.
    """
    if quantization in _AT_LOAD:
        return Scheme(everything(_AT_LOAD[quantization]), facts.element_bytes, at_load=True)
    if quantization in _EXPERTS_AT_LOAD:
        return Scheme(experts_only(_EXPERTS_AT_LOAD[quantization]), facts.element_bytes, at_load=True)
    return None


def everything(stored: Stored | None) -> Choice:
    """All linear layers but the head, which methods leave alone unless they name it; None: no layer is quantised."""
    return lambda module, names: None if module.kind is Kind.HEAD else stored


def experts_only(stored: Stored) -> Choice:
    """Routed experts, nothing else."""
    return lambda module, names: stored if module.kind is Kind.EXPERTS else None
