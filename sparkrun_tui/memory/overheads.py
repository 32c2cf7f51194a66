"""What vLLM uses besides weights and cache: context and libraries, activations, CUDA graphs, as bands."""

from __future__ import annotations

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.units import GIB
from sparkrun_tui.memory.settings import EngineSettings
from sparkrun_tui.models.facts import ModelFacts
from sparkrun_tui.models.layers import AttentionKind, kinds


@dataclass(frozen=True, slots=True)
class Band:
    """A number of bytes that cannot be derived exactly: the likely value and the observed range."""

    likely: int
    low: int
    high: int
    source: str


def context_memory(unified: bool, ranks: int, load_format: str = "") -> Band:
    """Non-torch memory of one rank in bytes: CUDA context, libraries, NCCL, buffers of the loader.

    Published start-up logs: 2.2 GiB on one GB10, 5.7 to 7.3 over RDMA between several (the torch side of
    it included), 0.06 to 0.6 on discrete cards; the InstantTensor loader keeps 4.4 GiB more.
    """
    base = _context(unified, ranks)
    if load_format != "instanttensor":
        return base
    kept = int(4.4 * GIB)
    source = f"{base.source}; InstantTensor loader"
    return Band(base.likely + kept, base.low + kept, base.high + kept, source)


def _context(unified: bool, ranks: int) -> Band:
    """The band of the context alone, by host and number of ranks."""
    if not unified:
        return Band(int(0.4 * GIB), int(0.06 * GIB), int(0.8 * GIB), "published logs, discrete cards")
    if ranks > 1:
        return Band(int(5.5 * GIB), int(2.0 * GIB), int(9.0 * GIB), "published logs, several GB10")
    return Band(int(2.2 * GIB), int(0.5 * GIB), int(4.5 * GIB), "published logs, one GB10")


def activation_memory(facts: ModelFacts, settings: EngineSettings, tokens: int, sequences: int) -> Band | None:
    """The peak activation reservation of one rank in bytes, None without the model's widths.

    tokens x 2 bytes x f x (3 x feed-forward width + 2 x hidden size), f 1.1 for dense models, 2 for
    gated-delta and Mamba hybrids, 6 for latent ones; or the logits of all sequences where those are more.
    Fitted to published peaks: within 10 % for dense models, 40 % for the others.
    Source: vllm/v1/worker/gpu_model_runner.py (profile_run).
    """
    if not facts.hidden:
        return None
    width = _active_width(facts)
    if width is None:
        return None
    factor, margin = _activation_factor(facts)
    likely = int(tokens * 2 * factor * (3 * width + 2 * facts.hidden))
    likely = max(likely, sequences * (facts.vocab or 0) * 2)
    return Band(likely, int(likely * (1 - margin)), int(likely * (1 + margin)), "batched tokens")


def _active_width(facts: ModelFacts) -> int | None:
    """The feed-forward width that one token passes: dense, or its experts and the shared one."""
    if facts.experts and facts.experts_per_token and facts.expert_width:
        return (facts.experts_per_token + 1) * facts.expert_width
    return facts.intermediate


def _activation_factor(facts: ModelFacts) -> tuple[float, float]:
    """The factor and the relative margin of the activation formula for the model's kind."""
    factor, margin = 1.1, 0.2
    for layer in kinds(facts.layers):
        attention = layer.attention
        if attention is None:
            is_latent = False
        else:
            is_latent = attention.compress is not None or attention.kind is AttentionKind.MLA
        if is_latent:
            return 6.0, 0.4
        if layer.state is not None:
            factor, margin = 2.0, 0.4
    return factor, margin


def graph_memory(settings: EngineSettings, sequences: int) -> Band:
    """The CUDA graphs' memory of one rank in bytes: none when eager, more with many sequences.

    Published logs: 0.02 to 0.7 GiB for up to 8 sequences, up to 1.7 for the default ladder.
    """
    if settings.enforce_eager:
        return Band(0, 0, 0, "--enforce-eager")
    if sequences <= 8:
        return Band(int(0.2 * GIB), 0, int(0.7 * GIB), "published logs, up to 8 sequences")
    return Band(int(0.3 * GIB), 0, int(1.7 * GIB), "published logs")
