"""Sample log lines, and the diagnosis of a log."""

from __future__ import annotations

from collections.abc import Mapping

from sparkrun_tui.base.units import GIB
from sparkrun_tui.launch.diagnosis.diagnose import diagnose
from sparkrun_tui.launch.record.events import Diagnosed

VALUES = {
    "max_model_len": "262144",
    "gpu_memory_utilization": "0.80",
    "port": "8000",
    "tensor_parallel": "3",
    "max_num_seqs": "64",
    "max_num_batched_tokens": "8192",
}
SPARK = int(121.69 * GIB)

KV_TOO_SMALL = (
    "ValueError: To serve at least one request with the model's max seq len (262144), (9.1 GiB KV cache is needed, "
    "which is larger than the available KV cache memory (6.6 GiB). Based on the available memory, the estimated "
    "maximum model length is 190272. Try increasing `gpu_memory_utilization` or decreasing `max_model_len`."
)
OOM = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has 3.10 GiB free."
ECHOES = [
    "(EngineCore pid=30) ERROR 03-01 10:00:05 [core.py:1510] Exception: WorkerProc initialization failed due to an "
    "exception in a background process. See stack trace for root cause.",
    "Traceback (most recent call last):",
    '  File "/opt/vllm/entry.py", line 12, in main',
    "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}",
]


def diagnosed(
    *lines: str, engine: str = "vllm", values: Mapping[str, str] = VALUES, memory_total: int | None = SPARK
) -> Diagnosed:
    """The diagnosis of the log of one host."""
    found = diagnose(engine, {"spark-1": lines}, values=values, memory_total=memory_total)
    assert found is not None
    return found


def overrides(found: Diagnosed) -> dict[str, str]:
    """The values that the repairs set."""
    return {repair.key: repair.value for repair in found.repairs if repair.key}
