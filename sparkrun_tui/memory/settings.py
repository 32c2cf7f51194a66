"""The settings of an engine that decide about memory, as one frozen record; engines fill it from their command line."""

from __future__ import annotations

from sparkrun_tui.base.records import dataclass

AUTO_LENGTH = -1
"""`max_model_len` when the engine is to fit the length itself (`--max-model-len auto`)."""


MOST_EAGLE_LAYERS = 4
"""The layers of a parallel EAGLE drafter; others have one (SpecForge, configs/qwen3-8b-peagle.json, *-eagle3.json)."""


@dataclass(frozen=True, slots=True)
class Speculative:
    """Speculative decoding: the method, tokens drafted per step, and the draft model's name if it has one.

    `revision` is that of the draft model, empty for the default branch.

    `method` is the engine's own word in lower case (`mtp`, `eagle3`, `dflash`, `draft_model`,
    `ngram` ...), empty when it follows from the draft model. `cache_dtype` is the data type of the draft model's own
    cache, empty when it is the target's; `backend` its attention backend in lower case, empty when the engine chooses.
    """

    method: str = ""
    tokens: int = 0
    model: str = ""
    revision: str = ""
    cache_dtype: str = ""
    backend: str = ""
    assumed_layers: int = 1
    """Layers that are counted for an EAGLE drafter of which nothing is known."""


@dataclass(frozen=True, slots=True)
class SglangOptions:
    """Options that only SGLang knows; None is the engine's own default."""

    attn_dp_size: int = 1
    dp_attention: bool = False
    ep_size: int = 1
    chunked_prefill_size: int | None = None
    max_total_tokens: int | None = None
    max_mamba_cache_size: int | None = None
    mamba_full_memory_ratio: float | None = None
    mamba_radix_cache_strategy: str = "auto"
    mamba_track_interval: int | None = None
    swa_full_tokens_ratio: float | None = None
    disable_hybrid_swa_memory: bool = False
    disable_overlap_schedule: bool = False
    disable_cuda_graph: bool = False
    disable_prefill_cuda_graph: bool = False
    disable_decode_cuda_graph: bool = False
    cuda_graph_max_bs: int | None = None
    enable_multimodal: bool = False
    mm_feature_transport: str = ""
    ple_backend: str = ""
    """Where the tables of n-gram embeddings lie: `pinned` or `file`."""
    dsa_prefill_backend: str = ""
    dsa_decode_backend: str = ""
    speculative_num_steps: int | None = None
    speculative_eagle_topk: int | None = None
    speculative_num_draft_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class LlamaOptions:
    """Options that only llama-server knows; None is its own default (`ctx_size` None: not given)."""

    ctx_size: int | None = None
    parallel: int | None = None
    kv_unified: bool | None = None
    slot_tokens: int | None = None
    """`--kv-unified-per-slot`: without a context, each slot brings this many tokens into it."""
    batch: int | None = None
    ubatch: int | None = None
    cache_type_k: str = "f16"
    cache_type_v: str = "f16"
    flash_attn: str = "auto"
    swa_full: bool = False
    fit: bool = True
    fit_ctx_min: int | None = None
    fit_target_mib: int | None = None
    n_gpu_layers: str = ""
    load_mode: str = ""
    no_mmap: bool = False
    embeddings: bool = False
    mmproj: str = ""
    """The projector's file; `none` where it is switched off."""
    hf_repo: str = ""
    no_mmproj: bool = False
    draft_cache_type_k: str = "f16"
    draft_cache_type_v: str = "f16"


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """All settings of an engine that affect memory; an unset field means the engine's own default.

    `engine` is `vllm`, `sglang`, `llama-cpp`, or the word of one that is not modelled; `version`
    what the image says (empty: the newest known is assumed). `utilisation` is vLLM's
    `--gpu-memory-utilization` or SGLang's `--mem-fraction-static`; `max_num_seqs` also SGLang's
    `--max-running-requests`; `block_size` also its page size; `prefix_caching` False also its
    `--disable-radix-cache`. `hosts` is None when the number of hosts follows from the parallel sizes.
    Lengths and batches are in tokens.
    """

    engine: str
    version: str = ""
    tensor_parallel: int = 1
    pipeline_parallel: int = 1
    data_parallel: int = 1
    expert_parallel: bool = False
    context_parallel: int = 1
    max_model_len: int | None = None
    utilisation: float | None = None
    max_num_seqs: int | None = None
    max_num_batched_tokens: int | None = None
    kv_cache_dtype: str = "auto"
    kv_cache_memory_bytes: int | None = None
    kv_cache_layout: str = ""
    block_size: int | None = None
    dtype: str = "auto"
    quantization: str = ""
    load_format: str = ""
    enforce_eager: bool = False
    prefix_caching: bool | None = None
    async_scheduling: bool | None = None
    hybrid_kv_cache: bool | None = None
    performance_mode: str = ""
    attention_backend: str = ""
    mamba_ssm_cache_dtype: str = "auto"
    mamba_cache_dtype: str = "auto"
    gdn_prefill_backend: str = "auto"
    text_only: bool = False
    moe_backend: str = ""
    mm_encoder_tp_mode: str = ""
    cpu_offload_gib: float = 0.0
    speculative: Speculative | None = None
    sglang: SglangOptions = SglangOptions()
    llama: LlamaOptions = LlamaOptions()
    notes: tuple[str, ...] = ()

    @property
    def ranks(self) -> int:
        """How many GPUs one replica runs on: tensor times pipeline parallel."""
        return max(1, self.tensor_parallel) * max(1, self.pipeline_parallel)


MAX_DEGREE = 1024
"""The most ranks along one axis; a larger number counts as a typing mistake."""
