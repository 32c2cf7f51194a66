"""How long a GGUF file on a host must be, by its own header, of which no more is read than is needed."""

from __future__ import annotations

from sparkrun_tui.base import shell
from sparkrun_tui.models.gguf.header import least_size
from sparkrun_tui.remote.aio import closing
from sparkrun_tui.remote.transport import Transport

_FIRST = 2 << 20
_MOST = 64 << 20
"""Bytes of a header that are read at most; those of models with large tokenizers have a quarter of it."""

_HEAD = """\
# sparkrun-tui: file-head
head -c {most} -- {path}
"""


class _MoreError(Exception):
    """More of the file is needed than was read."""


async def gguf_least_size(transport: Transport, path: str, size: int) -> int | None:
    """The bytes that a GGUF file of `size` bytes must have; None where its header does not say it.

    Raises `HostError` when the file cannot be read.
    """
    most = _FIRST
    while True:
        data = await _beginning(transport, path, most)

        def fetch(start: int, count: int, data: bytes = data) -> bytes:
            if start + count > len(data) and len(data) < size:
                raise _MoreError
            return data[start : start + count]

        try:
            return least_size(fetch)
        except _MoreError:
            if most >= _MOST or len(data) < most:
                return None
        most *= 4


async def _beginning(transport: Transport, path: str, most: int) -> bytes:
    found = bytearray()
    script = shell.script(_HEAD, most=most, path=shell.path_word(path))
    async with closing(transport.stream(script)) as pieces:
        async for stream, piece in pieces:
            if stream == "stdout":
                found += piece[: most - len(found)]
    return bytes(found)
