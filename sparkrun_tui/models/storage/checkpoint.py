"""Reads from a checkpoint's quantisation block how it stores each module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sparkrun_tui.models.config.values import Config, flag, fraction, mapping, positive, sequence, word
from sparkrun_tui.models.facts import ModelFacts
from sparkrun_tui.models.modules.module import Kind, Module
from sparkrun_tui.models.storage.names import NameList
from sparkrun_tui.models.storage.scheme import ALGORITHMS, Choice, Scheme, everything, experts_only
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
    integers,
    other,
)

_LISTS = ("ignore", "modules_to_not_convert", "exclude_modules", "ignored_layers")
_FP8_LISTS = ("ignored_layers", "modules_to_not_convert")
"""Where methods look for their exceptions; that of `fp8` reads two of them."""


def checkpoint_scheme(facts: ModelFacts) -> Scheme | None:
    """What the checkpoint's quantisation block says of each module, None when there is none or it is not known.

    Source: vllm/model_executor/layers/quantization/ (compressed_tensors, modelopt.py, fp8.py, auto_awq.py,
    auto_gptq.py, inc.py, mxfp4.py), each by its `get_quant_method`.
    """
    if facts.quant is None:
        return None
    block = facts.quant.block
    method = word(block, "quant_method").lower() or facts.quant.method
    if not block:
        return None
    keys = _FP8_LISTS if method == "fp8" else _LISTS
    kept = NameList([item for key in keys for item in sequence(block, key) or ()], inside=method == "awq")
    if _is_cut(facts, block, method):
        return None
    choose, others = _choice(facts, block, method)
    if choose is None:
        return None

    def decide(module: Module, names: Sequence[str]) -> Stored | None:
        if kept.has(names):
            return None
        return choose(module, names)

    known = not kept.unread and not any(names.unread for names in others)
    numbered = kept.numbered or any(names.numbered for names in others)
    wildcards = sum(names.wildcards for names in (kept, *others))
    listed = bool(kept or others)
    return Scheme(decide, facts.element_bytes, listed=listed, exact=known, numbered=numbered, wildcards=wildcards)


def _is_cut(facts: ModelFacts, block: Config, method: str) -> bool:
    """Whether a block has lost the lists that its makers always write, so that it says nothing of single modules."""
    if any(key in block for key in (*_LISTS, "quantized_layers", "layer_formats")):
        return False
    if method == "compressed-tensors" or method.startswith("modelopt"):
        return True
    return method.startswith("auto") and bool(facts.experts) and "extra_config" not in block


def _choice(facts: ModelFacts, block: Config, method: str) -> tuple[Choice | None, list[NameList]]:
    """How a method stores the modules that no list of exceptions names, and the lists that it has itself."""
    if method in ("awq", "gptq", "auto-round", "auto_round", "inc", "intel/auto-round"):
        return _integer_choice(block, method)
    if method == "mxfp4" or method == "gpt_oss_mxfp4":
        return experts_only(MXFP4), []
    if method == "fp8":
        return _with_formats(block, _fp8_choice(facts, block))
    if method == "fbgemm_fp8":
        return everything(FP8_ROWS), []
    mixed = _mixed(block)
    if mixed is not None:
        return mixed
    if method.startswith("modelopt"):
        stored = ALGORITHMS.get(word(block, "quant_algo").lower())
        if stored is not None:
            return everything(stored), []
    if mapping(block, "config_groups"):
        return _grouped(block)
    stored = ALGORITHMS.get(method.removeprefix("modelopt_"))
    if stored is None and facts.quant is not None and facts.quant.bits is not None:
        stored = other(facts.quant.bits)
    return (None if stored is None else everything(stored)), []


def _fp8_choice(facts: ModelFacts, block: Config) -> Choice:
    """fp8 in blocks or per tensor; DeepSeek-V4's experts are mxfp4."""
    stored = FP8_BLOCKS if sequence(block, "weight_block_size") else FP8
    four_bits = word(facts.config, "expert_dtype") == "fp4"

    def choose(module: Module, names: Sequence[str]) -> Stored | None:
        if module.kind is Kind.HEAD:
            return None
        return MXFP4 if four_bits and module.kind is Kind.EXPERTS else stored

    return choose


def _integer_choice(block: Config, method: str) -> tuple[Choice | None, list[NameList]]:
    """AWQ, GPTQ and AutoRound: one width, and single modules with another or none.

    AWQ has zero points. GPTQ's are all the same where it is symmetric; Marlin drops them from dense layers
    (vllm/model_executor/kernels/linear/mixed_precision/marlin.py).
    """
    bits = fraction(block, "bits", most=16)
    if bits is None:
        return None, []
    group = positive(block, "group_size")
    symmetric = method != "awq" and flag(block, "sym", True)
    usual = integers(bits, group, zeros=True, droppable=symmetric)
    own = _own_settings(block, usual, group, symmetric)
    blocks = NameList(_block_names(block))
    head = flag(block, "lm_head")

    def others(module: Module, names: Sequence[str]) -> Stored | None:
        if module.kind is Kind.HEAD:
            return usual if head else None
        if blocks and not blocks.has(names):
            return None
        return usual

    return _by_lists(own, others)


def _by_lists(own: Sequence[tuple[NameList, Stored | None]], others: Choice) -> tuple[Choice, list[NameList]]:
    """Store a module as the first list says that names it, and `others` where none does; with the lists."""

    def choose(module: Module, names: Sequence[str]) -> Stored | None:
        for listed, stored in own:
            if listed.has(names):
                return stored
        return others(module, names)

    return choose, [listed for listed, _ in own]


def _own_settings(
    block: Config, usual: Stored, group: int | None, symmetric: bool
) -> list[tuple[NameList, Stored | None]]:
    """The modules with settings of their own, in their order: AutoRound's names, or GPTQ's regular expressions.

    GPTQ's are marked `-:` where a module is not quantised. Neighbours with the same settings share a list.
    """
    dynamic = mapping(block, "dynamic")
    joined: list[tuple[list[object], Stored | None]] = []
    for name, entry in mapping(block, "extra_config", "dynamic").items():
        settings = entry if isinstance(entry, Mapping) else {}
        width = fraction(settings, "bits", most=64)
        stored: Stored | None = usual
        if width is not None:
            stored = integers(width, positive(settings, "group_size") or group, True, symmetric)
        if name.startswith("-:") or (width is not None and width >= 16):
            stored = None
        pattern = name
        if dynamic:
            pattern = "re:" + name.removeprefix("+:").removeprefix("-:")
        if joined and joined[-1][1] == stored:
            joined[-1][0].append(pattern)
        elif len(joined) >= _MOST_SETTINGS:
            break
        else:
            joined.append(([pattern], stored))
    return [(NameList(names), stored) for names, stored in joined]


_MOST_SETTINGS = 64
"""Different settings of single modules that are read."""


def _block_names(block: Config) -> list[object]:
    """AutoRound's names of what it quantises at all, a list or one word with commas."""
    named = word(block, "block_name_to_quantize")
    if named and not named.startswith("["):
        return [part.strip() for part in named.split(",")]
    return sequence(block, "block_name_to_quantize") or []


def _mixed(block: Config) -> tuple[Choice, list[NameList]] | None:
    """ModelOpt's mixed precision: each module by its name, or a digest's patterns for each format."""
    by_format: dict[str, list[object]] = {}
    for name, entry in mapping(block, "quantized_layers").items():
        if isinstance(entry, Mapping):
            by_format.setdefault(word(entry, "quant_algo").lower(), []).append(name)
    for algorithm, patterns in mapping(block, "layer_formats").items():
        if isinstance(patterns, Sequence) and not isinstance(patterns, str):
            by_format.setdefault(str(algorithm).lower(), []).extend(patterns)
    if not by_format:
        return None
    own = [(NameList(names), ALGORITHMS.get(algorithm)) for algorithm, names in by_format.items()]
    return _by_lists(own, everything(None))


def _with_formats(block: Config, usual: Choice) -> tuple[Choice, list[NameList]]:
    """Formats of single modules before the usual one (NVFP4 experts in a checkpoint of fp8 blocks)."""
    mixed = _mixed(block)
    if mixed is None:
        return usual, []
    own, listed = mixed

    def choose(module: Module, names: Sequence[str]) -> Stored | None:
        return own(module, names) or usual(module, names)

    return choose, listed


def _grouped(block: Config) -> tuple[Choice | None, list[NameList]]:
    """compressed-tensors: groups of layers, by the kind `Linear` or by names; a name wins over the kind.

    Source: compressed_tensors/utils.py (find_matched_target).
    """
    own: list[tuple[NameList, Stored]] = []
    usual: Stored | None = None
    for group in mapping(block, "config_groups").values():
        if not isinstance(group, Mapping):
            continue
        stored = _of_group(group, block)
        if stored is None:
            return None, []
        targets = [str(item) for item in sequence(group, "targets") or ()]
        named = [target for target in targets if target != "Linear"]
        if named:
            own.append((NameList(named), stored))
        if not named or "Linear" in targets:
            usual = stored if usual is None or stored.bits < usual.bits else usual
    if usual is None and not own:
        return None, []
    return _by_lists(own, everything(usual))


def _of_group(group: Config, block: Config) -> Stored | None:
    """How a group of compressed-tensors (or ModelOpt) is stored."""
    weights = mapping(group, "weights")
    bits = positive(weights, "num_bits")
    strategy, size = word(weights, "strategy"), positive(weights, "group_size")
    layout = word(group, "format") or word(block, "format")
    # Files of weights alone say so with an empty entry; a digest of older making has none.
    computed = "input_activations" not in group or bool(mapping(group, "input_activations"))
    if bits is None:
        return None
    if word(weights, "type") == "float":
        if bits == 4:
            if "mxfp4" in layout or size == 32:
                return MXFP4
            return NVFP4 if computed else NVFP4_WEIGHTS
        if bits != 8:
            return other(bits)
        if size == 32 or "mxfp8" in layout:
            return MXFP8
        if strategy == "block":
            return FP8_BLOCKS
        return FP8_ROWS if strategy == "channel" else FP8
    if computed and bits == 8 and layout != "pack-quantized":
        return INT8_ROWS
    return integers(bits, size, zeros=not flag(weights, "symmetric", True))
