"""Packages that need a GPU to be imported or that no plan depends on, as far as vLLM asks for them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from benchmarks.judges import kernels
from benchmarks.judges.absent import Packages

PACKAGES = kernels.PACKAGES | frozenset(
    {
        "outlines_core",
        "lmformatenforcer",
        "vllm.third_party.deep_gemm",
    }
)
"""Kernels that the official image for CUDA 13 has beside vLLM; grammars and pictures, which no plan depends on."""


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


def install() -> None:
    """Find the packages from now on, even where one of them is installed."""
    Packages(PACKAGES, kernels.VERSIONS, FUNCTIONS).install()
