"""Names of hosts as people write them: which are accepted, and which mean this machine."""

from __future__ import annotations

import getpass
import socket

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.base.text import clean_line, shorten

_HOST = late_regex(r"(?:(?P<user>[A-Za-z0-9._][A-Za-z0-9._-]*)@)?(?P<rest>(?!-)[A-Za-z0-9._:%\[\]-]{1,255})")
_BRACKETED = late_regex(r"\[(?P<host>[0-9A-Za-z:.%_-]+)\](?::(?P<port>[0-9]{1,5}))?")
_WITH_PORT = late_regex(r"(?P<host>[^:\[\]]+):(?P<port>[0-9]{1,5})")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class HostName:
    """A host as named by the person: `host` is the operand of `ssh`; user is empty and port None where not given."""

    text: str
    host: str
    user: str = ""
    port: int | None = None


def parse_host(text: str) -> HostName:
    """The host named as `host`, `user@host`, `host:port`, an IPv6 address or `[IPv6]:port`.

    Raises `HostError` for anything else. An accepted host can be passed to `ssh` as an operand: it has no options,
    spaces or shell characters.
    """
    match = _HOST.fullmatch(text)
    if not match:
        raise _no_host(text)
    user, rest = match["user"] or "", match["rest"]
    found = _BRACKETED.fullmatch(rest) or _WITH_PORT.fullmatch(rest)
    if found is None:
        if "[" in rest or "]" in rest:
            raise _no_host(text)
        return HostName(text, rest, user)
    host = found["host"]
    if host.startswith("-"):
        raise _no_host(text)
    if found["port"] is None:
        return HostName(text, host, user)
    port = int(found["port"])
    if not 1 <= port <= 65535:
        raise HostError(f"`{text}`: port {port} is not between 1 and 65535")
    return HostName(text, host, user, port)


def _no_host(text: str) -> HostError:
    shown = shorten(clean_line(text), 60)
    return HostError(f"`{shown}` is not a host name", remedy="Write a name or address, or user@host.")


def is_this_machine(text: str) -> bool:
    """Whether `text` names this machine and the current user, so that no SSH is needed."""
    name = parse_host(text)
    if name.port is not None:
        return False
    if name.user and name.user != _me():
        return False
    return name.host.lower() in _LOOPBACK | {socket.gethostname().lower()}


def _me() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no passwd entry, so no user name can mean the current user
        return ""
