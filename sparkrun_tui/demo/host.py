"""A simulated Spark: its memory, disk, network, containers, images and models."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import field
from typing import Protocol

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.units import GIB
from sparkrun_tui.demo.clock import Clock, News
from sparkrun_tui.demo.container import Container
from sparkrun_tui.demo.http import Reader, Writer
from sparkrun_tui.demo.jobs import Job, Print
from sparkrun_tui.memory.hosts import SPARK_TOTAL
from sparkrun_tui.remote.ports.models import StoredModel

HOME = "/home/spark"
HF_CACHE = f"{HOME}/.cache/huggingface"
DISK_TOTAL = 3 * 1_000 * GIB
IDLE_HEAT = 41.0
"""Degrees Celsius of a GPU that does nothing."""
IMAGE_SIZE = int(11.2 * GIB)

Serve = Callable[[Reader, Writer], Awaitable[None]]
"""Serves one connection to a port."""


@dataclass(frozen=True, slots=True)
class Happening:
    """An event that the Docker daemon reports."""

    time: float
    action: str
    container: Container
    attributes: dict[str, str] = field(default_factory=dict)


class Leftover(Protocol):
    """What a broken download has left."""

    size: int


class ActedScripts(Protocol):
    """Foreign scripts that a simulated host simulates instead of running them."""

    def knows(self, script: str) -> bool:
        """Whether a script is one of them."""

    async def run(self, host: Host, script: str, say: Print) -> int:
        """Simulate the script and print its lines with `say`; its exit code."""


class GuardRecord(Protocol):
    """The record of a memory guard."""

    def answer(self, past: int, recent: int) -> str:
        """What a host prints of it."""


@dataclass(slots=True, eq=False)
class Host:
    """One simulated Spark. Sizes are bytes."""

    name: str
    number: int
    clock: Clock
    busy: int
    """Memory that the system itself uses."""
    containers: dict[str, Container] = field(default_factory=dict)
    images: set[str] = field(default_factory=set)
    models: dict[str, StoredModel] = field(default_factory=dict)
    """By snapshot folder, relative to the cache's folder `hub`."""
    leftovers: dict[str, Leftover] = field(default_factory=dict)
    """What broken downloads have left, by repository."""
    read: dict[str, float] = field(default_factory=dict)
    """When a model was last read, by repository; the others are read all the time."""
    ports: dict[int, Serve] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    """Detached jobs by key."""
    guards: dict[str, GuardRecord] = field(default_factory=dict)
    """The memory guards by the key of their job."""
    files: dict[str, bytes] = field(default_factory=dict)
    lease: bytes = b""
    happenings: list[Happening] = field(default_factory=list)
    news: News = field(default_factory=News)
    heat: float = IDLE_HEAT
    """Degrees Celsius of the GPU when it was last read, at `heat_read`."""
    heat_read: float = 0.0
    acted: ActedScripts | None = None
    """Simulates the foreign scripts that are sent to this host."""
    boot_id: str = field(default_factory=lambda: secrets.token_hex(16))

    @property
    def address(self) -> str:
        """Its address in the management network."""
        return f"10.77.0.{10 + self.number}"

    @property
    def fabric_address(self) -> str:
        """Its address on the fast link between the Sparks."""
        return f"192.168.177.{10 + self.number}"

    @property
    def memory_total(self) -> int:
        """All memory (MemTotal)."""
        return SPARK_TOTAL

    @property
    def memory_available(self) -> int:
        """Memory that is available now (MemAvailable)."""
        used = self.busy + sum(container.memory for container in self.containers.values())
        return max(self.memory_total - used, int(0.5 * GIB))

    @property
    def disk_free(self) -> int:
        """Free bytes for images and models."""
        used = len(self.images) * int(2.3 * IMAGE_SIZE) + sum(model.size for model in self.models.values())
        used += sum(left.size for left in self.leftovers.values())
        return max(DISK_TOTAL - 412 * GIB - used, 0)

    def find(self, name: str) -> Container | None:
        """The container with this name, id or beginning of an id of 12 characters or more."""
        for container in self.containers.values():
            if name in (container.name, container.id) or (len(name) >= 12 and container.id.startswith(name)):
                return container
        return None

    def happened(self, action: str, container: Container, **attributes: str) -> None:
        """Publish an event of the daemon."""
        self.happenings.append(Happening(self.clock.now(), action, container, attributes))
        self.news.changed()

    def listen(self, container: Container, port: int, serve: Serve) -> None:
        """Let a container serve a port of the host while it runs."""
        container.ports.add(port)
        self.ports[port] = serve

    def open_ports(self) -> dict[int, Serve]:
        """The ports of running containers, with what serves them."""
        held: set[int] = set()
        for container in self.containers.values():
            if container.running:
                held |= container.ports
        self.ports = {port: serve for port, serve in self.ports.items() if port in held}
        return self.ports


@dataclass(frozen=True, slots=True)
class Site:
    """All hosts of the demo, which find each other by address."""

    hosts: tuple[Host, ...]
    visitors: bool = True
    """Whether simulated users send requests to the engines."""

    def by_address(self, address: str, near: Host) -> Host | None:
        """The host at an address, as seen from the host `near`."""
        if address in ("127.0.0.1", "localhost", "::1"):
            return near
        for host in self.hosts:
            if address in (host.address, host.fabric_address, host.name):
                return host
        return None
