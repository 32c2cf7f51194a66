"""What the probe's script printed, as facts; whatever is missing or says `[N/A]` stays unknown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from sparkrun_tui.base.text import clean_line, shorten
from sparkrun_tui.remote.facts import Disk, Gpu, HostFacts, RdmaPort

_KIB = 1024
_MIB = 1024 * 1024
_LISTEN_STATE = "0A"


@dataclass(slots=True)
class _Answer:
    """The script's lines by key, and its blocks."""

    values: dict[str, list[str]] = field(default_factory=dict)
    blocks: dict[str, list[str]] = field(default_factory=dict)

    def one(self, key: str) -> str:
        return clean_line(self.values.get(key, [""])[0]).strip()

    def block(self, name: str) -> list[str]:
        return self.blocks.get(name, [])


def parse(text: str, *, name: str, taken: float, round_trip: float, ports: Sequence[int] = ()) -> HostFacts:
    """The facts in the script's output. `taken` is when it was asked, on our clock; seconds."""
    answer = _read(text)
    memory = dict(_meminfo(answer.block("meminfo")))
    docker = dict(line.split("=", 1) for line in answer.block("docker") if "=" in line)
    owners = _owners(answer)
    addresses = _addresses(answer.block("addresses"))
    interface, address = _default_route(answer.block("route"), addresses)
    gpus = tuple(_gpus(answer.block("gpus")))
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
        clock_skew=_skew(answer.one("epoch"), taken, round_trip),
        memory_total=memory.get("MemTotal", 0),
        memory_available=memory.get("MemAvailable", 0),
        swap_free=memory.get("SwapFree", 0),
        disks=tuple(_disks(answer.values.get("disk", []))),
        gpus=gpus,
        driver=gpus[0].driver if gpus else "",
        cuda=_found(r"CUDA Version:\s*([\d.]+)", "\n".join(answer.block("smi"))),
        docker_version=clean_line(docker.get("version", "")).strip(),
        docker_root=clean_line(docker.get("root", "")).strip(),
        docker_access=_docker_access(answer, docker),
        gpu_runtime="nvidia" in docker.get("runtimes", "").split() or bool(answer.one("gpu_hook")),
        default_interface=interface,
        default_address=address,
        rdma=tuple(_rdma(answer.values.get("rdma", []), addresses)),
        infiniband=bool(answer.one("infiniband_dev")),
        used_ports=frozenset(owners),
        tools=frozenset(clean_line(tool) for tool in answer.values.get("tool", [])),
        port_owners={port: owners[port] for port in ports if owners.get(port)},
    )


def complete(text: str) -> bool:
    """Whether the script ran to its end."""
    return text.rstrip().endswith("end=yes")


def _read(text: str) -> _Answer:
    answer = _Answer()
    block: list[str] | None = None
    for line in text.splitlines():
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
        found = re.match(r"(\w+):\s+(\d+)\s*kB", line)
        if found:
            yield found[1], int(found[2]) * _KIB


def _skew(epoch: str, taken: float, round_trip: float) -> float | None:
    """How far the host's clock is ahead of ours, seconds, judged at the middle of the round trip."""
    try:
        return float(epoch.rstrip("N").rstrip(".")) - (taken + round_trip / 2)
    except ValueError:
        return None


def _disks(rows: Sequence[str]) -> Iterator[Disk]:
    seen: set[str] = set()
    for row in rows:
        path, room, nodes = [*row.split("\t"), "", ""][:3]
        columns, inodes = room.split(), nodes.split()
        path = clean_line(path)
        if path in seen or len(columns) < 4 or not (columns[1].isdigit() and columns[3].isdigit()):
            continue
        seen.add(path)
        # Some file systems (btrfs, vfat) count no inodes and say `-` or 0 of 0.
        countable = len(inodes) >= 4 and inodes[3].isdigit() and inodes[1].isdigit() and int(inodes[1]) > 0
        yield Disk(path, int(columns[3]) * _KIB, int(columns[1]) * _KIB, int(inodes[3]) if countable else None)


def _gpus(lines: Sequence[str]) -> Iterator[Gpu]:
    for line in lines:
        cells = [cell.strip() for cell in line.split(",")]
        if len(cells) < 6:
            continue
        memory = _number(cells[2])
        yield Gpu(
            name=clean_line(cells[0]),
            driver=clean_line(cells[1]) if _number(cells[1].partition(".")[0]) is not None else "",
            memory_total=int(memory * _MIB) if memory is not None else None,
            utilisation=_number(cells[3]),
            power_watts=_number(cells[4]),
            temperature=_number(cells[5]),
        )


def _number(cell: str) -> float | None:
    found = re.match(r"-?\d+(?:\.\d+)?", cell)
    return float(found.group()) if found else None


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    return match[1] if match else ""


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


def _addresses(lines: Sequence[str]) -> dict[str, str]:
    """The first IPv4 address of each interface."""
    found: dict[str, str] = {}
    for line in lines:
        match = re.match(r"\d+:\s+(\S+)\s+inet\s+([\d.]+)", line)
        if match:
            found.setdefault(match[1].partition("@")[0], match[2])
    return found


def _default_route(lines: Sequence[str], addresses: dict[str, str]) -> tuple[str, str]:
    """The interface of the default route with the lowest metric, and its address."""
    routes = []
    for line in lines:
        device = _found(r"\bdev (\S+)", line)
        if device:
            routes.append((int(_found(r"\bmetric (\d+)", line) or 0), device, _found(r"\bsrc ([\d.]+)", line)))
    if routes:
        _, device, source = min(routes)
        return device, source or addresses.get(device, "")
    others = [(name, address) for name, address in addresses.items() if name != "lo"]
    return others[0] if others else ("", "")


def _rdma(rows: Sequence[str], addresses: dict[str, str]) -> Iterator[RdmaPort]:
    for row in rows:
        device, interface, index = [*row.split("\t"), "", ""][:3]
        address = addresses.get(interface, "")
        yield RdmaPort(clean_line(device), clean_line(interface), address, int(index) if index.isdigit() else None)


def _owners(answer: _Answer) -> dict[int, str]:
    owners: dict[int, str] = {}
    for port, owner in _listening(answer):
        owners[port] = owners.get(port) or owner
    return owners


def _listening(answer: _Answer) -> Iterator[tuple[int, str]]:
    """Ports that something listens on, with who it is where the host tells."""
    for line in answer.block("listen"):
        columns = line.split()
        if len(columns) >= 4 and (port := columns[3].rpartition(":")[2]).isdigit():
            name, pid = _found(r'\(\("([^"]+)"', line), _found(r"pid=(\d+)", line)
            yield int(port), f"{clean_line(name)} (pid {pid})" if name else ""
    for line in answer.block("tcp"):
        columns = line.split()
        if len(columns) >= 4 and columns[3] == _LISTEN_STATE and ":" in columns[1]:
            yield int(columns[1].rpartition(":")[2], 16), ""
