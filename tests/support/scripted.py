"""A host made of rules: answers scripts by what they contain, keeps what was asked, loses its link when told to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.remote.failures import LinkLost, SocketRefused
from sparkrun_tui.remote.local_transport import SocketStream
from sparkrun_tui.remote.transport import ByteStream, LinkState, LinkStatus, Outcome, Result

Answer = Callable[[str, bytes], Result]


def exited(stdout: str = "", *, code: int = 0, stderr: str = "") -> Result:
    """The result of a script that ran to its end."""
    return Result(Outcome.EXITED, code, stdout, stderr)


LOST = Result(Outcome.LOST, None, "", "")


@dataclass(slots=True)
class Rule:
    """Answers scripts that contain `fragment`, at most `times` times when given."""

    fragment: str
    answer: Answer
    times: int | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """One script that was run, with what it was given on stdin."""

    script: str
    stdin: bytes


@dataclass(slots=True)
class ScriptedTransport:
    """A `Transport` without a host behind it.

    `sockets` maps paths of Unix sockets on the "host" to real ones here; `ports` maps its TCP ports to ports here.
    A script that no rule knows is a failed test.
    """

    name: str = "spark-01"
    sockets: Mapping[str, Path] = field(default_factory=dict)
    ports: Mapping[int, int] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    files: dict[str, tuple[bytes, int]] = field(default_factory=dict)
    rules: list[Rule] = field(default_factory=list)
    closed: bool = False
    _lost: bool = False
    _refusal: HostError | None = None

    def on(
        self, fragment: str, answer: Answer | Result | str = "", *, code: int = 0, times: int | None = None
    ) -> ScriptedTransport:
        """Answer scripts that contain `fragment`; rules added later win. Text is stdout of an exit with `code`."""
        if isinstance(answer, str):
            answer = exited(answer, code=code)
        if isinstance(answer, Result):
            result = answer
            self.rules.append(Rule(fragment, lambda _script, _stdin: result, times))
        else:
            self.rules.append(Rule(fragment, answer, times))
        return self

    def lose(self) -> None:
        """From now on the link is down: scripts are lost, sockets refuse."""
        self._lost = True

    def heal(self) -> None:
        """The link is up again."""
        self._lost = False
        self._refusal = None

    def refuse(self, error: HostError) -> None:
        """From now on `connect` fails with this error."""
        self._refusal = error

    @property
    def scripts(self) -> list[str]:
        """Every script that was run, in order."""
        return [call.script for call in self.calls]

    @property
    def link(self) -> LinkStatus:
        if self._refusal is not None:
            return LinkStatus(LinkState.UNREACHABLE, time.time(), self._refusal.what, self._refusal.remedy)
        return LinkStatus(LinkState.RECONNECTING if self._lost else LinkState.UP, time.time())

    async def connect(self) -> None:
        if self._refusal is not None:
            raise self._refusal
        self._check()

    async def run(self, script: str, *, stdin: bytes = b"", timeout: float = 60.0) -> Result:
        await asyncio.sleep(0)
        self.calls.append(Call(script, stdin))
        if self._lost or self._refusal is not None:
            return LOST
        for rule in reversed(self.rules):
            if rule.fragment in script and rule.times != 0:
                if rule.times is not None:
                    rule.times -= 1
                return rule.answer(script, stdin)
        raise AssertionError(f"{self.name}: no rule for this script:\n{script}")

    async def stream(self, script: str) -> AsyncIterator[tuple[str, bytes]]:
        result = await self.run(script)
        if result.outcome is Outcome.LOST:
            raise LinkLost("the connection was lost", host=self.name)
        for kind, text in (("stdout", result.stdout), ("stderr", result.stderr)):
            if text:
                yield kind, text.encode()

    async def open_socket(self, path: str) -> ByteStream:
        self._check()
        if path not in self.sockets:
            raise SocketRefused(f"there is no socket {path}", host=self.name)
        return SocketStream(self.name, *await asyncio.open_unix_connection(str(self.sockets[path])))

    async def open_tcp(self, address: str, port: int) -> ByteStream:
        self._check()
        try:
            return SocketStream(self.name, *await asyncio.open_connection("127.0.0.1", self.ports.get(port, port)))
        except OSError as error:
            raise SocketRefused(f"nothing answers on {address}:{port}", host=self.name) from error

    async def write_file(self, path: str, data: bytes, mode: int = 0o600) -> None:
        self._check()
        self.files[path] = (data, mode)

    async def close(self) -> None:
        self.closed = True

    def _check(self) -> None:
        if self._refusal is not None:
            raise self._refusal
        if self._lost:
            raise LinkLost("the connection was lost", host=self.name)
