"""What is assumed and what follows of a host's memory: other tenants, floors, the start check's free memory."""

from __future__ import annotations

from sparkrun_tui.base.units import GIB
from sparkrun_tui.memory.result import HostMemory, Part

SPARK_TOTAL = int(121.69 * GIB)
"""MemTotal of a current DGX Spark in bytes (127,600,748 kB)."""

FLOOR_RED = 4 * GIB
FLOOR_GREEN = 8 * GIB
IDLE = 5 * GIB
"""The memory that the system of an idle Spark uses, roughly."""
_CONTAINER = int(2.7 * GIB)
"""What the container and the CUDA context take before an engine on unified memory looks at free memory."""


def assumed_spark(name: str) -> HostMemory:
    """A DGX Spark that was not probed: 121.7 GiB, marked as assumed."""
    return HostMemory(name, SPARK_TOTAL, None, True, "assumed DGX Spark", gpu_name="NVIDIA GB10")


def is_blackwell_spark(host: HostMemory) -> bool:
    """Whether a host's GPU is a GB10; unified memory without a GPU name counts as one."""
    return host.unified and (not host.gpu_name or "GB10" in host.gpu_name.upper())


def others(host: HostMemory) -> Part:
    """The memory that other processes use on a host: as probed, else that of an idle Spark or card."""
    if host.available is not None:
        held = max(0, host.total - host.available)
        return Part("others", held, held, held, host.source)
    if not host.unified:
        return Part("others", 0, 0, GIB, "assumed idle card")
    return Part("others", IDLE, int(4.5 * GIB), 11 * GIB, "assumed idle host")


def free_at_start(host: HostMemory) -> int:
    """The bytes that an engine will see as free when it starts (MemAvailable on unified memory)."""
    free = host.total - others(host).bytes
    return max(0, free - _CONTAINER) if host.unified else free


def floors(host: HostMemory) -> tuple[int, int]:
    """The red and the green floor of free memory in bytes; a discrete card has none."""
    return (FLOOR_RED, FLOOR_GREEN) if host.unified else (0, 0)
