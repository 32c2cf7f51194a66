"""Who listens at a port of a host: the server in a container, or another program, as the container itself sees it.

A host has other users. Each of them may listen at a port before the server does, or on loopback where the server has
another address: what is sent there, with the API key, would be theirs, and their answers would pass for the server's.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterator
from enum import StrEnum

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.reading.numbers import whole
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.remote.docker.processes import TIME, Runs
from sparkrun_tui.remote.failures import LinkLost

LASTS = 60.0
"""Seconds for which an answer counts."""

_MOST_KEPT = 256
"""The most answers that are kept."""
_MOST_LINES = 200_000
_TRIES = 3
"""A process that is just ending hides its sockets, too."""
_LISTENS = "0A"
_WORD = 8
"""Hexadecimal digits of one word of an address in /proc/net/tcp."""

_ASK = """\
proc=$2
probe=$(echo x | grep -a -o -e x 2>/dev/null)
[ "$probe" = x ] && [ -r "$proc/net/tcp" ] && ls -l / >/dev/null 2>&1 || { echo unknown; exit 0; }
cat "$proc/net/tcp" "$proc/net/tcp6" 2>/dev/null | grep -a -e ":$1 [0-9A-F]*:[0-9A-F]* 0A "
echo
for place in "$proc"/[0-9]*; do
    read -r line 2>/dev/null <"$place/stat" || continue
    case ${line##*) } in Z*) continue ;; esac
    ls -l "$place/fd" 2>/dev/null || [ ! -d "$place" ] || echo hidden
done | grep -a -o -e 'socket:\\[[0-9]*\\]' -e '^hidden$' | sort -u
echo end
"""
"""Prints the lines of the kernel's table that listen at a port, an empty line, and the sockets of all processes.

The port is given in hexadecimal digits. `hidden` stands for a process whose sockets this user may not see.
"""


class Listener(StrEnum):
    """Who listens at a port."""

    OWN = "own"
    """The container."""
    OTHER = "other"
    NOBODY = "nobody"
    UNKNOWN = "unknown"
    """The container cannot tell: it has no shell, or hides its processes."""

    @property
    def may_be_asked(self) -> bool:
        """Whether it is the server of the container, as far as is known."""
        return self in (Listener.OWN, Listener.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Place:
    """A port at an address of a host, at which the server in a container is to be."""

    host: str
    container: str
    port: int
    address: str


def taken_text(address: str, port: int) -> str:
    """What is wrong where another program listens at an address, in words."""
    return f"another program answers at {address}:{port}, not the server in the container"


def words(port: int, proc: str = "/proc") -> tuple[str, ...]:
    """The command that asks a container; `proc` is where the kernel's files lie."""
    return ("sh", "-c", _ASK, "listen", f"{port:04X}", proc)


def read(text: str, address: str) -> Listener:
    """Who listens at `address`, by what the command printed."""
    listed, _, sockets = text.partition("\n\n")
    if text.startswith("\n"):
        listed, sockets = "", text[1:]
    lines = sockets.split("\n", _MOST_LINES)
    if "end" not in lines[-2:] or "\n… " in text:
        # It is not whole: of a long output the middle is left out.
        return Listener.UNKNOWN
    own = frozenset(line[len("socket:[") : -1] for line in lines if line.startswith("socket:["))
    rows = list(_rows(listed))
    if not rows:
        return Listener.NOBODY
    others = [row for row in rows if row.inode not in own]
    if not others:
        # In a network of its own, the container has other addresses than its host.
        return Listener.OWN
    if "hidden" in lines:
        return Listener.UNKNOWN
    if any(row.takes(address) for row in others):
        return Listener.OTHER
    if any(row.takes(address) for row in rows):
        return Listener.OWN
    return Listener.OTHER


class Listeners:
    """Asks containers who listens at their ports, and keeps each answer for a minute."""

    def __init__(self) -> None:
        self._known: dict[Place, tuple[float, Listener]] = {}

    def known(self, place: Place) -> Listener | None:
        """What was found not long ago; None where it has to be asked."""
        found = self._known.get(place)
        if found is None or asyncio.get_running_loop().time() - found[0] > LASTS:
            return None
        return found[1]

    async def at(self, place: Place, docker: Runs) -> Listener:
        """Who listens at a place. Raises `LinkLost`. Only what may be asked is kept."""
        found = self.known(place)
        if found is not None:
            return found
        found = await _asked(place, docker)
        if found.may_be_asked:
            if len(self._known) >= _MOST_KEPT:
                del self._known[next(iter(self._known))]
            self._known.pop(place, None)
            self._known[place] = (asyncio.get_running_loop().time(), found)
        return found


async def _asked(place: Place, docker: Runs) -> Listener:
    for _ in range(_TRIES):
        try:
            printed = await docker.run_exec(place.container, words(place.port), timeout=TIME)
        except LinkLost:
            raise
        except HostError:
            # It has no shell, or has ended meanwhile, which others find out.
            break
        if not printed.ok:
            break
        found = read(printed.stdout, place.address)
        if found is not Listener.UNKNOWN:
            return found
    return Listener.UNKNOWN


@dataclass(frozen=True, slots=True)
class _Row:
    """One socket that listens; `address` is None where its form is not known."""

    address: ipaddress.IPv4Address | ipaddress.IPv6Address | None
    inode: str

    def takes(self, address: str) -> bool:
        """Whether a connection to an address may come to it."""
        if self.address is None or self.address.is_unspecified:
            return True
        try:
            return ipaddress.ip_address(address) == self.address
        except ValueError:
            # A name, of which it is not known where it leads.
            return True


def _rows(text: str) -> Iterator[_Row]:
    for line in text.split("\n", _MOST_LINES):
        columns = line.split()
        if len(columns) < 10 or columns[3] != _LISTENS or whole(columns[9]) is None:
            continue
        yield _Row(_address(columns[1].partition(":")[0]), columns[9])


def _address(digits: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An address as the kernel prints it: words of 32 bits, each with its last byte first."""
    parts = []
    try:
        for start in range(0, len(digits), _WORD):
            parts.append(bytes.fromhex(digits[start : start + _WORD])[::-1])
        found = ipaddress.ip_address(b"".join(parts))
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        return found.ipv4_mapped
    return found
