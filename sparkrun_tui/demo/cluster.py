"""The demo cluster: simulated Sparks behind real SSH servers inside this process."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from types import TracebackType

import asyncssh

from sparkrun_tui.base.units import GIB
from sparkrun_tui.base.user.settings import DEMO_CLUSTER, Cluster, Settings
from sparkrun_tui.demo import sshd
from sparkrun_tui.demo.clock import Clock
from sparkrun_tui.demo.docker.api import DockerApi
from sparkrun_tui.demo.engines.catalog import Catalog
from sparkrun_tui.demo.engines.engines import Engines
from sparkrun_tui.demo.engines.eugr import EugrScripts
from sparkrun_tui.demo.host import Host, Site
from sparkrun_tui.demo.models import DemoModels, DemoShipper
from sparkrun_tui.demo.ssh_keys import DemoPolicy, DemoResolver, DemoRing, Door, new_key
from sparkrun_tui.demo.stores import OLD_MODEL, furnish
from sparkrun_tui.launch.services import Services
from sparkrun_tui.launch.sizing.sizing import FactsStore
from sparkrun_tui.recipe.model import Recipe
from sparkrun_tui.remote.docker.client import DockerClient
from sparkrun_tui.remote.docker.logs import DockerLogs
from sparkrun_tui.remote.probe.ask import probe
from sparkrun_tui.remote.ssh.pool import SshPool
from sparkrun_tui.remote.transfer.images import DockerImages
from sparkrun_tui.remote.transport import Transport

_BUSY = (int(4.6 * GIB), int(4.9 * GIB))
"""Bytes of memory that the system of each idle Spark uses."""


def demo_cluster(hosts: int = 2) -> Cluster:
    """The names of the demo cluster's hosts, without starting it."""
    names = tuple(f"spark-{number + 1}" for number in range(hosts))
    count = "two" if hosts == 2 else str(hosts)
    return Cluster(name=DEMO_CLUSTER, hosts=names, description=f"{count} simulated DGX Sparks", source="demo")


class DemoCluster:
    """Simulated Sparks, an async context manager; what runs on them ends with the context.

    `hosts` is how many. `speed` scales the clock. `settings` says where recipes are searched, whose figures the
    simulated engines print; `recipes` are known in addition. `store` must be the store of facts that estimates use, so
    that engines print what was estimated. Without `visitors`, no simulated users send requests to the engines.
    """

    def __init__(
        self,
        speed: float = 1.0,
        settings: Settings | None = None,
        recipes: Iterable[Recipe] = (),
        store: FactsStore | None = None,
        visitors: bool = True,
        hosts: int = 2,
    ) -> None:
        clock = Clock(speed)
        self.cluster = demo_cluster(hosts)
        made = []
        for number, name in enumerate(self.cluster.hosts):
            made.append(Host(name, number + 1, clock, _BUSY[number % len(_BUSY)]))
        self.site = Site(tuple(made), visitors)
        self._clock = clock
        self._catalog = Catalog(settings, recipes, store)
        self._services: Services | None = None
        self._acceptors: list[asyncssh.SSHAcceptor] = []
        self._clients: dict[str, DockerClient] = {}
        self._pool: SshPool | None = None

    @property
    def services(self) -> Services:
        """The services that reach the simulated hosts. Only inside the context."""
        if self._services is None:
            raise RuntimeError("the demo cluster is not open: use it as `async with DemoCluster() as demo`")
        return self._services

    async def __aenter__(self) -> DemoCluster:
        """Start the hosts."""
        client = new_key()
        engines = Engines(self.site, self._catalog)
        apis = {host.name: DockerApi(host, engines.run, engines.execute) for host in self.site.hosts}
        acted = EugrScripts(self.site, apis)
        doors: dict[str, Door] = {}
        for host in self.site.hosts:
            key, host.acted = new_key(), acted
            acceptor = await sshd.listen(host, self.site, apis[host.name], (key, client))
            self._acceptors.append(acceptor)
            doors[host.name] = Door(acceptor.get_port(), key)
        self._services = self._make_services(doors, client)
        old = await self._services.models.plan(OLD_MODEL)
        for host in self.site.hosts:
            furnish(host, old)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all containers, jobs and servers."""
        for host in self.site.hosts:
            for container in list(host.containers.values()):
                container.kill()
            for job in host.jobs.values():
                job.cancel()
        await self._hang_up()
        await sshd.close(self._acceptors)
        self._acceptors.clear()
        self._services = None

    def _make_services(self, doors: dict[str, Door], client: asyncssh.SSHKey) -> Services:
        resolver, policy = DemoResolver(doors), DemoPolicy(doors=tuple(doors.values()))
        pool = SshPool(resolver, policy, local=lambda _name: False)
        pool.ring = DemoRing(client)
        self._pool = pool

        def docker(transport: Transport) -> DockerClient:
            return self._clients.setdefault(transport.name, DockerClient(transport))

        return Services(
            connector=pool.transport,
            docker=docker,
            logs=DockerLogs(docker),
            images=DockerImages(docker, resolver, policy),
            models=DemoModels(self._clock, self._catalog.weigh),
            shipper=DemoShipper(self._clock, {host.name: host for host in self.site.hosts}),
            probe=partial(probe, clock=self._clock.now),
            clock=self._clock.now,
            close=self._hang_up,
        )

    async def _hang_up(self) -> None:
        """Close the links. The hosts go on, and the next call makes new links."""
        clients = list(self._clients.values())
        self._clients.clear()
        for client in clients:
            await client.close()
        if self._pool is not None:
            await self._pool.close()
