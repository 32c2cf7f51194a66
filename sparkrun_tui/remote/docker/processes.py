"""What the processes of a container were given: variables, arguments, and the API key of its server among them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.secrets import Secret
from sparkrun_tui.remote.transport import Outcome, Result

READ = (
    "sh",
    "-c",
    "cat /proc/[0-9]*/environ 2>/dev/null | tr '\\n\\0' '\\1\\n' | grep -a = | sort -u;"
    " echo; cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\n\\0' '\\1\\n'",
)
"""Prints the variables of all processes in a container, each once, an empty line, and the words of their arguments.

Each is on a line of its own, so line breaks within them are printed as bytes of value 1.
"""

TIME = 10.0
"""Seconds that a container may take to answer."""

_BREAK = "\x01"
_MOST_FILE = 65_536
_MOST_ENTRIES = 100_000
"""The most variables, and the most words, that are read of a container; thousands of processes have fewer."""
_MOST_KEPT = 256
"""The most containers whose key is kept."""


@dataclass(frozen=True, slots=True)
class Processes:
    """The variables of all processes of a container, as `NAME=value`, and the words of their command lines."""

    variables: tuple[str, ...]
    words: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Processes({len(self.variables)} variables, {len(self.words)} words)"


def read(text: str) -> Processes:
    """What the output of `READ` says."""
    variables, _, words = text.partition("\n\n")
    return Processes(
        tuple(map(_whole, variables.split("\n", _MOST_ENTRIES)[:_MOST_ENTRIES])),
        tuple(map(_whole, words.split("\n", _MOST_ENTRIES)[:_MOST_ENTRIES])),
    )


def _whole(line: str) -> str:
    return line.replace(_BREAK, "\n")


class Runs(Protocol):
    """Runs a command in a container: a Docker daemon."""

    async def run_exec(self, container: str, argv: Sequence[str], *, timeout: float = 60.0) -> Result:
        """Run a command in a container and wait for it."""


class FoundKey(Protocol):
    """A key among the variables and arguments of processes, or the path of the file that has it."""

    @property
    def secret(self) -> Secret | None:
        """The key."""

    @property
    def file(self) -> str:
        """The path of a file of keys in the container; empty where there is none."""


class Finder(Protocol):
    """Knows where the server of an engine gets its key from."""

    def find(self, variables: Sequence[str], words: Sequence[str]) -> FoundKey:
        """The key in the variables and the words of processes."""

    def first(self, text: str) -> Secret | None:
        """The first key of a file's text."""


class ServerKeys:
    """The API keys of servers by their host and the id of their container, each read once from the processes in it.

    A host may say that it has a container of any id: the key of another host's server is not for it.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Secret | None] = {}

    async def of(self, host: str, docker: Runs, container: str, finder: Finder) -> Secret | None:
        """The key of the server in a container of a host; None where it is not found. Raises `HostError`."""
        place = (host, container)
        if place in self._known:
            return self._known[place]
        key = await _asked(docker, container, finder)
        if len(self._known) >= _MOST_KEPT:
            del self._known[next(iter(self._known))]
        self._known[place] = key
        return key


async def _asked(docker: Runs, container: str, finder: Finder) -> Secret | None:
    printed = await docker.run_exec(container, READ, timeout=TIME)
    if printed.outcome is not Outcome.EXITED:
        raise HostError("its container does not say in time what its server was started with")
    processes = read(printed.stdout)
    found = finder.find(processes.variables, processes.words)
    if found.secret is not None or not found.file:
        return found.secret
    kept = await docker.run_exec(container, ("head", "-c", str(_MOST_FILE), "--", found.file), timeout=TIME)
    if not kept.ok:
        return None
    return finder.first(kept.stdout)
