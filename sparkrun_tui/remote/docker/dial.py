"""Ways to a host's Docker daemon: its socket forwarded, or the docker command as a bridge; and why none works."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from sparkrun_tui.base import shell
from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.remote.failures import DaemonSilent, LinkLost, NoDocker, SocketRefused
from sparkrun_tui.remote.transport import ByteStream, Outcome, Transport

DEFAULT_SOCKET = "/var/run/docker.sock"
_BRIDGE = ("docker", "system", "dial-stdio")
_SUDO_BRIDGE = ("sudo", "-n", *_BRIDGE)

# sshd gives the same bare refusal for no socket, no permission and no forwarding: the host itself must be asked.
_LOOK = r"""
echo "groups=$(id -Gn)"
echo "user=$(id -un)"
env_socket=; case "${{DOCKER_HOST-}}" in unix://*) env_socket=${{DOCKER_HOST#unix://}} ;; esac
for socket in "$env_socket" /var/run/docker.sock "${{XDG_RUNTIME_DIR:-/run/user/$(id -u)}}/docker.sock"; do
  [ -n "$socket" ] && [ -S "$socket" ] || continue
  if [ -r "$socket" ] && [ -w "$socket" ]; then echo "usable=$socket"; else echo "denied=$socket"; fi
done
command -v docker >/dev/null 2>&1 && echo "cli=yes"
if command -v docker >/dev/null 2>&1 && docker version >/dev/null 2>&1 </dev/null; then echo "answers=yes"
elif sudo -n docker version >/dev/null 2>&1 </dev/null; then echo "sudo=yes"
fi
true
"""


@runtime_checkable
class OpensCommands(Protocol):
    """A transport that can also open a two-way stream to a command."""

    async def open_command(self, words: Sequence[str]) -> ByteStream:
        """Open a stream to a command made of constant words."""


@dataclass(frozen=True, slots=True)
class Look:
    """What the host says about its Docker."""

    user: str = ""
    groups: tuple[str, ...] = ()
    usable: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()
    cli: bool = False
    answers: bool = False
    sudo: bool = False


def parse_look(text: str) -> Look:
    """Read what the look at the host printed."""
    rows: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, _, value = line.partition("=")
        rows.setdefault(key, []).append(value)
    return Look(
        user="".join(rows.get("user", [])),
        groups=tuple(" ".join(rows.get("groups", [])).split()),
        usable=tuple(dict.fromkeys(rows.get("usable", []))),
        denied=tuple(dict.fromkeys(rows.get("denied", []))),
        cli="cli" in rows,
        answers="answers" in rows,
        sudo="sudo" in rows,
    )


def cause(look: Look, host: str) -> HostError:
    """Why Docker cannot be used, in words, with what to do."""
    if look.usable:
        return DaemonSilent(
            "the Docker socket is there, but sshd does not forward it and the daemon does not answer",
            host=host,
            remedy="Is Docker running (sudo systemctl restart docker)? Is AllowStreamLocalForwarding off in sshd?",
        )
    if look.denied:
        user = shell.word(look.user) if look.user else shell.script('"$USER"')
        join = shell.script("sudo usermod -aG docker {user}", user=user)
        return HostError(
            f"{look.user or 'this user'} may not use Docker ({look.denied[0]}: permission denied)",
            host=host,
            remedy=f"On the host: {join}   (then log in again)",
        )
    if look.cli:
        return NoDocker(
            "Docker is installed but not running",
            host=host,
            remedy="On the host: sudo systemctl start docker",
            installed=True,
        )
    return NoDocker("Docker is not installed", host=host, remedy="On the host: sudo apt-get install docker.io")


class Dialer:
    """Opens streams to the daemon the way that worked first."""

    def __init__(self, transport: Transport, socket: str = "") -> None:
        self._transport = transport
        self._socket = socket or DEFAULT_SOCKET
        self._bridge: tuple[str, ...] = ()

    @property
    def way(self) -> str:
        """How the daemon is reached, for the person to see."""
        return " ".join(self._bridge) or self._socket

    async def dial(self) -> ByteStream:
        """A new stream to the daemon. Raises `HostError` that names the cause."""
        if self._bridge:
            return await self._open_bridge(self._bridge)
        try:
            return await self._transport.open_socket(self._socket)
        except LinkLost:
            raise
        except SocketRefused as refusal:
            return await self._other_way(refusal)

    async def _other_way(self, refusal: SocketRefused) -> ByteStream:
        result = await self._transport.run(shell.script(_LOOK), timeout=20.0)
        if result.outcome is Outcome.LOST:
            raise LinkLost("the connection was lost", host=self._transport.name) from refusal
        if not result.ok:
            raise refusal
        look = parse_look(result.stdout)
        for path in look.usable:
            if path != self._socket:
                try:
                    stream = await self._transport.open_socket(path)
                except SocketRefused:
                    continue
                self._socket = path
                return stream
        if look.answers or look.sudo:
            self._bridge = _BRIDGE if look.answers else _SUDO_BRIDGE
            return await self._open_bridge(self._bridge)
        raise cause(look, self._transport.name) from refusal

    async def _open_bridge(self, words: Sequence[str]) -> ByteStream:
        if not isinstance(self._transport, OpensCommands):
            raise SocketRefused("Docker's socket does not open", host=self._transport.name)
        return await self._transport.open_command(words)
