"""The supervisor of a host's connection: opens it, notices its end, opens it again, and reports its state."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Generic, TypeVar

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.text import clean_line, shorten
from sparkrun_tui.remote.failures import Kind, LinkLost, kind_of
from sparkrun_tui.remote.transport import LinkState, LinkStatus

C = TypeVar("C")

_MOST_WORDS = 500
"""The most characters of why a link is not up."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses between tries, in seconds: full jitter under a doubling ceiling; a link that held for long starts over."""

    base: float = 0.5
    cap: float = 8.0
    steady: float = 60.0
    first_tries: int = 3
    """Tries at a host that hangs up before it has ever been reached."""

    def pause(self, failures: int, roll: float) -> float:
        """The pause after `failures` failures in a row; `roll` is in [0, 1)."""
        return roll * min(self.cap, self.base * 2.0 ** min(failures, 16))


class HostLink(Generic[C]):
    """The link to one host. `open_` makes a connection; `explain` turns its exceptions into errors for the person."""

    def __init__(
        self,
        name: str,
        open_: Callable[[], Awaitable[C]],
        explain: Callable[[BaseException], HostError],
        *,
        backoff: Backoff | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        roll: Callable[[], float] = random.random,
        sessions: int = 8,
    ) -> None:
        self.name = name
        self.generation = 0
        """Grows each time a connection has been lost."""
        self.status = LinkStatus(LinkState.IDLE, time.time())
        self.sessions = asyncio.Semaphore(sessions)
        """Concurrent commands: sshd refuses more than MaxSessions (10), and frees a slot late."""
        self._open = open_
        self._explain = explain
        self._backoff = backoff or Backoff()
        self._sleep = sleep
        self._roll = roll
        self._connection: C | None = None
        self._ended_early: C | None = None
        """The newest connection that ended without being the one in use, perhaps before it could become that."""
        self._task: asyncio.Task[C] | None = None
        self._failures = 0
        self._breaks = 0
        """Connections in a row that did not hold for long: a host may end each one as soon as it is made."""
        self._up_at = 0.0
        self._was_up = False
        self.says = ""
        """What the host says at the login."""
        self.shell_says = ""
        """What its login shell prints before our scripts."""

    async def connection(self, timeout: float | None = None) -> C:
        """The connection, brought up when needed.

        Raises `HostError` when it cannot be, `LinkLost` when it was up before and is not back within `timeout` seconds.
        """
        if self._connection is not None:
            return self._connection
        task = self._ensure_task()
        try:
            async with asyncio.timeout(timeout):
                return await asyncio.shield(task)
        except TimeoutError as error:
            raise LinkLost(
                f"no connection within {timeout:.0f} s: {self.status.detail or 'the link is down'}", host=self.name
            ) from error
        except asyncio.CancelledError:
            me = asyncio.current_task()
            if task.cancelled() and me is not None and not me.cancelling():
                raise HostError("the connection was closed", host=self.name) from None
            raise

    def lost(self, connection: C, error: BaseException | None) -> None:
        """Called by a connection that has ended."""
        if connection is not self._connection:
            self._ended_early = connection
            return
        self._connection = None
        self.generation += 1
        if time.monotonic() - self._up_at >= self._backoff.steady:
            self._failures = 0
            self._breaks = 0
        self._breaks += 1
        self._set(LinkState.RECONNECTING, str(error) if error else "the host ended the connection")
        self._ensure_task()

    async def close(self, close_connection: Callable[[C], object]) -> None:
        """Close the connection; the next use opens it again."""
        task, self._task = self._task, None
        if task is not None and not task.done():
            task.cancel()
            await asyncio.wait([task])
        if self._connection is not None:
            connection, self._connection = self._connection, None
            close_connection(connection)
        self._was_up = False
        self._set(LinkState.IDLE)

    def _ensure_task(self) -> asyncio.Task[C]:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._bring_up(), name=f"link {self.name}")
            # Its error is in `status`, and every caller that waits for it gets it too.
            self._task.add_done_callback(lambda task: task.cancelled() or task.exception())
        return self._task

    async def _bring_up(self) -> C:
        if not self._was_up:
            self._failures = 0
            self._breaks = 0
            self._set(LinkState.CONNECTING)
        if self._breaks > 1:
            await self._sleep(self._backoff.pause(self._breaks - 1, self._roll()))
        while True:
            try:
                connection = await self._open()
                if connection is self._ended_early:
                    raise ConnectionResetError("the host ended the connection")
            except Exception as error:
                await self._after_failure(error)
            else:
                self._connection = connection
                self._was_up = True
                self._up_at = time.monotonic()
                self._set(LinkState.UP)
                return connection

    async def _after_failure(self, error: Exception) -> None:
        """Pause before the next try, or raise when there is to be none."""
        self._failures += 1
        kind = kind_of(error)
        explained = self._explain(error)
        if kind is Kind.USER:
            self._set(LinkState.NEEDS_USER, explained.what, explained.remedy)
            raise explained from error
        state = LinkState.RECONNECTING
        if not self._was_up:
            may_try_again = kind is Kind.BROKEN and self._failures < self._backoff.first_tries
            if not may_try_again:
                self._set(LinkState.UNREACHABLE, explained.what, explained.remedy)
                raise explained from error
            state = LinkState.CONNECTING
        self._set(state, explained.what, explained.remedy)
        await self._sleep(self._backoff.pause(self._failures, self._roll()))

    def _set(self, state: LinkState, detail: str = "", remedy: str = "") -> None:
        since = self.status.since
        if state is not self.status.state:
            since = time.time()
        # A host ends a connection with words of its own.
        self.status = LinkStatus(state, since, shorten(clean_line(detail), _MOST_WORDS), remedy)
        self._show_said()

    def hear_shell(self, text: str) -> None:
        """Its login shell has printed this before a script."""
        if text != self.shell_says:
            self.shell_says = text
            self._show_said()

    def _show_said(self) -> None:
        self.status = replace(self.status, says=self.says.strip(), shell_says=self.shell_says)
