"""A two-way byte stream over an SSH channel: a forwarded socket or port, or the ends of a command."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import asyncssh
from asyncssh.channel import SSHChannel

from sparkrun_tui.base.text import clean_line
from sparkrun_tui.remote.failures import LinkLost
from sparkrun_tui.remote.script.pieces import Pieces


class Receiver:
    """What the session of a stream does with its channel.

    asyncssh's own readers are not used: with each 64 KiB that are read of a full buffer, they let the other side send
    2 MiB more, so that a host that sends faster than it is read fills the memory. `Pieces` has the channel stopped
    until most of what came has been read.
    """

    def __init__(self) -> None:
        self.pieces = Pieces()
        self.error: Exception | None = None
        """Why the channel ended, when the connection was lost."""
        self.gone = False
        self._writable = asyncio.Event()
        self._writable.set()

    def connection_made(self, chan: SSHChannel[bytes]) -> None:
        """The channel is open."""
        self.pieces.hold = lambda on: chan.pause_reading() if on else chan.resume_reading()

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        """Data came; what a command writes to stderr is left out."""
        if datatype is None:
            self.pieces.push("stdout", data)

    def eof_received(self) -> bool:
        """The other side sends no more; our side stays open."""
        self.pieces.close()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """The channel is gone."""
        self.gone = True
        self.error = exc
        self.pieces.close()
        self._writable.set()

    def pause_writing(self) -> None:
        """The other side takes no more for now."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """The other side takes data again."""
        self._writable.set()

    async def drained(self) -> None:
        """Wait until more can be written. Raises `OSError` when the channel is gone."""
        await self._writable.wait()
        if self.gone:
            raise BrokenPipeError("the channel was closed")


class TcpReceiver(Receiver, asyncssh.SSHTCPSession[bytes]):
    """The session of a forwarded port."""


class UnixReceiver(Receiver, asyncssh.SSHUNIXSession[bytes]):
    """The session of a forwarded socket."""


class CommandReceiver(Receiver, asyncssh.SSHClientSession[bytes]):
    """The session of a command's stdin and stdout."""


class ChannelStream:
    """A `ByteStream` over an SSH channel; `on_close` is called once when it is closed."""

    def __init__(
        self,
        host: str,
        channel: SSHChannel[bytes],
        receiver: Receiver,
        on_close: Callable[[], object] | None = None,
    ) -> None:
        self._host = host
        self._channel: Any = channel
        self._receiver = receiver
        self._on_close = on_close
        self._rest = b""
        """The end of a piece that was longer than what was asked for."""

    @property
    def ended(self) -> bool:
        """Whether the other side has ended it and nothing is left to read."""
        nothing_left = self._receiver.pieces.over and not self._rest
        return nothing_left or self._channel.is_closing()

    async def read(self, size: int) -> bytes:
        """Up to `size` bytes; empty at the end. Raises `LinkLost`."""
        if not self._rest:
            piece = await self._receiver.pieces.read()
            if piece is None:
                error = self._receiver.error
                if error is not None:
                    raise LinkLost(f"the connection was lost: {clean_line(str(error))}", host=self._host) from error
                return b""
            self._rest = piece[1]
        data, self._rest = self._rest[:size], self._rest[size:]
        return data

    async def write(self, data: bytes) -> None:
        """Send `data`. Raises `LinkLost`."""
        try:
            self._channel.write(data)
            await self._receiver.drained()
        except (asyncssh.Error, OSError) as error:
            raise LinkLost(f"the connection was lost: {clean_line(str(error))}", host=self._host) from error

    async def close(self) -> None:
        """Close both ways."""
        on_close, self._on_close = self._on_close, None
        if on_close is not None:
            on_close()
        self._channel.abort()
