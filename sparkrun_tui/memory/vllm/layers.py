"""Turns a model's layers and the settings into vLLM's cache specifications of one tensor-parallel rank."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from math import ceil

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.memory.settings import EngineSettings
from sparkrun_tui.memory.vllm.cache_types import asked_type
from sparkrun_tui.memory.vllm.devices import Device, has_flashinfer_gdn
from sparkrun_tui.memory.vllm.groups import common_multiple
from sparkrun_tui.memory.vllm.spec import Spec, SpecKind
from sparkrun_tui.memory.vllm.versions import VllmRules
from sparkrun_tui.models.config.drafters import has_sinks
from sparkrun_tui.models.config.families import BLOCK_SPARSE, WITHOUT_ATTENTION
from sparkrun_tui.models.dtypes import element_bytes, head_bytes, index_bytes, is_turboquant, latent_bytes
from sparkrun_tui.models.facts import ModelFacts
from sparkrun_tui.models.layers import Attention, AttentionKind, Layer, State, StateKind, kinds

_GDN_CHUNK = 64
"""Tokens of one chunk of the Gated DeltaNet kernels."""

_WIDENED = frozenset({StateKind.GDN, StateKind.MAMBA2, StateKind.KDA, StateKind.NGRAM_CONV})
"""States whose convolution keeps one column more per drafted token."""


_FLASHINFER_DTYPES = frozenset({"fp8", "fp8_e4m3", "fp8_e5m2", "nvfp4", "nvfp4_4over6"})
"""Data types of the cache that only FlashInfer reads; others that are quantised run on Triton."""

_PLAIN = frozenset({"auto", "bfloat16", "float16"})
"""Data types of a cache that is not quantised; each is that of the model."""

_FLASHINFER_BLOCKS = (16, 32, 64)
"""The blocks in tokens that FlashInfer's kernels take (vllm/v1/attention/backends/flashinfer.py)."""


class Unsupported(Exception):
    """The engine refuses this combination, or uses a format that is not modelled; the text says which."""


@dataclass(frozen=True, slots=True)
class CachePlan:
    """How one rank stores a model's caches: resolved dtype, base block in tokens, and page paddings.

    `state_page` is what a recurrent state is padded to in bytes (None: its own size). `packed` layouts
    put pages of different size side by side, with blocks aligned to `alignment` bytes. `window_block` is the block of
    window layers in tokens where it is one of their own (0: the base block). `whole` says that context parallelism does
    not share out the tokens.
    """

    cache_dtype: str
    block: int
    state_page: int | None = None
    packed: bool = False
    alignment: int = 1
    window_block: int = 0
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Builder:
    """Builds the specs of a model's layers for one rank of `tensor_parallel` ranks."""

    facts: ModelFacts
    settings: EngineSettings
    rules: VllmRules
    device: Device

    @property
    def model_bytes(self) -> int:
        """Bytes of one element of the model's own dtype."""
        chosen = self.settings.dtype if self.settings.dtype not in ("", "auto") else self.facts.dtype
        return element_bytes(chosen) or 2

    @property
    def drafted(self) -> int:
        """Tokens drafted per step, 0 without speculation."""
        return self.settings.speculative.tokens if self.settings.speculative else 0

    @property
    def attentions(self) -> Iterable[Attention]:
        """The attention caches of the target model's own layers."""
        return (layer.attention for layer in self.facts.layers or () if layer.attention is not None)

    @property
    def sparse(self) -> bool:
        """Whether the model is a latent one with sparse-attention index keys."""
        return any(a.indexer and a.kind is AttentionKind.MLA for a in self.attentions)

    @property
    def compressed(self) -> bool:
        """Whether the model is of the DeepSeek-V4 kind."""
        return any(a.compress is not None for a in self.attentions)

    @property
    def pooled(self) -> int:
        """How many tokens share one index key of a latent layer (1: none do)."""
        return max((a.index_pool for a in self.attentions if a.kind is AttentionKind.MLA), default=1)

    @property
    def indexed(self) -> bool:
        """Whether full layers cache keys of an index that tokens share, and raw ones (Qwen4-Exp)."""
        if self.facts.model_type in BLOCK_SPARSE:
            return False
        return any(a.indexer and a.kind is AttentionKind.FULL for a in self.attentions)

    @property
    def state(self) -> State | None:
        """The recurrent state of the model's layers, None for a model without any."""
        return next((layer.state for layer in self.facts.layers or () if layer.state), None)

    @property
    def caches_prefixes(self) -> bool:
        """Whether prefix caching is on: the flag, else on but for families without attention.

        Source: vllm/config/model.py (is_prefix_caching_supported).
        """
        if self.settings.prefix_caching is not None:
            return self.settings.prefix_caching
        return not (self.rules.uncached_states and self.facts.model_type in WITHOUT_ATTENTION)

    @property
    def saves_gdn_states(self) -> bool:
        """Whether Gated DeltaNet saves a state within a prefill, for which each request has one more block.

        With prefix caching, where FlashInfer's kernel does the prefill. The block is then a multiple of that kernel's
        chunk. Source: vllm/model_executor/layers/mamba/gdn/qwen_gdn_linear_attn.py.
        """
        state = self.state
        if state is None or state.kind is not StateKind.GDN or self.facts.model_type.startswith("olmo"):
            return False
        if not self.rules.gdn_checkpoint or not self.caches_prefixes:
            return False
        if self.settings.gdn_prefill_backend not in ("", "auto", "flashinfer"):
            return False
        return has_flashinfer_gdn(self.device, state.columns)

    def heads(self, attention: Attention) -> int:
        """KV heads on one rank; latent ones are never split (vllm/config/model.py get_num_kv_heads)."""
        if attention.kind is AttentionKind.MLA:
            return 1
        return max(1, attention.kv_heads // self.settings.tensor_parallel)

    def _asked_dtype(self) -> str:
        """The cache dtype before the model's own layout is known."""
        return asked_type(self.facts, self.settings, self.rules)

    def cache_dtype(self) -> str:
        """The cache dtype: the flag, else the checkpoint's scheme, else the model's own.

        On a GB10 sparse latent models have one backend, which stores fp8_ds_mla
        (vllm/platforms/cuda.py, vllm/v1/attention/backends/mla/). Raises Unsupported.
        """
        asked = self._asked_dtype()
        if self.compressed:
            return "fp8_ds_mla"
        if not self.sparse:
            return asked
        if asked in ("fp8", "fp8_e4m3") or (asked == "auto" and self.device.spark):
            return "fp8_ds_mla"
        if asked in ("bfloat16", "bf16") and self.device.spark:
            raise Unsupported("no attention backend for a bfloat16 cache of this sparse model on a GB10")
        return asked

    def plan(self) -> CachePlan:
        """The dtype, block length and paddings for the whole model (_align_hybrid_block_size)."""
        dtype = self.cache_dtype()
        sides = self.compressed or self.pooled > 1 or self.indexed
        packed = sides or self.settings.kv_cache_layout.startswith("BL")
        block = self._base_block(dtype)
        size = self._largest_state()
        alignment = common_multiple(656 * 64, 132 * 64) if self.pooled > 1 else 1
        full = next((a for a in self.attentions if a.kind in (AttentionKind.FULL, AttentionKind.MLA)), None)
        if full is None or not size:
            return CachePlan(dtype, block, None, packed, alignment)
        token = self._aligned_token(full, dtype)
        step = max(16, block, 128 if full.kind is AttentionKind.MLA else 0)
        if self.saves_gdn_states:
            step = common_multiple(step, _GDN_CHUNK)
        length = step * ceil(size / (step * token))
        kernel = 64 * self.pooled if self.pooled > 1 else 16
        length = ceil(length / kernel) * kernel
        return CachePlan(dtype, max(length, block), max(length, block) * token, packed, alignment)

    def _largest_state(self) -> int:
        """The bytes of the largest recurrent state of a layer, 0 without any."""
        layers = kinds(self.facts.layers)
        states = [state for layer in layers for state in (layer.state, layer.beside) if state is not None]
        return max((self.state_bytes(state) for state in states), default=0)

    def _base_block(self, dtype: str) -> int:
        """The block before any alignment: the flag, or what the attention backend works with."""
        if self.compressed:
            return 256
        if self.settings.block_size:
            return self.settings.block_size
        if self.sparse and self.state is None:
            return 64
        return 32 if is_turboquant(dtype) else 16

    def _aligned_token(self, attention: Attention, dtype: str) -> int:
        """The bytes of a token that the block is aligned with, before special layouts are known."""
        if dtype == "fp8_ds_mla":
            plain = "auto" if self.settings.kv_cache_dtype in ("", "auto") else "fp8"
            return attention.head_k * (self.model_bytes if plain == "auto" else 1)
        return self.token_bytes(attention, dtype)

    def token_bytes(self, attention: Attention, dtype: str) -> int:
        """The bytes of one token in one layer on one rank; raises Unsupported."""
        if attention.kind is AttentionKind.MLA:
            found = latent_bytes(dtype, attention.head_k, self.model_bytes)
        else:
            found = head_bytes(dtype, attention.head_k, attention.head_v, self.model_bytes)
        if found is None:
            raise Unsupported(f"the KV cache dtype {dtype} is not known")
        return found * self.heads(attention)

    def state_bytes(self, state: State) -> int:
        """The bytes of one recurrent state of one layer on one rank.

        (kernel - 1 + drafted) columns of the convolution in the model's dtype, plus heads x rows x columns
        of the recurrence in its own. Groups that tensor parallelism does not divide are repeated on each
        rank, as is a convolution over n-gram embeddings. Source: vllm/model_executor/layers/mamba/mamba_utils.py,
        vllm/models/qwen4_exp/nvidia/ple_layer.py (get_state_shape).
        """
        ranks = 1 if state.kind is StateKind.NGRAM_CONV else self.settings.tensor_parallel
        groups = state.groups if state.groups % ranks == 0 else ranks
        channels = (state.inner + 2 * groups * state.group_width) // ranks
        columns = state.kernel - 1 + (self.drafted if state.kind in _WIDENED else 0)
        recurrence = max(1, state.heads // ranks) * state.rows * state.columns if state.heads else 0
        return channels * columns * self._conv_bytes() + recurrence * self._state_element(state)

    def _conv_bytes(self) -> int:
        """The element size of a convolution state: `--mamba-cache-dtype`, else the model's."""
        return element_bytes(self.settings.mamba_cache_dtype) or self.model_bytes

    def _state_element(self, state: State) -> int:
        """The element size of a recurrence: the flag, else the checkpoint's, else the model's.

        Source: vllm/model_executor/models/config.py (mamba_ssm_cache_dtype of NemotronH and Qwen3.5).
        """
        flag = element_bytes(self.settings.mamba_ssm_cache_dtype)
        return flag or element_bytes(state.dtype) or self._conv_bytes()

    def state_blocks(self, state: State) -> int:
        """The state blocks of one request: 1, or 2 (3 with a checkpoint) with prefix caching, plus drafts.

        Source: vllm/v1/kv_cache_interface.py (MambaSpec.max_memory_usage_bytes).
        """
        if not self.caches_prefixes:
            return 1 + self.drafted
        flash = state.kind is StateKind.KDA and self.facts.model_type.startswith(("glm5_next", "kimi_k3"))
        saved = self.rules.checkpoint_block and (state.kind is StateKind.MAMBA2 or flash)
        if saved or self.saves_gdn_states:
            return 3 + self.drafted
        return 2 + self.drafted

    def cache_of(self, index: int, plan: CachePlan) -> CachePlan:
        """The plan for layer `index`: TurboQuant keeps the first and last two of dense models plain.

        Source: vllm/model_executor/layers/quantization/turboquant/config.py (get_boundary_skip_layers).
        """
        count = len(self.facts.layers or ())
        edge = index < 2 or count - 2 <= index < count
        if is_turboquant(plan.cache_dtype) and edge and self.state is None:
            return replace(plan, cache_dtype="auto")
        return plan

    def draft_cache(self, plan: CachePlan) -> CachePlan:
        """The plan for the layers of a block drafter, which has a backend and a data type of its own.

        Its windows have the longest block that the backend's kernels take, up to the base block: FlashAttention and
        Triton take any multiple of 16 tokens, FlashInfer up to 64. Before 0.30 they had the shortest. Each rank of
        context parallelism keeps all tokens. Source: vllm/v1/worker/gpu/spec_decode/dflash/ (load_dflash_model),
        vllm/model_executor/layers/attention/attention.py (get_kv_cache_spec, _largest_kernel_block_within).
        """
        speculative = self.settings.speculative
        dtype = speculative.cache_dtype if speculative is not None else ""
        if not dtype:
            dtype = self._asked_dtype()
        if dtype in _PLAIN and plan.cache_dtype in _PLAIN:
            dtype = plan.cache_dtype
        window_block = 16
        if self.rules.long_draft_blocks:
            window_block = max(16, plan.block // 16 * 16)
            if self._drafts_on_flashinfer(dtype):
                window_block = max(size for size in _FLASHINFER_BLOCKS if size <= window_block)
        return replace(plan, cache_dtype=dtype, window_block=window_block, whole=True)

    def _drafts_on_flashinfer(self, dtype: str) -> bool:
        """Whether a block drafter's attention runs on FlashInfer.

        Where the configuration does not say so, FlashAttention comes first; but for Hopper's it reads no cache of eight
        bits or fewer, and knows no attention sinks. Source: vllm/platforms/cuda.py (_get_backend_priorities),
        vllm/v1/attention/backends/ (supports_kv_cache_dtype, supports_sink).
        """
        speculative = self.settings.speculative
        if speculative is not None and speculative.backend:
            return speculative.backend.startswith("flashinfer")
        if self.device.capability is not None and self.device.capability[0] == 9:
            return False
        config = self.facts.drafter.config if self.facts.drafter is not None else {}
        return dtype in _FLASHINFER_DTYPES or has_sinks(config)

    def specs(self, layer: Layer, plan: CachePlan) -> Iterator[Spec]:
        """The specs that one layer registers, none for a layer that shares another's cache."""
        attention = layer.attention
        if attention is not None and not layer.shares:
            if attention.compress is not None:
                yield from _compressed_specs(attention)
            else:
                yield self._attention_spec(attention, plan)
                if attention.indexer and attention.kind is AttentionKind.MLA:
                    yield from self._index_specs(attention, plan)
                elif attention.indexer and self.facts.model_type in BLOCK_SPARSE:
                    yield self._block_index_spec(attention, plan)
                elif attention.indexer:
                    yield from self._compressed_index_specs(attention, plan)
        if layer.inputs is not None:
            yield self._inputs_spec(layer.inputs)
        for state in (layer.state, layer.beside):
            if state is not None:
                yield self._state_spec(state, plan)

    def _state_spec(self, state: State, plan: CachePlan) -> Spec:
        """The spec of a recurrent state; one that each rank has in full is a group of its own."""
        size = self.state_bytes(state)
        page = max(size, plan.state_page or size)
        whole = state.kind is StateKind.NGRAM_CONV
        return Spec(SpecKind.STATE, plan.block, page, (state.kind,), states=self.state_blocks(state), whole=whole)

    def _attention_spec(self, attention: Attention, plan: CachePlan) -> Spec:
        """The spec of a full, window, chunked or latent attention cache."""
        kind = SpecKind(attention.kind.value)
        block = plan.block
        if kind is SpecKind.WINDOW and plan.window_block:
            block = plan.window_block
        page = block * self.token_bytes(attention, plan.cache_dtype)
        identity = (self.heads(attention), attention.head_k, attention.head_v, plan.cache_dtype)
        whole = plan.whole and self.settings.context_parallel > 1
        return Spec(kind, block, page, identity, window=attention.window or 0, whole=whole)

    def _inputs_spec(self, inputs: Attention) -> Spec:
        """The spec of the inputs of a layer's convolutions: blocks as long as the kernel, always in bfloat16."""
        kernel = inputs.window or 1
        heads = self.heads(inputs)
        page = kernel * heads * inputs.head_k * 2
        return Spec(SpecKind.WINDOW, kernel, page, ("inputs", heads, inputs.head_k), window=kernel)

    def _index_specs(self, attention: Attention, plan: CachePlan) -> Iterator[Spec]:
        """The spec of a sparse-attention index cache, and the ring of raw keys of a pooled one.

        Source: vllm/v1/attention/backends/mla/indexer.py, vllm/models/glm5_next.
        """
        pool = attention.index_pool
        page = plan.block // pool * index_bytes(attention.indexer)
        yield Spec(SpecKind.MLA, plan.block, page, ("index", attention.indexer, pool))
        if pool > 1:
            slots = 1 << max(0, ceil((pool + self.drafted) / pool) - 1).bit_length()
            ring = pool * slots
            yield Spec(SpecKind.TAIL, ring, ring * 2 * attention.indexer * 2, ("tail", attention.indexer))

    def _block_index_spec(self, attention: Attention, plan: CachePlan) -> Spec:
        """The index keys of every token, in bfloat16 whatever the cache is.

        Source: vllm/models/minimax_m3/common/indexer.py (MiniMaxM3IndexerCache).
        """
        return Spec(SpecKind.MLA, plan.block, plan.block * attention.indexer * 2, ("index", attention.indexer, 1))

    def _compressed_index_specs(self, attention: Attention, plan: CachePlan) -> Iterator[Spec]:
        """The index keys that some tokens share, in bfloat16 whatever the cache is, and the ring of raw ones.

        With images a raw key has its token's three positions (8 bytes each) beside it. Source:
        vllm/models/qwen4_exp/common/qsa_cache.py (QSACompressedKeyCache, QSAKeyStateCache).
        """
        ratio = attention.index_pool
        page = plan.block // ratio * attention.indexer * 2
        yield Spec(SpecKind.MLA, plan.block, page, ("index", attention.indexer, ratio))
        ring = ceil((ratio + self.drafted) / ratio) * ratio
        width = attention.indexer
        if self.facts.multimodal and not self.settings.text_only:
            width = ceil(width / 4) * 4 + 12
        yield Spec(SpecKind.TAIL, ring, ring * width * 2, ("tail", width))


def _aligned(size: int) -> int:
    """Round a DeepSeek-V4 page up to the 576 bytes that its kernels address."""
    return ceil(size / 576) * 576


def _compressed_specs(attention: Attention) -> Iterator[Spec]:
    """DeepSeek-V4's caches of one layer: a window, a compressed latent, an index, compressor states.

    A latent state takes 584 bytes (448 fp8, 64 bf16 rope, scales); states are kept in fp32 with score and
    value, twice over for ratio 4, whose chunks overlap. Source: vllm/model_executor/models/deepseek_v4.py,
    vllm/v1/attention/backends/mla/compressor.py.
    """
    width, ratio, window = attention.head_k, attention.compress or 0, attention.window or 0
    entry = width - attention.rope + 2 * attention.rope + 8
    yield Spec(SpecKind.WINDOW_MLA, 64, _aligned(64 * entry), ("window",), window=window)
    if not ratio:
        return
    yield Spec(SpecKind.MLA, 256, _aligned(256 // ratio * entry), ("latent", ratio))
    overlap, length = 1, 8
    if ratio == 4:
        overlap, length = 2, 4
    states = Spec(
        SpecKind.WINDOW_MLA,
        length,
        _aligned(length * overlap * 2 * width * 4),
        ("states", ratio),
        window=overlap * ratio,
    )
    if ratio == 4 and attention.indexer:
        yield Spec(SpecKind.MLA, 256, _aligned(64 * index_bytes(attention.indexer)), ("index",))
        yield states
        index = _aligned(length * overlap * 2 * attention.indexer * 4)
        yield Spec(SpecKind.WINDOW_MLA, length, index, ("index states",), window=overlap * ratio)
    else:
        yield states
