"""The engines that the demo simulates, by the name of their family. A new engine needs one line here."""

from __future__ import annotations

from collections.abc import Mapping

from sparkrun_tui.demo.engines import llama_log, plain_log, sglang_log, vllm_log
from sparkrun_tui.demo.engines.simulated import Simulated

SIMULATED: Mapping[str, Simulated] = {
    "vllm": vllm_log.SIMULATED,
    "sglang": sglang_log.SIMULATED,
    "llama-cpp": llama_log.SIMULATED,
}


def simulated(engine: str) -> Simulated:
    """The simulation of an engine; for an unknown one, a start without figures."""
    return SIMULATED.get(engine, plain_log.SIMULATED)
