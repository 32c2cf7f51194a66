"""What vLLM decides by the GPU: default batch and sequences, and which kernels it has for it."""

from __future__ import annotations

from sparkrun_tui.base.gpus import compute_capability
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.units import GIB
from sparkrun_tui.memory.hosts import is_blackwell_spark
from sparkrun_tui.memory.result import HostMemory


@dataclass(frozen=True, slots=True)
class Device:
    """One GPU as vLLM sees it: the bytes that NVML reports, and its compute capability.

    `memory` is None where NVML does not answer, as on a GB10; `capability` is None for a GPU that is not known here.
    """

    memory: int | None
    capability: tuple[int, int] | None
    spark: bool
    a100: bool = False


def device_of(host: HostMemory) -> Device:
    """The GPU of a host; a host with unified memory and no GPU name counts as a GB10."""
    if is_blackwell_spark(host):
        return SPARK
    return Device(
        memory=None if host.unified else host.total,
        capability=compute_capability(host.gpu_name),
        spark=False,
        a100="A100" in host.gpu_name.upper(),
    )


SPARK = Device(memory=None, capability=(12, 1), spark=True)
"""The GPU of a DGX Spark, which is also assumed where nothing is known."""


def batch_defaults(device: Device, version: tuple[int, int]) -> tuple[int, int]:
    """The default tokens and sequences of one step of `vllm serve`.

    By the memory that NVML reports: 8192 and 1024 from 70 GiB on (but for the A100), 16384 and 1024 from 160 GiB on
    since 0.32, else 2048 and 256. A GB10's NVML does not report its memory, and vLLM then takes the smallest tier in
    every release. Source: vllm/engine/arg_utils.py (get_batch_defaults, before 0.32 _set_default_args).
    """
    large = device.memory is not None and device.memory >= 70 * GIB and not device.a100
    if not large:
        return 2048, 256
    sequences = 1024 if version >= (0, 10) else 256
    huge = device.memory is not None and device.memory >= 160 * GIB and version >= (0, 32)
    return (16384 if huge else 8192), sequences


def has_flashinfer_gdn(device: Device, key_width: int) -> bool:
    """Whether vLLM 0.33 chooses FlashInfer's kernel for the prefill of Gated DeltaNet on this GPU.

    `key_width` is the width of a key head. Compute capability 9.0, or 10.x and 12.x with heads of 128 in a CUDA 13
    build, which all images since 0.33 are. Source:
    vllm/model_executor/layers/mamba/gdn/qwen_gdn_linear_attn.py (_resolve_gdn_prefill_backend).
    """
    if device.capability is None:
        return False
    major = device.capability[0]
    return device.capability == (9, 0) or (major in (10, 12) and key_width == 128)
