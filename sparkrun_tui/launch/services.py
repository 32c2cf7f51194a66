"""Everything effectful that launches and surveys stand on, in one frozen bundle that a demo or a test can replace."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from sparkrun_tui.launch.ports import Docker, Http, Images, Logs
from sparkrun_tui.remote.facts import HostFacts
from sparkrun_tui.remote.http import TransportHttp
from sparkrun_tui.remote.ports import ModelSource, Shipper
from sparkrun_tui.remote.transport import Connector, Transport

Clock = Callable[[], float]
"""Unix time, seconds."""


class Probe(Protocol):
    """Asks a host about itself in one round trip."""

    async def __call__(self, transport: Transport, paths: Sequence[str], ports: Sequence[int]) -> HostFacts:
        """The facts; `paths` are those whose disks matter, `ports` those that should be free."""


async def _nothing() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Services:
    """The ways to hosts, daemons, logs, images and models. `close` lets all links go."""

    connector: Connector
    docker: Callable[[Transport], Docker]
    logs: Logs
    images: Images
    models: ModelSource
    shipper: Shipper
    probe: Probe
    http: Http = field(default_factory=TransportHttp)
    clock: Clock = time.time
    close: Callable[[], Awaitable[None]] = _nothing
