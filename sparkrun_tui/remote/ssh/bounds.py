"""Bounds on what a host can make an SSH connection hold, where asyncssh itself has none."""

from __future__ import annotations

from typing import Any

import asyncssh

MAX_UNREAD = 256 << 20
"""The most bytes that wait to be sent. A host that asks and never reads is owed more and more answers; what this
program sends itself is less, since channels have windows.
"""

MAX_DEBUG = 1000
"""The most debug messages on one connection; sshd sends a few at the login."""

_KEY_EXCHANGES = (
    "mlkem",
    "sntrup",
    "curve25519-sha256",
    "ecdh-sha2-nistp",
    "diffie-hellman-group14-sha256",
    "diffie-hellman-group16-sha512",
)
"""How the names of the key exchanges begin that take milliseconds, whatever the host sends.

In a group exchange the host sends a prime, and a look at a large one takes minutes, in which the app stands still;
its key has not been seen by then. Every sshd has had one of these since 2014.
"""

_HOST_KEYS = "_process_hostkeys_00_at_openssh_dot_com_global_request"


def key_exchanges() -> list[str]:
    """The key exchanges to offer a host, best first."""
    from asyncssh.kex import get_default_kex_algs

    known = [name.decode("ascii") for name in get_default_kex_algs()]
    return [name for name in known if name.startswith(_KEY_EXCHANGES)]


def bind(connection: asyncssh.SSHClientConnection) -> None:
    """Bound a connection that has just been made, before anything is read from it."""
    # A list of the host's other keys is of no use here, and asyncssh keeps each one until the turn of its task.
    # Without this it is refused at once, as an unknown request.
    setattr(connection, _HOST_KEYS, None)
    transport: Any = connection._transport
    protocol: Any = connection
    if not hasattr(transport, "set_write_buffer_limits"):
        # It is a ProxyCommand, to which its pipe reports.
        protocol, transport = transport, transport._stdin
    transport.set_write_buffer_limits(high=MAX_UNREAD)
    # asyncssh does nothing when more waits to be sent than this limit.
    protocol.pause_writing = connection.abort


class DebugCount:
    """Counts the debug messages of one connection."""

    def __init__(self) -> None:
        self._count = 0

    def one(self) -> None:
        """Count one more. Raises `asyncssh.ProtocolError`, which ends the connection, when there are too many."""
        self._count += 1
        if self._count > MAX_DEBUG:
            raise asyncssh.ProtocolError("the host sends debug messages without end")
