"""The SSH servers of the simulated hosts: real servers on loopback that answer scripts and forward simulated ports."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import asyncssh

from sparkrun_tui.demo import scripts
from sparkrun_tui.demo.docker.api import DockerApi
from sparkrun_tui.demo.host import Host, Site
from sparkrun_tui.demo.http import serve
from sparkrun_tui.demo.jobs import Job
from sparkrun_tui.demo.scripts import Sent
from sparkrun_tui.demo.ssh_keys import USER
from sparkrun_tui.remote.docker.dial import DEFAULT_SOCKET
from sparkrun_tui.remote.script.envelope import COMMAND

_MAX_SCRIPT = 8 << 20

Stream = Callable[["asyncssh.SSHReader[bytes]", "asyncssh.SSHWriter[bytes]"], Awaitable[None]]


class _Door(asyncssh.SSHServer):
    """One connection: it accepts only the demo's key, and only reaches what is simulated."""

    def __init__(self, host: Host, site: Site, api: DockerApi, client: asyncssh.SSHKey) -> None:
        self._host = host
        self._site = site
        self._api = api
        self._client = client.public_data

    def begin_auth(self, username: str) -> bool:
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return username == USER and key.public_data == self._client

    def unix_connection_requested(self, dest_path: str) -> Stream:
        if dest_path != DEFAULT_SOCKET:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, f"no socket {dest_path} in the demo")
        return self._docker

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> Stream:
        target = self._site.by_address(dest_host, self._host)
        answer = target.open_ports().get(dest_port) if target is not None else None
        if answer is None:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, "Connection refused")

        async def connected(reader: asyncssh.SSHReader[bytes], writer: asyncssh.SSHWriter[bytes]) -> None:
            await _quietly(answer(reader, writer))

        return connected

    async def _docker(self, reader: asyncssh.SSHReader[bytes], writer: asyncssh.SSHWriter[bytes]) -> None:
        await _quietly(serve(reader, writer, self._api.handle, self._api.headers))


async def _quietly(work: Awaitable[None]) -> None:
    try:
        await work
    except (asyncssh.Error, OSError):
        # The client has disconnected, so the error cannot be reported to it.
        return


async def _sent(process: asyncssh.SSHServerProcess[bytes]) -> Sent | None:
    """The script on stdin; None when it is not in this program's envelope."""
    text = bytearray()
    while not scripts.whole(text) and len(text) < _MAX_SCRIPT:
        piece = await process.stdin.read(65_536)
        if not piece:
            break
        text += piece
    return scripts.unwrap(text.decode("utf-8", "surrogateescape"))


async def _session(process: asyncssh.SSHServerProcess[bytes], host: Host) -> None:
    """Answer one command; only scripts in this program's envelope are accepted."""
    sent = await _sent(process) if process.command == COMMAND else None
    if sent is None:
        process.stderr.write(b"the demo's hosts only accept scripts of sparkrun-tui\n")
        process.exit(127)
        return
    process.stdout.write(f"{sent.mark}\n".encode())
    process.stderr.write(f"{sent.mark}\n".encode())
    start, job = scripts.follows(sent), host.jobs.get(scripts.job_key(sent))
    if start is not None and job is not None:
        await _follow(process, job, start)
        return
    said = scripts.reply(host, sent)
    process.stdout.write(said.stdout.encode())
    process.stderr.write(said.stderr.encode())
    process.exit(said.code)


async def _follow(process: asyncssh.SSHServerProcess[bytes], job: Job, start: int) -> None:
    """Copy the output of a job until it ends, or until the client disconnects."""

    async def copy() -> None:
        async for data in job.follow(start):
            process.stdout.write(data)
            await process.stdout.drain()

    copying = asyncio.create_task(copy())
    leaving = asyncio.create_task(process.stdin.read(1))
    try:
        await asyncio.wait({copying, leaving}, return_when=asyncio.FIRST_COMPLETED)
        process.exit(0)
    finally:
        copying.cancel()
        leaving.cancel()


async def listen(
    host: Host, site: Site, api: DockerApi, keys: tuple[asyncssh.SSHKey, asyncssh.SSHKey]
) -> asyncssh.SSHAcceptor:
    """Start the SSH server of a host on a free loopback port; `keys` are the host's and the client's."""
    key, client = keys

    async def session(process: asyncssh.SSHServerProcess[bytes]) -> None:
        await _quietly(_session(process, host))

    return await asyncssh.listen(
        "127.0.0.1",
        0,
        config=None,
        server_factory=lambda: _Door(host, site, api, client),
        server_host_keys=[key],
        process_factory=session,
        encoding=None,
        agent_forwarding=False,
        gss_host=None,
        keepalive_interval=0,
    )


async def close(acceptors: list[asyncssh.SSHAcceptor]) -> None:
    """End the servers and every connection to them."""
    for acceptor in acceptors:
        acceptor.close()
    await asyncio.gather(*(acceptor.wait_closed() for acceptor in acceptors))
