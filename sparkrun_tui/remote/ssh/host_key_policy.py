"""The policy for host keys: the person is asked about a new one, a changed or revoked one is refused."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sparkrun_tui.base import shell
from sparkrun_tui.base.disk import paths
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.remote.failures import NeedsUser
from sparkrun_tui.remote.ssh.known_hosts import (
    KnownHosts,
    Verdict,
    add_entry,
    file_with_entry,
    fingerprint,
    judge,
    read_known_hosts,
    removal_command,
)
from sparkrun_tui.remote.ssh.resolve import Endpoint

if TYPE_CHECKING:
    import asyncssh

YES = "yes"
"""The answer that accepts a host key."""


@dataclass(frozen=True, slots=True)
class HostKeyQuestion:
    """Is this really that host? Shown with its fingerprint; only the answer `YES` accepts."""

    host: str
    address: str
    key_type: str
    fingerprint: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class PassphraseQuestion:
    """The passphrase of a key file, wanted to log in to `host`; the answer is the passphrase, None declines."""

    host: str
    path: str
    again: bool = False
    """The last answer was wrong."""


@dataclass(frozen=True, slots=True)
class LoginNotice:
    """What a host says before it lets anyone in; no answer is wanted.

    With a `link` it waits for a login in the browser, as Tailscale's SSH does.
    """

    host: str
    text: str
    link: str


Question = HostKeyQuestion | PassphraseQuestion | LoginNotice
Ask = Callable[[Question], Awaitable[str | None]]
"""Puts a question to the person and gives the answer; None when there is none."""


@dataclass(frozen=True, slots=True)
class HostKeyPolicy:
    """Where accepted keys are kept (`own_file`, empty: the program's own known_hosts), beside the user's files."""

    own_file: Path | None = None

    @property
    def file(self) -> Path:
        """This program's own known_hosts file."""
        return self.own_file or paths.config_dir() / "known_hosts"

    def files(self, endpoint: Endpoint) -> tuple[Path, ...]:
        """Every known_hosts file that counts for a host, ours first."""
        return (self.file, *endpoint.known_hosts_files)

    def read(self, endpoint: Endpoint) -> KnownHosts:
        """What is known now."""
        return read_known_hosts(self.files(endpoint))

    async def settle(self, endpoint: Endpoint, address: str, key: asyncssh.SSHKey, ask: Ask | None) -> None:
        """Make `key`, which was not trusted, a known one. Raises `NeedsUser` when it must not be trusted."""
        verdict, expected = judge(self.read(endpoint), endpoint, address, key)
        if verdict is Verdict.KNOWN:
            return
        if verdict is Verdict.CHANGED:
            raise self._changed(endpoint, key, expected)
        if verdict is Verdict.REVOKED:
            raise _revoked(endpoint, expected)
        note = ""
        if expected:
            note = f"Known until now by other keys: {', '.join(expected)}"
        if not await self._accepted(endpoint, address, key, note, ask):
            raise NeedsUser(
                f"the host key {fingerprint(key)} of {endpoint.host} is not known",
                host=endpoint.name,
                remedy=f"Check it on the host (ssh-keygen -lf /etc/ssh/ssh_host_{_file_word(key)}_key.pub), "
                f"then accept it here or with: {shell.script('ssh {name} true', name=endpoint.name)}",
            )
        add_entry(self.file, endpoint, key)

    async def _accepted(
        self, endpoint: Endpoint, address: str, key: asyncssh.SSHKey, note: str, ask: Ask | None
    ) -> bool:
        if endpoint.strict in ("accept-new", "no") and not note:
            return True
        if endpoint.strict == "yes" or ask is None:
            return False
        shown = address
        if endpoint.port != 22:
            shown = f"{address}:{endpoint.port}"
        question = HostKeyQuestion(endpoint.name, shown, key.get_algorithm(), fingerprint(key), note)
        return await ask(question) == YES

    def _changed(self, endpoint: Endpoint, key: asyncssh.SSHKey, expected: Sequence[str]) -> NeedsUser:
        path = file_with_entry(endpoint, self.files(endpoint))
        return NeedsUser(
            f"THE HOST KEY HAS CHANGED: {endpoint.host} shows {fingerprint(key)}, "
            f"known is {', '.join(expected)}. Somebody may be listening in, or the host was reinstalled",
            host=endpoint.name,
            remedy=f"Only if you know why it changed: {removal_command(endpoint, path)}",
        )


def _revoked(endpoint: Endpoint, expected: Sequence[str]) -> NeedsUser:
    shown = ", ".join(expected)
    return NeedsUser(
        f"the host key of {endpoint.host} is marked as revoked in known_hosts ({shown})",
        host=endpoint.name,
        remedy="Ask the host's administrator for its new key; a revoked key is never accepted.",
    )


def revoked(policy: HostKeyPolicy, endpoint: Endpoint) -> NeedsUser:
    """The error for a key that asyncssh refused as revoked before showing it to us."""
    keys = policy.read(endpoint).revoked_keys(endpoint)
    return _revoked(endpoint, [fingerprint(key) for key in keys])


def _file_word(key: asyncssh.SSHKey) -> str:
    name = key.get_algorithm()
    return next((word for word in ("ed25519", "ecdsa", "rsa") if word in name), "ed25519")
