"""What the weights of a row take: every tensor that vLLM keeps after it has loaded and repacked them."""

from __future__ import annotations

import gc
from importlib import import_module
from typing import Any

from benchmarks.judges import meta
from benchmarks.judges.vllm import building

GIB = 1 << 30
LEFT_OUT = "StageMissingLayer"
"""vLLM's class for a tower that it builds without memory."""


def weigh(config: Any) -> dict[str, Any]:
    """The bytes on the first rank, drafter included. Raises what vLLM raises when it refuses the checkpoint.

    Counted is what lies on the GPU and is still held: parameters, buffers, tensors of quantisation methods and
    kernels, tables that modules share. Each storage counts once. Allocators round up to 512 bytes, which is left out.
    """
    model, drafter = building.build(config, processed=True)
    total = _held()
    found: dict[str, Any] = {"weights_bytes": total, "model_load_gib": total / GIB}
    del model, drafter
    return found


def _held() -> int:
    """The bytes of all storages on `meta`, but for those that vLLM itself has there."""
    torch: Any = import_module("torch")
    _forget_notes()
    gc.collect()
    found: dict[int, int] = {}
    nowhere = list(meta.NOWHERE)
    for value in gc.get_objects():
        if isinstance(value, torch.Tensor) and value.is_meta:
            storage = value.untyped_storage()
            found[storage._cdata] = storage.nbytes()
        elif type(value).__name__ == LEFT_OUT:
            nowhere += _storages_of(value)
    for storage in nowhere:
        found.pop(storage._cdata, None)
    return sum(found.values())


def _storages_of(placeholder: Any) -> list[Any]:
    """The storages of the module that a placeholder stands for: vLLM frees them."""
    module: Any = import_module("torch").nn.Module
    inner = [value for value in vars(placeholder).values() if isinstance(value, module)]
    return [tensor.untyped_storage() for part in inner for tensor in (*part.parameters(), *part.buffers())]


def _forget_notes() -> None:
    """Drop the shapes that vLLM notes for a later reload: they are on `meta` on a real machine, too."""
    try:
        notes: Any = import_module("vllm.model_executor.model_loader.reload.layerwise")
    except ImportError:
        return
    for name in ("LAYERWISE_INFO", "LAYER_RELOADING_INFO"):
        getattr(notes, name, {}).clear()
