"""vLLM's compiled operations: they are there and compute nothing.

Questions for what the device supports are answered for a GB10. Where vLLM states the shape that an operation returns
(`register_fake`), its own function gives it; `SHAPES` has those that it states nowhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

NAMESPACES = (
    "_C",
    "_moe_C",
    "_C_cache_ops",
    "_C_custom_ar",
    "_C_cuda_utils",
    "_C_utils",
    "_qutlass_C",
    "_flashkda_C",
    "_flashmla_C",
    "_flashmla_extension_C",
    "_vllm_fa2_C",
    "_vllm_fa3_C",
    "deep_select",
)

ELSEWHERE = ("cpu", "onednn", "rocm", "_xpu", "zen", "dynamic_4bit_int_moe")
"""Parts of names of operations that builds for CUDA lack: vLLM asks whether they are there."""

Operation = Callable[..., Any]

SHAPES: dict[str, Operation] = {}
"""Operations by `namespace::name`, written here because vLLM does not state what they return."""

_stated: dict[str, Operation] = {}


def shape(name: str) -> Callable[[Operation], Operation]:
    """Mark a function as what the operation ``name`` returns."""

    def mark(function: Operation) -> Operation:
        SHAPES[name] = function
        return function

    return mark


class _Namespace:
    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or any(part in name for part in ELSEWHERE):
            raise AttributeError(name)
        operation = _Operation(f"{self._name}::{name}")
        setattr(self, name, operation)
        return operation


class _Operation:
    def __init__(self, name: str) -> None:
        self._name = name
        self._schema = self

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self if name == "default" else _Operation(f"{self._name}.{name}")

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        function = SHAPES.get(self._name) or _stated.get(self._name)
        if function is not None:
            return function(*arguments, **named)
        return "support" in self._name

    def __repr__(self) -> str:
        return self._name


def install() -> None:
    """Put the operations where PyTorch keeps those of loaded modules, and note the shapes that vLLM states."""
    torch: Any = import_module("torch")
    for name in NAMESPACES:
        setattr(torch.ops, name, _Namespace(name))
    original = torch.library.register_fake

    def register_fake(op: Any, func: Operation | None = None, /, **named: Any) -> Any:
        if not (isinstance(op, str) and op.partition("::")[0] in NAMESPACES):
            return original(op, func, **named)
        if func is not None:
            _stated[op] = func
            return func

        def note(function: Operation) -> Operation:
            _stated[op] = function
            return function

        return note

    torch.library.register_fake = register_fake


def stated() -> Mapping[str, Operation]:
    """The operations whose shapes vLLM states itself."""
    return _stated
