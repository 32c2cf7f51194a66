"""Names of hosts as people write them: what is accepted, and which of them mean this machine."""

from __future__ import annotations

import getpass
import re
import socket
from dataclasses import dataclass

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.text import clean_line, shorten

_HOST = re.compile(r"(?:(?P<user>[A-Za-z0-9._][A-Za-z0-9._-]*)@)?(?P<rest>(?!-)[A-Za-z0-9._:%\[\]-]{1,255})")
_BRACKETED = re.compile(r"\[(?P<host>[0-9A-Za-z:.%_-]+)\](?::(?P<port>[0-9]{1,5}))?")
_WITH_PORT = re.compile(r"(?P<host>[^:\[\]]+):(?P<port>[0-9]{1,5})")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class HostName:
    """A host as named by the person: `host` is what `ssh` is asked for; user and port are empty or None if not said."""

    text: str
    host: str
    user: str = ""
    port: int | None = None


def parse_host(text: str) -> HostName:
    """Take `host`, `user@host`, `host:port`, an IPv6 address or `[IPv6]:port`. Raises `HostError` for anything else.

    What is accepted can be handed to `ssh` as an operand: no options, no spaces, no shell characters.
    """
    match = _HOST.fullmatch(text)
    if not match:
        shown = shorten(clean_line(text), 60)
        raise HostError(f"`{shown}` is not a host name", remedy="Write a name or address, or user@host.")
    user, rest = match["user"] or "", match["rest"]
    found = _BRACKETED.fullmatch(rest) or _WITH_PORT.fullmatch(rest)
    host, port = (found["host"], found["port"]) if found else (rest, None)
    if host.startswith("-") or (not found and re.search(r"[\[\]]", rest)):
        raise HostError(f"`{text}` is not a host name", remedy="Write a name or address, or user@host.")
    if port is not None and not 1 <= int(port) <= 65535:
        raise HostError(f"`{text}`: port {port} is not between 1 and 65535")
    return HostName(text, host, user, int(port) if port is not None else None)


def is_this_machine(text: str) -> bool:
    """Whether `text` names the machine and user we run as, so that no SSH is needed."""
    name = parse_host(text)
    if name.port is not None or (name.user and name.user != _me()):
        return False
    return name.host.lower() in _LOOPBACK | {socket.gethostname().lower()}


def _me() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no passwd entry: nobody can have meant it by name
        return ""
