"""Writes GGUF files (version 3, as ggml's docs/gguf.md describes it) with random or constant weights."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterable, Mapping, Sequence
from math import prod
from pathlib import Path

F32, F16, Q8_0 = 0, 1, 8
"""Types of tensors."""

Value = bool | int | float | str | Sequence[int] | Sequence[float] | Sequence[str]
"""A value of the metadata: int is an unsigned number of 32 bits, a list of ints has signed ones."""

Shape = tuple[int, ...]
"""Innermost dimension first."""

_U32, _I32, _F32, _BOOL, _STRING, _ARRAY = 4, 5, 6, 7, 8, 9
_ALIGNMENT = 32


def write(path: Path, metadata: Mapping[str, Value], tensors: Iterable[tuple[str, Shape]], kind: int) -> None:
    """A file of tensors of the type `kind`, with vectors in F32: weights of norms are 1, all else is small noise."""
    head = b"".join(_text(key) + _value(value) for key, value in metadata.items())
    noise = random.Random(0)
    infos, data, count = b"", b"", 0
    for name, shape in tensors:
        vector = len(shape) == 1
        infos += _text(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *shape)
        infos += struct.pack("<IQ", F32 if vector else kind, len(data))
        packed = _vector(name, shape[0]) if vector else _weights(prod(shape), kind, noise)
        data += packed + b"\0" * (-len(packed) % _ALIGNMENT)
        count += 1
    head = struct.pack("<4sIQQ", b"GGUF", 3, count, len(metadata)) + head + infos
    path.write_bytes(head + b"\0" * (-len(head) % _ALIGNMENT) + data)


def _vector(name: str, values: int) -> bytes:
    value = 0.0 if name.endswith(".bias") else 1.0
    return struct.pack(f"<{values}f", *[value] * values)


def _weights(values: int, kind: int, noise: random.Random) -> bytes:
    """Small random weights: numbers, halves, or blocks of one half as scale and 32 bytes."""
    if kind == Q8_0:
        return b"".join(struct.pack("<e", 0.001) + noise.randbytes(32) for _ in range(values // 32))
    form = {F16: "e", F32: "f"}[kind]
    return struct.pack(f"<{values}{form}", *(noise.gauss(0, 0.05) for _ in range(values)))


def _value(value: Value) -> bytes:
    """A value with its type before it."""
    if isinstance(value, str):
        return struct.pack("<I", _STRING) + _text(value)
    if isinstance(value, bool):
        return struct.pack("<I?", _BOOL, value)
    if isinstance(value, int):
        return struct.pack("<II", _U32, value)
    if isinstance(value, float):
        return struct.pack("<If", _F32, value)
    return _array(value)


def _array(items: Sequence[int] | Sequence[float] | Sequence[str]) -> bytes:
    first = items[0]
    if isinstance(first, str):
        kind, packed = _STRING, b"".join(_text(str(item)) for item in items)
    elif isinstance(first, int):
        kind, packed = _I32, struct.pack(f"<{len(items)}i", *items)
    else:
        kind, packed = _F32, struct.pack(f"<{len(items)}f", *items)
    return struct.pack("<IIQ", _ARRAY, kind, len(items)) + packed


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data
