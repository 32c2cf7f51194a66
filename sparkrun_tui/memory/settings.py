"""What an engine is told that decides about memory: one frozen record, filled from the chain and the command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sparkrun_tui.base.numbers import whole_of
from sparkrun_tui.memory.flags import read_flags
from sparkrun_tui.memory.flagtables import LLAMA_FLAGS, SGLANG_FLAGS, VLLM_FLAGS, Flag
from sparkrun_tui.memory.image_version import version_of_image

AUTO_LENGTH = -1
"""``max_model_len`` when the engine is told to fit the length itself (``--max-model-len auto``)."""


@dataclass(frozen=True, slots=True)
class Speculative:
    """Speculative decoding: the method, tokens drafted per step, and the draft model's name if it has one.

    ``method`` is the engine's own word in lower case (``mtp``, ``eagle3``, ``dflash``, ``draft_model``,
    ``ngram`` ...), empty when it follows from the draft model.
    """

    method: str = ""
    tokens: int = 0
    model: str = ""


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
    dsa_prefill_backend: str = ""
    dsa_decode_backend: str = ""
    speculative_num_steps: int | None = None
    speculative_eagle_topk: int | None = None
    speculative_num_draft_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class LlamaOptions:
    """Options that only llama-server knows; None is its own default (``ctx_size`` None: not given)."""

    ctx_size: int | None = None
    parallel: int | None = None
    kv_unified: bool | None = None
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
    draft_cache_type_k: str = "f16"
    draft_cache_type_v: str = "f16"


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Everything an engine is told that moves memory; a field left alone is the engine's own default.

    ``engine`` is ``vllm``, ``sglang`` or ``llama-cpp``; ``version`` what the image says (empty: the
    newest known is assumed). ``utilisation`` is vLLM's ``--gpu-memory-utilization`` or SGLang's
    ``--mem-fraction-static``; ``max_num_seqs`` also SGLang's ``--max-running-requests``; ``block_size``
    also its page size; ``prefix_caching`` False also its ``--disable-radix-cache``. ``hosts`` is None
    when the number of hosts follows from the parallel sizes. Lengths and batches are in tokens.
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
    text_only: bool = False
    cpu_offload_gib: float = 0.0
    speculative: Speculative | None = None
    sglang: SglangOptions = SglangOptions()
    llama: LlamaOptions = LlamaOptions()
    notes: tuple[str, ...] = ()

    @property
    def ranks(self) -> int:
        """How many GPUs one replica runs on: tensor times pipeline parallel."""
        return max(1, self.tensor_parallel) * max(1, self.pipeline_parallel)


_TABLES: Mapping[str, tuple[Flag, ...]] = {
    "vllm": VLLM_FLAGS,
    "sglang": SGLANG_FLAGS,
    "llama-cpp": LLAMA_FLAGS,
}


def family_of(engine: str) -> str:
    """Return the engine family of a runtime name: ``vllm`` also for ``eugr-vllm`` and ``vllm-ray``."""
    if "sglang" in engine:
        return "sglang"
    return "llama-cpp" if "llama" in engine else "vllm"


MAX_DEGREE = 1024
"""Ranks along one axis that are worked out; a larger number is a slip of the hand."""
_MOST_DRAFTED = 10_000
"""Tokens that are drafted per step at most; a larger figure is not counted."""
_DEGREES = ("tensor_parallel", "pipeline_parallel", "data_parallel")


def settings_from(
    engine: str,
    values: Mapping[str, object],
    argv: Sequence[str],
    image: str = "",
    env: Mapping[str, str] | None = None,
) -> EngineSettings:
    """Read what the engine will be told: the chain's ``values`` and the rendered command ``argv``.

    When ``argv`` holds the engine's own command, only its flags count, because the engine sees nothing
    else; otherwise the values of the chain hold, and a flag found in ``argv`` wins over them. Keys of the
    chain are recipe keys (``max_model_len``) or flag names (``max-model-len``). A value that the engine
    would not accept becomes a note and the field stays at the engine's default.
    """
    engine = family_of(engine)
    table = _TABLES[engine]
    found = read_flags(engine, table, values, argv)
    fields: dict[str, object] = {}
    sglang: dict[str, object] = {}
    llama: dict[str, object] = {}
    for name, value in found.fields.items():
        group, _, leaf = name.rpartition(".")
        {"": fields, "sglang": sglang, "llama": llama}[group][leaf] = value
    if env and env.get("VLLM_KV_CACHE_LAYOUT"):
        fields["kv_cache_layout"] = env["VLLM_KV_CACHE_LAYOUT"].upper()
    settings = replace(
        EngineSettings(engine, version=version_of_image(engine, image), notes=found.notes),
        sglang=replace(SglangOptions(), **sglang),  # type: ignore[arg-type]
        llama=replace(LlamaOptions(), **llama),  # type: ignore[arg-type]
        speculative=_speculative(found.speculative),
    )
    absurd = [name for name in _DEGREES if _number(fields.get(name)) > MAX_DEGREE]
    notes = tuple(f"{name} {fields.pop(name)} is more than any cluster has: it is not counted" for name in absurd)
    return replace(settings, notes=settings.notes + notes, **fields)  # type: ignore[arg-type]


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _speculative(found: Mapping[str, object]) -> Speculative | None:
    """Fold the pieces of a speculative configuration into one record, None when there is none."""
    method = str(found.get("method") or "").lower()
    model = str(found.get("model") or "")
    raw = found.get("tokens")
    tokens = whole_of(raw, most=_MOST_DRAFTED) or 0
    if method in ("none", "(none given)") or not (method or model):
        return None
    return Speculative(method=method, tokens=tokens, model=model)
