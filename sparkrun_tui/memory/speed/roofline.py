"""Tokens a second of one request: the time to read what a token needs, and the time that each layer takes anyway."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from sparkrun_tui.base.reading.numbers import whole
from sparkrun_tui.memory.result import HostMemory, Rate, Speed
from sparkrun_tui.memory.settings import EngineSettings
from sparkrun_tui.memory.speed.bandwidth import SPARK, bandwidth_of
from sparkrun_tui.memory.speed.reads import Reads, reads_of
from sparkrun_tui.models.facts import ModelFacts

_READ_SHARE = 0.71
"""Share of the bandwidth that engines reach on a GB10. Fitted to published decode speeds (benchmarks/decode.yaml)."""

_LAYER = 0.085e-3
"""Seconds that each layer takes beside its reads: launching kernels, norms, the state of a recurrence."""

_EAGER_LAYER = 0.6e-3
"""The same without CUDA graphs: 26 instead of 59 tokens/s were published for gpt-oss-120b (36 layers)."""

_EXCHANGE = 0.08e-3
"""Seconds a layer for the two sums over hosts with tensor parallelism, over RoCE between two Sparks."""

_SLOWER, _FASTER = 0.75, 1.25
"""The band of a decode speed: nine of ten published figures lie in it."""

_RATES = ((6.0, 100e12), (10.0, 60e12), (inf, 45e12))
"""Operations a second that prefill reaches on a GB10 with dense models, by bits a weight (published: 60 to 165e12 with
four bits, 30 to 110e12 with eight)."""

_EXPERT_RATE = 30e12
"""The same where a router chooses among experts, of any format (published: 15 to 50e12)."""

_PREFILL_SLOWER, _PREFILL_FASTER = 0.5, 1.7


def speed_of(facts: ModelFacts, settings: EngineSettings, hosts: Sequence[HostMemory]) -> Speed | None:
    """The speed on the slowest of some hosts; None where the model's modules or the GPU's bandwidth are not known.

    decode = 1 / (bytes read / (0.71 x bandwidth) + layers x 0.085 ms), with 0.08 ms a layer more where tensor-parallel
    ranks lie on several hosts. Weights that a CPU keeps are not modelled, and neither is a drafter.
    """
    if not hosts or settings.cpu_offload_gib or _left_to_cpu(facts, settings):
        return None
    rates = [bandwidth_of(host) for host in hosts]
    slowest = min((rate for rate in rates if rate is not None), default=None)
    reads = reads_of(facts, settings)
    if slowest is None or None in rates or reads is None or reads.size <= 0:
        return None
    layer = _EAGER_LAYER if settings.enforce_eager else _LAYER
    is_spread = len(hosts) > 1 and settings.tensor_parallel > 1
    if is_spread:
        layer += _EXCHANGE
    decode = 1 / (reads.size / (_READ_SHARE * slowest) + reads.layers * layer)
    return Speed(
        decode=Rate(decode, decode * _SLOWER, decode * _FASTER),
        prefill=_prefill(reads) if slowest == SPARK else None,
        drafts=settings.speculative is not None,
        read=round(reads.size),
    )


def _left_to_cpu(facts: ModelFacts, settings: EngineSettings) -> bool:
    """Whether llama.cpp is asked to leave layers to the CPU."""
    layers = whole(settings.llama.n_gpu_layers)
    return layers is not None and layers < len(facts.layers or ())


def _prefill(reads: Reads) -> Rate:
    """Two operations a weight that is multiplied, at the rate of its format."""
    if reads.has_experts:
        rate = _EXPERT_RATE
    else:
        rate = next(rate for bits, rate in _RATES if reads.bits <= bits)
    tokens = rate / (2 * reads.weights)
    return Rate(tokens, tokens * _PREFILL_SLOWER, tokens * _PREFILL_FASTER)
