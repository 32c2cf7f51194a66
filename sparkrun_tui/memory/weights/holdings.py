"""The modules of a model with how each is stored, worked out once per model, and their bytes on a rank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field, replace

from sparkrun_tui.base.by_identity import ByIdentity
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.memory.settings import EngineSettings
from sparkrun_tui.memory.weights.kernels import Kernels, Loading, bytes_on_rank, kernel_refusal
from sparkrun_tui.models.dtypes import element_bytes
from sparkrun_tui.models.facts import ModelFacts
from sparkrun_tui.models.modules.listing import modules_of
from sparkrun_tui.models.modules.module import Kind, Module, Modules, Split
from sparkrun_tui.models.storage.checkpoint import checkpoint_scheme
from sparkrun_tui.models.storage.scheme import Scheme, format_scheme, load_scheme, plain_scheme
from sparkrun_tui.models.storage.stored import Form, Stored
from sparkrun_tui.models.weight_formats import weight_format

_MOST_SPLITS = 256
"""Different numbers of ranks and choices of kernels whose sums are remembered."""

Held = tuple[tuple[Module, Stored], ...]
"""Modules that differ, each with how it is stored; `copies` counts the equal ones."""


@dataclass(frozen=True, slots=True)
class Sums:
    """Bytes by class: on one rank, on one rank that holds all, and in the checkpoint.

    `body` is what pipeline stages divide: all but the ends, vision and the drafter. `experts` is part of nothing else.
    """

    embedding: float = 0.0
    head: float = 0.0
    experts: float = 0.0
    body: float = 0.0
    vision: float = 0.0
    drafter: float = 0.0

    @property
    def text(self) -> float:
        """The text model."""
        return self.embedding + self.head + self.experts + self.body


@dataclass(frozen=True)
class Holding:
    """A model's modules and their storage.

    `scheme` is where the storage comes from and `parameters` counts the text model, the vision tower and the drafter.
    """

    modules: Modules
    scheme: Scheme
    text: Held
    vision: Held
    drafter: Held
    parameters: tuple[int, int, int]
    known: dict[tuple[Kernels, bool], Sums] = field(default_factory=dict, compare=False, repr=False)
    refusals: dict[Kernels, str] = field(default_factory=dict, compare=False, repr=False)

    def on_rank(self, kernels: Kernels) -> Sums:
        """The bytes that one rank holds after the kernels have repacked them."""
        return self._sums(kernels, False)

    def in_checkpoint(self, kernels: Kernels) -> Sums:
        """The share that a rank would have of the checkpoint's own bytes, without any padding and repacking."""
        return self._sums(kernels, True)

    def refusal(self, kernels: Kernels) -> str:
        """Why no kernel takes a rank's share of a module, empty when one does."""
        found = self.refusals.get(kernels)
        if found is None:
            if len(self.refusals) > _MOST_SPLITS:
                self.refusals.clear()
            reasons = (kernel_refusal(module, stored, kernels) for module, stored in self.text)
            found = next(filter(None, reasons), "")
            self.refusals[kernels] = found
        return found

    def _sums(self, kernels: Kernels, stored_only: bool) -> Sums:
        found = self.known.get((kernels, stored_only))
        if found is None:
            if len(self.known) > _MOST_SPLITS:
                self.known.clear()
            found = self.known[kernels, stored_only] = self._added_up(kernels, stored_only)
        return found

    def _added_up(self, kernels: Kernels, stored_only: bool) -> Sums:
        sums = dict.fromkeys(("embedding", "head", "experts", "body", "vision", "drafter"), 0.0)
        element = self.scheme.element
        held = [(module, stored, _class(module)) for module, stored in self.text]
        held += [(module, stored, "vision") for module, stored in self.vision]
        held += [(module, stored, "drafter") for module, stored in self.drafter]
        for module, stored, name in held:
            if module.made and stored.form is not Form.PLAIN:
                continue
            used = kernels
            if name == "vision" and kernels.whole_vision:
                used = replace(kernels, ranks=1)
            if stored_only:
                sums[name] += _plain_share(module, stored, used)
            else:
                sums[name] += bytes_on_rank(module, stored, used, element)
        return Sums(**sums)


def _class(module: Module) -> str:
    """The sum that a module of the text model belongs to."""
    if module.kind is Kind.EMBEDDING:
        return "embedding"
    if module.kind is Kind.HEAD:
        return "head"
    return "experts" if module.kind is Kind.EXPERTS else "body"


def _plain_share(module: Module, stored: Stored, kernels: Kernels) -> float:
    """A rank's share of a module's bytes in the checkpoint, 0 when the module is only made on loading."""
    if module.made:
        return 0.0
    size = module.copies * stored.size(module.rows, module.columns)
    if module.kind is Kind.EXPERTS and kernels.whole_experts:
        return size / kernels.spread
    if module.split is Split.WHOLE and module.kind is not Kind.EXPERTS:
        return size
    return size / kernels.ranks


_HOLDINGS: ByIdentity[Holding | None] = ByIdentity(128)


def holding_of(facts: ModelFacts, settings: EngineSettings, loading: Loading) -> Holding | None:
    """A model's modules with their storage, None when its architecture or its format is not known."""
    declared = facts.declared.model_dtype if facts.declared else ""
    objects = (facts.config, facts.gguf, facts.layers, facts.mtp, facts.quant, loading)
    values = (declared, facts.dtype, settings.quantization, settings.version)
    return _HOLDINGS.get(objects, values, lambda: _worked_out(facts, settings, loading))


def _worked_out(facts: ModelFacts, settings: EngineSettings, loading: Loading) -> Holding | None:
    modules = modules_of(facts)
    scheme = scheme_of(facts, settings, loading)
    if modules is None or scheme is None:
        return None
    drafts = scheme
    if not scheme.listed and not scheme.exact:
        # Only a word is known: makers of such formats leave the drafter as it was.
        drafts = plain_scheme(facts)
    parameters = tuple(sum(item.elements for item in part) for part in (modules.text, modules.vision, modules.drafter))
    return Holding(
        modules,
        scheme,
        _held(modules.text, scheme),
        _held(modules.vision, scheme),
        _held(modules.drafter, drafts),
        (parameters[0], parameters[1], parameters[2]),
    )


def scheme_of(facts: ModelFacts, settings: EngineSettings, loading: Loading) -> Scheme | None:
    """How the weights are stored: by the recipe's word where it contradicts the checkpoint, else by the checkpoint.

    A plain checkpoint is quantised while it is loaded where `--quantization` says so. None for an unknown format.
    """
    form = weight_format(facts)
    declared = facts.declared.model_dtype if facts.declared else ""
    if facts.quant is None and (form is None or form.plain):
        at_load = None
        if settings.quantization in loading.methods(settings):
            at_load = load_scheme(facts, settings.quantization)
        if at_load is not None:
            return at_load
        if form is not None and element_bytes(facts.dtype) == form.bits / 8:
            return plain_scheme(facts)
    read = checkpoint_scheme(facts)
    if read is not None and (not declared or form is None or form == weight_format(replace(facts, declared=None))):
        return read
    return None if form is None else format_scheme(facts, form)


def _held(modules: Sequence[Module], scheme: Scheme) -> Held:
    """Equal modules joined, each with its storage.

    Modules of different layers are asked for one by one only where the lists tell them apart, and where that is not
    too much to do: a hostile list could make it so.
    """
    by_layer = scheme.numbered and len(modules) * scheme.wildcards <= _MOST_COMPARISONS
    asked: dict[tuple[str, Kind], Stored] = {}
    joined: dict[tuple[object, ...], tuple[Module, Stored, int]] = {}
    for module in modules:
        fixed = module.element or not module.linear
        name = module.name if by_layer else _unnumbered(module.name)
        stored = None if fixed else asked.get((name, module.kind))
        if stored is None:
            stored = scheme.of(module)
            if not fixed:
                asked[name, module.kind] = stored
        same = (
            module.kind,
            module.rows,
            module.columns,
            module.split,
            module.heads,
            module.linear,
            module.made,
            module.name.rpartition(".")[2],
            stored,
        )
        first, _, copies = joined.get(same, (module, stored, 0))
        joined[same] = (first, stored, copies + module.copies)
    return tuple((replace(module, copies=copies), stored) for module, stored, copies in joined.values())


_MOST_COMPARISONS = 200_000


def _unnumbered(name: str) -> str:
    """A name without its layer's number."""
    return _NUMBERS.sub("", name)


_NUMBERS = late_regex(r"[0-9]+")


def refusal_of_kernels(facts: ModelFacts, settings: EngineSettings, loading: Loading) -> str:
    """Why the engine's kernels refuse the model over so many ranks, empty when they take it or nothing is known."""
    holding = holding_of(facts, settings, loading)
    if holding is None or not holding.scheme.exact:
        return ""
    return holding.refusal(model_kernels(holding, facts, settings, loading))


def model_kernels(holding: Holding, facts: ModelFacts, settings: EngineSettings, loading: Loading) -> Kernels:
    """The kernels that an engine uses for a model."""
    chosen = loading.kernels(facts, settings)
    return replace(chosen, gated=holding.modules.gated, at_load=holding.scheme.at_load)
