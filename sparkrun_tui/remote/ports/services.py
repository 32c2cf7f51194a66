"""Servers on hosts, hosts themselves, and the bundle of ways to them that surveys and launches share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol

from sparkrun_tui.remote.docker.listening import Listeners
from sparkrun_tui.remote.docker.processes import ServerKeys
from sparkrun_tui.remote.http.client import HttpCall, HttpReply
from sparkrun_tui.remote.ports.docker import Docker
from sparkrun_tui.remote.probe.cached_model import Wanted
from sparkrun_tui.remote.probe.facts import HostFacts
from sparkrun_tui.remote.transport import Connector, Transport

Clock = Callable[[], float]
"""Unix time, seconds."""


class Http(Protocol):
    """Asks HTTP servers through a host's transport."""

    async def ask(self, transport: Transport, call: HttpCall) -> HttpReply:
        """The whole answer. Raises `HostError` when nothing answers in time, `LinkLost` when the link broke."""

    def stream(self, transport: Transport, call: HttpCall) -> AsyncIterator[bytes]:
        """The body as it comes; raises `HostError` with the server's words when the status is not one of success."""


class Probe(Protocol):
    """Asks a host about itself in one round trip."""

    async def __call__(
        self, transport: Transport, paths: Sequence[str], ports: Sequence[int], models: Sequence[Wanted] = ()
    ) -> HostFacts:
        """The facts; `paths` are those whose disks matter, `ports` those that should be free.

        `models` are looked for in the host's cache, and their headers read.
        """


class HostServices(Protocol):
    """The ways to hosts that a survey needs: links, daemons, probes and servers. A launch needs more of them."""

    @property
    def connector(self) -> Connector:
        """Gives the transport of a host."""

    @property
    def docker(self) -> Callable[[Transport], Docker]:
        """Gives the daemon behind a transport."""

    @property
    def probe(self) -> Probe:
        """Asks a host about itself."""

    @property
    def http(self) -> Http:
        """Asks servers on hosts."""

    @property
    def clock(self) -> Clock:
        """Unix time."""

    @property
    def keys(self) -> ServerKeys:
        """The API keys of servers."""

    @property
    def listeners(self) -> Listeners:
        """Who listens at the ports of servers."""
