"""SSH keys of the demo's hosts and its client: made in memory for one run, and never written to disk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import asyncssh

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.remote.failures import NeedsUser
from sparkrun_tui.remote.ssh.host_key_policy import Ask, HostKeyPolicy
from sparkrun_tui.remote.ssh.known_hosts import KnownHosts
from sparkrun_tui.remote.ssh.resolve import Endpoint
from sparkrun_tui.remote.ssh.unlocked_keys import KeyRing

USER = "spark"
KEY_PATH = Path("/nonexistent/sparkrun-tui-demo-key")
"""The name of the client's key; the file does not exist."""


def new_key() -> asyncssh.SSHKey:
    """A new key pair."""
    return asyncssh.generate_private_key("ssh-ed25519")


@dataclass(frozen=True, slots=True)
class Door:
    """The port on which a simulated host listens on this machine, and its host key."""

    port: int
    key: asyncssh.SSHKey


class DemoResolver:
    """Resolves the names of the simulated hosts only."""

    def __init__(self, doors: Mapping[str, Door]) -> None:
        self._doors = doors

    async def resolve(self, name: str) -> Endpoint:
        """The endpoint of `name`. Raises `HostError` for a host that the demo does not have."""
        door = self._doors.get(name)
        if door is None:
            known = ", ".join(self._doors)
            raise HostError(f"the demo has no host {name}", host=name, remedy=f"Its hosts are {known}.")
        return Endpoint(
            name=name,
            host="127.0.0.1",
            port=door.port,
            user=USER,
            identity_files=(KEY_PATH,),
            identities_only=True,
            strict="yes",
        )


@dataclass(frozen=True, slots=True)
class DemoPolicy(HostKeyPolicy):
    """Trusts the keys of the simulated hosts, each at its port, and never asks the user."""

    doors: tuple[Door, ...] = ()

    def read(self, endpoint: Endpoint) -> KnownHosts:
        """The keys of the demo's hosts."""
        lines = [f"[127.0.0.1]:{door.port} {_public(door.key)}" for door in self.doors]
        return KnownHosts(asyncssh.import_known_hosts("\n".join(lines)), asyncssh.import_known_hosts(""))

    async def settle(self, endpoint: Endpoint, address: str, key: Any, ask: Ask | None) -> None:
        """Refuse the key: a host with another key is not one of the demo. Raises `NeedsUser`."""
        raise NeedsUser("the demo's host has an unexpected key", host=endpoint.name, remedy="Start the demo again.")


class DemoRing(KeyRing):
    """Holds the one key that the demo's hosts accept."""

    def __init__(self, key: asyncssh.SSHKey) -> None:
        super().__init__()
        self._demo = list(asyncssh.load_keypairs([key]))

    def get(self, path: Path) -> list[asyncssh.SSHKeyPair]:
        """The key pairs at a path: the demo's key at `KEY_PATH`, else those of the file."""
        return self._demo if path == KEY_PATH else super().get(path)


def _public(key: asyncssh.SSHKey) -> str:
    return key.export_public_key("openssh").decode().strip()
