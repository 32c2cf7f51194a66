"""One host in memory: its containers, its jobs, what it holds, and the faults a test can call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from sparkrun_tui.base.units import GIB
from sparkrun_tui.remote.docker.logs import LogRecord
from sparkrun_tui.remote.docker.types import ContainerInfo, DockerError, ExecInfo
from sparkrun_tui.remote.failures import LinkLost
from sparkrun_tui.remote.probe.facts import Disk, Gpu, HostFacts
from tests.launch.fakes.guard import FakeGuard
from tests.launch.fakes.recipes import IMAGE

if TYPE_CHECKING:
    from tests.launch.fakes.cluster import FakeCluster


EPOCH = 1_700_000_000.0


@dataclass(slots=True)
class FakeContainer:
    """A container in memory; `info` is what the daemon says of it."""

    info: ContainerInfo
    body: Mapping[str, Any]
    files: dict[str, str] = field(default_factory=dict)
    log: list[LogRecord] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
    execs: dict[str, tuple[Sequence[str], ExecInfo]] = field(default_factory=dict)
    arguments: str = ""
    """The words of its processes, one a line."""


@dataclass(slots=True)
class FakeJob:
    """A detached job: what it has printed, and its exit code once it has ended."""

    out: bytes = b""
    code: int | None = None
    task: asyncio.Task[None] | None = None


Program = Callable[["FakeHost", FakeContainer], Awaitable[int]]


async def serve_well(host: FakeHost, container: FakeContainer) -> int:
    """An engine that loads, serves and goes on."""
    port = int(container.info.labels["io.sparkrun-tui.port"])
    rank = int(container.info.labels["io.sparkrun-tui.rank"])
    host.say(container, "INFO 01-01 00:00:00 [x.py:1] Starting to load model org/tiny...")
    await asyncio.sleep(5)
    host.say(container, "INFO 01-01 00:00:05 [x.py:1] Loading weights took 5.00 seconds")
    await asyncio.sleep(5)
    if rank == 0:
        host.open(port, container.info.labels["io.sparkrun-tui.served"])
    await asyncio.sleep(10_000_000)
    return 0


async def end_well(host: FakeHost, container: FakeContainer) -> int:
    """A command that ends immediately."""
    await asyncio.sleep(3)
    return 0


class FakeHost:
    """One host. `actions` holds every change in order; `lose`/`heal` cut and restore its link."""

    def __init__(self, name: str, cluster: FakeCluster) -> None:
        self.name = name
        self.cluster = cluster
        self.containers: dict[str, FakeContainer] = {}
        self.images: set[str] = {IMAGE}
        self.models: set[str] = set()
        self.servers: dict[int, str] = {}
        self.unhealthy = False
        self.actions: list[str] = []
        self.program: Program = serve_well
        self.refuse: dict[str, str] = {}
        """Verb to the message the daemon refuses it with."""
        self.lose_during: dict[str, int] = {}
        """Verb to how often its reply is lost, the deed being done."""
        self.create_takes = 0.0
        self.on_create: Callable[[], object] = lambda: None
        """Called when the daemon begins to make a container."""
        self.making: dict[str, asyncio.Task[str]] = {}
        """Containers that the daemon has begun to make: their names are taken, and it does not list them yet."""
        self.activity = ""
        """What it says of its counters."""
        self.stored = "now\t1700000000\nuser\tme\nend\n"
        """What it says of its model cache."""
        self.lost = False
        self.heal_after: float | None = None
        self.unreachable = False
        self.lease = ""
        self.job: FakeJob | None = None
        self.guard: FakeGuard | None = None
        self.guard_refused = ""
        """Why its memory guard cannot be started; empty where it can."""
        self.available = 110 * GIB
        """The memory that its guard sees."""
        self.facts = facts(name)
        self._numbers = 0

    # -- what tests do to it

    def say(self, container: FakeContainer, text: str, stream: str = "stdout") -> None:
        container.log.append(LogRecord(self.cluster.now(), stream, text))
        container.changed.set()

    def open(self, port: int, model: str) -> None:
        self.servers[port] = model

    def end(self, container: FakeContainer, code: int, oom: bool = False) -> None:
        if container.info.state not in ("running", "restarting"):
            return
        container.info = replace(container.info, state="exited", exit_code=code, oom_killed=oom)
        container.changed.set()
        self.servers.clear()
        if container.task is not None and container.task is not asyncio.current_task():
            container.task.cancel()

    def lose(self, heal_after: float | None = None) -> None:
        self.lost, self.heal_after = True, heal_after

    def heal(self) -> None:
        self.lost = False

    @property
    def running(self) -> list[str]:
        return [item.info.name for item in self.containers.values() if item.info.state == "running"]

    # -- what the engine answers

    def act(self, verb: str, detail: str = "") -> None:
        """A change that the daemon is asked for."""
        self.check()
        if verb in self.refuse:
            raise DockerError(self.refuse[verb], host=self.name, status=500)
        self.actions.append(f"{verb} {detail}".strip())

    def replied(self, verb: str) -> None:
        """After a change: its reply may be lost."""
        if self.lose_during.get(verb, 0) > 0:
            self.lose_during[verb] -= 1
            raise LinkLost("the connection was lost", host=self.name)

    def check(self) -> None:
        if self.lost or self.unreachable:
            raise LinkLost("the connection was lost", host=self.name)


def facts(name: str, **changes: Any) -> HostFacts:
    """A Spark as a probe reports it."""
    values: dict[str, Any] = {
        "name": name, "taken": EPOCH, "round_trip": 0.001, "hostname": name, "arch": "aarch64", "kernel": "6.11",
        "user": "me", "home": "/home/me", "hf_cache": "/home/me/.cache/huggingface", "boot_id": "b",
        "clock_skew": 0.0, "memory_total": 120 * GIB, "memory_available": 110 * GIB, "swap_free": 0,
        "disks": (
            Disk("/home/me/.cache/huggingface", 500 * GIB, 900 * GIB),
            Disk("/var/lib/docker", 500 * GIB, 900 * GIB),
        ),
        "gpus": (Gpu("NVIDIA GB10", "580.95"),), "driver": "580.95", "cuda": "13.0", "docker_version": "28.5",
        "docker_root": "/var/lib/docker", "docker_access": "ok", "gpu_runtime": True, "default_interface": "eth0",
        "default_address": f"10.0.0.{name[-1]}", "rdma": (), "infiniband": False, "used_ports": frozenset(),
        "image_root": "/var/lib/docker", "tools": frozenset({"rsync", "setsid", "tail", "nvidia-smi"}),
    }  # fmt: skip
    return HostFacts(**{**values, **changes})
