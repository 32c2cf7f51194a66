"""The engines that the estimator knows: one line each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from importlib import import_module

from sparkrun_tui.base.late_table import LateTable
from sparkrun_tui.memory.hosts import floors, others
from sparkrun_tui.memory.measured import Measured
from sparkrun_tui.memory.model import EngineModel
from sparkrun_tui.memory.result import Estimate, HostMemory, HostPicture, Level, Verdict
from sparkrun_tui.memory.settings import EngineSettings
from sparkrun_tui.models.facts import ModelFacts

_FOLDERS = {"vllm": "vllm", "llama-cpp": "llama_cpp", "sglang": "sglang"}
"""The folder of each modelled engine by the name of its family; a new one is one line here."""


def _model(folder: str) -> EngineModel:
    model: EngineModel = import_module(f"sparkrun_tui.memory.{folder}.model").MODEL
    return model


MODELS: Mapping[str, EngineModel] = LateTable({name: partial(_model, folder) for name, folder in _FOLDERS.items()})
"""Each modelled engine by the name of its family, imported when it is first asked for."""


def model_of(engine: str) -> EngineModel:
    """What is known of an engine; of one that is not modelled, everything is unknown."""
    return MODELS.get(engine, _UNMODELLED)


def estimate_unknown(
    facts: ModelFacts,
    settings: EngineSettings,
    hosts: Sequence[HostMemory],
    measured: Mapping[str, Measured],
) -> Estimate:
    """An estimate in which everything is unknown, for an engine that is not in the table."""
    return unknown(facts, settings, hosts, f"memory use of {settings.engine} is not modelled")


def unknown(facts: ModelFacts, settings: EngineSettings, hosts: Sequence[HostMemory], reason: str) -> Estimate:
    """An estimate in which everything is unknown, with the reason in words."""
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


_UNMODELLED = EngineModel(estimate_unknown)
