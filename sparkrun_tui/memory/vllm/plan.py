"""vLLM's plan of the KV cache: groups, blocks per request, and what a pool of some bytes holds."""

from __future__ import annotations

from dataclasses import replace
from math import ceil

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.memory.settings import EngineSettings
from sparkrun_tui.memory.vllm.cache_types import ignored_note, type_refusal
from sparkrun_tui.memory.vllm.devices import SPARK, Device, batch_defaults
from sparkrun_tui.memory.vllm.drafting import FEW_LAYERS, NO_DRAFTER, Drafts, block_method, block_queries, drafts_of
from sparkrun_tui.memory.vllm.groups import CannotGroup, Grouping, Placed, group_layers
from sparkrun_tui.memory.vllm.kernels import vllm_kernel_refusal
from sparkrun_tui.memory.vllm.layers import Builder, CachePlan, Unsupported
from sparkrun_tui.memory.vllm.spec import Spec, SpecKind
from sparkrun_tui.memory.vllm.versions import VllmRules, rules_for
from sparkrun_tui.models.config.families import DORY, INDEXED, STEP5
from sparkrun_tui.models.config.values import flag, mapping
from sparkrun_tui.models.facts import ModelFacts
from sparkrun_tui.models.layers import AttentionKind, Layer, kinds

_SYNCHRONOUS = ("suffix", "medusa")
"""Speculative methods that switch asynchronous scheduling off in every version (vllm/config/vllm.py)."""

_WINDOWS = frozenset({SpecKind.WINDOW, SpecKind.WINDOW_MLA})

_INDEXED_DTYPES = ("", "auto", "bfloat16", "fp8", "fp8_e4m3")
"""The caches that Qwen4-Exp's attention reads (vllm/models/qwen4_exp/nvidia/qsa.py)."""


@dataclass(frozen=True, slots=True)
class VllmPlan:
    """What vLLM plans for one replica: groups, bytes per block of each pipeline stage, in-flight tokens.

    `block` is the attention block in tokens, `state_bytes` one recurrent state of one layer before
    padding, `states_per_request` all of a request's states (bytes of real state on the first rank).
    """

    grouping: Grouping
    stage_bytes: tuple[int, ...]
    in_flight: int
    batched_tokens: int
    sequences: int
    block: int
    cache_dtype: str
    state_bytes: int
    state_layers: int
    state_blocks: int
    context_parallel: int
    rules: VllmRules
    notes: tuple[str, ...] = ()
    unknown_drafter: bool = False
    """Whether a draft model of several layers is there of which nothing is known: its cache may be of any size."""
    few_layers: bool = False
    """Whether an EAGLE drafter is there of which nothing is known: it has one layer or a few."""
    short_windows: bool = False
    """Whether a drafter's windows lie in short blocks beside longer ones because of the backend it is assumed to have.

    Each such block then weighs as much as one of the model's (GLM-5.3-Flash).
    """

    @property
    def bytes_per_block(self) -> int:
        """Bytes of one block on the stage that needs most."""
        return max(self.stage_bytes, default=0)

    def blocks_per_request(self, length: int) -> int:
        """The blocks that one request of `length` tokens takes, over all groups."""
        return sum(self._group_blocks(group.spec, length) for group in self.grouping.groups)

    def _group_blocks(self, spec: Spec, length: int) -> int:
        """One group's blocks; context parallelism divides the tokens of full attention."""
        shared_out = spec.kind in (SpecKind.FULL, SpecKind.MLA) and not spec.whole
        if self.context_parallel > 1 and shared_out:
            length = -(-length // self.context_parallel)
        return spec.blocks(length, self.in_flight)

    def request_bytes(self, length: int) -> int:
        """The bytes that one request of `length` tokens takes on the stage that needs most."""
        return self.blocks_per_request(length) * self.bytes_per_block

    def usable(self, available: int, stage_bytes: int) -> int:
        """What the check may use of `available` bytes: all but one block that is held back."""
        return available - stage_bytes if self.rules.null_block else available

    def fits(self, available: int, length: int) -> bool:
        """Whether one request of `length` tokens passes vLLM's own check on every stage."""
        blocks = self.blocks_per_request(length)
        return all(
            blocks * size <= self.usable(available, size) and self.usable(available, size) > 0
            for size in self.stage_bytes
            if size
        )

    def needed(self, length: int) -> int:
        """The smallest pool in bytes on which a request of `length` passes the check."""
        blocks = self.blocks_per_request(length) + int(self.rules.null_block)
        return max(blocks * self.bytes_per_block, 1)

    def longest(self, available: int, ceiling: int) -> int:
        """The longest request up to `ceiling` tokens that fits, 0 when not even one token does.

        A binary search over whole blocks, as the engine's own
        (vllm/v1/core/kv_cache_planning.py _estimate_max_model_len_from_groups).
        """
        if ceiling < 1 or not self.fits(available, 1):
            return 0
        low, high = 1, ceiling
        while low < high:
            middle = (low + high + 1) // 2
            if self.fits(available, middle):
                low = middle
            else:
                high = middle - 1
        return low

    def num_blocks(self, available: int) -> int:
        """The blocks of the shared pool: the smallest number over all stages."""
        return min((max(available, 0) // size for size in self.stage_bytes if size), default=0)

    def concurrency(self, available: int, length: int) -> float:
        """How many requests of `length` tokens the pool holds at once."""
        blocks = self.blocks_per_request(length)
        return self.num_blocks(available) / blocks if blocks else 0.0

    def pool_tokens(self, available: int, length: int) -> int:
        """The cache size in tokens as the engine prints it for requests of `length` tokens.

        Concurrency times length; older versions print the slots of one group. Source:
        vllm/v1/core/kv_cache_utils.py (_report_kv_cache_config).
        """
        if self.rules.prints_slots:
            groups = max(1, len(self.grouping.groups))
            return self.num_blocks(available) // groups * self.block * self.context_parallel
        blocks = self.blocks_per_request(length)
        return int(self.num_blocks(available) / blocks * length) if blocks else 0


def refusal(facts: ModelFacts, settings: EngineSettings, device: Device = SPARK) -> str:
    """Why the engine cannot split the model over the given ranks, or has no kernel for a rank's share, else empty.

    Source: vllm/config/model.py (verify_with_parallel_config), mamba_mixer2.py, dory.py.
    """
    ranks = settings.tensor_parallel
    if facts.model_type == DORY and settings.ranks > 1:
        return "the model runs on one GPU only"
    refused = _indexed_refusal(facts, settings) or vllm_kernel_refusal(facts, settings, device)
    if refused or ranks == 1:
        return refused
    found = _indivisible(facts, ranks)
    if found:
        return found
    if facts.drafter is not None:
        found = _indivisible(facts.drafter, ranks)
        if found:
            return f"the draft model's {found}"
    return ""


def _indexed_refusal(facts: ModelFacts, settings: EngineSettings) -> str:
    """What vLLM's Qwen4-Exp does not run with, empty for other families.

    Source: vllm/models/qwen4_exp/nvidia/qsa.py, vllm/model_executor/models/config.py
    (Qwen4ExpForConditionalGenerationConfig).
    """
    if facts.model_type not in INDEXED:
        return ""
    if settings.pipeline_parallel > 1 and any(layer.beside is not None for layer in kinds(facts.layers)):
        return "the model's n-gram embeddings do not run with pipeline parallelism"
    if not _has_index(facts):
        return ""
    if settings.context_parallel > 1:
        return "the model's sparse attention does not run with context parallelism"
    if settings.kv_cache_dtype not in _INDEXED_DTYPES:
        return f"the model's sparse attention has no kernel for a KV cache of {settings.kv_cache_dtype}"
    return ""


def _has_index(facts: ModelFacts) -> bool:
    """Whether full attention layers select their tokens with keys of an index."""
    attentions = (layer.attention for layer in kinds(facts.layers))
    return any(a is not None and a.kind is AttentionKind.FULL and a.indexer for a in attentions)


def _indivisible(model: ModelFacts, ranks: int) -> str:
    """The heads of a model that cannot be split over tensor-parallel ranks, empty when all can."""
    if model.heads and model.heads % ranks:
        return f"{model.heads} attention heads cannot be split over {ranks} tensor-parallel ranks"
    for layer in kinds(model.layers):
        attention, state = layer.attention, layer.state
        if attention is not None and attention.kind is not AttentionKind.MLA:
            heads = attention.kv_heads
            if heads > 1 and heads % ranks and ranks % heads:
                return f"{heads} KV heads cannot be split over {ranks} tensor-parallel ranks"
        if layer.inputs is not None and ranks > layer.inputs.kv_heads:
            return f"{layer.inputs.kv_heads} KV heads cannot be split over {ranks} tensor-parallel ranks"
        if state is not None and state.groups:
            splits_groups = state.groups == 1 or state.groups % ranks == 0
            if state.heads % ranks or not splits_groups:
                return f"{state.heads} state heads in {state.groups} groups cannot be split over {ranks} ranks"
    return ""


def stage_sizes(layers: int, stages: int) -> list[int]:
    """Split layers over pipeline stages; the remainder goes to stages counted back from the last but one.

    Source: vllm/distributed/utils.py (get_pp_indices).
    """
    sizes = [layers // stages] * stages
    for i in range(2, layers % stages + 2):
        sizes[-i] += 1
    return sizes


def batch_limits(
    settings: EngineSettings, rules: VllmRules, max_length: int, device: Device = SPARK
) -> tuple[int, int]:
    """Batched tokens and sequences of one step: the flags, else the defaults of the version on the device.

    Capped at sequences x length; `--performance-mode throughput` doubles the defaults. Source:
    vllm/engine/arg_utils.py (get_batch_defaults, _set_default_max_num_seqs_and_batched_tokens_args).
    """
    factor = 2 if settings.performance_mode == "throughput" else 1
    usual_tokens, usual_sequences = batch_defaults(device, rules.version)
    sequences = settings.max_num_seqs or usual_sequences * factor
    tokens = settings.max_num_batched_tokens
    if tokens is None:
        tokens = min(usual_tokens * factor, sequences * max_length)
    return max(1, tokens), sequences


def batches_in_flight(settings: EngineSettings, rules: VllmRules) -> int:
    """How many batches are scheduled at once (vllm/config/vllm.py max_concurrent_batches)."""
    if not rules.in_flight_batches:
        return 1
    method = settings.speculative.method if settings.speculative else ""
    synchronous = settings.async_scheduling is False or method.startswith(_SYNCHRONOUS)
    if rules.ngram_is_synchronous and method.startswith("ngram"):
        synchronous = True
    return settings.pipeline_parallel + (0 if synchronous else 1)


def plan_cache(
    facts: ModelFacts, settings: EngineSettings, max_length: int, *, device: Device = SPARK
) -> VllmPlan | None:
    """Plan the KV cache of one replica; None when neither the architecture nor bytes per token are known.

    `max_length` is the length the engine is started with, in tokens; `device` its GPU. Raises Unsupported when
    the engine refuses the combination.
    """
    if facts.layers is None and not (facts.declared and facts.declared.kv_per_token):
        return None
    refused = refusal(facts, settings, device)
    if refused:
        raise Unsupported(refused)
    rules = rules_for(settings.version)
    refused = type_refusal(facts, settings, rules, device)
    if refused:
        raise Unsupported(refused)
    if unknown_cache(facts, rules, device):
        return None
    builder = Builder(facts, settings, rules, device)
    cache = builder.plan()
    grouping, note = _grouping(builder, cache)
    tokens, sequences = batch_limits(settings, rules, max_length, device)
    sequences = _drafting_limit(facts, settings, rules, tokens, sequences)
    state = builder.state
    stages = range(settings.pipeline_parallel)
    return VllmPlan(
        grouping=grouping,
        stage_bytes=tuple(grouping.bytes_per_block(stage) for stage in stages),
        in_flight=tokens * batches_in_flight(settings, rules),
        batched_tokens=tokens,
        sequences=sequences,
        block=cache.block,
        cache_dtype=cache.cache_dtype,
        state_bytes=builder.state_bytes(state) if state else 0,
        state_layers=sum(layer.state is not None for layer in facts.layers or ()),
        state_blocks=builder.state_blocks(state) if state else 0,
        context_parallel=settings.context_parallel,
        rules=rules,
        notes=_plan_notes(note, facts, settings, rules),
        unknown_drafter=note == NO_DRAFTER,
        few_layers=note == FEW_LAYERS,
        short_windows=_has_short_windows(grouping, settings, cache),
    )


def _plan_notes(assumed: str, facts: ModelFacts, settings: EngineSettings, rules: VllmRules) -> tuple[str, ...]:
    """What a person should know of the plan: what was assumed, and which settings the engine ignores or refuses."""
    notes = (assumed, _foreign_drafter(facts, settings), ignored_note(facts, settings, rules))
    return tuple(text for text in notes if text)


def unknown_cache(facts: ModelFacts, rules: VllmRules, device: Device) -> str:
    """Why the cache of a known family is not known for a release and GPU, empty when it is.

    vLLM has Step-5 of its own since 0.33: where the file has a `sparse_config`, full layers keep summaries and rings of
    their index beside the tokens, which is not counted here, and GPUs other than 9.0, 10.0 and 10.3 are refused. A
    plugin for DGX Sparks runs dense attention; an image that does not state its release is taken to have it. Source:
    vllm/models/step5/nvidia/model.py, sparse_summary_cache.py, csa_tail_ring.py.
    """
    sparse = mapping(facts.config, "sparse_config")
    if facts.model_type not in STEP5 or not sparse or flag(sparse, "enabled") is False or not rules.own_step5:
        return ""
    if device.capability in ((9, 0), (10, 0), (10, 3)):
        return "vLLM's own Step-5 keeps an index beside its tokens, which is not counted here"
    if rules.known and not rules.dated:
        return (
            "vLLM's own Step-5 does not run its sparse attention on this GPU; a plugin that runs it with dense "
            "attention may be in the image"
        )
    return ""


def _foreign_drafter(facts: ModelFacts, settings: EngineSettings) -> str:
    """A note on a drafter that only other builds than vLLM's own take for Qwen4-Exp, else empty.

    Source: vllm/model_executor/models/config.py (Qwen4ExpForConditionalGenerationConfig).
    """
    speculative = settings.speculative
    if speculative is None or facts.model_type not in INDEXED:
        return ""
    method = block_method(facts, speculative) or speculative.method
    if not method or "mtp" in method or method.startswith("ngram"):
        return ""
    return f"vLLM's own builds refuse {method} for this model: they draft with its own modules or with n-grams"


def _has_short_windows(grouping: Grouping, settings: EngineSettings, cache: CachePlan) -> bool:
    """Whether windows of a drafter with an assumed backend have shorter blocks than the layers packed with them."""
    speculative = settings.speculative
    if not cache.packed or speculative is None or speculative.backend:
        return False
    return any(group.spec.kind is SpecKind.WINDOW and group.spec.block < cache.block for group in grouping.groups)


def _drafting_limit(facts: ModelFacts, settings: EngineSettings, rules: VllmRules, tokens: int, sequences: int) -> int:
    """The requests at once whose blocks are drafted in one pass of `tokens`; raises Unsupported when none is.

    Source: vllm/config/vllm.py (_set_max_num_scheduled_tokens).
    """
    queries = block_queries(facts, settings)
    if not queries or not rules.draft_pass_limit:
        return sequences
    if tokens <= queries:
        raise Unsupported(
            f"the draft model needs {queries} tokens for each request, more than the {tokens} batched tokens "
            "leave; raise --max-num-batched-tokens"
        )
    return min(sequences, tokens // queries)


def _grouping(builder: Builder, cache: CachePlan) -> tuple[Grouping, str]:
    """Group the layers of the model and its drafter, with a note on what was assumed; raises Unsupported."""
    facts, settings = builder.facts, builder.settings
    per_token = facts.declared.kv_per_token if facts.declared else None
    if per_token:
        placed, note = _declared(per_token, settings), "the cache per token is the recipe's own figure"
    else:
        drafts = drafts_of(facts, settings, builder.rules)
        note = drafts.note
        placed = _place(builder, cache, facts.layers or (), drafts)
    try:
        grouping = group_layers(
            placed,
            hybrid=_hybrid(facts, settings),
            packed=cache.packed,
            padded_pattern=builder.rules.padded_pattern,
            alignment=cache.alignment,
        )
    except CannotGroup as error:
        raise Unsupported(str(error)) from error
    return grouping, note


def _declared(per_token: float, settings: EngineSettings) -> list[Placed]:
    """One full attention layer per stage that takes what the recipe states for the whole model."""
    stages = settings.pipeline_parallel
    page = max(1, ceil(16 * per_token / settings.tensor_parallel / stages))
    return [Placed(Spec(SpecKind.FULL, 16, page), stage) for stage in range(stages)]


def _hybrid(facts: ModelFacts, settings: EngineSettings) -> bool:
    """Whether windows keep their own groups: the flag, and Llama 4 with EAGLE has it off by itself."""
    if settings.hybrid_kv_cache is False:
        return False
    method = settings.speculative.method if settings.speculative else ""
    return not (facts.model_type.startswith("llama4") and method.startswith("eagle"))


def _place(builder: Builder, cache: CachePlan, layers: tuple[Layer, ...], drafts: Drafts) -> list[Placed]:
    """Lay the specs of all layers on their stages; the drafter sits on the last, and windows keep its tokens."""
    stages = builder.settings.pipeline_parallel
    kept = _retained(builder)
    made: dict[tuple[int, CachePlan], tuple[Spec, ...]] = {}
    placed: list[Placed] = []
    sizes = stage_sizes(len(layers), stages)
    stage_of = [stage for stage, size in enumerate(sizes) for _ in range(size)]
    stage_of += [stages - 1] * len(drafts.layers)
    own_draft = builder.draft_cache(cache) if drafts.block else None
    for index, (layer, stage) in enumerate(zip((*layers, *drafts.layers), stage_of, strict=True)):
        own = builder.cache_of(index, cache)
        if own_draft is not None and index >= len(layers):
            own = own_draft
        specs = made.get((id(layer), own))
        if specs is None:
            specs = made[id(layer), own] = tuple(
                replace(spec, extra=kept) if kept and spec.kind in _WINDOWS else spec
                for spec in builder.specs(layer, own)
            )
        placed.extend(Placed(spec, stage) for spec in specs)
    return placed


def _retained(builder: Builder) -> int:
    """The tokens that windows keep longer when several drafting modules run at once.

    Source: vllm/config/speculative.py (use_multi_module_mtp).
    """
    speculative = builder.settings.speculative
    if speculative is None or "mtp" not in speculative.method:
        return 0
    modules = min(len(builder.facts.mtp), builder.drafted)
    return builder.drafted - 1 if modules > 1 else 0
