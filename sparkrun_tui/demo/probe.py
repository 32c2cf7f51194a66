"""A simulated Spark's answer to the probe: the lines that its shell, /proc, Docker and nvidia-smi would print."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sparkrun_tui.demo.gpu import GpuNow
from sparkrun_tui.demo.host import DISK_TOTAL, HF_CACHE, HOME, Host
from sparkrun_tui.demo.ssh_keys import USER

DOCKER_VERSION = "29.1.3"
DOCKER_ROOT = "/var/lib/docker"
DRIVER = "580.95.05"
_TOOLS = ("rsync", "setsid", "tail", "sha256sum", "systemd-run", "git", "nvidia-smi", "docker", "base64", "mkfifo")


def answer(host: Host, paths: Sequence[str]) -> str:
    """The output of the probe's script on this host; `paths` are the folders whose disks it measures."""
    return "\n".join(_lines(host, paths)) + "\n"


def _lines(host: Host, paths: Sequence[str]) -> Iterator[str]:
    yield f"epoch={host.clock.now():.6f}"
    yield f"hostname={host.name}"
    yield "arch=aarch64"
    yield "kernel=6.14.0-1015-nvidia"
    yield f"user={USER}"
    yield f"home={HOME}"
    yield f"hf_cache={HF_CACHE}"
    yield f"boot_id={host.boot_id}"
    if host.lease:
        yield f"lease_renewed={host.clock.now():.0f}"
        yield from ("[[lease", host.lease.decode(), "]]")
    yield "[[meminfo"
    yield f"MemTotal:       {host.memory_total // 1024} kB"
    yield f"MemAvailable:   {host.memory_available // 1024} kB"
    yield "SwapFree:       16777212 kB"
    yield "]]"
    for tool in _TOOLS:
        yield f"tool={tool}"
    yield from (
        "[[docker",
        f"version={DOCKER_VERSION}",
        f"root={DOCKER_ROOT}",
        "runtimes=io.containerd.runc.v2 nvidia runc",
        "]]",
    )
    yield "gpu_hook=yes"
    yield from _devices(host, paths)


def _devices(host: Host, paths: Sequence[str]) -> Iterator[str]:
    for path in dict.fromkeys((HF_CACHE, DOCKER_ROOT, *paths)):
        yield _disk(host, path)
    gpu = GpuNow.of(host)
    figures = f"{gpu.load:.0f}, {gpu.power:.2f}, {gpu.heat:.0f}, {gpu.clock:.0f}"
    yield from ("[[gpus", f"NVIDIA GB10, {DRIVER}, [N/A], {figures}, [N/A]", "]]")
    for container in host.containers.values():
        if container.running and container.memory:
            yield f"gpu_held={container.id}\t{container.memory >> 20}"
    yield from ("[[smi", f"| NVIDIA-SMI {DRIVER}   Driver Version: {DRIVER}   CUDA Version: 13.0 |", "]]")
    yield from ("[[route", f"default via 10.77.0.1 dev enP7s7 proto dhcp src {host.address} metric 100", "]]")
    yield "[[addresses"
    yield "1: lo    inet 127.0.0.1/8 scope host lo"
    yield f"2: enP7s7    inet {host.address}/24 brd 10.77.0.255 scope global enP7s7"
    yield f"3: enp1s0f0np0    inet {host.fabric_address}/24 scope global enp1s0f0np0"
    yield "]]"
    yield "infiniband=rocep1s0f0"
    yield "rdma=rocep1s0f0\tenp1s0f0np0\t3"
    yield "infiniband_dev=yes"
    yield "[[listen"
    yield 'LISTEN 0 128 0.0.0.0:22 0.0.0.0:* users:(("sshd",pid=812,fd=3))'
    for port in sorted(host.open_ports()):
        yield f'LISTEN 0 2048 0.0.0.0:{port} 0.0.0.0:* users:(("python3",pid=4242,fd=20))'
    yield "]]"
    yield "end=yes"


def _disk(host: Host, path: str) -> str:
    total, free = DISK_TOTAL // 1024, host.disk_free // 1024
    room = f"/dev/nvme0n1p2 {total} {total - free} {free} {100 - free * 100 // total}% /"
    nodes = "/dev/nvme0n1p2 240000000 1200000 238800000 1% /"
    return f"disk={path}\t{room}\t{nodes}"
