"""The packages of kernels that the engines' images for CUDA 13 hold, and the versions that engines ask them for."""

from __future__ import annotations

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
        "torchvision",
        "torchaudio",
    }
)
"""Kernels, and beside them grammars, pictures and sound; no plan depends on any of them."""

VERSIONS = {"triton": "3.7.1", "flashinfer": "0.7.2", "tilelang": "0.1.12", "cutlass": "4.8.0"}
