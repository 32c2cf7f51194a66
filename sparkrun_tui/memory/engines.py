"""The engines that the estimator knows: one function each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sparkrun_tui.memory.hosts import floors, others
from sparkrun_tui.memory.llama_cpp.estimate import estimate_llama
from sparkrun_tui.memory.measured import Measured
from sparkrun_tui.memory.result import Estimate, HostMemory, HostPicture, Level, Verdict
from sparkrun_tui.memory.settings import EngineSettings
from sparkrun_tui.memory.sglang.estimate import estimate_sglang
from sparkrun_tui.memory.vllm.estimate import estimate_vllm
from sparkrun_tui.models.facts import ModelFacts

Estimator = Callable[[ModelFacts, EngineSettings, Sequence[HostMemory], Mapping[str, Measured]], Estimate]

ENGINES: Mapping[str, Estimator] = {"vllm": estimate_vllm, "llama-cpp": estimate_llama, "sglang": estimate_sglang}


def estimate_unknown(
    facts: ModelFacts,
    settings: EngineSettings,
    hosts: Sequence[HostMemory],
    measured: Mapping[str, Measured],
) -> Estimate:
    """Return an estimate in which everything is unknown, for an engine that is not in the table."""
    return unknown(facts, settings, hosts, f"memory use of {settings.engine} is not modelled")


def unknown(facts: ModelFacts, settings: EngineSettings, hosts: Sequence[HostMemory], reason: str) -> Estimate:
    """Return an estimate in which everything is unknown, with the reason in words."""
    verdict = Verdict(Level.UNKNOWN, "not known", reason)
    pictures = tuple(HostPicture(host, (others(host),), None, None, *floors(host)) for host in hosts)
    return Estimate(
        hosts=pictures,
        starts=verdict,
        context=verdict,
        headroom=verdict,
        notes=(*settings.notes, *facts.notes),
        engine_version=settings.version,
        facts_source=facts.source,
    )
