"""The ways a host fails us, as errors with a remedy, and what each low-level exception means."""

from __future__ import annotations

import errno
import socket
from enum import StrEnum

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.text import clean_line


class LinkLost(HostError):
    """The link broke while something was going on: what happened on the host is not known."""


class NeedsUser(HostError):
    """The person must do something first (a key, a passphrase, a host key); trying again by itself is no use."""


class SocketRefused(HostError):
    """The host is there, but the socket or port asked for does not open."""


class CommandFailed(HostError):
    """A streamed command ended with an exit code other than 0."""

    def __init__(self, what: str, *, host: str, code: int) -> None:
        super().__init__(what, host=host)
        self.code = code


class Kind(StrEnum):
    """What to do about a failure to connect."""

    TRANSIENT = "transient"
    """Try again after a pause."""
    BROKEN = "broken"
    """The other side hung up: try again, but not for ever before it has ever worked."""
    NO_NAME = "no name"
    USER = "user"


_UNREACHABLE = {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT, errno.EHOSTDOWN}


def kind_of(error: BaseException) -> Kind:
    """What `error`, raised while connecting, calls for."""
    import asyncssh

    if isinstance(error, HostError):
        return Kind.USER if isinstance(error, NeedsUser) else Kind.TRANSIENT
    if isinstance(error, socket.gaierror):
        return Kind.TRANSIENT if error.errno == socket.EAI_AGAIN else Kind.NO_NAME
    if isinstance(error, asyncssh.ConnectionLost | ConnectionResetError | BrokenPipeError):
        return Kind.BROKEN
    if isinstance(error, TimeoutError | OSError):
        return Kind.TRANSIENT
    return Kind.USER


def explain(error: BaseException, host: str, address: str, port: int, user: str) -> HostError:
    """`error`, raised while connecting to `user`@`address`:`port`, as what to tell the person and do about it."""
    import asyncssh

    place = f"{address}:{port}" if port != 22 else address
    target = f"{user}@{address}" if user else address
    option = f"-p {port} " if port != 22 else ""
    if isinstance(error, HostError):
        return error
    if isinstance(error, socket.gaierror):
        return HostError(
            f"the name {address} does not resolve",
            host=host,
            remedy=f"Check the spelling, or give {host} a HostName in ~/.ssh/config.",
        )
    if isinstance(error, asyncssh.PermissionDenied) or "authentication failures" in str(error):
        return NeedsUser(
            f"{place} does not let {user or 'you'} in with any key that was tried",
            host=host,
            remedy=f"Install your key with: ssh-copy-id {option}{target}   "
            "(or name another with IdentityFile in ~/.ssh/config)",
        )
    if isinstance(error, asyncssh.KeyExchangeFailed):
        return NeedsUser(
            f"{place} shares no encryption or key type with us: {clean_line(str(error))}",
            host=host,
            remedy=f"See what it offers with: ssh -vv {option}{target} true",
        )
    if isinstance(error, ConnectionRefusedError) or getattr(error, "errno", None) == errno.ECONNREFUSED:
        return HostError(
            f"nothing answers on port {port} of {address}",
            host=host,
            remedy="Is the host up and sshd running? On the host: sudo systemctl start ssh",
        )
    if isinstance(error, TimeoutError) or getattr(error, "errno", None) in _UNREACHABLE:
        return HostError(
            f"{place} does not answer",
            host=host,
            remedy=f"Is it switched on and on this network? Try: ssh {option}{target} true",
        )
    if isinstance(error, asyncssh.ConnectionLost | ConnectionResetError | BrokenPipeError):
        return HostError(
            f"{place} hung up before the login was done",
            host=host,
            remedy="Its sshd may be starting, overloaded (MaxStartups) or blocking this address (fail2ban).",
        )
    return NeedsUser(f"cannot connect to {place}: {clean_line(str(error)) or type(error).__name__}", host=host)
