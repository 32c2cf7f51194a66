"""The command line of the `ssh` that bulk transfers run: same host, same keys, same trust as our own connections."""

from __future__ import annotations

from sparkrun_tui.base import shell
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.remote.ssh.host_key_policy import HostKeyPolicy
from sparkrun_tui.remote.ssh.names import parse_host
from sparkrun_tui.remote.ssh.resolve import Endpoint, Resolver
from sparkrun_tui.remote.ssh.unlocked_keys import KeyRing

NO_FORWARDING = ("-a", "-x")
"""The options of `ssh` that keep the agent and the display here, whatever the configuration says.

A host that is given the agent can log in everywhere as the person. `ClearAllForwardings` does not concern these two.
"""

_CIPHERS = "aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com,aes128-ctr"


@dataclass(frozen=True, slots=True)
class SshAccess:
    """The settings of our own connections, which the `ssh` of bulk transfers uses too."""

    resolver: Resolver
    policy: HostKeyPolicy
    ring: KeyRing | None = None
    """Keys that the person has unlocked."""

    async def words(self, host: str) -> list[str]:
        """`ssh` with its options for `host`, without the destination; `destination` gives that. Raises `HostError`.

        It never asks (BatchMode) and trusts exactly the known_hosts files that we do; jump hosts likewise.
        """
        endpoint = await self.resolver.resolve(host)
        words = await self._words(endpoint)
        if endpoint.jumps:
            words += _option("ProxyCommand", await self._proxy(endpoint.jumps[-1], endpoint.jumps[:-1]))
        return words

    async def _words(self, endpoint: Endpoint) -> list[str]:
        words = ["ssh", "-T", *NO_FORWARDING]
        if self.ring is not None:
            agent = await self.ring.agent_for(endpoint)
            if agent:
                words += _option("IdentityAgent", agent)
        return words + _options(endpoint, self.policy)

    async def _proxy(self, hop: str, before: tuple[str, ...]) -> str:
        """A ProxyCommand through `hop`, itself reached through those `before` it."""
        endpoint = await self.resolver.resolve(hop)
        words = await self._words(endpoint)
        through = before or endpoint.jumps
        if through:
            words += _option("ProxyCommand", (await self._proxy(through[-1], through[:-1])).replace("%", "%%"))
        return shell.words([*words, "-W", "[%h]:%p", "--", destination(endpoint)])


def destination(endpoint: Endpoint) -> str:
    """The host on an `ssh` command line: its name in ssh_config, or its address."""
    if endpoint.from_config:
        return parse_host(endpoint.name).host
    return endpoint.host


def _options(endpoint: Endpoint, policy: HostKeyPolicy) -> list[str]:
    known = " ".join(f'"{path}"' for path in policy.files(endpoint))
    words = [
        *_option("BatchMode", "yes"),
        *_option("StrictHostKeyChecking", "yes"),
        *_option("UserKnownHostsFile", known),
        *_option("ConnectTimeout", "10"),
        *_option("ServerAliveInterval", "5"),
        *_option("ServerAliveCountMax", "3"),
        *_option("Compression", "no"),
        *_option("ControlMaster", "no"),
        *_option("ControlPath", "none"),
        *_option("PermitLocalCommand", "no"),
        *_option("RemoteCommand", "none"),
        *_option("ClearAllForwardings", "yes"),
        "-c",
        _CIPHERS,
        "-p",
        str(endpoint.port),
    ]
    if endpoint.user:
        words += ["-l", endpoint.user]
    if not endpoint.from_config:
        words += ["-F", "none"]
        for path in endpoint.identity_files:
            words += ["-i", str(path)]
        if endpoint.identities_only or not endpoint.agent:
            words += _option("IdentitiesOnly", "yes")
        if endpoint.host_key_alias:
            words += _option("HostKeyAlias", endpoint.host_key_alias)
    return words


def _option(name: str, value: str) -> list[str]:
    return ["-o", f"{name}={value}"]


def rsync_shell(words: list[str]) -> str:
    """`words` as rsync's `-e` takes them: split at spaces, quotes kept together, a quote inside written twice."""
    return " ".join(_rsync_word(word) for word in words)


def _rsync_word(word: str) -> str:
    if not any(char in word for char in " '\""):
        return word
    return "'" + word.replace("'", "''") + "'"
