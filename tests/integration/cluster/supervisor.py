"""Process 1 of the test cluster: makes the bridge, starts services and hosts, and takes orders as JSON lines on stdin.

Runs as a program of its own, `unshare --net --mount --pid --fork python supervisor.py SPEC.json`, and imports nothing
but the standard library. When its stdin closes it ends, and with it, by the kernel's doing, every process and every
namespace of the cluster: no clean-up can be forgotten.

Orders: {"op": "start", "name", "index", "dir", "env", "cgroup"} -> {"pid"} (as seen in here);
{"op": "kill", "name", "index"} -> {}. An answer with "error" says what went wrong.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

CGROUPS = Path("/sys/fs/cgroup")
HOST_INIT = Path(__file__).with_name("host_init.sh")
UNSHARE_HOST = [
    "unshare", "--net", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child=KILL", "--mount-proc",
    "--propagation", "private", "bash", str(HOST_INIT),
]  # fmt: skip


def run(*command: str) -> None:
    """Run one command, with its complaint in the exception when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")


def children(pid: int) -> list[int]:
    """The child processes of `pid`, from the process table, since not every kernel lists children."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == pid:
                found.append(int(entry.name))
    return found


def hardware_address(index: int) -> str:
    """The address of host `index`'s network card, the same at every boot; 0 is the workstation's."""
    return f"02:00:00:00:00:{index:02x}"


def enter_cgroup(cgroup: str, pid: int) -> None:
    """Put a host's first process in its cgroup, so that freezing that cgroup freezes the whole host."""
    if (CGROUPS / "cgroup.controllers").exists():  # version 2: processes only in leaves
        places = [CGROUPS / cgroup / "init"]
    else:
        places = [CGROUPS / kind / cgroup for kind in ("freezer", "pids") if (CGROUPS / kind).is_dir()]
    for place in places:
        place.mkdir(parents=True, exist_ok=True)
        (place / "cgroup.procs").write_text(str(pid))


class Supervisor:
    """The hosts that run, by name: process of `unshare` and first process of the host."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.spec = spec
        self.hosts: dict[str, tuple[int, int]] = {}

    def set_up(self) -> None:
        """Bridge, name resolution and services."""
        run("mount", "--bind", self.spec["hosts_file"], "/etc/hosts")
        run("mount", "--bind", self.spec["resolv_file"], "/etc/resolv.conf")
        run("ip", "link", "set", "lo", "up")
        # With an address of its own the bridge does not take on that of a port, which would change as hosts come and go
        # and leave the others with a neighbour that is no more.
        run("ip", "link", "add", "br0", "address", hardware_address(0), "type", "bridge")
        run("ip", "addr", "add", f"{self.spec['control_ip']}/24", "dev", "br0")
        run("ip", "link", "set", "br0", "up")
        for service in self.spec["services"]:
            with open(service["log"], "ab") as log:
                subprocess.Popen(service["argv"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def start(self, order: dict[str, Any]) -> dict[str, Any]:
        """Start a host: the veth comes last, because the host waits for it before it starts anything."""
        index = order["index"]
        outer = subprocess.Popen(
            [*UNSHARE_HOST, order["dir"]], env=order["env"], stdin=subprocess.DEVNULL, stdout=sys.stderr
        )
        while not (inside := children(outer.pid)):
            if outer.poll() is not None:
                raise RuntimeError(f"{order['name']}: unshare ended with {outer.returncode}")
            time.sleep(0.005)
        enter_cgroup(order["cgroup"], inside[0])
        link = f"v{index}"
        peer = ["peer", "name", "eth0", "address", hardware_address(index), "netns", str(inside[0])]
        run("ip", "link", "add", link, "type", "veth", *peer)
        run("ip", "link", "set", link, "master", "br0", "up")
        self.hosts[order["name"]] = (outer.pid, inside[0])
        return {"pid": inside[0]}

    def kill(self, order: dict[str, Any]) -> dict[str, Any]:
        """Cut a host's power: its first process dies, and the kernel ends all others at once."""
        outer, inside = self.hosts.pop(order["name"])
        os.kill(inside, signal.SIGKILL)
        # The kernel takes the link away some time after the namespace; the host may be started again before that.
        subprocess.run(["ip", "link", "delete", f"v{order['index']}"], capture_output=True, check=False)
        while Path(f"/proc/{inside}").exists() or Path(f"/proc/{outer}").exists():
            self.reap()
            time.sleep(0.01)
        return {}

    @staticmethod
    def reap() -> None:
        """Take leave of every child that has ended, as a first process must."""
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass

    def serve(self) -> None:
        """Take orders until stdin closes."""
        print(json.dumps({"ready": True}), flush=True)
        while True:
            self.reap()
            if not select.select([sys.stdin], [], [], 1.0)[0]:
                continue
            line = sys.stdin.readline()
            if not line:
                return
            try:
                order = json.loads(line)
                answer = {"start": self.start, "kill": self.kill}[order["op"]](order)
            except (RuntimeError, OSError, KeyError) as error:
                answer = {"error": str(error)}
            print(json.dumps(answer), flush=True)


def main() -> None:
    """Set up and serve; an error before that is said on the same channel."""
    supervisor = Supervisor(json.loads(Path(sys.argv[1]).read_text()))
    try:
        supervisor.set_up()
    except (RuntimeError, OSError) as error:
        print(json.dumps({"error": str(error)}), flush=True)
        return
    supervisor.serve()


if __name__ == "__main__":
    main()
