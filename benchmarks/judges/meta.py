"""Every tensor that an engine would make on a GPU is made on the device `meta`: shapes without any memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from benchmarks.judges.absent import Anything

NOWHERE: list[Any] = []
"""Storages that the engine itself makes on `meta`: the towers that it leaves out."""


@contextmanager
def on_meta() -> Iterator[None]:
    """Every tensor that would be made on a GPU is made on `meta`."""
    overrides: Any = import_module("torch.overrides")
    torch: Any = import_module("torch")

    tensor = torch.Tensor
    read = {tensor.item: 0, tensor.__int__: 0, tensor.__float__: 0.0, tensor.__bool__: False}
    alike = {torch.equal, torch.allclose}

    class Redirect(overrides.TorchFunctionMode):  # type: ignore[misc]
        """Sends tensors to `meta`. A value that is read there is zero, and tensors that are compared are equal."""

        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            named = dict(kwargs or {})
            if func in read and args[0].is_meta:
                return read[func]
            if func in alike:
                return True
            if func is tensor.tolist and args[0].is_meta:
                return _zeros(tuple(args[0].shape))
            if func is tensor.cpu and args[0].is_meta:
                return torch.zeros(args[0].shape, dtype=args[0].dtype)
            if _is_gpu(named.get("device"), torch) or isinstance(named.get("device"), int):
                named["device"] = torch.device("meta")
            moved = tuple(_moved(value, torch) for value in args)
            if func is tensor.cuda:
                return moved[0].to("meta")
            if named.get("pin_memory"):
                named["pin_memory"] = False
            if func is tensor.pin_memory:
                return moved[0]
            found = func(*moved, **named)
            if contexts and contexts[-1] == "meta" and isinstance(found, tensor) and not _any_tensor(args, tensor):
                NOWHERE.append(found.untyped_storage())
            return found

    torch.distributions.Distribution.set_default_validate_args(False)
    contexts = _device_contexts()
    torch.unique = tensor.unique = lambda values, *_, **__: values.new_empty(1)
    with Redirect():
        yield


def _device_contexts() -> list[str]:
    """The devices of the blocks `with torch.device(...)` that are open, kept up to date from now on."""
    context: Any = import_module("torch.utils._device").DeviceContext
    enter, leave, opened = context.__enter__, context.__exit__, []

    def entered(self: Any) -> Any:
        opened.append(str(self.device))
        return enter(self)

    def left(self: Any, *about: Any) -> Any:
        opened.pop()
        return leave(self, *about)

    context.__enter__, context.__exit__ = entered, left
    return opened


def _any_tensor(values: Any, tensor: type) -> bool:
    """Whether a result was computed from a tensor, so that it may share its storage."""
    return any(isinstance(value, tensor) for value in values)


def _moved(value: Any, torch: Any) -> Any:
    """An argument with the GPU replaced, and a size that only a package of kernels knows replaced by one."""
    if _is_gpu(value, torch):
        return torch.device("meta")
    return 1 if isinstance(value, Anything) else value


def _zeros(shape: tuple[int, ...]) -> Any:
    """Nested lists of zeros."""
    if not shape:
        return 0
    return [_zeros(shape[1:]) for _ in range(shape[0])]


def _is_gpu(value: Any, torch: Any) -> bool:
    """Whether a value names the GPU as a device."""
    if isinstance(value, str):
        return value == "cuda" or value.startswith("cuda:")
    return isinstance(value, torch.device) and value.type == "cuda"
