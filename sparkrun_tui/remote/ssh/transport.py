"""A host over SSH: scripts on stdin of a constant command, sockets and ports through forwarded channels."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TypeVar

import asyncssh

from sparkrun_tui.base import shell
from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.text import clean_line
from sparkrun_tui.remote.failures import LinkLost, SocketRefused
from sparkrun_tui.remote.script.capture import Capture
from sparkrun_tui.remote.script.envelope import COMMAND, Envelope, envelope
from sparkrun_tui.remote.script.files import write_script
from sparkrun_tui.remote.ssh.link import HostLink
from sparkrun_tui.remote.ssh.session import Session
from sparkrun_tui.remote.ssh.stream import ChannelStream, CommandReceiver, TcpReceiver, UnixReceiver
from sparkrun_tui.remote.transport import ByteStream, LinkStatus, Outcome, Result

OPEN_TIMEOUT = 10.0
"""Seconds to open a channel on a link that is up; asyncssh itself would wait for ever."""
_STOP_GRACE = 5.0
_OPEN_TRIES = 8
_RETRY_PAUSE = 0.15

Channel = asyncssh.SSHClientChannel[bytes]


class SshTransport:
    """A `Transport` over a shared `HostLink`."""

    def __init__(self, name: str, link: HostLink[asyncssh.SSHClientConnection]) -> None:
        self._name = name
        self._link = link
        self._open_sessions = 0

    @property
    def name(self) -> str:
        """The host as the user named it."""
        return self._name

    @property
    def link(self) -> LinkStatus:
        """The link's state now."""
        return self._link.status

    async def connect(self) -> None:
        """Make sure the link is up. Raises `HostError` (with a remedy) when it cannot be."""
        await self._link.connection()

    async def run(self, script: shell.Text, *, stdin: bytes = b"", timeout: float = 60.0) -> Result:
        """Run a shell script on the host; see `Transport.run`."""
        wrapped = envelope(script, stdin)
        capture = Capture(wrapped.mark)
        try:
            async with asyncio.timeout(timeout) as limit, self._link.sessions:
                channel, session = await self._start(wrapped, timeout)
                # From here on time is kept below, so that a script that is too slow is stopped, not just left.
                deadline = limit.when()
                limit.reschedule(None)
                in_time = await self._finish(channel, session, capture, deadline)
        except TimeoutError:
            return capture.result(Outcome.TIMED_OUT)
        except LinkLost as error:
            return Result(Outcome.LOST, None, "", error.what)
        if not in_time:
            return capture.result(Outcome.TIMED_OUT)
        if session.outcome is None:
            return capture.result(Outcome.LOST)
        capture.check_marked(self._name)
        self._link.hear_shell(capture.shell_says)
        return capture.result(session.outcome, session.code)

    async def _finish(self, channel: Channel, session: Session, capture: Capture, deadline: float | None) -> bool:
        """Read to the end; False when the time was up first and the script had to be stopped."""
        try:
            async with asyncio.timeout_at(deadline):
                await capture.all_of(session.pieces.read)
            return True
        except TimeoutError:
            with suppress(OSError):
                channel.write_eof()
            with suppress(TimeoutError):
                async with asyncio.timeout(_STOP_GRACE):
                    await capture.all_of(session.pieces.read)
            return False
        finally:
            channel.close()

    async def stream(self, script: shell.Text) -> AsyncIterator[tuple[str, bytes]]:
        """Run a script and yield its output as it comes; see `Transport.stream`."""
        wrapped = envelope(script)
        capture = Capture(wrapped.mark, keep=4096)
        async with self._link.sessions:
            channel, session = await self._start(wrapped, OPEN_TIMEOUT)
            try:
                while (piece := await session.pieces.read()) is not None:
                    data = capture.add(*piece)
                    if data:
                        yield piece[0], data
            finally:
                channel.close()
        if session.outcome is None:
            raise LinkLost("the connection was lost", host=self._name)
        capture.check_marked(self._name)
        if session.code != 0:
            raise capture.failure(self._name, session.code)

    async def open_socket(self, path: str) -> ByteStream:
        """Open the Unix socket `path` of the host. Raises `SocketRefused` when sshd or the socket refuses."""
        connection = await self._link.connection(OPEN_TIMEOUT)
        with self._opening(f"the socket {path}"):
            receiver = UnixReceiver()
            opening = connection.create_unix_connection(lambda: receiver, path, encoding=None)
            channel, _ = await _opened(opening, lambda late: late[0].abort())
        return ChannelStream(self._name, channel, receiver)

    async def open_tcp(self, address: str, port: int) -> ByteStream:
        """Open a TCP connection from the host. Raises `SocketRefused` when nothing answers there."""
        connection = await self._link.connection(OPEN_TIMEOUT)
        with self._opening(f"{address}:{port}"):
            receiver = TcpReceiver()
            opening = connection.create_connection(lambda: receiver, address, port, encoding=None)
            channel, _ = await _opened(opening, lambda late: late[0].abort())
        return ChannelStream(self._name, channel, receiver)

    async def open_command(self, words: Sequence[str]) -> ByteStream:
        """Open a two-way stream to a command; its words must be constants of this program, never foreign text."""
        connection = await self._link.connection(OPEN_TIMEOUT)
        try:
            # A stream of this kind is a session like a command's, and holds its place until it is closed.
            async with asyncio.timeout(OPEN_TIMEOUT):
                await self._link.sessions.acquire()
        except TimeoutError as error:
            raise SocketRefused("too many commands are open on this host", host=self._name) from error
        try:
            with self._opening(f"`{words[0]}`"):
                receiver = CommandReceiver()
                opening = connection.create_session(lambda: receiver, shell.words(words), encoding=None)
                channel, _ = await _opened(opening, lambda late: late[0].close())
        except BaseException:
            self._link.sessions.release()
            raise
        return ChannelStream(self._name, channel, receiver, self._link.sessions.release)

    async def write_file(self, path: str, data: bytes, mode: int = 0o600) -> None:
        """Write a file on the host, whole or not at all; `~` is the host's home. Raises `HostError`."""
        result = await self.run(write_script(path, mode), stdin=data, timeout=120.0)
        if result.outcome is Outcome.LOST:
            raise LinkLost(f"the connection was lost while {path} was written", host=self._name)
        if not result.ok:
            said = clean_line(result.stderr.strip().rpartition("\n")[2]) or result.outcome.value
            raise HostError(f"{path} cannot be written: {said}", host=self._name)

    async def close(self) -> None:
        """Close the link; what runs detached on the host goes on."""
        await self._link.close(lambda connection: connection.abort())

    async def _start(self, wrapped: Envelope, timeout: float) -> tuple[Channel, Session]:
        """Open a session and send the script. Until it is sent nothing can have run, so trying again is safe."""
        refusals = losses = 0
        while refusals < _OPEN_TRIES:
            connection = await self._link.connection(timeout)
            generation = self._link.generation
            session = Session()
            try:
                opening = connection.create_session(lambda: session, COMMAND, encoding=None)  # noqa: B023
                channel, _ = await _opened(opening, lambda late: late[0].close())
            except TimeoutError as error:
                raise LinkLost("the host does not open a session", host=self._name) from error
            except (asyncssh.Error, OSError) as error:
                if self._link.generation != generation or connection.is_closed():
                    # Nothing was refused: the connection has just ended.
                    losses += 1
                    if losses == _OPEN_TRIES:
                        raise LinkLost("the connection breaks again and again", host=self._name) from error
                else:
                    # sshd has no slot (MaxSessions): it frees one late, and only when a command of ours ends, which
                    # may take long where there are few.
                    refusals += not self._open_sessions
                await asyncio.sleep(_RETRY_PAUSE * (refusals + losses + 1))
                continue
            self._open_sessions += 1
            session.on_end = self._session_ended
            with suppress(OSError):  # closed already: its outcome shows why
                channel.write(wrapped.text)
            return channel, session
        raise SocketRefused(
            "the host opens no session for a command",
            host=self._name,
            remedy="Its sshd may allow none (MaxSessions 0, ForceCommand), or too many are open.",
        )

    def _session_ended(self) -> None:
        self._open_sessions -= 1

    @contextmanager
    def _opening(self, what: str) -> Iterator[None]:
        """Turns what asyncssh raises while a channel is opened into `LinkLost` and `SocketRefused`."""
        try:
            yield
        except asyncssh.ChannelOpenError as error:
            if "connection closed" in str(error).lower() or "connection lost" in str(error).lower():
                raise LinkLost("the connection was lost", host=self._name) from error
            raise SocketRefused(
                f"{what} does not open: {clean_line(str(error))}",
                host=self._name,
                remedy="Nothing listens there, access is denied, or sshd forbids forwarding.",
            ) from error
        except TimeoutError as error:
            raise LinkLost(f"{what} did not open within {OPEN_TIMEOUT:.0f} s", host=self._name) from error
        except (asyncssh.Error, OSError) as error:
            raise LinkLost(f"the connection was lost: {clean_line(str(error))}", host=self._name) from error


T = TypeVar("T")


async def _opened(opening: Awaitable[T], discard: Callable[[T], object]) -> T:
    """What `opening` gives, in time. Given up on, it is discarded when it comes after all, or it would stay open."""
    task = asyncio.ensure_future(opening)
    try:
        async with asyncio.timeout(OPEN_TIMEOUT):
            return await asyncio.shield(task)
    except (TimeoutError, asyncio.CancelledError):
        task.add_done_callback(lambda late: late.cancelled() or late.exception() or discard(late.result()))
        raise
