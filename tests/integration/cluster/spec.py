"""Names and addresses of the test cluster, and what can be chosen per host."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

SUBNET = "10.78.0"
CONTROL_IP = f"{SUBNET}.1"
"""The workstation's address, where the registry and the Hub stand-in listen too."""

REGISTRY_PORT = 5000
REGISTRY = f"{CONTROL_IP}:{REGISTRY_PORT}"
HUB_PORT = 8090
"""The Hub's API; file contents are served from the next port, as the real Hub redirects to another origin."""

HUB_ENDPOINT = f"http://{CONTROL_IP}:{HUB_PORT}"

DOCKER_GID = 2375
"""Group of the hosts' Docker socket: a number that no distribution gives to another group."""

USER = "spark"
USER_ID = 1000


class Daemon(StrEnum):
    """What answers on a host's /run/docker.sock."""

    DOCKER = "docker"
    """dockerd as its package configures it; images lie in the store of its storage driver."""

    CONTAINERD = "containerd"
    """dockerd with the image store of containerd, which runs beside it and outlives it."""

    PODMAN = "podman"
    """Podman's service; the `docker` command asks it too."""


@dataclass(frozen=True, slots=True)
class HostSpec:
    """What a host is like before it starts."""

    root: Path | None = None
    """The root that it boots from (`roots.py`); none: this machine's own."""

    daemon: Daemon = Daemon.DOCKER
    """What runs its containers. Only Docker is sure to be on this machine's own root."""

    disk: str = ""
    """Size of a small disk for Docker's data and the Hugging Face cache (`300m`, kept in memory); empty: no limit."""

    folder: str = ""
    """A folder of this machine that the host has as /mnt, to read only; empty: none."""

    gpu: bool = True
    """Whether Docker can hand out the GPU and nvidia-smi is there."""

    memory_total_kib: int = 125_513_124
    """What /proc/meminfo shows: a GB10's 119.7 GiB."""

    memory_available_kib: int = 118_201_344
    max_sessions: int = 10
    """sshd's MaxSessions: sessions on one connection."""

    max_startups: str = "10:30:100"
    """sshd's MaxStartups: connections that have not logged in yet."""


def host_name(index: int) -> str:
    """`spark-01` for host 1."""
    return f"spark-{index:02d}"


def host_ip(index: int) -> str:
    """`10.78.0.11` for host 1."""
    return f"{SUBNET}.{10 + index}"
