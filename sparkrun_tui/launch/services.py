"""The services with side effects that launches and surveys use, in one object that the demo and tests replace."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import field
from typing import TYPE_CHECKING

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.engines.llama_cpp.gguf_files import choose
from sparkrun_tui.remote.docker.listening import Listeners
from sparkrun_tui.remote.docker.processes import ServerKeys
from sparkrun_tui.remote.http.client import TransportHttp
from sparkrun_tui.remote.ports.docker import Docker, Images, Logs
from sparkrun_tui.remote.ports.models import ModelRequest, ModelSource, Shipper
from sparkrun_tui.remote.ports.services import Clock, Http, Probe
from sparkrun_tui.remote.transport import Connector, Transport

if TYPE_CHECKING:
    from sparkrun_tui.remote.hub.downloads import Choice
    from sparkrun_tui.remote.ssh.host_key_policy import Ask


@dataclass(frozen=True, slots=True)
class Workstation:
    """This machine as a place that stores models and images; `hub` is the folder that holds its models."""

    transport: Transport
    docker: Docker
    hub: str


async def _nothing() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Services:
    """Access to hosts, Docker daemons, logs, images and models. `close` closes all links."""

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
    keys: ServerKeys = field(default_factory=ServerKeys)
    """The API keys of the servers that were asked, as far as they are known."""
    listeners: Listeners = field(default_factory=Listeners)
    """Who listens at the ports of these servers."""
    workstation: Workstation | None = None
    """This machine; None in the demo, which has nothing to do with it."""


def real_services(ask: Ask | None = None) -> Services:
    """Services for real hosts. Asks no host yet. It imports the connection layer, so call it after the first paint.

    `ask` asks the user about an unknown host key or for a passphrase; without it, such hosts are refused.
    """
    from sparkrun_tui.remote.docker.client import DockerClient
    from sparkrun_tui.remote.docker.logs import DockerLogs
    from sparkrun_tui.remote.hub.downloads import HubSource
    from sparkrun_tui.remote.hub.place import hub_folder
    from sparkrun_tui.remote.local_transport import LocalTransport
    from sparkrun_tui.remote.probe.ask import probe
    from sparkrun_tui.remote.ssh.host_key_policy import HostKeyPolicy
    from sparkrun_tui.remote.ssh.pool import SshPool
    from sparkrun_tui.remote.ssh.resolve import SshConfigResolver
    from sparkrun_tui.remote.transfer.images import DockerImages
    from sparkrun_tui.remote.transfer.rsync import RsyncShipper

    resolver, policy = SshConfigResolver(), HostKeyPolicy()
    pool = SshPool(resolver, policy, ask)
    clients: dict[str, DockerClient] = {}

    def docker(transport: Transport) -> DockerClient:
        return clients.setdefault(transport.name, DockerClient(transport))

    here = LocalTransport()
    local_docker = DockerClient(here)

    async def close() -> None:
        await local_docker.close()
        for client in clients.values():
            await client.close()
        await pool.close()

    return Services(
        connector=pool.transport,
        docker=docker,
        logs=DockerLogs(docker),
        images=DockerImages(docker, resolver, policy, ring=pool.ring),
        models=HubSource(choose_gguf),
        shipper=RsyncShipper(resolver, policy, ring=pool.ring),
        probe=probe,
        close=close,
        workstation=Workstation(here, local_docker, str(hub_folder())),
    )


def choose_gguf(names: Sequence[str], request: ModelRequest) -> Choice:
    """The files of a GGUF repository that match a request. Raises `LaunchError`, which lists all files, if none do."""
    from sparkrun_tui.remote.hub.downloads import Choice

    projector = request.patterns[0] if request.patterns else ""
    found = choose(names, request.gguf_quant, projector)
    return Choice(found.files, found.first)
