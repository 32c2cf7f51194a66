"""How many bytes a model's weights take on one rank: from headers, or from its modules and how each is stored."""

from __future__ import annotations

from dataclasses import replace
from math import ceil

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.memory.overheads import Band
from sparkrun_tui.memory.settings import EngineSettings
from sparkrun_tui.memory.weights.holdings import Holding, Sums, holding_of, model_kernels
from sparkrun_tui.memory.weights.kernels import COMMON, Kernels, Loading
from sparkrun_tui.memory.weights.ngram_table import mapped_bytes
from sparkrun_tui.memory.weights.rope import rope_bytes
from sparkrun_tui.models.config.drafters import is_block_drafter
from sparkrun_tui.models.facts import ModelFacts, WeightFacts
from sparkrun_tui.models.modules.module import Kind
from sparkrun_tui.models.parameters import count_parameters
from sparkrun_tui.models.weight_formats import WeightFormat, weight_format, whole_bytes

_REPLICATED = 0.001
"""Share of a checkpoint that every tensor-parallel rank keeps (norms, routers) when there are no headers."""

_SAME_COUNT = 0.015
"""Up to this share two counts of parameters are of the same modules."""


@dataclass(frozen=True, slots=True)
class Weights:
    """Weight bytes: the whole model as loaded, one rank's share, its band, and where the figure comes from.

    `checkpoint` is the part that was read or declared, without what the engine adds on loading.
    """

    whole: int
    rank: int
    low: int
    high: int
    source: str
    checkpoint: int

    @property
    def band(self) -> Band:
        """One rank's share as a band."""
        return Band(self.rank, self.low, self.high, self.source)


def weights_of(facts: ModelFacts, settings: EngineSettings, loading: Loading = COMMON) -> Weights | None:
    """The weights on the rank that holds most, None when their size is unknown.

    Order: the recipe's `model_vram`, headers, then the modules of the architecture with the bits that the
    checkpoint's own lists give each, then a declared or known count of parameters. The engine adds rope tables and
    what its kernels pad and repack (`loading`). What is only mapped from a file does not count.
    """
    found = _counted_weights(facts, settings, loading)
    mapped = mapped_bytes(facts, settings)
    if found is None or not mapped:
        return found
    rank, low, high = (max(0, size - mapped) for size in (found.rank, found.low, found.high))
    whole = max(0, found.whole - mapped * max(1, settings.tensor_parallel))
    return replace(found, whole=whole, rank=rank, low=low, high=high)


def _counted_weights(facts: ModelFacts, settings: EngineSettings, loading: Loading) -> Weights | None:
    """The weights with all that the checkpoint holds."""
    declared = facts.declared
    extra = _draft_model_bytes(facts, settings, loading)
    if declared is not None and declared.model_vram:
        return _spread(facts, settings, WeightFacts(declared.model_vram, "recipe"), 0.0, "recipe", extra)
    extra += rope_bytes(facts)
    holding = holding_of(facts, settings, loading)
    at_load = holding is not None and holding.scheme.at_load
    if facts.weights is not None and not at_load:
        margin = 0.02 if facts.weights.sharded is not None else 0.03
        kernels = None if holding is None else model_kernels(holding, facts, settings, loading)
        return _spread(facts, settings, facts.weights, margin, facts.weights.source, extra, holding, kernels)
    if holding is not None:
        return _from_modules(facts, settings, holding, model_kernels(holding, facts, settings, loading), extra)
    return _from_count(facts, settings, extra)


def _stated(facts: ModelFacts) -> int | None:
    """The parameters that the recipe or the Hub states, or that the headers' bytes of a plain checkpoint make."""
    if facts.declared is not None and facts.declared.params:
        return facts.declared.params
    if facts.params is None and facts.weights is not None:
        return facts.weights.total // facts.element_bytes
    return facts.params


def _from_modules(
    facts: ModelFacts, settings: EngineSettings, holding: Holding, kernels: Kernels, extra: int
) -> Weights:
    """Add up the modules of a rank; the last pipeline stage also holds head, vision tower and drafter.

    A stated number of parameters that is not the architecture's own scales all but the ends. `extra` is what each rank
    adds, in bytes.
    """
    one = replace(kernels, ranks=1, spread=1, whole_experts=False)
    stated = _stated(facts)
    factor = _factor(holding, stated)
    stages = settings.pipeline_parallel
    share = holding.on_rank(kernels)
    ends = share.embedding + share.head if stages == 1 else max(share.embedding, share.head)
    rank = (share.body + share.experts) * factor / stages + ends + _beside(share, settings) + extra
    whole = _loaded(holding.on_rank(one), settings, factor)
    source = "config"
    if facts.declared is not None and facts.declared.params:
        source = "recipe"
    elif stated is not None:
        source = "parameters"
    low, high = _margins(holding, settings)
    loaded = _loaded(holding.in_checkpoint(one), settings, factor)
    rank = round(rank)
    return Weights(round(whole) + extra, rank, int(rank * (1 - low)), int(rank * (1 + high)), source, round(loaded))


def _loaded(sums: Sums, settings: EngineSettings, factor: float) -> float:
    """What is loaded of a model, the vision tower and its own drafter only where they are used."""
    return sums.embedding + sums.head + (sums.body + sums.experts) * factor + _beside(sums, settings)


def _beside(sums: Sums, settings: EngineSettings) -> float:
    """The vision tower and the drafter, where they are loaded."""
    size = 0.0 if settings.text_only else sums.vision
    if uses_own_drafter(settings):
        size += sums.drafter
    return size


def _factor(holding: Holding, stated: int | None) -> float:
    """By how much a stated number of parameters differs from the architecture's own, 1 when it is the same.

    Counts of the Hub cover the vision tower and the drafter, those of recipes often do not.
    """
    text, vision, drafter = holding.parameters
    if stated is None:
        return 1.0
    for beside in (0, vision, drafter, vision + drafter):
        if abs(text + beside - stated) < _SAME_COUNT * stated:
            return 1.0
    ends = sum(module.elements for module, _ in holding.text if module.kind in (Kind.EMBEDDING, Kind.HEAD))
    return max(0, stated - ends) / (text - ends)


def _margins(holding: Holding, settings: EngineSettings) -> tuple[float, float]:
    """How far the weights may lie below and above: little where the checkpoint's lists are known."""
    scheme = holding.scheme
    low, high = 0.01, 0.02
    if not scheme.exact or not scheme.listed:
        low, high = 0.04, 0.08
    if not holding.modules.vision_known and not settings.text_only:
        high += 0.04
    return low, high


def _from_count(facts: ModelFacts, settings: EngineSettings, extra: int) -> Weights | None:
    """Estimate from a number of parameters and the format alone, where the architecture is not known."""
    stated = facts.declared.params if facts.declared else None
    source = "recipe" if stated else "parameters"
    stated = stated or facts.params
    form = weight_format(facts)
    if stated is None or form is None:
        return None
    total = _counted_bytes(facts, stated, form)
    spread = 0.02 if form.plain else 0.08
    found = _spread(facts, settings, WeightFacts(total, "parameters"), spread, source, extra)
    return replace(found, low=int(found.rank * (1 - spread / 2)))


def _counted_bytes(facts: ModelFacts, total: int, form: WeightFormat) -> int:
    """The bytes of some parameters: embedding and head in the model's dtype where their size is known."""
    if not facts.vocab or not facts.hidden:
        return int(total * whole_bytes(form))
    kept = min(total, 2 * facts.vocab * facts.hidden)
    return int(kept * facts.element_bytes + (total - kept) * form.whole_bits / 8)


def _spread(
    facts: ModelFacts,
    settings: EngineSettings,
    weights: WeightFacts,
    margin: float,
    source: str,
    extra: int,
    holding: Holding | None = None,
    kernels: Kernels | None = None,
) -> Weights:
    """Take away what is not loaded, split the rest over the ranks and put a band around it.

    Rank = sharded/tp/stages + replicated/stages + extra; the first and last stage also hold embedding and
    head whole, and expert parallelism spreads experts over the replicas too. `margin` is a share of the result,
    `extra` the bytes that each rank adds. What the kernels add to the checkpoint's bytes follows from the modules;
    `holding` None: nothing is known of them.
    """
    loaded = weights.total
    if not uses_own_drafter(settings):
        loaded -= weights.drafter
    if settings.text_only:
        loaded -= weights.vision
    replicated = weights.replicated if weights.sharded is not None else int(loaded * _REPLICATED)
    vision = 0 if settings.text_only else weights.vision
    sharded = max(0, loaded - replicated - vision)
    ranks, stages = settings.tensor_parallel, settings.pipeline_parallel
    ends = min(sharded, weights.embedding + weights.head)
    experts = min(weights.experts or 0, sharded - ends)
    spread = settings.data_parallel if settings.expert_parallel else 1
    body = ceil((sharded - ends - experts + experts / spread) / stages)
    per_stage = body + (ends if stages == 1 else max(weights.embedding, weights.head))
    added = added_whole = 0
    if holding is not None and kernels is not None:
        one = replace(kernels, ranks=1, spread=1, whole_experts=False)
        share = holding.on_rank(kernels)
        added = round(_difference(share, holding.in_checkpoint(kernels), settings) / stages)
        added_whole = round(_difference(holding.on_rank(one), holding.in_checkpoint(one), settings))
        towers = holding.on_rank(one).vision
        if towers:
            vision = round(vision * share.vision / towers)
    rank = ceil(per_stage / ranks) + ceil(replicated / stages) + vision + extra + added
    whole = loaded + extra + added_whole
    return Weights(whole, rank, int(rank * (1 - margin)), int(rank * (1 + margin)), source, loaded)


def _difference(after: Sums, before: Sums, settings: EngineSettings) -> float:
    """What the kernels add to the text model and the drafter, negative where they drop something."""
    difference = after.text - before.text
    if uses_own_drafter(settings):
        difference += after.drafter - before.drafter
    return difference


def uses_own_drafter(settings: EngineSettings) -> bool:
    """Whether speculation loads the drafter that the checkpoint itself carries."""
    speculative = settings.speculative
    return (
        speculative is not None
        and not speculative.model
        and ("mtp" in speculative.method or speculative.method == "nextn")
    )


def _draft_model_bytes(facts: ModelFacts, settings: EngineSettings, loading: Loading) -> int:
    """The bytes of a separate draft model on one rank, 0 when there is none or nothing is known.

    Of a drafter of blocks the modules are known: its own quantisation counts, not that of the target's command.
    """
    if settings.speculative is None or facts.drafter is None:
        return 0
    drafter = facts.drafter
    if is_block_drafter(drafter.config):
        found = _block_drafter_bytes(drafter, settings, loading)
        if found is not None:
            return found
    if drafter.weights is not None:
        return ceil(drafter.weights.total / settings.tensor_parallel)
    counted = count_parameters(drafter)
    total = drafter.params or (counted.total if counted else 0)
    return ceil(total * drafter.element_bytes / settings.tensor_parallel)


def _block_drafter_bytes(drafter: ModelFacts, settings: EngineSettings, loading: Loading) -> int | None:
    """The bytes of a drafter of blocks on one rank with its rope table, None when its modules are not known.

    Headers give the checkpoint's bytes, and the modules what is added to them on loading.
    """
    own = replace(settings, quantization="")
    holding = holding_of(drafter, own, loading)
    if holding is None:
        return None
    kernels = model_kernels(holding, drafter, own, loading)
    size = holding.on_rank(kernels).text
    headers = drafter.weights
    if headers is not None and headers.sharded is not None:
        size += headers.sharded / kernels.ranks + headers.replicated - holding.in_checkpoint(kernels).text
    return round(size) + rope_bytes(drafter)
