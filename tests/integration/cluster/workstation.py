"""The workstation's side: a home directory, an ssh that knows the cluster's hosts, and the environment for both."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from cluster.cluster import Cluster
from cluster.files import MAX_HOSTS
from cluster.spec import HUB_ENDPOINT, host_ip, host_name

_SSH_CONFIG = """\
Host {names}
    User root
    IdentityFile {key}
    IdentitiesOnly yes
    UserKnownHostsFile {known_hosts}
    GlobalKnownHostsFile /dev/null
    PasswordAuthentication no
"""


class Workstation:
    """A person's machine in a directory of its own.

    ssh reads its configuration from the home directory in the user database, whatever HOME says, so a wrapper called
    `ssh`, first on PATH, names our configuration with `-F`; it serves `ssh -G` and rsync's ssh alike.
    """

    def __init__(self, cluster: Cluster, directory: Path) -> None:
        self.cluster = cluster
        self.home = directory / "home"
        self.ssh_config = self.home / ".ssh/config"
        self.known_hosts = self.home / ".ssh/known_hosts"
        self.bin = directory / "bin"
        self.home.mkdir(parents=True)
        self.bin.mkdir()
        self.ssh_config.parent.mkdir(mode=0o700)
        self.clean()
        wrapper = self.bin / "ssh"
        wrapper.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {self.ssh_config} "$@"\n')
        wrapper.chmod(0o755)

    def _config(self) -> str:
        """One block per host, under its name, and one for all addresses."""
        names = [host_name(index) for index in range(1, MAX_HOSTS + 1)]
        blocks = [f"Host {name}\n    HostName {host_ip(i)}\n" for i, name in enumerate(names, start=1)]
        addresses = [host_ip(index) for index in range(1, MAX_HOSTS + 1)]
        common = _SSH_CONFIG.format(
            names=" ".join([*names, *addresses]), key=self.cluster.key, known_hosts=self.known_hosts
        )
        return "".join(blocks) + common

    def environment(self) -> Mapping[str, str]:
        """What the program under test gets: our home, our ssh, our Hub, and nobody's tokens or agent."""
        kept = {name: os.environ[name] for name in ("LANG", "TERM", "TMPDIR") if name in os.environ}
        kept |= _pip_settings()
        home = str(self.home)
        return kept | {
            "HOME": home,
            "XDG_CONFIG_HOME": f"{home}/.config",
            "XDG_CACHE_HOME": f"{home}/.cache",
            "XDG_STATE_HOME": f"{home}/.local/state",
            "XDG_DATA_HOME": f"{home}/.local/share",
            "PATH": f"{self.bin}:{os.environ['PATH']}:/usr/sbin:/sbin",
            "HF_ENDPOINT": HUB_ENDPOINT,
            "HF_HUB_DISABLE_TELEMETRY": "1",
        }

    def clean(self) -> None:
        """A home with nothing but an ssh configuration, in which every host's key is known."""
        for entry in (*self.home.iterdir(), *self.ssh_config.parent.iterdir()):
            if entry.is_dir() and entry.name != ".ssh":
                shutil.rmtree(entry)
            elif entry.is_file():
                entry.unlink()
        self.ssh_config.write_text(self._config())
        self.know_hosts()

    def know_hosts(self) -> None:
        """Know the keys of all hosts there are; for a host that a test adds, to be called again."""
        self.known_hosts.write_text(self.cluster.known_hosts.read_text())


def _pip_settings() -> dict[str, str]:
    """Where the program gets the packages of its benchmark client from; `./dev integration` has fetched them."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path("~/.cache").expanduser())
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": f"{cache}/sparkrun-tui-tests/bench-client"}
