"""One host of the test cluster: run a command on it, talk to its Docker, and break it in every way that hosts break.

`run` and `docker` enter the host by its namespaces, not by ssh, so they work while its network or its sshd does not.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cluster import cgroups
from cluster.faults import Faults
from cluster.spec import HostSpec, host_ip, host_name

if TYPE_CHECKING:
    from cluster.cluster import Cluster

UP_SECONDS = 60.0
_ENVIRONMENT = {
    "HOME": "/root",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
}


class Host:
    """A host; `name` is its host name and its ssh alias, `ip` its address."""

    def __init__(self, cluster: Cluster, index: int, spec: HostSpec) -> None:
        self.cluster = cluster
        self.index = index
        self.spec = spec
        self.name = host_name(index)
        self.ip = host_ip(index)
        self.directory = cluster.directory / self.name
        """Its files as seen from outside: `root`, `log`, `etc`, `docker`."""

        self.cgroup = cgroups.group_of(os.getpid(), self.name)
        self.faults = Faults(self)
        self._proc: Path | None = None

    # --- power ---------------------------------------------------------------------------------------------------

    def start_booting(self) -> None:
        """Start its processes, without waiting for them."""
        self._proc = self.cluster.boot(self)

    def wait_until_up(self) -> None:
        """Wait until sshd greets and Docker answers."""
        deadline = time.monotonic() + UP_SECONDS
        while not (self.docker_answers() and self._sshd_listens()):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.name} did not come up:\n{self.logs()}")
            time.sleep(0.05)

    def power_cut(self) -> None:
        """All processes end at once; its disk stays."""
        self.cluster.kill(self)
        self._proc = None

    def power_on(self) -> None:
        """Start again after `power_cut`, with the disk as it was."""
        self.start_booting()
        self.wait_until_up()

    @property
    def is_up(self) -> bool:
        """Whether its first process lives."""
        return self._proc is not None and self._proc.exists()

    def logs(self) -> str:
        """The ends of its boot, sshd and dockerd logs."""
        parts = []
        for name in ("boot", "sshd", "dockerd"):
            log = self.directory / f"log/{name}.log"
            lines = log.read_text(errors="replace").splitlines()[-15:] if log.exists() else ["(none)"]
            parts.append(f"--- {name}\n" + "\n".join(lines))
        return "\n".join(parts)

    # --- commands ------------------------------------------------------------------------------------------------

    def command(self, *argv: str) -> list[str]:
        """`argv` so that it runs on the host."""
        if self._proc is None:
            raise RuntimeError(f"{self.name} is without power")
        kinds = [f"--{kind}={self._proc}/ns/{file}" for kind, file in _NAMESPACES]
        return ["nsenter", *kinds, "--wdns=/", "--", *argv]

    def run(self, *argv: str, input: str | bytes | None = None, check: bool = True, timeout: float = 60) -> str:
        """Output of a command run on the host as root; one argument goes through a shell there.

        Raises `RuntimeError` with what the command said when it fails, unless `check` is False.
        """
        words = ("bash", "-c", argv[0]) if len(argv) == 1 else argv
        data = input.encode() if isinstance(input, str) else input
        done = subprocess.run(
            self.command(*words), input=data, capture_output=True, env=_ENVIRONMENT, timeout=timeout, check=False
        )
        if check and done.returncode:
            said = done.stderr.decode(errors="replace").strip() or done.stdout.decode(errors="replace").strip()
            raise RuntimeError(f"{self.name}: {' '.join(argv)} -> {done.returncode}: {said}")
        return done.stdout.decode(errors="replace")

    def docker(self, *argv: str, check: bool = True, timeout: float = 120) -> str:
        """Output of the Docker command line on the host."""
        return self.run("docker", *argv, check=check, timeout=timeout).strip()

    def inspect(self, container: str) -> dict[str, Any]:
        """What Docker knows of a container (or image)."""
        found: dict[str, Any] = json.loads(self.docker("inspect", container))[0]
        return found

    def containers(self, all: bool = True) -> list[str]:
        """Names of its containers."""
        return self.docker("ps", "--format", "{{.Names}}", *(["--all"] if all else [])).split()

    def received(self) -> int:
        """Bytes that its network card has received since it was started."""
        return int(self.run("cat /sys/class/net/eth0/statistics/rx_bytes"))

    def path(self, path: str) -> Path:
        """A file of the host as seen from outside (any path, through its own mounts)."""
        if self._proc is None:
            raise RuntimeError(f"{self.name} is without power")
        return self._proc / "root" / path.lstrip("/")

    def may_log_in_to_others(self) -> None:
        """Give root the key and the known hosts with which it can log in to every host, until `clean`."""
        ssh = self.path("/root/.ssh")
        (ssh / "id_ed25519").write_text(self.cluster.key.read_text())
        (ssh / "id_ed25519").chmod(0o600)
        (ssh / "known_hosts").write_text(self.cluster.known_hosts.read_text())

    # --- signs of life -------------------------------------------------------------------------------------------

    def docker_answers(self, timeout: float = 2.0) -> bool:
        """Whether dockerd answers a ping on its socket."""
        if self._proc is None:
            return False
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout)
            try:
                connection.connect(str(self.path("/run/docker.sock")))
                connection.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
                return b"200 OK" in connection.recv(200)
            except OSError:
                return False

    def _sshd_listens(self) -> bool:
        return bool(self.run("exec 3<>/dev/tcp/127.0.0.1/22 && head -c 4 <&3", check=False))

    def remove_images(self) -> None:
        """Take every image away, by all of its names: one that keeps a digest's name keeps its layers as well."""
        ids = set(self.docker("image", "ls", "--all", "--quiet").split())
        if ids:
            self.docker("image", "rm", "--force", *sorted(ids), check=False)
        left = self.docker("image", "ls", "--all", "--quiet").split()
        assert not left, f"{self.name} still has the images {left}"

    def clean(self) -> None:
        """As new, but for images: no containers, no volumes, empty homes and cache. Faults are the caller's to undo."""
        names = self.docker("ps", "--all", "--quiet").split()
        if names:
            self.docker("rm", "--force", "--volumes", *names)
        self.run("rm -f /root/.ssh/id_ed25519 /root/.ssh/known_hosts")
        # A small disk's cache is a mount point: it is emptied, and stays.
        self.run("find /root /home/spark /tmp -mindepth 1 -not -path '*/.ssh*' -delete", check=False)
        self.run("mkdir -p /root/.cache/huggingface")


_NAMESPACES = (("mount", "mnt"), ("uts", "uts"), ("ipc", "ipc"), ("net", "net"), ("pid", "pid"))
