"""The cluster: starts the supervisor and the hosts, brings the tests into its network, and takes all of it away again.

The whole cluster is one process tree in namespaces of its own (see `supervisor.py`). `join()` moves the calling thread
into the workstation's network namespace: what it starts then reaches the hosts at 10.78.0.11 and up, and nothing else.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cluster import cgroups, files, leftovers
from cluster.host import Host
from cluster.namespaces import children_of, die_with_parent, enter_network
from cluster.services import Service
from cluster.spec import CONTROL_IP, HostSpec, host_ip, host_name

SUPERVISOR = Path(__file__).with_name("supervisor.py")
DIRECTORY_PREFIX = "sparkrun-it-"
UNSHARE = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc"]
NEEDED = (
    "dockerd", "docker", "sshd", "ssh", "ssh-keygen", "rsync", "ip", "docker-registry", "nsenter", "unshare",
    "mmdebstrap", "busybox", "curl",
)  # fmt: skip


class Cluster:
    """Hosts `spark-01` and up, on one bridge with the workstation."""

    def __init__(self, services: Iterable[Service] = ()) -> None:
        check_machine()
        remove_orphans()
        self.directory = Path(tempfile.mkdtemp(prefix=f"{DIRECTORY_PREFIX}{os.getpid()}-"))
        self.directory.chmod(0o755)
        self.key = self.directory / "client_key"
        self.known_hosts = self.directory / "known_hosts"
        self.hosts: list[Host] = []
        self.repositories = Path()
        """What the Hub stand-in serves."""

        self._made = 0
        self._supervisor: subprocess.Popen[str] | None = None
        self.init = 0
        """The cluster's first process."""

        self._home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self._start(services)

    def _start(self, services: Iterable[Service]) -> None:
        files.make_key(self.key, "workstation")
        self.known_hosts.touch()
        spec = {
            "control_ip": CONTROL_IP,
            "hosts_file": str(self._write("hosts", files.hosts_file())),
            "resolv_file": str(self._write("resolv.conf", files.resolv_file())),
            "services": [service.order(self.directory) for service in services],
        }
        command = [*UNSHARE, "--propagation", "private", sys.executable, str(SUPERVISOR)]
        with open(self.directory / "supervisor.log", "ab") as log:
            self._supervisor = subprocess.Popen(
                [*command, str(self._write("spec.json", json.dumps(spec)))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,  # an interrupt at the keyboard is for the tests
                preexec_fn=die_with_parent,
            )
        self._answer()
        self.init = children_of(self._supervisor.pid)[0]

    def _write(self, name: str, text: str) -> Path:
        path = self.directory / name
        path.write_text(text)
        return path

    # --- the network ---------------------------------------------------------------------------------------------

    def join(self) -> None:
        """Bring the calling thread onto the workstation."""
        with open(f"/proc/{self.init}/ns/net") as network:
            enter_network(network.fileno())

    def leave(self) -> None:
        """Bring the calling thread back to the machine's own network."""
        enter_network(self._home)

    def command(self, *argv: str) -> list[str]:
        """`argv` so that it runs on the workstation, also when the caller has not joined."""
        return ["nsenter", f"--net=/proc/{self.init}/ns/net", "--", *argv]

    # --- hosts ---------------------------------------------------------------------------------------------------

    def add_host(self, spec: HostSpec = HostSpec()) -> Host:  # noqa: B008 - frozen
        """One more host, running and ready for ssh and Docker."""
        return self.add_hosts(spec)[0]

    def add_hosts(self, *specs: HostSpec) -> list[Host]:
        """More hosts, started side by side."""
        added = []
        for spec in specs:
            self._made += 1
            index = self._made
            if index > files.MAX_HOSTS:
                raise ValueError(f"a cluster makes at most {files.MAX_HOSTS} hosts")
            host = Host(self, index, spec)
            line = files.write_host(host.directory, index, spec, self._public_key(), host.cgroup)
            with open(self.known_hosts, "a") as known:
                known.write(line + "\n")
            self.hosts.append(host)
            host.start_booting()
            added.append(host)
        for host in added:
            host.wait_until_up()
        return added

    def remove_host(self, host: Host) -> None:
        """Take away a host that only one test needed."""
        if host.is_up:
            self.kill(host)
        self.hosts.remove(host)

    def host(self, name: str) -> Host:
        """The host of that name."""
        return next(host for host in self.hosts if host.name == name)

    def _public_key(self) -> str:
        return self.key.with_suffix(".pub").read_text()

    def boot(self, host: Host) -> Path:
        """Start a host's processes; returns where its first process is seen in `/proc`."""
        environment = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOST_NAME": host_name(host.index),
            "HOST_CIDR": f"{host_ip(host.index)}/24",
            "GATEWAY": CONTROL_IP,
            "HOST_DISK": host.spec.disk,
            "HOST_FOLDER": host.spec.folder,
            "HOST_ROOT": str(host.spec.root or ""),
            "HOST_DAEMON": host.spec.daemon.value,
        }
        answer = self._order(
            op="start", name=host.name, index=host.index, dir=str(host.directory), env=environment, cgroup=host.cgroup
        )
        return Path(f"/proc/{self.init}/root/proc/{answer['pid']}")

    def kill(self, host: Host) -> None:
        """End all of a host's processes at once."""
        self._order(op="kill", name=host.name, index=host.index)

    def _order(self, **order: Any) -> dict[str, Any]:
        assert self._supervisor is not None and self._supervisor.stdin is not None
        self._supervisor.stdin.write(json.dumps(order) + "\n")
        self._supervisor.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._supervisor is not None and self._supervisor.stdout is not None
        line = self._supervisor.stdout.readline()
        answer: dict[str, Any] = json.loads(line) if line else {"error": "the supervisor ended"}
        if "error" in answer:
            log = (self.directory / "supervisor.log").read_text()
            raise RuntimeError(f"test cluster: {answer['error']}\n{log}")
        return answer

    # --- the end -------------------------------------------------------------------------------------------------

    def close(self) -> list[str]:
        """End everything; returns what is left behind, which should be nothing."""
        if self._supervisor is None:
            return []
        self.leave()
        os.close(self._home)
        traces = leftovers.Traces.of(self.init, self.directory)
        self._supervisor.kill()
        self._supervisor.communicate()
        self._supervisor = None
        deadline = time.monotonic() + 10
        while Path(f"/proc/{self.init}").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        cgroups.remove(os.getpid())
        shutil.rmtree(self.directory, ignore_errors=True)
        return traces.remaining()


def remove_orphans() -> None:
    """Remove what test runs left that were killed: empty groups and their directories; their processes are gone."""
    cgroups.remove_orphans()
    for directory in Path(tempfile.gettempdir()).glob(f"{DIRECTORY_PREFIX}*"):
        owner = directory.name.removeprefix(DIRECTORY_PREFIX).partition("-")[0]
        if not Path(f"/proc/{owner}").exists():
            shutil.rmtree(directory, ignore_errors=True)


def check_machine() -> None:
    """Say plainly what this machine lacks, instead of failing somewhere inside."""
    if sys.platform != "linux" or os.geteuid() != 0:
        raise RuntimeError("the integration tests need Linux and root: they make hosts out of namespaces")
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    missing = [program for program in NEEDED if not shutil.which(program, path=path)]
    if missing:
        raise RuntimeError(f"missing: {', '.join(missing)}; `./dev integration` installs what these tests need")
