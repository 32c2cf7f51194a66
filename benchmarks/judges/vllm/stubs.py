"""Packages that need a GPU to be imported or that no plan depends on, as far as vLLM asks for them.

vLLM looks whether a package is installed and takes names out of it; it calls none of them before it runs. Every name
of such a package is `Anything`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace
from typing import Any

PACKAGES = frozenset(
    {
        "triton",
        "flashinfer",
        "flashinfer_cubin",
        "flashinfer_jit_cache",
        "humming",
        "cutlass",
        "cuda",
        "tilelang",
        "quack",
        "tvm_ffi",
        "tokenspeed_mla",
        "xgrammar",
        "llguidance",
        "outlines_core",
        "lmformatenforcer",
        "torchvision",
        "torchaudio",
        "vllm.third_party.deep_gemm",
    }
)
"""Kernels that the official image for CUDA 13 has beside vLLM; grammars and pictures, which no plan depends on."""

VERSIONS = {"triton": "3.7.1", "flashinfer": "0.7.2", "tilelang": "0.1.12", "cutlass": "4.8.0"}


def packed_scales(
    sf: Any = None, mn: int = 0, k: int = 0, recipe: Any = (), num_groups: int | None = None, *_: Any, **__: Any
) -> Any:
    """DeepGEMM's layout of the scales of fp8 blocks on a GB10: an int32 for each row and 512 columns, rows up to 4.

    Its `csrc/apis/layout.hpp` has it so for major architecture 12; it is not run here.
    """
    groups = () if num_groups is None else (num_groups,)
    columns = -(-k // (4 * recipe[-1]))
    return sf.new_empty((*groups, -(-mn // 4) * 4, columns), dtype=import_module("torch").int32)


FUNCTIONS: dict[str, Any] = {
    "vllm.third_party.deep_gemm.transform_sf_into_required_layout": packed_scales,
    "vllm.third_party.deep_gemm.get_mk_alignment_for_contiguous_layout": lambda: 128,
}
"""Functions whose result is kept as a weight, or decides between kernels."""


class Anything:
    """A value that may be asked for any name, called, indexed, and used as a decorator or a base class."""

    def __init__(self, name: str = "") -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything(f"{self._name}.{name}")

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        if len(arguments) == 1 and not named and callable(arguments[0]) and not isinstance(arguments[0], Anything):
            return arguments[0]
        return Anything(f"{self._name}()")

    def __getitem__(self, _: Any) -> Any:
        return Anything(f"{self._name}[]")

    def __mro_entries__(self, _: tuple[Any, ...]) -> tuple[type, ...]:
        return (object,)

    def __instancecheck__(self, _: Any) -> bool:
        return False

    def __or__(self, other: Any) -> Any:
        return other

    def __ror__(self, other: Any) -> Any:
        return other

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __bool__(self) -> bool:
        return True

    def __int__(self) -> int:
        return 1

    def __index__(self) -> int:
        return 1

    def __contains__(self, _: Any) -> bool:
        return True

    def __lt__(self, _: Any) -> bool:
        return False

    __gt__ = __le__ = __ge__ = __lt__

    def __repr__(self) -> str:
        return f"<not on this machine: {self._name}>"


class _Module(ModuleType):
    """A module that has every name."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        whole = f"{self.__name__}.{name}"
        return FUNCTIONS.get(whole) or Anything(whole)


class _Finder(MetaPathFinder, Loader):
    """Finds modules of `PACKAGES`, and says that they are packages."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> Any:
        """The specification of a module of one of the packages."""
        if not any(fullname == name or fullname.startswith(f"{name}.") for name in PACKAGES):
            return None
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """A module with every name."""
        return _Module(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Give it a version, and Triton the one active driver that vLLM looks for."""
        made: Any = module
        made.__version__ = VERSIONS.get(module.__name__.partition(".")[0], "99.0")
        if module.__name__ == "triton.backends":
            made.backends = {"nvidia": SimpleNamespace(driver=SimpleNamespace(is_active=lambda: True))}
        if module.__name__ == "triton":
            made.cdiv = lambda a, b: -(-a // b)
            made.next_power_of_2 = lambda n: 1 << max(0, int(n) - 1).bit_length()


def install() -> None:
    """Find the packages from now on, even where one of them is installed."""
    sys.meta_path.insert(0, _Finder())
