"""Failures of hosts as errors with a remedy, and the meaning of low-level exceptions."""

from __future__ import annotations

import errno
import socket
from enum import StrEnum

from sparkrun_tui.base import shell
from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.text import clean_line


class LinkLost(HostError):
    """The link broke during an operation: its outcome on the host is not known."""


class TransferLost(LinkLost):
    """A bulk transfer broke off, which has a connection of its own, and was tried several times."""


class NeedsUser(HostError):
    """The person must do something first (a key, a passphrase, a host key); automatic retries cannot succeed."""


class NoDocker(HostError):
    """No Docker was found on the host: none is installed, or where `installed` is true, none runs."""

    def __init__(self, what: str, *, host: str = "", remedy: str = "", installed: bool = False) -> None:
        super().__init__(what, host=host, remedy=remedy)
        self.installed = installed


class SocketRefused(HostError):
    """The host is reachable, but the requested socket or port does not open."""


class DaemonSilent(HostError):
    """The host is reachable and has Docker, whose daemon does not answer: it is stopped, or is being restarted."""


class CommandFailed(HostError):
    """A streamed command ended with an exit code other than 0."""

    def __init__(self, what: str, *, host: str, code: int) -> None:
        super().__init__(what, host=host)
        self.code = code


class Kind(StrEnum):
    """How a failure to connect is handled."""

    TRANSIENT = "transient"
    """Try again after a pause."""
    BROKEN = "broken"
    """The other side hung up: try again, but only a few times before the first success."""
    NO_NAME = "no name"
    USER = "user"


_UNREACHABLE = {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT, errno.EHOSTDOWN}


def kind_of(error: BaseException) -> Kind:
    """How `error`, raised while connecting, is handled."""
    import asyncssh

    if isinstance(error, NeedsUser):
        return Kind.USER
    if isinstance(error, HostError):
        return Kind.TRANSIENT
    if isinstance(error, socket.gaierror):
        if error.errno == socket.EAI_AGAIN:
            return Kind.TRANSIENT
        return Kind.NO_NAME
    if isinstance(error, asyncssh.ConnectionLost | ConnectionResetError | BrokenPipeError):
        return Kind.BROKEN
    if isinstance(error, TimeoutError | OSError):
        return Kind.TRANSIENT
    return Kind.USER


def explain(error: BaseException, host: str, address: str, port: int, user: str) -> HostError:
    """`error`, raised while connecting to `user`@`address`:`port`, as an error for the person, with a remedy."""
    import asyncssh

    if isinstance(error, HostError):
        return error
    place = address
    words = []
    if port != 22:
        place = f"{address}:{port}"
        words = ["-p", str(port)]
    if user:
        words.append(f"{user}@{address}")
    else:
        words.append(address)
    ssh_words = shell.words(words)
    if isinstance(error, asyncssh.PermissionDenied) or "authentication failures" in str(error):
        return NeedsUser(
            f"{place} does not let {user or 'you'} in with any key that was tried",
            host=host,
            remedy=f"Install your key with: {shell.script('ssh-copy-id {words}', words=ssh_words)}   "
            "(or name another with IdentityFile in ~/.ssh/config)",
        )
    if isinstance(error, asyncssh.KeyExchangeFailed):
        return NeedsUser(
            f"{place} shares no encryption or key type with us: {clean_line(str(error))}",
            host=host,
            remedy=f"See what it offers with: {shell.script('ssh -vv {words} true', words=ssh_words)}",
        )
    network = _network_trouble(error, host, address, port, place, ssh_words)
    if network is not None:
        return network
    return NeedsUser(f"cannot connect to {place}: {clean_line(str(error)) or type(error).__name__}", host=host)


def _network_trouble(
    error: BaseException, host: str, address: str, port: int, place: str, ssh_words: shell.Text
) -> HostError | None:
    """A failure of the network as an error for the person; None for another failure."""
    import asyncssh

    number = getattr(error, "errno", None)
    if isinstance(error, socket.gaierror):
        what = f"the name {address} does not resolve"
        remedy = f"Check the spelling, or give {host} a HostName in ~/.ssh/config."
    elif isinstance(error, ConnectionRefusedError) or number == errno.ECONNREFUSED:
        what = f"nothing answers on port {port} of {address}"
        remedy = "Is the host up and sshd running? On the host: sudo systemctl start ssh"
    elif isinstance(error, TimeoutError) or number in _UNREACHABLE:
        what = f"{place} does not answer"
        remedy = f"Is it switched on and on this network? Try: {shell.script('ssh {words} true', words=ssh_words)}"
    elif isinstance(error, asyncssh.ConnectionLost | ConnectionResetError | BrokenPipeError):
        what = f"{address} hung up before the login was done"
        remedy = "Its sshd may be starting, overloaded (MaxStartups) or blocking this address (fail2ban)."
    else:
        return None
    return HostError(what, host=host, remedy=remedy)
