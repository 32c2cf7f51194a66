"""What breaks on a real host, done to a test host: link, sshd, sessions, dockerd, the whole machine, its disk.

Each fault has its opposite; `heal` undoes all of them, whatever was done.
"""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING

from cluster import cgroups

if TYPE_CHECKING:
    from cluster.host import Host


class Faults:
    """The faults of one host."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self._link = f"v{host.index}"

    # --- network -------------------------------------------------------------------------------------------------

    def link_down(self) -> None:
        """Pull the cable: packets vanish, connections do not end."""
        self._ip("link", "set", self._link, "down")

    def link_up(self) -> None:
        """Plug the cable in again."""
        self._ip("link", "set", self._link, "up")

    def slow(self, rate: str) -> None:
        """Limit what the host receives to `rate`, as tc writes it (`20mbit`), so that a pull can be watched."""
        limit = ["tbf", "rate", rate, "burst", "64kb", "latency", "400ms"]
        self._tc("replace", *limit)

    def full_speed(self) -> None:
        """Undo `slow`."""
        self._tc("del", check=False)

    def _ip(self, *argv: str) -> None:
        subprocess.run(self.host.cluster.command("ip", *argv), check=True, capture_output=True)

    def _tc(self, verb: str, *argv: str, check: bool = True) -> None:
        command = self.host.cluster.command("tc", "qdisc", verb, "dev", self._link, "root", *argv)
        subprocess.run(command, check=check, capture_output=True)

    # --- ssh -----------------------------------------------------------------------------------------------------

    def kill_sessions(self) -> int:
        """Kill every ssh session's server processes, as a crash would; returns how many sessions there were.

        From OpenSSH 9.8 on they are called `sshd-session`, and a session of root has two of them.
        """
        script = """
        sshd=$(cat /run/sshd.pid); n=0
        for stat in /proc/[0-9]*/stat; do
            read -r pid rest <"$stat" || continue
            case $rest in "(sshd) "* | "(sshd-session) "*) ;; *) continue ;; esac
            set -- ${rest##*) }
            [ "$pid" = "$sshd" ] || kill -9 "$pid"
            [ "$2" != "$sshd" ] || n=$((n + 1))
        done 2>/dev/null
        echo $n
        """
        return int(self.host.run(script))

    def sshd_stop(self) -> None:
        """Stop accepting connections; those that exist live on."""
        self.host.run("kill -STOP $(cat /run/sshd.pid)")

    def sshd_continue(self) -> None:
        """Undo `sshd_stop`."""
        self.host.run("kill -CONT $(cat /run/sshd.pid)")

    # --- Docker --------------------------------------------------------------------------------------------------

    def dockerd_stop(self) -> None:
        """dockerd hangs: it takes connections and never answers."""
        self.host.run("kill -STOP $(cat /run/docker.pid)")

    def dockerd_continue(self) -> None:
        """Undo `dockerd_stop`."""
        self.host.run("kill -CONT $(cat /run/docker.pid)")

    def dockerd_kill(self) -> None:
        """dockerd dies; its containers run on without it."""
        self.host.run("kill -KILL $(cat /run/docker.pid)")
        deadline = time.monotonic() + 10
        while self.host.docker_answers(timeout=0.5) and time.monotonic() < deadline:
            time.sleep(0.02)

    def dockerd_start(self) -> None:
        """Start dockerd again after `dockerd_kill`."""
        self.host.run("rm -f /run/docker.pid; setsid dockerd >>/var/log/dockerd.log 2>&1 </dev/null &")
        self.host.wait_until_up()

    # --- the machine ---------------------------------------------------------------------------------------------

    def freeze(self) -> None:
        """The whole host hangs: its kernel answers pings, no process does."""
        cgroups.freeze(self.host.cgroup, True)

    def thaw(self) -> None:
        """Undo `freeze`."""
        cgroups.freeze(self.host.cgroup, False)

    def heal(self) -> None:
        """Undo every fault, power cuts too."""
        if not self.host.is_up:
            self.host.power_on()
        self.thaw()
        self.link_up()
        self.full_speed()
        self.sshd_continue()
        if self.host.run("kill -CONT $(cat /run/docker.pid) && echo alive", check=False):
            self.host.wait_until_up()
        else:
            self.dockerd_start()
