"""The shared links to all hosts: one connection per host, jump hosts opened by ourselves, this machine without SSH."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.remote.failures import explain
from sparkrun_tui.remote.ssh.host_key_policy import Ask, HostKeyPolicy, LoginNotice, Question
from sparkrun_tui.remote.ssh.link import Backoff, HostLink
from sparkrun_tui.remote.ssh.names import is_this_machine, parse_host
from sparkrun_tui.remote.ssh.resolve import Endpoint, Resolver, SshConfigResolver
from sparkrun_tui.remote.ssh.unlocked_keys import KeyRing
from sparkrun_tui.remote.transport import Transport

if TYPE_CHECKING:
    import asyncssh

    Link = HostLink[asyncssh.SSHClientConnection]

_MAX_LOGINS = 8
_MAX_LOGINS_PER_HOP = 4


class SshPool:
    """Gives the transport of a host by name; the same name always gives the same link.

    `ask` puts questions (unknown host key, passphrase) to the person; without it such hosts are refused.
    `local` says which names mean this machine, where commands run without SSH.
    """

    def __init__(
        self,
        resolver: Resolver | None = None,
        policy: HostKeyPolicy | None = None,
        ask: Ask | None = None,
        *,
        local: Callable[[str], bool] = is_this_machine,
        backoff: Backoff | None = None,
    ) -> None:
        self.resolver: Resolver = resolver or SshConfigResolver()
        self.policy = policy or HostKeyPolicy()
        self.ask = ask
        self._local = local
        self._backoff = backoff
        self._transports: dict[str, Transport] = {}
        self._links: dict[tuple[str, tuple[str, ...] | None], Link] = {}
        # Of sixteen concurrent logins, one sshd drops some (MaxStartups 10:30:100).
        self._logins = asyncio.Semaphore(_MAX_LOGINS)
        self._hop_logins: dict[str, asyncio.Semaphore] = {}
        self._questions = asyncio.Lock()
        self.ring = KeyRing()
        """What the person has unlocked; bulk transfers borrow it."""

    def transport(self, host: str) -> Transport:
        """The transport of `host`; nothing is opened yet. Raises `HostError` when it is not a host name."""
        if host not in self._transports:
            parse_host(host)
            self._transports[host] = self._make(host)
        return self._transports[host]

    async def close(self) -> None:
        """Close every link."""
        transports = list(self._transports.values())
        self._transports.clear()
        links = list(self._links.values())
        self._links.clear()
        await asyncio.gather(*(transport.close() for transport in transports))
        await asyncio.gather(*(link.close(lambda connection: connection.abort()) for link in links))
        await self.ring.close()

    def _make(self, host: str) -> Transport:
        if self._local(host):
            from sparkrun_tui.remote.local_transport import LocalTransport

            return LocalTransport(host)
        from sparkrun_tui.remote.ssh.transport import SshTransport

        return SshTransport(host, self._link(host))

    def _link(self, host: str, via: tuple[str, ...] | None = None) -> Link:
        key = (host, via)
        if key not in self._links:
            seen: list[Endpoint] = []

            async def open_() -> asyncssh.SSHClientConnection:
                endpoint = await self.resolver.resolve(host)
                seen[:] = [endpoint]
                jumps = via
                if jumps is None:
                    jumps = endpoint.jumps
                return await self._open(endpoint, jumps, key)

            def explained(error: BaseException) -> HostError:
                endpoint = Endpoint(host, host)
                if seen:
                    endpoint = seen[0]
                return explain(error, host, endpoint.host, endpoint.port, endpoint.user)

            self._links[key] = HostLink(host, open_, explained, backoff=self._backoff)
        return self._links[key]

    async def _open(
        self, endpoint: Endpoint, jumps: tuple[str, ...], key: tuple[str, tuple[str, ...] | None]
    ) -> asyncssh.SSHClientConnection:
        from sparkrun_tui.remote.ssh.connection import Opener

        tunnel = None
        slots = self._logins
        if jumps:
            # The last hop is reached through those before it; the first hop as its own configuration says.
            hop = self._link(jumps[-1], jumps[:-1] or None)
            tunnel = await hop.connection()
            slots = self._hop_logins.setdefault(jumps[-1], asyncio.Semaphore(_MAX_LOGINS_PER_HOP))
        link = self._links[key]
        async with slots:
            ask = None
            if self.ask is not None:
                ask = self._ask_one
            opener = Opener(endpoint, self.policy, ask, link.lost, tunnel, self.ring)
            try:
                return await opener.open()
            finally:
                link.says = opener.says

    async def _ask_one(self, question: Question) -> str | None:
        """The person's answer; questions of several hosts are asked one at a time."""
        assert self.ask is not None
        if isinstance(question, LoginNotice):
            return await self.ask(question)
        async with self._questions:
            return await self.ask(question)
