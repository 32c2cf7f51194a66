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

MAX_DEFERRED = 20_000
"""The most packets that wait for the end of a key exchange. A host may begin one, never end it, and ask on: each answer
waits. What this program sends itself is some hundred, since channels have windows.
"""

LEAST_PACKET = 1024
"""The fewest bytes that a host must take at once. With packets of one byte, a file would be sent in millions of them,
one after the other, in which the app stands still. Every sshd takes 16 KiB and more.
"""

SLICE = 8 << 10
"""The most bytes that are read of a connection at once. They may be hundreds of packets, each of which takes time."""

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
    _bind_unread(connection)
    _bind_deferred(connection)
    _bind_channels(connection)
    _bind_reading(connection)


def _bind_unread(connection: asyncssh.SSHClientConnection) -> None:
    transport: Any = connection._transport
    protocol: Any = connection
    if not hasattr(transport, "set_write_buffer_limits"):
        # It is a ProxyCommand, to which its pipe reports.
        protocol, transport = transport, transport._stdin
    transport.set_write_buffer_limits(high=MAX_UNREAD)
    # asyncssh does nothing when more waits to be sent than this limit.
    protocol.pause_writing = connection.abort


def _bind_deferred(connection: Any) -> None:
    send = connection.send_packet

    def send_packet(kind: int, *parts: bytes, **options: Any) -> None:
        if len(connection._deferred_packets) > MAX_DEFERRED:
            connection.abort()
            return
        send(kind, *parts, **options)

    connection.send_packet = send_packet


def _bind_channels(connection: Any) -> None:
    add = connection.add_channel

    def add_channel(channel: Any) -> int:
        confirmed = channel.process_open_confirmation

        def process_open_confirmation(number: int, window: int, most: int, packet: Any) -> None:
            if most < LEAST_PACKET:
                raise asyncssh.ProtocolError("the host takes only tiny packets")
            confirmed(number, window, most, packet)

        channel.process_open_confirmation = process_open_confirmation
        return int(add(channel))

    connection.add_channel = add_channel


def _bind_reading(connection: Any) -> None:
    """Let the event loop have its turns while a host sends small packets as fast as it can.

    A host needs no channel for it, and asyncssh reads on without a limit.
    """
    transport = connection._transport
    if not hasattr(transport, "pause_reading"):
        # It is a ProxyCommand, whose output comes by a pipe.
        transport = transport._transport.get_pipe_transport(1)
    if hasattr(transport, "max_size"):
        # The channel of a jump host has none: what comes through it has been read in such pieces.
        transport.max_size = SLICE


class DebugCount:
    """Counts the debug messages of one connection."""

    def __init__(self) -> None:
        self._count = 0

    def one(self) -> None:
        """Count one more. Raises `asyncssh.ProtocolError`, which ends the connection, when there are too many."""
        self._count += 1
        if self._count > MAX_DEBUG:
            raise asyncssh.ProtocolError("the host sends debug messages without end")
