"""A machine that answers vLLM as a DGX Spark does, on one without any GPU.

vLLM finds its platform through NVML and asks PyTorch for the rest. Both get the answers of a GB10 here, among them
that NVML does not know the memory of the device. What vLLM makes of the answers is its own code. Compiled modules
are not loaded: their names are empty modules, and their operations do nothing (`operations.py`).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib import util
from pathlib import Path
from typing import Any

from benchmarks.judges.absent import put_module
from benchmarks.judges.spark import CAPABILITY, DEVICES, NAME, pretend_torch
from benchmarks.judges.vllm import operations, stubs

COPY = "vllm.third_party.pynvml"
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_PLUGINS": "",
    "VLLM_USE_MODELSCOPE": "0",
    "TORCHDYNAMO_DISABLE": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


def pretend(compiled: list[str]) -> None:
    """Make this process a GB10 before anything of vLLM is imported; ``compiled`` names vLLM's compiled modules."""
    os.environ.update(ENVIRONMENT)
    os.environ.pop("CUDA_VISIBLE_DEVICES", None)
    os.environ["VLLM_CACHE_ROOT"] = os.path.join(sys.prefix, "vllm-cache")
    pretend_torch()
    stubs.install()
    operations.install()
    for name in compiled:
        put_module(name)
    _pretend_nvml()


def _pretend_nvml() -> None:
    """Answers of NVML. The question for memory fails, as on a GB10 ("Not Supported").

    vLLM's own copy is loaded from its file: importing vLLM itself may already ask for the platform.
    """
    found = util.find_spec("vllm")
    assert found is not None and found.origin is not None
    spec = util.spec_from_file_location(COPY, Path(found.origin).parent / "third_party/pynvml.py")
    assert spec is not None and spec.loader is not None
    nvml: Any = util.module_from_spec(spec)
    sys.modules[COPY] = nvml
    folder = put_module(COPY.rpartition(".")[0], pynvml=nvml)
    folder.__path__ = [str(Path(found.origin).parent / "third_party")]
    spec.loader.exec_module(nvml)

    def unsupported(*_: Any) -> Any:
        raise nvml.NVMLError(nvml.NVML_ERROR_NOT_SUPPORTED)

    answers: dict[str, Callable[..., Any]] = {
        "nvmlInit": lambda: None,
        "nvmlShutdown": lambda: None,
        "nvmlDeviceGetCount": lambda: DEVICES,
        "nvmlDeviceGetHandleByIndex": lambda index: index,
        "nvmlDeviceGetHandleByUUID": lambda _: 0,
        "nvmlDeviceGetIndex": lambda handle: handle,
        "nvmlDeviceGetName": lambda _: NAME,
        "nvmlDeviceGetUUID": lambda handle: f"GPU-{handle}",
        "nvmlDeviceGetCudaComputeCapability": lambda _: CAPABILITY,
        "nvmlDeviceGetMemoryInfo": unsupported,
        "nvmlDeviceGetP2PStatus": unsupported,
        "nvmlDeviceGetNumaNodeId": unsupported,
        "nvmlDeviceGetCpuAffinity": unsupported,
        "nvmlSystemGetDriverVersion": lambda: "580.95.05",
    }
    for name, answer in answers.items():
        setattr(nvml, name, answer)
