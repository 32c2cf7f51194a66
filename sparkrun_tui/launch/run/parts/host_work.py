"""Work on hosts: repeated after a lost link, done on all hosts in parallel, and cancelled with its caller."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeVar

from sparkrun_tui.base.errors import HostError, LaunchError, SparkrunError
from sparkrun_tui.engines.plan import Phase
from sparkrun_tui.launch.record.events import StepState
from sparkrun_tui.launch.run.parts.given import Given
from sparkrun_tui.launch.run.parts.reporter import Reporter
from sparkrun_tui.remote.failures import LinkLost, TransferLost
from sparkrun_tui.remote.transport import LinkState, Transport

T = TypeVar("T")

GIVE_UP_AFTER = 600.0
"""Seconds of a lost link after which a step gives up; its result is then unknown."""

RETRY_PAUSE = 1.0
_MAX_PAUSE = 8.0
_LASTING = 60.0
"""Seconds after which a request that breaks is not counted with those before it."""


class Losses:
    """The lost links of a request that is repeated, with pauses between them that grow.

    A host may be reached at once each time and let each request break. Without a pause it would be asked thousands of
    times, and each time is an event of the launch.
    """

    def __init__(self, most: float = GIVE_UP_AFTER) -> None:
        """`most` is the seconds after which a row of losses is not waited out any more."""
        self._most = most
        self._first: float | None = None
        self._last = 0.0
        self._count = 0

    async def one(self, lost: HostError) -> None:
        """Pause after a loss, when the host has been reached again. Raises `lost` when there were losses for too long.

        The first loss of a row has no pause.
        """
        now = asyncio.get_running_loop().time()
        if self._first is None or now - self._last > _LASTING:
            self._first, self._count = now, 0
        self._last = now
        if now - self._first > self._most:
            raise lost
        if self._count:
            await asyncio.sleep(min(RETRY_PAUSE * 2.0 ** min(self._count - 1, 16), _MAX_PAUSE))
        self._count += 1


ROUNDS = 3
"""Transfers in a row that may break off while the link is up. Each has tried several times by itself."""


class Rounds:
    """Counts transfers to a host that break off although our own link was up all the time.

    They have another cause, a firewall or a setting of `ssh` for example, which does not pass by waiting.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._before = transport.link
        self._count = 0

    def begin(self) -> None:
        """An attempt begins."""
        self._before = self._transport.link

    def failed(self, lost: TransferLost) -> None:
        """A transfer has broken off. Raises `HostError` when it is one too many."""
        link = self._transport.link
        was_up = link.state is LinkState.UP and (self._before.state, self._before.since) == (link.state, link.since)
        if not was_up:
            self._count = 0
            return
        self._count += 1
        if self._count >= ROUNDS:
            raise HostError(
                f"{lost.what} ({self._count} times, while the link was up)",
                host=lost.host,
                remedy=lost.remedy or "Try it by hand, or see what ssh does: ssh -v",
            ) from lost


async def insist(given: Given, report: Reporter, host: str, phase: Phase, attempt: Callable[[], Awaitable[T]]) -> T:
    """The result of `attempt`, which is repeated after a lost link once the host answers again.

    Every attempt must first check what is already done, so that repeating it has no further effect. While the link
    is down, the step is `unknown`. Raises `LinkLost` when the link stays down for ten minutes, or breaks for as long,
    and `HostError` when a transfer breaks off again and again while the link is up.
    """
    losses, rounds = Losses(), Rounds(given.transport(host))
    while True:
        rounds.begin()
        try:
            return await attempt()
        except LinkLost as lost:
            if isinstance(lost, TransferLost):
                rounds.failed(lost)
            report.step(host, phase, StepState.UNKNOWN, "connection lost")
            await regain(given, report, host, lost)
            await losses.one(lost)
            report.step(host, phase, StepState.RUNNING, "asked again")


async def regain(
    given: Given, report: Reporter, host: str, lost: HostError, give_up_after: float = GIVE_UP_AFTER
) -> None:
    """Wait until the host answers again. Raises `lost` when it does not within `give_up_after` seconds."""
    report.link(host, LinkState.RECONNECTING, lost.what)
    deadline = asyncio.get_running_loop().time() + give_up_after
    pause = RETRY_PAUSE
    while True:
        try:
            async with asyncio.timeout_at(deadline):
                await given.transport(host).connect()
        except TimeoutError:
            raise lost from None
        except HostError as error:
            if asyncio.get_running_loop().time() + pause > deadline:
                raise lost from error
            report.link(host, LinkState.RECONNECTING, error.what)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _MAX_PAUSE)
        else:
            report.link(host, LinkState.UP)
            return


async def on_all(report: Reporter, phase: Phase, hosts: Sequence[str], work: Callable[[str], Awaitable[None]]) -> None:
    """Do `work` on all hosts in parallel. Raises the error of the first host that failed, once all have ended.

    A failure is reported immediately, with its reason. The other hosts go on, since the next launch can use what was
    transferred to them. Cancelling cancels all.
    """
    tasks = [asyncio.create_task(_reported(report, phase, host, work)) for host in dict.fromkeys(hosts)]
    try:
        if tasks:
            await asyncio.wait(tasks)
    except asyncio.CancelledError:
        await drop(tasks)
        raise
    errors = [task.exception() for task in tasks]
    for error in errors:
        if error is not None:
            raise error


async def _reported(report: Reporter, phase: Phase, host: str, work: Callable[[str], Awaitable[None]]) -> None:
    try:
        await work(host)
    except asyncio.CancelledError:
        report.step(host, phase, StepState.CANCELLED)
        raise
    except LinkLost as error:
        report.step(host, phase, StepState.UNKNOWN, error.what)
        raise _failure(error, host) from error
    except SparkrunError as error:
        report.step(host, phase, StepState.FAILED, error.what)
        report.notice("error", error.what, host)
        raise _failure(error, host) from error


def _failure(error: SparkrunError, host: str) -> LaunchError:
    if isinstance(error, LaunchError):
        return error
    return LaunchError(error.what, host=error.host or host, spot=error.spot, remedy=error.remedy)


async def drop(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks and wait until they have ended; their results and errors are discarded."""
    pending = list(tasks)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
