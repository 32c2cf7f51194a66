"""SGLang's default for --mem-fraction-static: what it leaves for activations and graphs."""

from __future__ import annotations

from sparkrun_tui.memory.settings import EngineSettings
from sparkrun_tui.memory.sglang.family import (
    attention_replicas,
    has_prefill_graphs,
    is_deepseek_v4,
    is_latent,
    takes_images,
)
from sparkrun_tui.memory.sglang.versions import rules_for
from sparkrun_tui.models.config.values import mapping, positive
from sparkrun_tui.models.facts import ModelFacts

DEFAULT_CHUNK = 8192
_LEAST_MIB = 10240
_STANDALONE_MIB = 6144
_GRAPH_STEPS = ((32, 4), (256, 16), (512, 32), (1024, 64), (4096, 256))


def chunk_of(settings: EngineSettings) -> int:
    """The chunk of a prefill in tokens: the flag, else 8192, divided among attention replicas."""
    return max(1, _given_chunk(settings) // attention_replicas(settings))


def _given_chunk(settings: EngineSettings) -> int:
    """The chunk before it is divided; -1 (no chunks) counts as the default."""
    stated = settings.sglang.chunked_prefill_size
    return stated if stated is not None and stated > 0 else DEFAULT_CHUNK


def graph_sizes(chunk: int) -> int:
    """How many token counts prefill graphs are captured for, up to `chunk`.

    Steps of 4 up to 32, 16 up to 256, 32 up to 512, 64 up to 1024, 256 up to 4096, then 512. Source:
    sglang/srt/server_args.py (prefill graph token list).
    """
    count, below = 0, 0
    for limit, step in _GRAPH_STEPS:
        count += max(0, min(limit, chunk) - below) // step
        below = limit
    return count + max(0, chunk - below) // 512


def default_fraction(facts: ModelFacts, settings: EngineSettings, total_mib: int) -> float:
    """The share of the memory available at start that weights and pools may take.

    Reserved MiB: 512 + 1.5 chunk + 128 per rank + 2 per captured sequence + prefill graphs (1536 for latent
    models), at least 10240; multimodal models take a share less by the size of their vision tower. Source:
    sglang/srt/arg_groups/memory_hook.py (handle_gpu_memory_settings).
    """
    options = settings.sglang
    chunk = _given_chunk(settings)
    reserved = 512 + 1.5 * max(chunk, 2048) + 128 * settings.tensor_parallel * settings.pipeline_parallel
    largest = largest_batch(settings)
    if not (options.disable_cuda_graph or options.disable_decode_cuda_graph or settings.enforce_eager):
        reserved += 2 * largest
    replicas = attention_replicas(settings)
    if replicas > 1:
        reserved += (3 + (1.5 if largest > 300 else 0)) * largest * replicas
    if has_prefill_graphs(facts, settings):
        reserved += 1536 if is_latent(facts) else 8 * graph_sizes(chunk)
    reserved = max(reserved, _LEAST_MIB) + _for_drafter(settings)
    fraction = round((total_mib - reserved) / total_mib, 3)
    if takes_images(facts, settings):
        fraction *= 0.95 * min(1.05, max(0.8, 1 - 0.1 * (_vision_size(facts) - 1)))
    return fraction


def _for_drafter(settings: EngineSettings) -> int:
    """The MiB that older releases leave for a drafter and its graphs, beside the least that they reserve."""
    speculative, reserve = settings.speculative, rules_for(settings.version).draft_reserve
    if speculative is None or speculative.method == "ngram" or not reserve:
        return 0
    return _STANDALONE_MIB if speculative.method == "standalone" else reserve


def largest_batch(settings: EngineSettings) -> int:
    """The largest decode batch that graphs are captured for; newer releases lower their default to the requests."""
    stated = settings.sglang.cuda_graph_max_bs
    if stated is not None:
        return stated
    largest = 256 if settings.tensor_parallel < 4 else 512
    if settings.max_num_seqs is None or not rules_for(settings.version).requests_cap_graphs:
        return largest
    return min(largest, settings.max_num_seqs)


def _vision_size(facts: ModelFacts) -> float:
    """The size of the vision tower against a common one of 24 layers and width 1024."""
    vision = mapping(facts.config, "vision_config")
    layers = positive(vision, "num_hidden_layers") or 24
    width = positive(vision, "hidden_size") or 1024
    return layers * width**2 / (24 * 1024**2)


def running_requests(facts: ModelFacts, settings: EngineSettings) -> int | None:
    """The stated number of requests on one attention replica, None when the server decides.

    Speculation lowers the default to 48, DeepSeek V4 sets 256. Source: sglang/srt/arg_groups/.
    """
    if settings.max_num_seqs is not None:
        return max(1, settings.max_num_seqs // attention_replicas(settings))
    if settings.speculative is not None and settings.speculative.method != "ngram":
        return 48
    return 256 if is_deepseek_v4(facts) else None
