"""Parses the header of a safetensors file: the names of its tensors, their bytes and their elements."""

from __future__ import annotations

import struct
from collections.abc import Callable
from math import prod
from threading import Lock

from sparkrun_tui.base.reading.json_text import parse_json
from sparkrun_tui.base.reading.numbers import whole, whole_of
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.regexes import late_regex

FIRST = 100_000
"""Bytes of the first request: most headers are shorter."""

MAX_HEADER = 16 << 20
"""The most bytes of a header; a file of 100,000 tensors has about half of it. The format itself allows 100 million
(safetensors/src/tensor.rs, MAX_HEADER_SIZE), and a parser needs a gigabyte of memory for them."""

_OFFSETS = late_regex(rb'"data_offsets"\s*:\s*\[\s*[0-9]{1,18}\s*,\s*([0-9]{1,18})\s*\]')
_MOST_DIMENSIONS = 16
_PARSING = Lock()
"""Several headers are fetched at the same time but parsed one by one: parsing takes many times their size in memory."""

Fetch = Callable[[int, int], bytes]
"""Takes a position and a number of bytes, and returns that part of a file; fewer bytes only at its end."""


class SafetensorsError(ValueError):
    """The file is not a safetensors file, or is damaged."""


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
        raise SafetensorsError(f"the header states a length of {size:,} bytes")
    text = head[8 : 8 + size]
    if len(text) < size:
        text += fetch(8 + len(text), size - len(text))
    if len(text) < size:
        raise SafetensorsError("the file ends within its header")
    with _PARSING:
        found = _tensors(text)
    if isinstance(found, str):
        # What was parsed has many times the size of the text, and an error would keep it for as long as it is handled.
        raise SafetensorsError(f"the header cannot be read: {found}")
    return found


def _tensors(text: bytes) -> tuple[Tensor, ...] | str:
    """The tensors of a header; of a damaged one, the name of the error."""
    try:
        data = parse_json(text)
        data.pop("__metadata__", None)
        return tuple(_tensor(name, entry) for name, entry in data.items())
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        return type(error).__name__


def least_size(fetch: Fetch) -> int | None:
    """The bytes that a file must have by its own header; None where it does not begin like a safetensors file.

    The header is searched rather than parsed: this is asked of all files of a model. Raises what `fetch` raises.
    """
    head = fetch(0, FIRST)
    if len(head) < 8:
        return 8
    size = int.from_bytes(head[:8], "little")
    if not 0 < size <= MAX_HEADER or head[8:9] not in (b"{", b""):
        return None
    text = head[8 : 8 + size]
    if len(text) < size:
        text += fetch(8 + len(text), size - len(text))
    end = 0
    for match in _OFFSETS.finditer(text):
        end = max(end, whole(match[1].decode()) or 0)
    return 8 + size + end


def _tensor(name: str, entry: dict[str, object]) -> Tensor:
    """One tensor's entry of the header. Raises `ValueError`, `TypeError` or `KeyError` when it is damaged."""
    start, end = _numbers(entry["data_offsets"])
    elements = whole_of(prod(_numbers(entry["shape"])))
    if end < start or elements is None:
        raise ValueError("a size below zero, or beyond any file")
    return Tensor(name, str(entry["dtype"]), end - start, elements)


def _numbers(value: object) -> list[int]:
    if not isinstance(value, list) or len(value) > _MOST_DIMENSIONS:
        raise TypeError("not a short list")
    found = []
    for item in value:
        number = whole_of(item)
        if number is None:
            raise TypeError("not a list of sizes")
        found.append(number)
    return found
