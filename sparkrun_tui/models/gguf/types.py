"""Sizes of ggml's tensor types and of the quantised files that are named after them."""

from __future__ import annotations

from collections.abc import Mapping

_BLOCKS: Mapping[str, tuple[int, int, int]] = {
    "f32": (0, 1, 4),
    "f16": (1, 1, 2),
    "q4_0": (2, 32, 18),
    "q4_1": (3, 32, 20),
    "q5_0": (6, 32, 22),
    "q5_1": (7, 32, 24),
    "q8_0": (8, 32, 34),
    "q8_1": (9, 32, 36),
    "q2_k": (10, 256, 84),
    "q3_k": (11, 256, 110),
    "q4_k": (12, 256, 144),
    "q5_k": (13, 256, 176),
    "q6_k": (14, 256, 210),
    "q8_k": (15, 256, 292),
    "iq2_xxs": (16, 256, 66),
    "iq2_xs": (17, 256, 74),
    "iq3_xxs": (18, 256, 98),
    "iq1_s": (19, 256, 50),
    "iq4_nl": (20, 32, 18),
    "iq3_s": (21, 256, 110),
    "iq2_s": (22, 256, 82),
    "iq4_xs": (23, 256, 136),
    "i8": (24, 1, 1),
    "i16": (25, 1, 2),
    "i32": (26, 1, 4),
    "i64": (27, 1, 8),
    "f64": (28, 1, 8),
    "iq1_m": (29, 256, 56),
    "bf16": (30, 1, 2),
    "tq1_0": (34, 256, 54),
    "tq2_0": (35, 256, 66),
    "mxfp4": (39, 32, 17),
    "nvfp4": (40, 64, 36),
    "q1_0": (41, 128, 18),
}
"""Number in the file, elements of a block and bytes of a block (ggml/src/ggml.c, type_traits).

Type 42, q2_0, is left out: its blocks have 64 elements in llama.cpp and 128 in the files of the fork that made it.
"""

_NUMBERS = {number: name for name, (number, _, _) in _BLOCKS.items()}

CACHE_TYPES = frozenset({"f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1"})
"""The values of `--cache-type-k` and `--cache-type-v` (common/arg.cpp, kv_cache_types)."""

_MIXES: Mapping[str, float] = {
    "q2_k": 3.0,
    "q2_k_s": 2.8,
    "q2_k_l": 3.2,
    "q3_k_s": 3.5,
    "q3_k_m": 3.91,
    "q3_k_l": 4.25,
    "q4_k_s": 4.58,
    "q4_k_m": 4.85,
    "q4_k_l": 5.0,
    "q5_k_s": 5.54,
    "q5_k_m": 5.69,
    "q5_k_l": 5.8,
    "q6_k": 6.57,
    "q6_k_l": 6.7,
    "q8_0": 8.5,
    "iq1_s": 2.0,
    "iq1_m": 2.15,
    "iq2_xxs": 2.38,
    "iq2_xs": 2.59,
    "iq2_s": 2.74,
    "iq2_m": 2.93,
    "iq3_xxs": 3.25,
    "iq3_xs": 3.5,
    "iq3_s": 3.66,
    "iq3_m": 3.76,
    "iq4_xs": 4.46,
    "iq4_nl": 4.68,
    "mxfp4_moe": 4.25,
    "q4_k_xl": 5.24,
    "q5_k_xl": 5.79,
    "q6_k_xl": 6.9,
    "q8_k_xl": 9.2,
    "q3_k_xl": 4.3,
    "q2_k_xl": 3.3,
    "q2": 3.0,
    "q3": 3.91,
    "q4": 4.85,
    "q5": 5.69,
    "q6": 6.57,
    "q8": 8.5,
    "iq1_kt": 1.75,
    "iq2_kt": 2.13,
    "iq2_ks": 2.19,
    "iq2_k": 2.38,
    "iq2_kl": 2.69,
    "iq3_kt": 3.13,
    "iq3_ks": 3.19,
    "iq3_k": 3.44,
    "iq4_kt": 4.0,
    "iq4_kss": 4.0,
    "iq4_ks": 4.25,
    "iq4_k": 4.5,
    "iq5_ks": 5.25,
    "iq5_k": 5.5,
    "iq6_k": 6.63,
}
"""Bits per weight of whole files, which mix types; from tools/quantize/README.md and the sizes of published files.

A bare `q4` counts as the usual mix of that width. `iq4_ks` and its like are types of ik_llama.cpp: the bits are those
of the type (ikawrakow/ik_llama.cpp, README.md).
"""


def type_name(kind: int | str) -> str | None:
    """The name of a tensor type given by its number or any spelling of its name; None when unknown."""
    if isinstance(kind, int):
        return _NUMBERS.get(kind)
    name = kind.strip().lower()
    return name if name in _BLOCKS else None


def type_number(name: str) -> int | None:
    """The number of a tensor type in a file, None for an unknown name."""
    found = _BLOCKS.get(name)
    return None if found is None else found[0]


def tensor_bytes(kind: int | str, elements: int) -> int | None:
    """The bytes of a tensor of `elements` elements, None for an unknown type."""
    name = type_name(kind)
    if name is None:
        return None
    _, block, size = _BLOCKS[name]
    return elements // block * size


def element_size(name: str) -> float | None:
    """Bytes per element of a type (q8_0: 34/32), None when unknown."""
    found = _BLOCKS.get(name)
    return found[2] / found[1] if found else None


def block_length(name: str) -> int:
    """How many elements share one block of a type (1 for plain ones and unknown names)."""
    found = _BLOCKS.get(name)
    return found[1] if found else 1


def file_bits(name: str) -> float | None:
    """Bits per weight of a file by its quantisation's name, None for an unknown one.

    `Q4_K_M`, `UD-Q4_K_XL` and `gguf-q8_0` are read. Files that mix types keep some tensors wider than their
    name says, so their bits are not those of the base type.
    """
    text = name.strip().lower().removesuffix(".gguf").replace("-", "_")
    for prefix in ("gguf_", "ud_", "i1_"):
        text = text.removeprefix(prefix)
    if text in _MIXES:
        return _MIXES[text]
    size = element_size(text)
    return None if size is None else size * 8
