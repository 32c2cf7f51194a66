"""Parses the header of a safetensors file: the names of its tensors, their bytes and their elements."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from math import prod

FIRST = 100_000
"""Bytes asked for at once: most headers are shorter."""

MAX_HEADER = 100_000_000
"""Bytes; the format's own limit (safetensors/src/tensor.rs, MAX_HEADER_SIZE)."""

Fetch = Callable[[int, int], bytes]
"""Returns up to so many bytes of a file from a position on; fewer only at its end."""


class SafetensorsError(ValueError):
    """The file is no safetensors file, or a damaged one."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor: its name, number format, bytes and elements."""

    name: str
    dtype: str
    size: int
    elements: int


def read_header(fetch: Fetch) -> tuple[Tensor, ...]:
    """Read a header in one or two requests. Raises `SafetensorsError`, and what `fetch` raises."""
    head = fetch(0, FIRST)
    if len(head) < 8:
        raise SafetensorsError("the file is shorter than a header")
    (size,) = struct.unpack_from("<Q", head)
    if not 0 < size <= MAX_HEADER:
        raise SafetensorsError(f"the header would have {size:,} bytes")
    text = head[8 : 8 + size]
    if len(text) < size:
        text += fetch(8 + len(text), size - len(text))
    if len(text) < size:
        raise SafetensorsError("the file ends within its header")
    try:
        data = json.loads(text)
        return tuple(_tensor(name, entry) for name, entry in data.items() if name != "__metadata__")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise SafetensorsError(f"the header cannot be read: {type(error).__name__}") from error


def _tensor(name: str, entry: dict[str, object]) -> Tensor:
    """Return what the header says of one tensor. Raises `ValueError` and the like when it is damaged."""
    start, end = _numbers(entry["data_offsets"])
    shape = _numbers(entry["shape"])
    if end < start or min(shape, default=0) < 0:
        raise ValueError("a size below zero")
    return Tensor(name, str(entry["dtype"]), end - start, prod(shape))


def _numbers(value: object) -> list[int]:
    if not isinstance(value, list) or not all(isinstance(item, int) for item in value):
        raise TypeError("not a list of whole numbers")
    return value
