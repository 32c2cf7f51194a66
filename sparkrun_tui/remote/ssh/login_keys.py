"""The keys to log in with, in an order that does not use up the server's patience: key files, then the agent's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.remote.failures import NeedsUser
from sparkrun_tui.remote.ssh.resolve import Endpoint
from sparkrun_tui.remote.ssh.unlocked_keys import KeyRing

if TYPE_CHECKING:
    import asyncssh
    from asyncssh.agent import SSHAgentClient

MAX_OFFERED = 6
"""Keys offered in one login: sshd hangs up after this many (MaxAuthTries)."""


@dataclass(slots=True)
class LoginKeys:
    """Keys ready to use, key files that need a passphrase first, and what could not be read."""

    pairs: list[asyncssh.SSHKeyPair] = field(default_factory=list)
    encrypted: list[Path] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    total: int = 0
    """How many keys there were before the cut to `MAX_OFFERED`."""
    agent: SSHAgentClient | None = None

    def close(self) -> None:
        """Close the connection to the agent."""
        if self.agent is not None:
            self.agent.close()


async def gather(endpoint: Endpoint, ring: KeyRing) -> LoginKeys:
    """The keys for a host: its identity files (through the agent where it holds them), then the agent's others."""
    keys = LoginKeys()
    held = {pair.public_data: pair for pair in await _agent_pairs(endpoint, keys)}
    for path in endpoint.identity_files:
        public = _public_data(path)
        if public is not None and public in held:
            keys.pairs.append(held.pop(public))
        elif unlocked := ring.get(path):
            keys.pairs.extend(unlocked)
        elif path.is_file():
            _load(path, endpoint, keys)
    if not endpoint.identities_only:
        keys.pairs.extend(held.values())
    keys.total = len(keys.pairs)
    del keys.pairs[MAX_OFFERED:]
    return keys


def too_many(endpoint: Endpoint, keys: LoginKeys) -> NeedsUser:
    """The error when the server did not take any of the first keys and there were more."""
    return NeedsUser(
        f"{endpoint.host} took none of the first {MAX_OFFERED} of {keys.total} keys and would hang up on more",
        host=endpoint.name,
        remedy="Name the right one in ~/.ssh/config: `IdentityFile ~/.ssh/KEY` and `IdentitiesOnly yes`.",
    )


async def _agent_pairs(endpoint: Endpoint, keys: LoginKeys) -> Sequence[asyncssh.SSHKeyPair]:
    import asyncssh

    if not endpoint.agent:
        return ()
    try:
        keys.agent = await asyncssh.connect_agent(endpoint.agent)
        return await keys.agent.get_keys()
    except (OSError, ValueError, asyncssh.Error) as error:
        keys.unreadable.append(f"the ssh agent at {endpoint.agent} does not answer: {error}")
        return ()


def _public_data(path: Path) -> bytes | None:
    import asyncssh

    for candidate in (path.with_name(path.name + ".pub"), path):
        try:
            return asyncssh.read_public_key(str(candidate)).public_data
        except (OSError, ValueError):
            continue
    return None


def _load(path: Path, endpoint: Endpoint, keys: LoginKeys) -> None:
    import asyncssh

    try:
        certificates = [str(cert) for cert in endpoint.certificate_files]
        keys.pairs.extend(asyncssh.load_keypairs([str(path)], None, certificates))
    except (asyncssh.KeyEncryptionError, asyncssh.KeyImportError) as error:
        if isinstance(error, asyncssh.KeyEncryptionError) or "passphrase" in str(error).lower():
            keys.encrypted.append(path)
        else:
            keys.unreadable.append(f"{path}: {error}")
    except (OSError, ValueError) as error:
        keys.unreadable.append(f"{path}: {error}")
