"""The engines that the estimator knows: one function each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sparkrun_tui.memory.facts import ModelFacts
from sparkrun_tui.memory.measured import Measured
from sparkrun_tui.memory.result import Estimate, HostMemory
from sparkrun_tui.memory.settings import EngineSettings
from sparkrun_tui.memory.vllm_estimate import estimate_vllm

Estimator = Callable[[ModelFacts, EngineSettings, Sequence[HostMemory], Mapping[str, Measured]], Estimate]

ENGINES: Mapping[str, Estimator] = {"vllm": estimate_vllm}
