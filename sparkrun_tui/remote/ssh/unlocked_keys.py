"""Keys that the person has unlocked, kept for this run: asked for once, and lent to the `ssh` of bulk transfers."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sparkrun_tui.remote import children
from sparkrun_tui.remote.ssh.host_key_policy import Ask, PassphraseQuestion
from sparkrun_tui.remote.ssh.resolve import Endpoint

if TYPE_CHECKING:
    import asyncssh

_PASSPHRASE_TRIES = 3
_AGENT_START = 3.0
# The end of stdin comes with our own end, however that comes: the agent does not outlive us.
_AGENT = 'ssh-agent -D -a "$1" & agent=$!; cat >/dev/null; kill "$agent"'


class KeyRing:
    """The unlocked keys, in memory, and an ssh agent of our own that lives as long as we do and holds just them."""

    def __init__(self) -> None:
        self._pairs: dict[Path, list[asyncssh.SSHKeyPair]] = {}
        self._lock = asyncio.Lock()
        self._agent: asyncio.subprocess.Process | None = None
        self._folder: Path | None = None

    def get(self, path: Path) -> list[asyncssh.SSHKeyPair]:
        """The unlocked key of a file; empty when it is not unlocked."""
        return self._pairs.get(path, [])

    async def unlock(self, path: Path, endpoint: Endpoint, ask: Ask) -> list[asyncssh.SSHKeyPair]:
        """Ask for the passphrase, a few times if it is wrong; empty when none is given. One question at a time."""
        import asyncssh

        async with self._lock:
            for attempt in range(_PASSPHRASE_TRIES):
                if path in self._pairs:
                    break
                passphrase = await ask(PassphraseQuestion(endpoint.name, str(path), again=attempt > 0))
                if not passphrase:
                    break
                try:
                    # Key derivation takes a good part of a second, which the screen must not wait for.
                    pairs = await asyncio.to_thread(_open, path, passphrase, endpoint.certificate_files)
                except (asyncssh.KeyEncryptionError, asyncssh.KeyImportError):
                    continue
                self._pairs[path] = pairs
            return self.get(path)

    async def agent_for(self, endpoint: Endpoint) -> str:
        """The socket of our agent when it holds a key of this endpoint, started now if need be; else empty."""
        import asyncssh

        if not any(path in self._pairs for path in endpoint.identity_files) or shutil.which("ssh-agent") is None:
            return ""
        async with self._lock:
            socket = await self._start()
            if not socket:
                return ""
            agent = await asyncssh.connect_agent(socket)
            try:
                held = {pair.public_data for pair in await agent.get_keys()}
                new = [pair for pairs in self._pairs.values() for pair in pairs if pair.public_data not in held]
                if new:
                    await agent.add_keys(new)
            finally:
                agent.close()
            return socket

    async def close(self) -> None:
        """Forget everything and end the agent."""
        self._pairs.clear()
        if self._agent is not None:
            await children.stop(self._agent)
            self._agent = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    async def _start(self) -> str:
        """The agent's socket; empty when it does not start."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="sparkrun-"))
        socket = self._folder / "agent"
        if self._agent is None or self._agent.returncode is not None:
            socket.unlink(missing_ok=True)
            null = asyncio.subprocess.DEVNULL
            words = ["sh", "-c", _AGENT, "sh", str(socket)]
            self._agent = await children.spawn(words, stdin=asyncio.subprocess.PIPE, stdout=null, stderr=null)
        for _ in range(int(_AGENT_START / 0.02)):
            if socket.is_socket():
                return str(socket)
            await asyncio.sleep(0.02)
        return ""


def _open(path: Path, passphrase: str, certificates: Sequence[Path]) -> list[asyncssh.SSHKeyPair]:
    import asyncssh

    return list(asyncssh.load_keypairs([str(path)], passphrase, [str(cert) for cert in certificates]))
