"""What a look at the clusters needs: links, daemons, probes and servers; the launch's services are one such bundle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from sparkrun_tui.remote.docker.types import ContainerInfo
from sparkrun_tui.remote.http.client import HttpCall, HttpReply
from sparkrun_tui.remote.probe.facts import HostFacts
from sparkrun_tui.remote.transport import Connector, Transport


class FleetDocker(Protocol):
    """The Engine API of one host, as far as fleets use it; errors are `HostError`, a broken link is `LinkLost`."""

    async def containers(self, labels: Sequence[str] = ()) -> Sequence[ContainerInfo]:
        """Containers with all these labels, stopped ones too."""

    async def inspect(self, container: str) -> ContainerInfo | None:
        """All about one container; None when it is gone."""

    async def stop(self, container: str, grace: float) -> None:
        """SIGTERM, then SIGKILL after `grace` seconds; fine when it is gone."""

    async def kill(self, container: str) -> None:
        """SIGKILL; fine when it does not run."""

    async def remove(self, container: str, *, force: bool = False) -> None:
        """Remove it; fine when it is gone."""


class FleetHttp(Protocol):
    """Asks servers on hosts."""

    async def ask(self, transport: Transport, call: HttpCall) -> HttpReply:
        """The whole answer. Raises `HostError` when nothing answers."""


class FleetProbe(Protocol):
    """Asks a host about itself."""

    async def __call__(self, transport: Transport, paths: Sequence[str], ports: Sequence[int]) -> HostFacts:
        """Its facts."""


class FleetServices(Protocol):
    """The bundle."""

    @property
    def connector(self) -> Connector:
        """Gives the transport of a host."""

    @property
    def docker(self) -> Callable[[Transport], FleetDocker]:
        """Gives the daemon behind a transport."""

    @property
    def probe(self) -> FleetProbe:
        """Asks a host about itself."""

    @property
    def http(self) -> FleetHttp:
        """Asks servers on hosts."""

    @property
    def clock(self) -> Callable[[], float]:
        """Unix time."""
