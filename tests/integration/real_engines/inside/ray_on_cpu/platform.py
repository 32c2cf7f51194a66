"""vLLM's platform of CPUs, whose hosts Ray may connect."""

from __future__ import annotations

from vllm.platforms.cpu import CpuPlatform


class CpuWithRay(CpuPlatform):
    """CPUs that count as the GPU that each node of the Ray cluster says it has."""

    ray_device_key = "GPU"

    @classmethod
    def get_device_communicator_cls(cls) -> str:
        """The communicator, imported by name later: it needs a platform itself."""
        return f"{__package__}.communicator.BetweenHosts"
