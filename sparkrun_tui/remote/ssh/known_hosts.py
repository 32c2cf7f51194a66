"""The known_hosts files: reads their entries, judges an offered key by them, and adds an entry to our own file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparkrun_tui.base import shell
from sparkrun_tui.base.disk.files import behind_links, open_append, read_text
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.remote.ssh.resolve import Endpoint

if TYPE_CHECKING:
    import asyncssh


class Verdict(StrEnum):
    """How an offered host key relates to what is known of the host."""

    KNOWN = "known"
    UNKNOWN = "unknown"
    OTHER_TYPE = "other type"
    """The host is known, but only by keys of other types."""
    CHANGED = "changed"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class KnownHosts:
    """All entries that could be read, as asyncssh takes them, and how many lines were passed over."""

    entries: asyncssh.SSHKnownHosts
    revoked: asyncssh.SSHKnownHosts
    """The revoked keys as ordinary entries: asyncssh forgets them where a host on another port has no other entry."""
    passed_over: int = 0

    def trusted_keys(self, endpoint: Endpoint) -> list[asyncssh.SSHKey]:
        """The keys that a host may show."""
        return _matches(self.entries, endpoint, "")

    def revoked_keys(self, endpoint: Endpoint, address: str = "") -> list[asyncssh.SSHKey]:
        """The keys that a host must not show."""
        return _matches(self.revoked, endpoint, address)

    def lists(self, host: str, address: str, port: int | None) -> Sequence[Any]:
        """The trusted keys, authorities and so on that asyncssh is to use for a host.

        Trusted is what is known of the name that was asked for. asyncssh by itself also trusts what is known of the
        address, to which a name leads by DNS or mDNS: another host, which answers for the name, would be let in by its
        own key.
        """
        of_name = self.entries.match(host, "", port)
        of_both = self.entries.match(host, address, port)
        keys, authorities, _, certificates, _, subjects, _ = of_name
        _, _, revoked_keys, _, revoked_certificates, _, revoked_subjects = of_both
        return keys, authorities, revoked_keys, certificates, revoked_certificates, subjects, revoked_subjects


def _matches(entries: asyncssh.SSHKnownHosts, endpoint: Endpoint, address: str) -> list[asyncssh.SSHKey]:
    port = None
    if endpoint.port != 22:
        port = endpoint.port
    return list(entries.match(endpoint.host_key_alias or endpoint.host, address, port)[0])


def read_known_hosts(files: Sequence[Path]) -> KnownHosts:
    """Read these files; one malformed line costs that line, not every host."""
    import asyncssh

    good: list[str] = []
    revoked: list[str] = []
    passed_over = 0
    for path in files:
        try:
            text = read_text(path, errors="replace")
        except OSError:
            # It is not there, may not be read, or is no file (`/dev/null`): it knows no host, so the user is asked.
            continue
        for line in text.splitlines():
            try:
                asyncssh.import_known_hosts(line)
            except ValueError:
                passed_over += 1
            else:
                good.append(line)
                marker, _, rest = line.strip().partition(" ")
                if marker == "@revoked":
                    revoked.append(rest.strip())
    read = asyncssh.import_known_hosts
    return KnownHosts(read("\n".join(good)), read("\n".join(revoked)), passed_over)


def judge(known: KnownHosts, endpoint: Endpoint, address: str, key: asyncssh.SSHKey) -> tuple[Verdict, list[str]]:
    """How `key`, offered by the host, relates to `known`; with the fingerprints that were expected instead."""
    if key in known.revoked_keys(endpoint, address):
        return Verdict.REVOKED, [fingerprint(key)]
    trusted = known.trusted_keys(endpoint)
    if key in trusted:
        return Verdict.KNOWN, []
    kind = key.get_algorithm()
    same = [fingerprint(other) for other in trusted if other.get_algorithm() == kind]
    if same:
        return Verdict.CHANGED, same
    if trusted:
        return Verdict.OTHER_TYPE, [f"{fingerprint(other)} ({other.get_algorithm()})" for other in trusted]
    return Verdict.UNKNOWN, []


def fingerprint(key: asyncssh.SSHKey) -> str:
    """The SHA256 fingerprint as `ssh` prints it."""
    return key.get_fingerprint("sha256")


def file_with_entry(endpoint: Endpoint, files: Sequence[Path]) -> Path | None:
    """The first of `files` that has an entry for the host."""
    for path in files:
        known = read_known_hosts([path])
        if known.trusted_keys(endpoint) or known.revoked_keys(endpoint):
            return path
    return None


def removal_command(endpoint: Endpoint, path: Path | None) -> str:
    """The command that makes a host's old key forgotten."""
    words = ["ssh-keygen"]
    if path is not None:
        words += ["-f", str(path)]
    return shell.words([*words, "-R", endpoint.key_name])


def add_entry(path: Path, endpoint: Endpoint, key: asyncssh.SSHKey) -> None:
    """Append the host's key to `path`, which only the user can read."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    public = key.export_public_key("openssh").decode().split()
    line = f"{endpoint.key_name} {public[0]} {public[1]}\n"
    with os.fdopen(open_append(behind_links(path)), "a", encoding="ascii") as file:
        file.write(line)
