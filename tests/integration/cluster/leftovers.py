"""What a cluster could leave behind on the machine, looked for by namespace and mount, never by name."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from cluster import cgroups
from cluster.namespaces import network_of, processes


@dataclass(frozen=True, slots=True)
class Traces:
    """The marks of one cluster, taken while it still runs."""

    networks: frozenset[str]
    directory: Path
    owner: int

    @classmethod
    def of(cls, init: int, directory: Path) -> Traces:
        """Every network namespace that a process of the cluster is in; to be called from outside it."""
        root = f"/proc/{init}/root/proc"
        inside = [entry.name for entry in Path(root).iterdir() if entry.name.isdigit()]
        networks = {network_of(f"{init}/root/proc/{pid}") for pid in inside} - {"", network_of("thread-self")}
        return cls(frozenset(networks), directory, os.getpid())

    def remaining(self) -> list[str]:
        """One line for each thing that is still there."""
        found = []
        for pid in processes():
            if network_of(pid) in self.networks:
                found.append(f"process {pid}: {_command(pid)}")
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
        found += [f"mount {line}" for line in mounts if str(self.directory) in line]
        found += [f"cgroup {top}" for top in cgroups.tops() if top.name.endswith(f"-{self.owner}")]
        if self.directory.exists():
            found.append(f"directory {self.directory}")
        return found


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return "?"
