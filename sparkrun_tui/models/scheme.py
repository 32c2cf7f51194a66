"""Answers how a checkpoint stores the weights of a module, by the module's name and the checkpoint's own lists."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sparkrun_tui.base.numbers import whole
from sparkrun_tui.base.wildcards import globs_of, like_glob
from sparkrun_tui.models.config.values import Config, flag, fraction, mapping, positive, sequence, word
from sparkrun_tui.models.dtypes import element_bytes
from sparkrun_tui.models.facts import ModelFacts
from sparkrun_tui.models.modules.module import Kind, Module
from sparkrun_tui.models.stored import (
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
    plain,
)
from sparkrun_tui.models.weight_formats import WeightFormat

_MOST_NAMES = 20_000
"""Entries of a list that are read; the longest published ones name each module of each layer."""

_MOST_WILDCARDS = 256
"""Wildcards that each module is compared with."""

_LISTS = ("ignore", "modules_to_not_convert", "exclude_modules", "ignored_layers")
_FP8_LISTS = ("ignored_layers", "modules_to_not_convert")
"""Where methods look for their exceptions; that of `fp8` reads two of them."""

_WHOLE_LAYERS = re.compile(r"layers\.[*.]+")
"""What becomes of an entry for one layer when its number is replaced: a digest of older making says all layers."""

_ALGORITHMS: Mapping[str, Stored] = {
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

_PLACES = (
    "model.language_model.model.",
    "model.language_model.",
    "language_model.model.",
    "language_model.",
    "backbone.",
    "model.",
)
"""What makers write before the part of a name that all have in common."""

_FULL = "model.language_model."
"""The place that is tried for entries which name the place itself."""


def names_of(module: Module) -> tuple[str, ...]:
    """The names under which checkpoints list a module.

    Routed experts are listed together or by number, and without their matrices.
    """
    found = [module.name]
    if module.kind is Kind.EXPERTS:
        found.append(module.name.partition(".experts.")[0] + ".experts")
    return (*found, *(_FULL + name for name in found))


def _bare(entry: str) -> str:
    """An entry without the words that its maker writes before a module's name."""
    for place in _PLACES:
        if entry.startswith(place):
            return entry.removeprefix(place)
    return entry


class NameList:
    """A list of module names, wildcards and regular expressions (`re:` before them).

    A plain entry matches a module and what lies inside of it: `gate` is `mlp.gate` but not `mlp.gate_proj`. With
    `inside` any part of a name is enough (AWQ, `is_layer_skipped` with `skip_with_substr` in
    vllm/model_executor/layers/quantization/utils/quant_utils.py). `unread` says that entries are not understood,
    `numbered` that some hold for single layers only.
    """

    def __init__(self, entries: Sequence[object], *, inside: bool = False) -> None:
        self._plain: set[str] = set()
        self._numbered: set[str] = set()
        self._globs: dict[str, None] = {}
        self._inside = inside
        self._answers: dict[str, bool] = {}
        self.unread = len(entries) > _MOST_NAMES
        self.numbered = False
        for entry in entries[:_MOST_NAMES]:
            if isinstance(entry, str) and entry:
                self._add(entry)
        if len(self._globs) > _MOST_WILDCARDS:
            self.unread = True
            self._globs = dict.fromkeys(list(self._globs)[:_MOST_WILDCARDS])

    @property
    def wildcards(self) -> int:
        """How many wildcards each name is compared with."""
        return len(self._globs)

    def _add(self, entry: str) -> None:
        """Take one entry up."""
        if _WHOLE_LAYERS.fullmatch(_bare(entry)):
            self.unread = True
            return
        self.numbered = self.numbered or _LAYER_NUMBER.search(entry) is not None
        if "{" in entry and not entry.startswith("re:"):
            for name in spelled_out(entry):
                self._add(name)
            return
        if entry.startswith("re:"):
            globs = globs_of(entry.removeprefix("re:"))
            if globs is None:
                self.unread = True
            for glob in globs or ():
                self._globs.update(dict.fromkeys((glob, _bare(glob))))
        elif self._inside:
            self._globs.update(dict.fromkeys((f"*{entry}*", f"*{_bare(entry)}*")))
        elif "*" in entry:
            for glob in (entry, _bare(entry)):
                self._globs.update(dict.fromkeys((glob, f"{glob}.*")))
        else:
            name = _bare(entry).rstrip(".")
            (self._numbered if _LAYER_NUMBER.search(name) else self._plain).add(name)

    def __bool__(self) -> bool:
        return bool(self._plain or self._numbered or self._globs)

    def has(self, names: Sequence[str]) -> bool:
        """Whether the list holds one of a module's names."""
        if self._inside:
            # Experts are asked for together, so that `gate` does not mean their gate projections.
            names = names[1::2] if len(names) > 2 else names
        own = names[:-1] if len(names) == 2 else names[:2]
        if self._numbered and any(part in self._numbered for name in own for part in _beginnings(name)):
            return True
        if self._plain and self._has_plain(own[0]):
            return True
        return any(like_glob(glob, name) for name in names for glob in self._globs)

    def _has_plain(self, name: str) -> bool:
        """Whether an entry without a number is a part of a name; the same for all layers."""
        words = [word for word in name.split(".") if not word.isdigit()]
        key = ".".join(words)
        found = self._answers.get(key)
        if found is None:
            found = any(part in self._plain for part in _runs(words))
            self._answers[key] = found
        return found


def _beginnings(name: str) -> list[str]:
    """A name and what it lies inside of."""
    words = name.split(".")
    return [".".join(words[:end]) for end in range(len(words), 0, -1)]


def _runs(words: Sequence[str]) -> list[str]:
    """The runs of whole words of a name."""
    return [".".join(words[i:j]) for i in range(len(words)) for j in range(i + 1, len(words) + 1)]


def spelled_out(entry: str) -> list[str]:
    """The names that an entry with ranges of numbers stands for (`layers.{0,3-5}.mlp`), as digests write them."""
    before, _, rest = entry.partition("{")
    inside, closed, after = rest.partition("}")
    numbers: list[int] = []
    for part in inside.split(",") if closed else []:
        first, _, last = part.partition("-")
        begin = whole(first, most=_MOST_NUMBER)
        end = whole(last or first, most=_MOST_NUMBER)
        if begin is None or end is None:
            return []
        numbers += range(begin, end + 1)
    return [f"{before}{number}{after}" for number in numbers[:_MOST_NUMBER] if "{" not in after]


_MOST_NUMBER = 1024
"""More than the number of any layer or expert."""

_LAYER_NUMBER = re.compile(r"[0-9]")


Choice = Callable[[Module, Sequence[str]], Stored | None]
"""How a module is stored, by it and its names; None: as it was."""


@dataclass(frozen=True)
class Scheme:
    """How a checkpoint stores its modules.

    `listed` says whether it has lists that decide for single modules, `exact` whether all of them were understood,
    `numbered` whether they tell equal modules of different layers apart, `wildcards` how many each is compared with.
    `at_load` marks a plain checkpoint that the
    engine quantises while it loads it.
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
    return Scheme(lambda module, names: None, element_bytes(facts.dtype) or 2)


def format_scheme(facts: ModelFacts, form: WeightFormat) -> Scheme:
    """What a format's word says, without any list: usual bits for attention, feed-forward and ends."""
    element = element_bytes(facts.dtype) or 2
    mixing = form.mixing_bits_of_experts if facts.experts else form.mixing_bits
    exact = _ALGORITHMS.get(form.name)

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

    return Scheme(choose, element, listed=False, exact=False)


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


def load_scheme(facts: ModelFacts, quantization: str, *, bitsandbytes: bool) -> Scheme | None:
    """What `--quantization` makes of a plain checkpoint, None for a value that converts nothing.

    Embedding and head stay as they are. `nvfp4_per_token` changes no dense model. `bitsandbytes` says whether the
    engine knows that method (vLLM before 0.32, SGLang). Source: vllm/config/quantization.py,
    vllm/model_executor/layers/quantization/online/.
    """
    element = element_bytes(facts.dtype) or 2
    if quantization == "bitsandbytes" and not bitsandbytes:
        return None
    if quantization in _AT_LOAD:
        return Scheme(_everything(_AT_LOAD[quantization]), element, at_load=True)
    if quantization in _EXPERTS_AT_LOAD:
        return Scheme(_experts_only(_EXPERTS_AT_LOAD[quantization]), element, at_load=True)
    return None


def checkpoint_scheme(facts: ModelFacts) -> Scheme | None:
    """What the checkpoint's quantisation block says of each module, None when there is none or it is not known.

    Source: vllm/model_executor/layers/quantization/ (compressed_tensors, modelopt.py, fp8.py, auto_awq.py,
    auto_gptq.py, inc.py, mxfp4.py), each by its `get_quant_method`.
    """
    if facts.quant is None:
        return None
    block = facts.quant.block
    method = word(block, "quant_method").lower() or facts.quant.method
    element = element_bytes(facts.dtype) or 2
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
    return Scheme(decide, element, listed=listed, exact=known, numbered=numbered, wildcards=wildcards)


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
        return _experts_only(MXFP4), []
    if method == "fp8":
        return _with_formats(block, _fp8_choice(facts, block))
    if method == "fbgemm_fp8":
        return _everything(FP8_ROWS), []
    mixed = _mixed(block)
    if mixed is not None:
        return mixed
    if method.startswith("modelopt"):
        stored = _ALGORITHMS.get(word(block, "quant_algo").lower())
        if stored is not None:
            return _everything(stored), []
    if mapping(block, "config_groups"):
        return _grouped(block)
    stored = _ALGORITHMS.get(method.removeprefix("modelopt_"))
    if stored is None and facts.quant is not None and facts.quant.bits is not None:
        stored = other(facts.quant.bits)
    return (None if stored is None else _everything(stored)), []


def _everything(stored: Stored) -> Choice:
    """All linear layers but the head, which methods leave alone unless they name it."""
    return lambda module, names: None if module.kind is Kind.HEAD else stored


def _experts_only(stored: Stored) -> Choice:
    """Routed experts, nothing else."""
    return lambda module, names: stored if module.kind is Kind.EXPERTS else None


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

    def choose(module: Module, names: Sequence[str]) -> Stored | None:
        for listed, stored in own:
            if listed.has(names):
                return stored
        if module.kind is Kind.HEAD:
            return usual if head else None
        if blocks and not blocks.has(names):
            return None
        return usual

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
        elif len(joined) < _MOST_SETTINGS:
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
    own = [(NameList(names), _ALGORITHMS.get(algorithm)) for algorithm, names in by_format.items()]

    def choose(module: Module, names: Sequence[str]) -> Stored | None:
        for listed, stored in own:
            if listed.has(names):
                return stored
        return None

    return choose, [listed for listed, _ in own]


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

    def choose(module: Module, names: Sequence[str]) -> Stored | None:
        for listed, stored in own:
            if listed.has(names):
                return stored
        return None if module.kind is Kind.HEAD else usual

    return choose, [listed for listed, _ in own]


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
