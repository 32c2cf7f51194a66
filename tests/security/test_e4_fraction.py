"""E4: a line of a log raises the memory fraction only as far as the host, by its own probe, can bear it."""

from __future__ import annotations

import pytest

from sparkrun_tui.base.units import GIB
from sparkrun_tui.launch.diagnosis.diagnose import diagnose

VALUES = {"mem_fraction_static": "0.50", "gpu_memory_utilization": "0.50", "max_model_len": "8192"}
SPARK = 120 * GIB


def sglang(needed: str) -> str:
    return (
        "ValueError: Loaded weights leave no GPU memory for the KV cache under --mem-fraction-static=0.5. "
        f"Raise --mem-fraction-static above {needed}"
    )


LINES = {
    "sglang": [sglang("0.91"), sglang("0.899"), sglang("0.60"), sglang("9.9"), sglang("1.0")],
    "vllm": [
        "ValueError: No available memory for the cache blocks. Try increasing `gpu_memory_utilization` when",
        "Free memory on device cuda:0 (119.9/120.0 GiB) on startup is less than desired GPU memory utilization (0.5",
    ],
}


@pytest.mark.parametrize(("engine", "line"), [(engine, line) for engine, lines in LINES.items() for line in lines])
@pytest.mark.parametrize("memory", [None, 16 * GIB, SPARK])
def test_the_host_keeps_enough(engine: str, line: str, memory: int | None) -> None:
    found = diagnose(engine, {"spark-1": [line]}, values=VALUES, memory_total=memory)
    assert found is not None
    for repair in found.repairs:
        if repair.key not in VALUES:
            continue
        raised = float(repair.value) > 0.5
        if raised:
            assert memory is not None and memory * (1 - float(repair.value)) >= 8 * GIB, repair


def test_what_the_host_can_bear_is_still_offered() -> None:
    found = diagnose("sglang", {"spark-1": [sglang("0.60")]}, values=VALUES, memory_total=SPARK)
    assert found is not None
    assert ("gpu_memory_utilization", "0.61") in [(repair.key, repair.value) for repair in found.repairs]
