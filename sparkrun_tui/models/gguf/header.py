"""Parses the header of a GGUF file, read piece by piece: its keys, and its tensors' names, types and sizes."""

from __future__ import annotations

import struct
from collections.abc import Callable
from math import prod

from sparkrun_tui.base.reading.numbers import whole_of
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.models.gguf.reader import GgufTensor
from sparkrun_tui.models.gguf.types import tensor_bytes

MAX_HEADER = 64 << 20
"""The most bytes of a header; the largest ones (tokenizers of 260,000 words) have a sixth of it."""

_FIRST_PIECE = 1 << 20
_LARGEST_PIECE = 8 << 20
_MOST_KEYS = 10_000
_MOST_TENSORS = 100_000
_MOST_ITEMS = 4096
"""Only the length is kept of longer lists (a tokenizer's words)."""
MOST_VALUES = 2_000_000
"""The most entries of all lists that are read or skipped one by one; tokenizers have less than a million."""
_MOST_NAME = 1000
"""The most bytes of a tensor's name; ggml itself takes no more than 64."""
_MOST_KEPT = 2 << 20
"""The most bytes of all names and values that are kept, 8 for an entry of a list; templates of chats have 50 KB."""

_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_STRING, _ARRAY = 8, 9
"""Types of values (gguf-py/gguf/constants.py, GGUFValueType)."""

Fetch = Callable[[int, int], bytes]
"""Takes a position and a number of bytes, and returns that part of a file; fewer bytes only at its end."""


class GgufError(ValueError):
    """The file is not a GGUF file, or is damaged."""


class CutGgufError(GgufError):
    """The file ends within its header."""


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """A header's keys (a tokenizer's lists as their length) and its tensors."""

    keys: dict[str, object]
    tensors: tuple[GgufTensor, ...]
    values: int
    """The entries of its lists, kept or not."""
    length: int
    """Its own bytes."""


def read_header(fetch: Fetch, most_values: int = MOST_VALUES) -> GgufHeader:
    """Read a header, fetching only the needed part of the file. Raises `GgufError`, and what `fetch` raises.

    Its lists may have at most `most_values` entries together.
    Source: the GGUF specification (ggml/docs/gguf.md), versions 2 and 3, little-endian.
    """
    pieces = _Pieces(fetch, most_values)
    if pieces.take(4) != b"GGUF":
        raise GgufError("the file does not begin like a GGUF file")
    version = pieces.number("<I")
    if version not in (2, 3):
        raise GgufError(f"GGUF version {version} is not known (or the file is big-endian)")
    tensors, count = pieces.number("<Q"), pieces.number("<Q")
    if tensors > _MOST_TENSORS or count > _MOST_KEYS:
        raise GgufError(f"the header states {tensors:,} tensors and {count:,} keys, more than any model has")
    keys = {}
    for _ in range(count):
        name = pieces.text()
        pieces.keep(len(name))
        keys[name] = _value(pieces, pieces.number("<I"), 0)
    listed = tuple(_tensor(pieces) for _ in range(tensors))
    return GgufHeader(keys, listed, pieces.values, pieces.position)


def least_size(fetch: Fetch) -> int | None:
    """The bytes that a file must have by its own header; None where that cannot be said.

    Gaps between tensors are not counted. Raises what `fetch` raises.
    """
    try:
        header = read_header(fetch)
    except CutGgufError:
        # More than it has, whatever that is.
        return MAX_HEADER + 1
    except GgufError:
        return None
    total = header.length
    for tensor in header.tensors:
        total += tensor_bytes(tensor.kind, tensor.elements) or 0
    return total


def read_first_keys(data: bytes) -> dict[str, object]:
    """The keys in the first bytes of a file, as far as they go; of a list that goes on beyond them, its length.

    Files have the keys of the architecture before the tokenizer's lists. Raises `GgufError` where the bytes are not
    the beginning of a GGUF file.
    """
    pieces = _Pieces(lambda start, size: data[start : start + size])
    if pieces.take(4) != b"GGUF" or pieces.number("<I") not in (2, 3):
        raise GgufError("the file does not begin like a GGUF file")
    pieces.number("<Q")
    count = pieces.number("<Q")
    keys: dict[str, object] = {}
    name, kind = "", 0
    try:
        for _ in range(min(count, _MOST_KEYS)):
            name, kind = pieces.text(), 0
            kind = pieces.number("<I")
            if kind == _ARRAY:
                keys[name] = pieces.peek_length()
            keys[name] = _value(pieces, kind, 0)
    except GgufError:
        # The bytes end here. A list that was begun is kept by its length.
        return keys
    return keys


def _value(pieces: _Pieces, kind: int, depth: int) -> object:
    """Read one value of a type; the value of a long list is its length."""
    if kind == _STRING:
        text = pieces.text()
        pieces.keep(len(text))
        return text
    if kind in _SCALARS:
        return pieces.scalar(_SCALARS[kind])
    if kind != _ARRAY or depth > 2:
        raise GgufError(f"a value has the unknown type {kind}")
    inner, length = pieces.number("<I"), pieces.number("<Q")
    if length <= _MOST_ITEMS or inner == _STRING:
        pieces.count(length)
    if length <= _MOST_ITEMS:
        pieces.keep(8 * length)
        return [_value(pieces, inner, depth + 1) for _ in range(length)]
    if inner in _SCALARS:
        pieces.skip(length * struct.calcsize(_SCALARS[inner]))
    elif inner == _STRING:
        for _ in range(length):
            pieces.skip(pieces.number("<Q"))
    else:
        raise GgufError(f"a long list has values of the type {inner}")
    return length


def _tensor(pieces: _Pieces) -> GgufTensor:
    """Read one tensor's entry of the header."""
    name = pieces.text()
    if len(name) > _MOST_NAME:
        raise GgufError(f"a tensor's name has {len(name):,} characters")
    count = pieces.number("<I")
    if count > 8:
        raise GgufError(f"a tensor has {count} dimensions")
    sizes = [pieces.number("<Q") for _ in range(count)]
    kind = pieces.number("<I")
    pieces.skip(8)
    elements = whole_of(prod(sizes))
    if elements is None:
        raise GgufError("a tensor is larger than any file")
    return GgufTensor(name, kind, elements)


class _Pieces:
    """Hands out the bytes of a file in order, fetching ever larger pieces."""

    def __init__(self, fetch: Fetch, most_values: int = MOST_VALUES) -> None:
        self._fetch = fetch
        self._most_values = most_values
        self._kept = 0
        self.values = 0
        """The entries of all lists until now."""
        self._piece = _FIRST_PIECE
        self._data = b""
        self._start = 0
        self._at = 0

    @property
    def position(self) -> int:
        """How far the file has been read, in bytes from its beginning."""
        return self._start + self._at

    def count(self, values: int) -> None:
        """Count the entries of a list that will be read one by one."""
        self.values += values
        if self.values > self._most_values:
            raise GgufError(f"the header's lists have more than {self._most_values:,} entries")

    def keep(self, size: int) -> None:
        """Count the bytes of a value that is kept."""
        self._kept += size
        if self._kept > _MOST_KEPT:
            raise GgufError(f"the header's values are larger than {_MOST_KEPT >> 20} MiB")

    def take(self, size: int) -> bytes:
        """The next bytes."""
        if self._at + size > len(self._data):
            self._more(size)
        found = self._data[self._at : self._at + size]
        self._at += size
        return found

    def skip(self, size: int) -> None:
        """Skip bytes."""
        if self._at + size > len(self._data):
            self._more(size)
        self._at += size

    def scalar(self, form: str) -> object:
        """The next scalar."""
        size = struct.calcsize(form)
        if self._at + size > len(self._data):
            self._more(size)
        (value,) = struct.unpack_from(form, self._data, self._at)
        self._at += size
        found: object = value
        return found

    def number(self, form: str) -> int:
        """The next whole number."""
        value = self.scalar(form)
        assert isinstance(value, int)
        return value

    def peek_length(self) -> int:
        """The length of the list that begins here, which is not taken."""
        at = self._at
        if at + 12 > len(self._data):
            raise CutGgufError("the file ends within its header")
        (length,) = struct.unpack_from("<Q", self._data, at + 4)
        found: int = length
        return found

    def text(self) -> str:
        """The next string."""
        size = self.number("<Q")
        if size > _MOST_KEPT:
            raise GgufError(f"a string has {size:,} bytes")
        return self.take(size).decode("utf-8", errors="replace")

    def _more(self, size: int) -> None:
        """Fetch until `size` bytes are ahead; bytes that were read already are dropped."""
        self._start += self._at
        self._data, self._at = self._data[self._at :], 0
        if self._start + size > MAX_HEADER:
            raise GgufError(f"the header is larger than {MAX_HEADER >> 20} MiB")
        while len(self._data) < size:
            piece = self._fetch(self._start + len(self._data), max(self._piece, size - len(self._data)))
            if not piece:
                raise CutGgufError("the file ends within its header")
            self._data += piece
            self._piece = min(self._piece * 2, _LARGEST_PIECE)
