"""The interface to a host, independent of how it is reached (SSH, this machine, a double), and results of commands."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from enum import StrEnum
from typing import Protocol

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.shell import Text
from sparkrun_tui.base.text import clean_line, clean_text


class Outcome(StrEnum):
    """How a remote command ended. A lost connection is its own outcome and never success or failure."""

    EXITED = "exited"
    SIGNALLED = "signalled"
    TIMED_OUT = "timed out"
    LOST = "lost"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a command: outcome, exit code when it exited, and bounded output (decoded, unsanitised)."""

    outcome: Outcome
    code: int | None
    stdout: str
    stderr: str

    @property
    def ok(self) -> bool:
        """Whether the command ran to its end with exit code 0."""
        return self.outcome is Outcome.EXITED and self.code == 0


class LinkState(StrEnum):
    """The state of the link to a host."""

    IDLE = "idle"
    CONNECTING = "connecting"
    UP = "up"
    RECONNECTING = "reconnecting"
    NEEDS_USER = "needs user"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """State of a link, since when (Unix seconds), why, and what the user can do. Its texts are safe to display."""

    state: LinkState
    since: float
    detail: str = ""
    remedy: str = ""
    says: str = ""
    """What the host says at the login: its banner."""
    shell_says: str = ""
    """What its login shell prints before our scripts. It would stand in the way of rsync."""

    def __post_init__(self) -> None:
        # A host chooses the words with which it hangs up. On one line they cannot pass for the row of another host.
        object.__setattr__(self, "detail", clean_line(self.detail))
        object.__setattr__(self, "remedy", clean_text(self.remedy))
        object.__setattr__(self, "says", clean_text(self.says))
        object.__setattr__(self, "shell_says", clean_line(self.shell_says))


class ByteStream(Protocol):
    """A two-way byte stream through a host, such as a forwarded socket."""

    async def read(self, size: int) -> bytes:
        """Up to `size` bytes; empty at the end. Raises `HostError` when the link is lost."""

    async def write(self, data: bytes) -> None:
        """Send `data`."""

    async def close(self) -> None:
        """Close both ways."""


class Transport(Protocol):
    """A host that runs scripts and opens streams. Safe for concurrent use by many tasks."""

    @property
    def name(self) -> str:
        """The host as the user named it."""

    @property
    def link(self) -> LinkStatus:
        """The link's state now."""

    async def connect(self) -> None:
        """Make sure the link is up. Raises `HostError` (with a remedy) when it cannot be."""

    async def run(self, script: Text, *, stdin: bytes = b"", timeout: float = 60.0) -> Result:
        """Run a shell script on the host (the script travels on stdin, never in the command line).

        Raises `HostError` when the host cannot be reached to begin with, or its login shell does not run the script.
        A link that breaks, or is not back in time, is `Outcome.LOST`; time up or cancelled, the script is stopped.
        Of each output stream the first and the last MiB are kept.
        """

    def stream(self, script: Text) -> AsyncIterator[tuple[str, bytes]]:
        """Run a script and yield its output as ('stdout'|'stderr', bytes) as it comes; closing it stops the script.

        Raises `LinkLost` when the link breaks, `CommandFailed` when it ends with another exit code than 0.
        """

    async def open_socket(self, path: str) -> ByteStream:
        """Open the Unix socket `path` of the host. Raises `SocketRefused` when it does not open, `LinkLost`."""

    async def open_tcp(self, address: str, port: int) -> ByteStream:
        """Open a TCP connection from the host to `address`:`port`. Raises `SocketRefused`, `LinkLost`."""

    async def write_file(self, path: str, data: bytes, mode: int = 0o600) -> None:
        """Write a file on the host, whole or not at all; `~` is the host's home."""

    async def close(self) -> None:
        """Close the link; the next use opens it again. What runs detached on the host goes on."""


Connector = Callable[[str], Transport]
"""Gives the (shared) transport of a host by its name."""
