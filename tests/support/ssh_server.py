"""A real SSH server inside the test process: runs commands, forwards sockets, and can be made difficult."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh


@dataclass(slots=True)
class Traits:
    """What is special about a server; all may be changed while it runs."""

    banner: bytes = b""
    """What a chatty login shell prints first, on both streams."""
    forwarding: bool = True
    shell: tuple[str, ...] = ("/bin/sh", "-c")
    drop_logins: int = 0
    """So many connections end before the login is done."""
    refuse_command: str = ""
    """When set, no command runs; this is printed instead, as a locked account does."""
    login_banner: str = ""
    """What the server says before it lets anyone in."""
    login_banners: int = 1
    """How often it says that."""
    admitted: asyncio.Event | None = None
    """Nobody is let in before this is set."""


class _Server(asyncssh.SSHServer):
    def __init__(self, owner: SshServer) -> None:
        self._owner = owner

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._conn = conn
        self._owner.connections.append(conn)
        self._owner.logins += 1

    async def begin_auth(self, username: str) -> bool:
        if self._owner.traits.drop_logins > 0:
            self._owner.traits.drop_logins -= 1
            self._conn.abort()
        if self._owner.traits.login_banner:
            for _ in range(self._owner.traits.login_banners):
                self._conn.send_auth_banner(self._owner.traits.login_banner)
        if self._owner.traits.admitted is not None:
            await self._owner.traits.admitted.wait()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        if self._conn in self._owner.connections:
            self._owner.connections.remove(self._conn)

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> bool:
        return self._owner.traits.forwarding

    def unix_connection_requested(self, dest_path: str) -> bool:
        return self._owner.traits.forwarding


@dataclass(slots=True)
class SshServer:
    """Run with `async with`; afterwards nothing it started is left."""

    folder: Path
    client_key: asyncssh.SSHKey
    host_key: asyncssh.SSHKey | None = None
    other_key: asyncssh.SSHKey | None = None
    """A host key of another type, which it has besides."""
    traits: Traits = field(default_factory=Traits)
    port: int = 0
    logins: int = 0
    commands: list[str] = field(default_factory=list)
    connections: list[Any] = field(default_factory=list)
    _acceptor: Any = None
    _processes: set[asyncio.subprocess.Process] = field(default_factory=set)

    async def __aenter__(self) -> SshServer:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.host_key = self.host_key or asyncssh.generate_private_key("ssh-ed25519")
        allowed = self.folder / "authorized_keys"
        allowed.write_bytes(self.client_key.export_public_key())
        self._acceptor = await asyncssh.listen(
            "127.0.0.1",
            self.port,
            server_host_keys=[self.host_key, *([self.other_key] if self.other_key else [])],
            authorized_client_keys=str(allowed),
            server_factory=lambda: _Server(self),
            process_factory=self._serve,
            encoding=None,
            password_auth=False,
            kbdint_auth=False,
        )
        self.port = self._acceptor.get_port()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Stop listening and drop every connection."""
        self._acceptor.close()
        self.drop()
        for process in list(self._processes):
            with suppress(ProcessLookupError):
                process.kill()
            process._transport.close()  # type: ignore[attr-defined]
        await self._acceptor.wait_closed()

    def drop(self) -> None:
        """Break every connection, as a dying network would."""
        for connection in list(self.connections):
            connection.abort()

    @property
    def known_hosts_line(self) -> str:
        """This server's line for a known_hosts file."""
        assert self.host_key is not None
        return f"[127.0.0.1]:{self.port} {self.host_key.export_public_key().decode().strip()}\n"

    async def _serve(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        command = process.command or ""
        self.commands.append(command)
        if self.traits.refuse_command:
            process.stdout.write(self.traits.refuse_command.encode() + b"\n")
            process.exit(1)
        else:
            await self._run(process, command)

    async def _run(self, process: asyncssh.SSHServerProcess[bytes], command: str) -> None:
        process.stdout.write(self.traits.banner)
        process.stderr.write(self.traits.banner)
        child = await asyncio.create_subprocess_exec(
            *self.traits.shell,
            command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        self._processes.add(child)
        assert child.stdin and child.stdout and child.stderr
        to_child = asyncio.create_task(_copy(process.stdin.read, child.stdin, child.stdin.close))
        outputs = [
            asyncio.create_task(_copy(child.stdout.read, process.stdout)),
            asyncio.create_task(_copy(child.stderr.read, process.stderr)),
        ]
        code = await _exit_code(child)
        await asyncio.wait(outputs, timeout=0.2)
        to_child.cancel()
        with suppress(OSError, asyncssh.Error):
            if code < 0:
                process.exit_with_signal(signal.Signals(-code).name.removeprefix("SIG"))
            else:
                process.exit(code)
        await asyncio.wait(outputs, timeout=10)
        child._transport.close()  # type: ignore[attr-defined]
        self._processes.discard(child)


async def _exit_code(child: asyncio.subprocess.Process) -> int:
    """Waits for the process alone; `wait` would wait for whoever holds its output too."""
    while child.returncode is None:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    return child.returncode


async def _copy(read: Callable[[int], Any], writer: Any, close: Callable[[], object] | None = None) -> None:
    try:
        while data := await read(1 << 16):
            writer.write(data)
            await writer.drain()
    except (OSError, asyncssh.Error, asyncssh.BreakReceived, asyncssh.SignalReceived):
        pass
    finally:
        if close is not None:
            close()


def alive(pid: int) -> bool:
    """Whether a process is there and not a zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


@dataclass(slots=True)
class FaultRelay:
    """A TCP relay before a server that can reset its connections or swallow everything."""

    target_port: int
    port: int = 0
    open_road: asyncio.Event = field(default_factory=asyncio.Event)
    """While it is not set, everything is swallowed and nothing is told."""
    _server: asyncio.Server | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    async def __aenter__(self) -> FaultRelay:
        self.open_road.set()
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.reset()

    def reset(self) -> None:
        """Break every connection at once."""
        for writer in list(self._writers):
            writer.transport.abort()
        self._writers.clear()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target_port)
        self._writers |= {writer, far_writer}
        await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1 << 16):
                await self.open_road.wait()
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            self._writers.discard(writer)
            writer.close()
