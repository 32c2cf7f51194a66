"""A DGX Spark as PyTorch describes it, for a process without any GPU."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from types import SimpleNamespace
from typing import Any

NAME = "NVIDIA GB10"
CAPABILITY = (12, 1)
TOTAL = 130_596_048_896
"""Memory in bytes as the CUDA driver of a DGX Spark states it."""

PROCESSORS = 48
CUDA = "13.0"
DEVICES = 64
"""How many are claimed, so that any number of ranks may be planned on one host."""


def pretend_torch() -> None:
    """Answers of torch.cuda. Tensors are made on the device `meta`, so nothing is ever allocated."""
    torch: Any = import_module("torch")
    # The compiler asks while it is imported, and has to hear what this build of PyTorch really is.
    for name in ("torch._inductor.lowering", "torch._inductor.compile_fx"):
        import_module(name)
    torch.version.cuda = CUDA
    properties = SimpleNamespace(
        name=NAME,
        major=CAPABILITY[0],
        minor=CAPABILITY[1],
        total_memory=TOTAL,
        multi_processor_count=PROCESSORS,
        is_integrated=1,
        warp_size=32,
        max_threads_per_multi_processor=1536,
        regs_per_multiprocessor=65536,
        shared_memory_per_block=49152,
        shared_memory_per_block_optin=101376,
        shared_memory_per_multiprocessor=102400,
        L2_cache_size=25165824,
        gcnArchName="",
        uuid="GPU-0",
    )
    answers: dict[str, Callable[..., Any]] = {
        "is_available": lambda: True,
        "is_initialized": lambda: True,
        "device_count": lambda: DEVICES,
        "current_device": lambda: 0,
        "set_device": lambda *_: None,
        "get_device_name": lambda *_: NAME,
        "get_device_capability": lambda *_: CAPABILITY,
        "get_device_properties": lambda *_: properties,
        "mem_get_info": lambda *_: (TOTAL, TOTAL),
        "memory_stats": lambda *_, **__: {},
        "max_memory_allocated": lambda *_: 0,
        "memory_reserved": lambda *_: 0,
        "memory_allocated": lambda *_: 0,
        "reset_peak_memory_stats": lambda *_: None,
        "empty_cache": lambda: None,
        "synchronize": lambda *_: None,
        "is_current_stream_capturing": lambda: False,
        "_lazy_init": lambda: None,
        "_is_compiled": lambda: True,
        "Event": _Event,
        "Stream": _Stream,
        "current_stream": lambda *_: _Stream(),
        "default_stream": lambda *_: _Stream(),
    }
    for name, answer in answers.items():
        setattr(torch.cuda, name, answer)
    for name in ("empty_cache", "synchronize"):
        setattr(torch.accelerator, name, lambda *_: None)
    for name in ("max_memory_allocated", "memory_allocated", "memory_reserved"):
        setattr(torch.accelerator, name, lambda *_: 0)
    torch.accelerator.current_device_index = lambda: 0
    torch.accelerator.current_accelerator = lambda *_, **__: torch.device("cuda")
    torch.accelerator.device_count = lambda: DEVICES
    torch.accelerator.is_available = lambda: True
    torch.accelerator.get_memory_info = lambda *_: (TOTAL, TOTAL)


class _Event:
    """An event that has happened."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def record(self, *_: Any) -> None:
        """Nothing is to be marked."""

    def synchronize(self) -> None:
        """Nothing is to be waited for."""


class _Stream:
    """A stream on which nothing runs."""

    cuda_stream = 0

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def wait_stream(self, _: Any) -> None:
        """Nothing is to be waited for."""

    def synchronize(self) -> None:
        """Nothing is to be waited for."""

    def __enter__(self) -> _Stream:
        return self

    def __exit__(self, *_: Any) -> None:
        pass
