"""GGUF files without weights: a header, and a hole of the right length where the tensors would be."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from math import prod
from pathlib import Path

from sparkrun_tui.models.gguf.types import block_length, tensor_bytes, type_number

Shape = tuple[int, ...]
"""Innermost dimension first."""

_U32, _F32, _BOOL, _STRING, _ARRAY = 4, 6, 7, 8, 9
_ALIGNMENT = 32
_SMALLEST = "f32"
_FALLBACK = "f16"
_TABLE = "tid2eid"
"""DeepSeek V4's tables of experts by token hold numbers."""

_WIDE = ("conv", ".ssm_", ".ffn_gate_inp.")


def write(path: Path, metadata: Mapping[str, object], tensors: Mapping[str, Shape], kind: str) -> int:
    """Write a file whose matrices have the type `kind`; returns the bytes of all tensors.

    Vectors, recurrences, convolutions and routers are f32. A matrix whose rows are no multiple of the type's block
    is f16. The file is sparse: it takes no more room than its header. Raises ValueError for an unknown type.
    """
    infos, offset = [], 0
    for name, shape in tensors.items():
        stored = type_of(name, shape, kind)
        number, size = type_number(stored), tensor_bytes(stored, prod(shape))
        if number is None or size is None:
            raise ValueError(f"unknown tensor type {stored}")
        dimensions = struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
        infos.append(_text(name) + dimensions + struct.pack("<IQ", number, offset))
        offset = _aligned(offset + size)
    keys = [_text(key) + _value(value) for key, value in metadata.items()]
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(infos), len(keys)) + b"".join(keys) + b"".join(infos)
    with path.open("wb") as file:
        file.write(head)
        file.truncate(_aligned(len(head)) + offset)
    return offset


def type_of(name: str, shape: Shape, kind: str) -> str:
    """The type of one tensor in a file whose matrices have the type `kind`."""
    if _TABLE in name:
        return "i32"
    if len(shape) == 1 or any(part in name for part in _WIDE):
        return _SMALLEST
    if shape[0] % block_length(kind):
        return _FALLBACK
    return kind


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def _value(value: object) -> bytes:
    """A value with its type before it: whole numbers have 32 bits and no sign."""
    if isinstance(value, str):
        return struct.pack("<I", _STRING) + _text(value)
    if isinstance(value, bool):
        return struct.pack("<I?", _BOOL, value)
    if isinstance(value, int):
        return struct.pack("<II", _U32, value)
    if isinstance(value, float):
        return struct.pack("<If", _F32, value)
    if isinstance(value, list) and value:
        return _list(value)
    raise ValueError(f"no GGUF value: {value!r}")


def _list(items: list[object]) -> bytes:
    """A list of one kind of values, which its first one tells."""
    kind, form = _U32, "I"
    if isinstance(items[0], bool):
        kind, form = _BOOL, "?"
    elif isinstance(items[0], float):
        kind, form = _F32, "f"
    return struct.pack("<IIQ", _ARRAY, kind, len(items)) + struct.pack(f"<{len(items)}{form}", *items)


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data
