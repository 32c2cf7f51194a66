"""From a host's name to everything a connection needs, exactly as the user's own `ssh` would resolve it."""

from __future__ import annotations

import asyncio
import getpass
import os
import re
import shlex
import shutil
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.reading.numbers import whole
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.text import clean_line, decode, shorten
from sparkrun_tui.remote.failures import NeedsUser
from sparkrun_tui.remote.ssh.names import HostName, parse_host


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a host is and how to log in. Paths are absolute; `jumps` are host names to go through, first hop first."""

    name: str
    host: str
    port: int = 22
    user: str = ""
    identity_files: tuple[Path, ...] = ()
    certificate_files: tuple[Path, ...] = ()
    identities_only: bool = False
    agent: str = ""
    """Path of the agent's socket; empty: none."""
    jumps: tuple[str, ...] = ()
    proxy_command: str = ""
    known_hosts_files: tuple[Path, ...] = ()
    strict: str = "ask"
    """StrictHostKeyChecking: `yes`, `ask`, `accept-new` or `no`."""
    host_key_alias: str = ""
    from_config: bool = False
    """Whether `ssh` itself finds all this by `name` in its own configuration."""

    @property
    def key_name(self) -> str:
        """The host's name in known_hosts files."""
        if self.host_key_alias:
            return self.host_key_alias
        if self.port == 22:
            return self.host
        return f"[{self.host}]:{self.port}"


class Resolver(Protocol):
    """Finds the endpoint of a host."""

    async def resolve(self, name: str) -> Endpoint:
        """The endpoint of `name`. Raises `HostError` when the name or the configuration cannot be used."""


class SshConfigResolver:
    """Asks `ssh -G`, which reads the user's and the system's ssh_config; falls back to plain defaults without `ssh`."""

    def __init__(self, ssh: str = "ssh", timeout: float = 10.0) -> None:
        self._ssh = ssh
        self._timeout = timeout

    async def resolve(self, name: str) -> Endpoint:
        """The endpoint of `name`, as `ssh` would go there. Raises `HostError`."""
        asked = parse_host(name)
        binary = shutil.which(self._ssh)
        if binary is None:
            return plain_endpoint(asked)
        words = [binary, "-G"]
        if asked.port is not None:
            words += ["-p", str(asked.port)]
        if asked.user:
            words += ["-l", asked.user]
        return endpoint_from_ssh(asked, await self._output([*words, "--", asked.host], name))

    async def _output(self, words: list[str], name: str) -> str:
        process = await asyncio.create_subprocess_exec(
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(self._timeout):
                out, err = await process.communicate()
        except TimeoutError as error:
            raise HostError(
                "`ssh -G` did not answer", host=name, remedy="A `Match exec` in ~/.ssh/config may hang."
            ) from error
        finally:
            if process.returncode is None:
                process.kill()
        if process.returncode != 0:
            lines = decode(err).strip().splitlines()
            said = f"exit {process.returncode}"
            if lines:
                said = clean_line(lines[-1])
            raise NeedsUser(f"ssh refuses its configuration: {said}", host=name, remedy="Correct ~/.ssh/config.")
        return decode(out)


def plain_endpoint(asked: HostName, env: Mapping[str, str] | None = None) -> Endpoint:
    """The endpoint when there is no `ssh` to ask: default port, default keys, the user's known_hosts."""
    environ = env
    if environ is None:
        environ = os.environ
    folder = Path.home() / ".ssh"
    keys = ("id_ed25519", "id_ecdsa", "id_rsa", "id_ed25519_sk", "id_ecdsa_sk")
    return Endpoint(
        name=asked.text,
        host=asked.host,
        port=asked.port or 22,
        user=asked.user or getpass.getuser(),
        identity_files=tuple(path for key in keys if _usable(path := folder / key)),
        agent=environ.get("SSH_AUTH_SOCK", ""),
        known_hosts_files=(folder / "known_hosts",),
    )


def endpoint_from_ssh(asked: HostName, text: str, env: Mapping[str, str] | None = None) -> Endpoint:
    """The endpoint in the output of `ssh -G`. Its only side effect is to check which key files exist."""
    environ = env
    if environ is None:
        environ = os.environ
    options: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, _, value = line.strip().partition(" ")
        options.setdefault(key.lower(), []).append(value.strip())

    def one(key: str, default: str = "") -> str:
        value = options.get(key, [default])[0]
        if value.lower() == "none":
            return ""
        return value

    expand = _expander(asked, one, environ)
    identities = []
    for value in options.get("identityfile", []):
        if value.lower() == "none":
            continue
        path = expand(value)
        if _usable(path):
            identities.append(path)
    certificates = []
    for value in options.get("certificatefile", []):
        path = expand(value)
        if path.is_file():
            certificates.append(path)
    known = [*_paths(one("userknownhostsfile"), expand), *_paths(one("globalknownhostsfile"), expand)]
    return Endpoint(
        name=asked.text,
        host=one("hostname") or asked.host,
        port=_port(asked, one("port")),
        user=one("user") or asked.user,
        identity_files=tuple(identities),
        certificate_files=tuple(certificates),
        identities_only=one("identitiesonly") == "yes",
        agent=_agent(options.get("identityagent", ["SSH_AUTH_SOCK"])[0], environ),
        jumps=tuple(hop for hop in one("proxyjump").split(",") if hop),
        proxy_command=one("proxycommand"),
        known_hosts_files=tuple(known),
        strict=_strict(one("stricthostkeychecking", "ask")),
        host_key_alias=one("hostkeyalias"),
        from_config=True,
    )


def _port(asked: HostName, text: str) -> int:
    """The port in the output of `ssh -G`. Raises `HostError` when it is none."""
    if not text:
        return 22
    port = whole(text, least=1, most=65_535)
    if port is None:
        raise HostError(f"ssh names no port: {shorten(clean_line(text), 40)}", host=asked.text)
    return port


def _usable(path: Path) -> bool:
    # A key that only the agent has is named by its public half.
    return path.is_file() or path.with_name(path.name + ".pub").is_file()


def _paths(value: str, expand: Callable[[str], Path]) -> list[Path]:
    """The files of an option that takes several; `ssh -G` prints them without quotes, blanks in their names too.

    What does not begin as a path does is the rest of the one before it.
    """
    try:
        parts = shlex.split(value)
    except ValueError:
        parts = value.split()
    words: list[str] = []
    for part in parts:
        begins = part.startswith(("/", "~", "%", "$")) or part.lower() == "none"
        if begins or not words:
            words.append(part)
        else:
            words[-1] += f" {part}"
    return [expand(word) for word in words if word.lower() not in ("none", "/dev/null")]


def _expander(asked: HostName, one: Callable[[str], str], env: Mapping[str, str]) -> Callable[[str], Path]:
    """Fills in what `ssh -G` leaves as it is written: `~`, `%` tokens and `${VARIABLE}`."""
    local = socket.gethostname()
    tokens = {
        "%": "%",
        "d": str(Path.home()),
        "h": one("hostname") or asked.host,
        "n": asked.host,
        "p": one("port") or "22",
        "r": one("user"),
        "u": env.get("USER") or env.get("LOGNAME", ""),
        "l": local,
        "L": local.partition(".")[0],
        "i": str(os.getuid()),
        "k": one("hostkeyalias") or one("hostname") or asked.host,
    }

    def expand(value: str) -> Path:
        value = re.sub(r"%(.)", lambda found: tokens.get(found[1], found[0]), value)
        value = re.sub(r"\$\{(\w+)\}", lambda found: env.get(found[1], ""), value)
        return Path(os.path.expanduser(value))

    return expand


def _agent(value: str, env: Mapping[str, str]) -> str:
    if value.lower() == "none":
        return ""
    if value == "SSH_AUTH_SOCK":
        return env.get("SSH_AUTH_SOCK", "")
    if value.startswith("$"):
        return env.get(value[1:].strip("{}"), "")
    return os.path.expanduser(value)


def _strict(value: str) -> str:
    words = {
        "true": "yes",
        "yes": "yes",
        "ask": "ask",
        "accept-new": "accept-new",
        "no": "no",
        "off": "no",
        "false": "no",
    }
    return words.get(value.lower(), "ask")
