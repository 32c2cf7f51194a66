"""Reads facts from the output of the probe's script; what is missing or says `[N/A]` stays unknown."""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import field
from itertools import islice

from sparkrun_tui.base.reading.numbers import MOST, decimal, whole
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.base.text import clean_line, shorten
from sparkrun_tui.remote.lease import Lease, lease_of
from sparkrun_tui.remote.probe.cached_model import Wanted, answers
from sparkrun_tui.remote.probe.facts import Disk, DockerKind, Gpu, HostFacts, RdmaPort
from sparkrun_tui.remote.probe.script import CONTAINERD_ROOT, TOOLS

_KIB = 1024
_MIB = 1024 * 1024
_LISTEN_STATE = "0A"
_HEX_PORT = late_regex(r"[0-9A-Fa-f]{1,4}", re.ASCII)
_NUMBER = late_regex(r"-?[0-9]{1,15}(?:\.[0-9]{1,15})?(?![0-9])", re.ASCII)
_MEMINFO = late_regex(r"(\w+):\s+([0-9]+)\s*kB", re.ASCII)
_LAST_PORT = 65_535
_MOST_KIB = MOST // _KIB
_MOST_MIB = float(MOST // _MIB)
_LATEST = 32_503_680_000.0
"""The year 3000, Unix seconds."""
_MOST_WATTS = 100_000.0
_MOST_DEGREES = 1000.0
_MOST_MHZ = 100_000.0
_MOST_DRIVER = 1e6
_MOST_GPU_NAME = 100
"""Letters of a GPU's product name, which is looked for in tables with each estimate."""
_CONTAINER = late_regex(r"[0-9a-f]{64}")
_MOST_PROGRAMS = 1024
"""Most programs on the GPUs of one host that are read."""
_MOST_PARTS = 64
"""Most GPUs, RDMA ports and disks of one host that are read."""


@dataclass(slots=True)
class _Answer:
    """The script's lines by key, and its blocks."""

    values: dict[str, list[str]] = field(default_factory=dict)
    blocks: dict[str, list[str]] = field(default_factory=dict)

    def one(self, key: str) -> str:
        return clean_line(self.values.get(key, [""])[0]).strip()

    def block(self, name: str) -> list[str]:
        return self.blocks.get(name, [])


def parse(
    text: str,
    *,
    name: str,
    taken: float,
    round_trip: float,
    ports: Sequence[int] = (),
    models: Sequence[Wanted] = (),
) -> HostFacts:
    """The facts in the script's output. `taken` is when it was asked, on our clock; seconds."""
    answer = _read(text)
    memory = dict(_meminfo(answer.block("meminfo")))
    docker = dict(line.split("=", 1) for line in answer.block("docker") if "=" in line)
    owners = _owners(answer)
    addresses = _addresses(answer.block("addresses"))
    networks = _networks(answer.block("addresses"))
    interface, address = _default_route(answer.block("route"), addresses)
    gpus = tuple(islice(_gpus(answer.block("gpus")), _MOST_PARTS))
    return HostFacts(
        name=name,
        taken=taken,
        round_trip=round_trip,
        hostname=answer.one("hostname"),
        arch=answer.one("arch"),
        kernel=answer.one("kernel"),
        user=answer.one("user"),
        home=answer.one("home"),
        hf_cache=answer.one("hf_cache"),
        boot_id=answer.one("boot_id"),
        clock_skew=_skew(answer, taken, round_trip),
        memory_total=memory.get("MemTotal", 0),
        memory_available=min(memory.get("MemAvailable", 0), memory.get("MemTotal", 0)),
        swap_free=memory.get("SwapFree", 0),
        disks=tuple(islice(_disks(answer.values.get("disk", [])), _MOST_PARTS)),
        gpus=gpus,
        driver=gpus[0].driver if gpus else "",
        driver_stale="Driver/library version mismatch" in "\n".join(answer.block("gpus")),
        cuda=_found(r"CUDA Version:\s*([0-9.]+)", "\n".join(answer.block("smi"))),
        docker_version=clean_line(docker.get("version", "")).strip(),
        docker_root=clean_line(docker.get("root", "")).strip(),
        docker_access=_docker_access(answer, docker),
        interfaces=frozenset(islice(map(clean_line, answer.block("interfaces")), _MOST_PARTS)),
        docker_kind=_docker_kind(answer, docker),
        image_root=_image_root(docker),
        gpu_runtime="nvidia" in docker.get("runtimes", "").split() or bool(answer.one("gpu_hook")),
        default_interface=clean_line(interface),
        default_address=address,
        rdma=tuple(islice(_rdma(answer.values.get("rdma", []), addresses, networks), _MOST_PARTS)),
        infiniband=bool(answer.one("infiniband_dev")),
        used_ports=frozenset(owners),
        tools=frozenset(TOOLS).intersection(answer.values.get("tool", [])),
        gpu_held=_gpu_held(answer.values.get("gpu_held", [])),
        lease=_lease(answer),
        port_owners={port: owners[port] for port in ports if owners.get(port)},
        models=answers(answer.block("models"), models),
    )


def _lease(answer: _Answer) -> Lease | None:
    """The lease that the host has; its age is by the host's own clock."""
    renewed = decimal(answer.one("lease_renewed"), least=0.0, most=_LATEST)
    now = _clock(answer.one("epoch"))
    if renewed is None or now is None:
        return None
    return lease_of("\n".join(answer.block("lease")), now - renewed)


_END = "end=yes"


def complete(text: str) -> bool:
    """Whether the script ran to its end."""
    return _END in text.splitlines()


def _read(text: str) -> _Answer:
    answer = _Answer()
    block: list[str] | None = None
    for line in text.splitlines():
        if line == _END and block is None:
            # A login shell may print something when it ends.
            break
        if line.startswith("[["):
            block = answer.blocks.setdefault(line[2:], [])
        elif line == "]]":
            block = None
        elif block is not None:
            if line.strip():
                block.append(line)
        else:
            key, equals, value = line.partition("=")
            if equals:
                answer.values.setdefault(key, []).append(value)
    return answer


def _meminfo(lines: Sequence[str]) -> Iterator[tuple[str, int]]:
    for line in lines:
        found = _MEMINFO.match(line)
        if found is None:
            continue
        size = whole(found[2], most=_MOST_KIB)
        if size is not None:
            yield found[1], size * _KIB


def _skew(answer: _Answer, taken: float, round_trip: float) -> float | None:
    """By how much the host's clock is ahead of ours at least, in seconds; None if unknown.

    The middle of the script's run is compared with the middle of the round trip. What the round trip took beyond the
    run, a slow login for example, may all have been before it or after it: a difference within that is none.
    """
    began, ended = _clock(answer.one("epoch")), _clock(answer.one("epoch_end"))
    if began is None:
        return None
    if ended is None or not began <= ended <= began + round_trip:
        ended = began
    ahead = (began + ended) / 2 - (taken + round_trip / 2)
    unsure = (round_trip - (ended - began)) / 2
    return math.copysign(max(abs(ahead) - unsure, 0.0), ahead)


def _clock(text: str) -> float | None:
    """Unix seconds as `date` prints them, with or without a fraction."""
    return decimal(text.rstrip("N").rstrip("."), least=0.0, most=_LATEST)


def _disks(rows: Sequence[str]) -> Iterator[Disk]:
    seen: set[str] = set()
    for row in rows:
        path, room, nodes = [*row.split("\t"), "", ""][:3]
        columns, inodes = room.split(), nodes.split()
        path = clean_line(path)
        total, free = _column(columns, 1, _MOST_KIB), _column(columns, 3, _MOST_KIB)
        if path in seen or total is None or free is None:
            continue
        seen.add(path)
        # Some file systems (btrfs, vfat) count no inodes and say `-` or 0 of 0.
        inodes_free = None
        if _column(inodes, 1):
            inodes_free = _column(inodes, 3)
        yield Disk(path, free * _KIB, total * _KIB, inodes_free)


def _column(columns: Sequence[str], place: int, most: int = MOST) -> int | None:
    """The number in a column of a line of `df`, which has four at least; None when it is none."""
    if len(columns) < 4:
        return None
    return whole(columns[place], most=most)


def _gpus(lines: Sequence[str]) -> Iterator[Gpu]:
    for line in lines:
        cells = [cell.strip() for cell in line.split(",")]
        if len(cells) < 6:
            continue
        driver = ""
        if _number(cells[1].partition(".")[0], most=_MOST_DRIVER) is not None:
            driver = clean_line(cells[1])
        # Drivers leave out fields that they do not know.
        clock, used = [*cells[6:], "", ""][:2]
        yield Gpu(
            name=shorten(clean_line(cells[0]), _MOST_GPU_NAME),
            driver=driver,
            memory_total=_mebibytes(cells[2]),
            utilisation=_number(cells[3], most=100),
            power_watts=_number(cells[4], most=_MOST_WATTS),
            temperature=_number(cells[5], least=-_MOST_DEGREES, most=_MOST_DEGREES),
            clock_mhz=_number(clock, most=_MOST_MHZ),
            memory_used=_mebibytes(used),
        )


def _gpu_held(rows: Sequence[str]) -> dict[str, int]:
    """Bytes by container; a container of which one program's figure is unknown is left out."""
    held: dict[str, int] = {}
    unknown: set[str] = set()
    for row in rows[:_MOST_PROGRAMS]:
        container, _, used = row.partition("\t")
        if not _CONTAINER.fullmatch(container):
            continue
        size = _mebibytes(used)
        if size is None:
            unknown.add(container)
        else:
            held[container] = held.get(container, 0) + size
    return {container: size for container, size in held.items() if container not in unknown}


def _mebibytes(cell: str) -> int | None:
    """The bytes that a cell of nvidia-smi states in MiB; None when it states none."""
    size = _number(cell, most=_MOST_MIB)
    if size is None:
        return None
    return int(size * _MIB)


def _number(cell: str, *, least: float = 0.0, most: float) -> float | None:
    """The number that a cell of nvidia-smi begins with; None when there is none, or an absurd one."""
    found = _NUMBER.match(cell)
    if found is None:
        return None
    return decimal(found.group(), least=least, most=most)


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    if match is None:
        return ""
    return match[1]


def _docker_access(answer: _Answer, docker: dict[str, str]) -> str:
    said = " ".join(line for line in answer.block("docker") if "=" not in line)
    if docker.get("version", "").strip() and not re.search(r"(?i)cannot connect|permission denied", said):
        return "ok"
    if "docker" not in answer.blocks:
        return {"usable": "ok", "denied": "denied"}.get(answer.one("socket"), "no socket")
    if "permission denied" in said.lower() or "denied" in answer.one("socket"):
        return "denied"
    if re.search(r"(?i)cannot connect|is the docker daemon running|no such file|connection refused", said):
        return "not running"
    return shorten(clean_line(said), 200) or "no answer"


def _docker_kind(answer: _Answer, docker: dict[str, str]) -> DockerKind:
    """What answers as Docker. Podman offers `crun`, and no shim of containerd, which every Docker has.

    Source: podman 5, pkg/api/handlers/compat/info.go; Docker CLI, `docker info`.
    """
    runtimes = docker.get("runtimes", "").split()
    of_podman = "crun" in runtimes and "io.containerd.runc.v2" not in runtimes
    if of_podman or re.search(r"using podman|\*define\.Info", " ".join(answer.block("docker"))):
        return DockerKind.PODMAN
    if "name=rootless" in docker.get("security", "").split():
        return DockerKind.ROOTLESS
    return DockerKind.SYSTEM


def _image_root(docker: dict[str, str]) -> str:
    """Where images lie: with containerd's image store not in Docker's own folder."""
    if "io.containerd.snapshotter.v1" in docker.get("store", "").split():
        return CONTAINERD_ROOT
    return clean_line(docker.get("root", "")).strip()


def _addresses(lines: Sequence[str]) -> dict[str, str]:
    """The first IPv4 address of each interface."""
    found: dict[str, str] = {}
    for line in lines:
        match = re.match(r"\d+:\s+(\S+)\s+inet\s+([0-9.]+)", line)
        if match:
            found.setdefault(match[1].partition("@")[0], match[2])
    return found


def _networks(lines: Sequence[str]) -> dict[str, str]:
    """The IPv4 network of each address that states one, as `192.168.100.0/24`."""
    found: dict[str, str] = {}
    for line in lines:
        match = re.match(r"\d+:\s+\S+\s+inet\s+([0-9.]+)/([0-9]{1,2})(?![0-9])", line)
        if match is None:
            continue
        try:
            network = ipaddress.ip_interface(f"{match[1]}/{match[2]}").network
        except ValueError:
            continue
        found[match[1]] = str(network)
    return found


_INSIDE = ("lo", "docker", "br-", "virbr", "veth", "cni", "flannel")
"""What the names of interfaces begin with that lead nowhere outside of a host."""


def _default_route(lines: Sequence[str], addresses: dict[str, str]) -> tuple[str, str]:
    """The interface of the default route with the lowest metric, and its address.

    Without such a route it is the first interface that other hosts can reach: networks of containers and of virtual
    machines have the same addresses on every host.
    """
    routes = []
    for line in lines:
        device = _found(r"\bdev (\S+)", line)
        if device:
            routes.append((_metric(line), device, _found(r"\bsrc ([0-9.]+)", line)))
    if routes:
        _, device, source = min(routes)
        return device, source or addresses.get(device, "")
    for name, address in addresses.items():
        if not name.startswith(_INSIDE):
            return name, address
    return "", ""


def _metric(line: str) -> int:
    """How far a route is from being the first choice: 0 when it says nothing, last when it cannot be read."""
    text = _found(r"\bmetric (\S+)", line)
    if not text:
        return 0
    metric = whole(text)
    if metric is None:
        return MOST
    return metric


def _rdma(rows: Sequence[str], addresses: dict[str, str], networks: dict[str, str]) -> Iterator[RdmaPort]:
    for row in rows:
        device, interface, index = [*row.split("\t"), "", ""][:3]
        address = addresses.get(interface, "")
        network = networks.get(address, "")
        yield RdmaPort(clean_line(device), clean_line(interface), address, whole(index), network)


def _owners(answer: _Answer) -> dict[int, str]:
    owners: dict[int, str] = {}
    for port, owner in _listening(answer):
        owners[port] = owners.get(port) or owner
    return owners


def _listening(answer: _Answer) -> Iterator[tuple[int, str]]:
    """Ports that something listens on, each with its owner; the owner is empty where the host does not show it."""
    for line in answer.block("listen"):
        columns = line.split()
        if len(columns) < 4:
            continue
        port = whole(columns[3].rpartition(":")[2], most=_LAST_PORT)
        if port is None:
            continue
        owner = ""
        name, pid = _found(r'\(\("([^"]+)"', line), _found(r"pid=([0-9]{1,10})", line)
        if name:
            owner = f"{clean_line(name)} (pid {pid})"
        yield port, owner
    for line in answer.block("tcp"):
        columns = line.split()
        if len(columns) >= 4 and columns[3] == _LISTEN_STATE and ":" in columns[1]:
            port_text = columns[1].rpartition(":")[2]
            if _HEX_PORT.fullmatch(port_text):
                yield int(port_text, 16), ""
