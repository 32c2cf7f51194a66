"""A machine that answers SGLang as a DGX Spark does, on one without any GPU.

SGLang asks PyTorch for the device, nvidia-smi for its memory (which a GB10 does not state), and the operating system
for what is available, because the device is an integrated one. What it makes of the answers is its own code.
Compiled modules are not loaded: their names are empty modules.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from types import SimpleNamespace
from typing import Any

from benchmarks.judges import kernels
from benchmarks.judges.absent import Anything, Packages, put_module
from benchmarks.judges.spark import pretend_torch

ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "TORCHDYNAMO_DISABLE": "1",
    "TOKENIZERS_PARALLELISM": "false",
}

PACKAGES = kernels.PACKAGES | frozenset(
    {
        "outlines",
        "torchao",
        "torch_memory_saver",
        "sgl_kernel",
        "deep_gemm",
        "deep_ep",
        "flash_attn",
        "flash_mla",
        "kernels",
        "helion",
        "mooncake",
        "nvshmem",
        "numba",
        "decord",
        "soundfile",
        "av",
        "timm",
        "datasets",
        "modelscope",
        "blobfile",
        "IPython",
        "smg_grpc_servicer",
        "smg_grpc_proto",
    }
)
"""Kernels of the official image; grammars, pictures, sound and downloads, which no plan depends on."""

ANSWERS: Mapping[str, Any] = {
    "triton.jit": lambda *_, **__: Anything("triton.jit()"),
    "triton.runtime.driver.active.get_current_target().backend": "cuda",
}
"""A kernel may be launched, which does nothing; the device of kernels is a GPU by NVIDIA."""


def pretend(compiled: list[str]) -> None:
    """Make this process a GB10 before anything of SGLang is imported; ``compiled`` names its compiled modules."""
    os.environ.update(ENVIRONMENT)
    os.environ.pop("CUDA_VISIBLE_DEVICES", None)
    pretend_torch()
    torch: Any = import_module("torch")
    torch.get_device_module = lambda *_: torch.cuda
    _leave_operations()
    Packages(PACKAGES, kernels.VERSIONS, ANSWERS).install()
    _state_versions()
    for name in compiled:
        put_module(name)


def _leave_operations() -> None:
    """Let SGLang state the shapes of operations of kernels that are not there; nobody asks for them."""
    library: Any = import_module("torch.library")
    register = library.register_fake

    def register_fake(op: Any, func: Any = None, /, **named: Any) -> Any:
        if not (isinstance(op, str) and op.startswith("sgl_kernel::")):
            return register(op, func, **named)
        return func if func is not None else lambda function: function

    library.register_fake = register_fake


def _state_versions() -> None:
    """Answer for the versions of absent packages, which libraries ask for when they find one."""
    metadata: Any = import_module("importlib.metadata")
    installed = metadata.version

    def version(name: str) -> str:
        module = name.replace("-", "_")
        if module in PACKAGES:
            return kernels.VERSIONS.get(module, "99.0")
        return str(installed(name))

    metadata.version = version
    listed = metadata.packages_distributions

    def packages_distributions() -> dict[str, list[str]]:
        absent = {module: [module.replace("_", "-")] for module in PACKAGES}
        return {**absent, **listed()}

    metadata.packages_distributions = packages_distributions


def set_available(size: int) -> None:
    """State what the operating system has available, in bytes."""
    psutil: Any = import_module("psutil")
    psutil.virtual_memory = lambda: SimpleNamespace(total=size, available=size, used=0, free=size, percent=0.0)
