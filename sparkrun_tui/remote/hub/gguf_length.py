"""How long a GGUF file on a host must be, by its own header, of which no more is read than is needed."""

from __future__ import annotations

import asyncio

from sparkrun_tui.base import shell
from sparkrun_tui.base.errors import HostError
from sparkrun_tui.models.gguf.header import least_size
from sparkrun_tui.remote.aio import closing
from sparkrun_tui.remote.transport import Transport

TIMEOUT = 60.0
"""Seconds that reading a header may take: a disk of the network that is gone never answers."""
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

        def fetch(start: int, count: int, data: bytearray = data) -> bytes:
            if start + count > len(data) and len(data) < size:
                raise _MoreError
            return bytes(data[start : start + count])

        try:
            # A header may have millions of values, which take seconds.
            return await asyncio.to_thread(least_size, fetch)
        except _MoreError:
            if most >= _MOST or len(data) < most:
                return None
        most *= 4


async def _beginning(transport: Transport, path: str, most: int) -> bytearray:
    found = bytearray()
    script = shell.script(_HEAD, most=most, path=shell.path_word(path))
    try:
        async with asyncio.timeout(TIMEOUT), closing(transport.stream(script)) as pieces:
            async for stream, piece in pieces:
                if stream == "stdout":
                    found += piece[: most - len(found)]
    except TimeoutError as error:
        raise HostError(f"{path} could not be read within {TIMEOUT:.0f} s", host=transport.name) from error
    return found
