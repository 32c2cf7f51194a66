"""This machine as a host: the same scripts in a child process, the same sockets without SSH."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.shell import Text
from sparkrun_tui.base.text import clean_line
from sparkrun_tui.remote.failures import LinkLost, SocketRefused
from sparkrun_tui.remote.script.capture import Capture
from sparkrun_tui.remote.script.envelope import envelope
from sparkrun_tui.remote.script.files import write_script
from sparkrun_tui.remote.script.pieces import Pieces
from sparkrun_tui.remote.transport import ByteStream, LinkState, LinkStatus, Outcome, Result

_STOP_GRACE = 5.0


class LocalTransport:
    """A `Transport` for this machine."""

    def __init__(self, name: str = "localhost") -> None:
        self._name = name
        self._since = time.time()

    @property
    def name(self) -> str:
        """The host as the user named it."""
        return self._name

    @property
    def link(self) -> LinkStatus:
        """Always up."""
        return LinkStatus(LinkState.UP, self._since, "this machine")

    async def connect(self) -> None:
        """Nothing to do."""

    async def run(self, script: Text, *, stdin: bytes = b"", timeout: float = 60.0) -> Result:
        """Run a shell script; see `Transport.run`."""
        wrapped = envelope(script, stdin)
        capture = Capture(wrapped.mark)
        child = await _Child.start(wrapped.text)
        try:
            async with asyncio.timeout(timeout):
                await capture.all_of(child.pieces.read)
        except TimeoutError:
            child.end_stdin()
            with suppress(TimeoutError):
                async with asyncio.timeout(_STOP_GRACE):
                    await capture.all_of(child.pieces.read)
            await child.wait()
            return capture.result(Outcome.TIMED_OUT)
        finally:
            child.end_stdin()
        code = await child.wait()
        capture.check_marked(self._name)
        if code < 0:
            return capture.result(Outcome.SIGNALLED)
        return capture.result(Outcome.EXITED, code)

    async def stream(self, script: Text) -> AsyncIterator[tuple[str, bytes]]:
        """Run a script and yield its output as it comes; see `Transport.stream`."""
        wrapped = envelope(script)
        capture = Capture(wrapped.mark, keep=4096)
        child = await _Child.start(wrapped.text)
        try:
            while (piece := await child.pieces.read()) is not None:
                data = capture.add(*piece)
                if data:
                    yield piece[0], data
        finally:
            child.end_stdin()
        code = await child.wait()
        capture.check_marked(self._name)
        if code != 0:
            raise capture.failure(self._name, code)

    async def open_socket(self, path: str) -> ByteStream:
        """Open the Unix socket `path`. Raises `SocketRefused`."""
        try:
            return SocketStream(self._name, *await asyncio.open_unix_connection(path))
        except OSError as error:
            raise SocketRefused(f"the socket {path} does not open: {error.strerror}", host=self._name) from error

    async def open_tcp(self, address: str, port: int) -> ByteStream:
        """Open a TCP connection. Raises `SocketRefused`."""
        try:
            async with asyncio.timeout(10):
                return SocketStream(self._name, *await asyncio.open_connection(address, port))
        except OSError as error:
            what = error.strerror or str(error) or "no answer"
            raise SocketRefused(f"{address}:{port} does not open: {what}", host=self._name) from error

    async def open_command(self, words: Sequence[str]) -> ByteStream:
        """Open a two-way stream to a command."""
        process = await asyncio.create_subprocess_exec(
            *words,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        assert process.stdout is not None and process.stdin is not None
        return SocketStream(self._name, process.stdout, process.stdin)

    async def write_file(self, path: str, data: bytes, mode: int = 0o600) -> None:
        """Write a file, whole or not at all. Raises `HostError`."""
        result = await self.run(write_script(path, mode), stdin=data, timeout=120.0)
        if not result.ok:
            said = clean_line(result.stderr.strip().rpartition("\n")[2]) or result.outcome.value
            raise HostError(f"{path} cannot be written: {said}", host=self._name)

    async def close(self) -> None:
        """Nothing to do."""


class SocketStream:
    """A `ByteStream` over a socket or a child's pipes."""

    def __init__(self, host: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._host = host
        self._reader = reader
        self._writer = writer

    @property
    def ended(self) -> bool:
        """Whether the other side has ended it and nothing is left to read."""
        return self._reader.at_eof() or self._reader.exception() is not None or self._writer.is_closing()

    async def read(self, size: int) -> bytes:
        """Up to `size` bytes; empty at the end. Raises `LinkLost`."""
        try:
            return await self._reader.read(size)
        except OSError as error:
            raise LinkLost(f"the connection was lost: {error.strerror}", host=self._host) from error

    async def write(self, data: bytes) -> None:
        """Send `data`. Raises `LinkLost`."""
        try:
            self._writer.write(data)
            await self._writer.drain()
        except OSError as error:
            raise LinkLost(f"the connection was lost: {error.strerror}", host=self._host) from error

    async def close(self) -> None:
        """Close both ways."""
        self._writer.close()


class _Child(asyncio.SubprocessProtocol):
    """A wrapped script in a child process. It has ended when the process has, even if others hold its output open."""

    def __init__(self) -> None:
        self.pieces = Pieces()
        self.gone = asyncio.Event()
        self._transport: asyncio.SubprocessTransport | None = None

    @classmethod
    async def start(cls, text: bytes) -> _Child:
        loop = asyncio.get_running_loop()
        _, child = await loop.subprocess_exec(cls, "sh", "-s", start_new_session=True)
        child._stdin().write(text)
        return child

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.SubprocessTransport)
        self._transport = transport
        self.pieces.hold = self._hold

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        stream = "stderr"
        if fd == 1:
            stream = "stdout"
        self.pieces.push(stream, data)

    def process_exited(self) -> None:
        self.gone.set()
        self.pieces.ended()

    def connection_lost(self, exc: Exception | None) -> None:
        self.pieces.close()

    def end_stdin(self) -> None:
        """Close stdin, which makes the script stop."""
        self._stdin().close()

    async def wait(self) -> int:
        """The exit code; negative when ended by a signal."""
        assert self._transport is not None
        try:
            async with asyncio.timeout(_STOP_GRACE):
                await self.gone.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                os.killpg(self._transport.get_pid(), signal.SIGKILL)
            await self.gone.wait()
        code = self._transport.get_returncode()
        self._transport.close()
        if code is None:
            return -1
        return code

    def _stdin(self) -> asyncio.WriteTransport:
        assert self._transport is not None
        pipe = self._transport.get_pipe_transport(0)
        assert isinstance(pipe, asyncio.WriteTransport)
        return pipe

    def _hold(self, on: bool) -> None:
        assert self._transport is not None
        for fd in (1, 2):
            pipe = self._transport.get_pipe_transport(fd)
            if isinstance(pipe, asyncio.ReadTransport):
                if on:
                    pipe.pause_reading()
                else:
                    pipe.resume_reading()
