"""The keys to log in with, in an order that does not use up the server's patience: key files, then the agent's."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sparkrun_tui.remote.failures import NeedsUser
from sparkrun_tui.remote.hostkeys import Ask, PassphraseQuestion
from sparkrun_tui.remote.resolve import Endpoint

if TYPE_CHECKING:
    import asyncssh
    from asyncssh.agent import SSHAgentClient

_PASSPHRASE_TRIES = 3
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
        """Let the agent go."""
        if self.agent is not None:
            self.agent.close()


class KeyRing:
    """Keys that the person has unlocked, kept in memory so that a passphrase is asked for once, not per host."""

    def __init__(self) -> None:
        self._pairs: dict[Path, list[asyncssh.SSHKeyPair]] = {}
        self._lock = asyncio.Lock()

    def get(self, path: Path) -> list[asyncssh.SSHKeyPair]:
        """The unlocked key of a file; empty when it is not unlocked."""
        return self._pairs.get(path, [])

    async def unlock(self, path: Path, endpoint: Endpoint, ask: Ask) -> list[asyncssh.SSHKeyPair]:
        """Ask for the passphrase, a few times if it is wrong; empty when none is given. One question at a time."""
        import asyncssh

        async with self._lock:
            for attempt in range(_PASSPHRASE_TRIES):
                if path in self._pairs:
                    break
                passphrase = await ask(PassphraseQuestion(endpoint.name, str(path), again=attempt > 0))
                if not passphrase:
                    break
                try:
                    # Key derivation takes a good part of a second, which the screen must not wait for.
                    pairs = await asyncio.to_thread(_open, path, passphrase, endpoint.certificate_files)
                except (asyncssh.KeyEncryptionError, asyncssh.KeyImportError):
                    continue
                self._pairs[path] = pairs
            return self.get(path)


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


def _open(path: Path, passphrase: str, certificates: Sequence[Path]) -> list[asyncssh.SSHKeyPair]:
    import asyncssh

    return list(asyncssh.load_keypairs([str(path)], passphrase, [str(cert) for cert in certificates]))


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
