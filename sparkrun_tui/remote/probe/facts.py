"""What a host says of itself in one probe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.remote.lease import Lease
from sparkrun_tui.remote.probe.cached_model import CachedModel, Wanted


class DockerKind(StrEnum):
    """What answers as Docker."""

    SYSTEM = "system"
    ROOTLESS = "rootless"
    """A daemon of one user, in a user namespace."""
    PODMAN = "podman"
    """Podman, by its own command under Docker's name or by its socket."""


@dataclass(frozen=True, slots=True)
class Disk:
    """A file system of the host; bytes."""

    path: str
    free: int
    total: int
    inodes_free: int | None = None


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU; figures are None where the driver does not say (a Spark gives no memory figures)."""

    name: str
    driver: str = ""
    memory_total: int | None = None
    utilisation: float | None = None
    power_watts: float | None = None
    temperature: float | None = None
    clock_mhz: float | None = None
    """What its multiprocessors run at."""
    memory_used: int | None = None


@dataclass(frozen=True, slots=True)
class RdmaPort:
    """One RDMA device that is up: its network interface, IPv4 address, RoCE v2 GID index and IPv4 network.

    `network` is written as `192.168.100.0/24`; it is empty where the host does not say.
    """

    device: str
    interface: str
    address: str
    gid_index: int | None
    network: str = ""


@dataclass(frozen=True, slots=True)
class HostFacts:
    """One probe of a host. Bytes, Unix seconds; empty or None where it could not be learned."""

    name: str
    taken: float
    """When, on the workstation's clock."""
    round_trip: float
    hostname: str
    arch: str
    kernel: str
    user: str
    home: str
    hf_cache: str
    boot_id: str
    clock_skew: float | None
    memory_total: int
    memory_available: int
    swap_free: int
    disks: tuple[Disk, ...]
    gpus: tuple[Gpu, ...]
    driver: str
    cuda: str
    docker_version: str
    docker_root: str
    docker_access: str
    """`ok`, `denied`, `no socket`, `not running`, or what was printed."""
    gpu_runtime: bool
    default_interface: str
    default_address: str
    rdma: tuple[RdmaPort, ...]
    infiniband: bool
    used_ports: frozenset[int]
    tools: frozenset[str] = field(default_factory=frozenset)
    """Which of rsync, setsid, tail, sha256sum, systemd-run, git, nvidia-smi are there."""
    port_owners: Mapping[int, str] = field(default_factory=dict)
    """The owner of each requested port in use, where the host shows it: `python3 (pid 42)`."""
    interfaces: frozenset[str] = frozenset()
    """The names of all network interfaces; empty where they are not known."""
    docker_kind: DockerKind = DockerKind.SYSTEM
    image_root: str = ""
    """Where the images of Docker lie; empty where that is not known."""
    driver_stale: bool = False
    """Whether the driver's libraries were updated and the kernel still runs the old driver."""
    lease: Lease | None = None
    """The launch that prepares this host, or has died while it did."""
    gpu_held: Mapping[str, int] = field(default_factory=dict)
    """Bytes of GPU memory that the programs of each container hold, by its full id, as far as the driver says it."""
    models: Mapping[Wanted, CachedModel] = field(default_factory=dict)
    """Of the models that were asked for, those that lie in the host's cache."""

    @property
    def unified_memory(self) -> bool:
        """Whether GPU and programs share the host's memory: the driver then has no figure of the GPU's own."""
        return bool(self.gpus) and self.gpus[0].memory_total is None

    def disk_for(self, path: str) -> Disk | None:
        """The disk of `path`, which must be one of the requested paths; None where it is not known."""
        for disk in self.disks:
            if disk.path == path:
                return disk
        return None
