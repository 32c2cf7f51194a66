"""A launch, as CLI and app use it: it owns its tasks, independent of any screen, and is ended or detached by calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from enum import StrEnum

from sparkrun_tui.base.errors import SparkrunError
from sparkrun_tui.base.secrets import Secret
from sparkrun_tui.launch.plan.plan import LaunchPlan
from sparkrun_tui.launch.record.events import AnyEvent, LaunchStatus, StatusChanged
from sparkrun_tui.launch.record.fold import FINAL
from sparkrun_tui.launch.record.logs import LogBuffer
from sparkrun_tui.launch.record.state import LaunchState
from sparkrun_tui.launch.run import cleanup
from sparkrun_tui.launch.run.asking import own_address, sought
from sparkrun_tui.launch.run.failure import removed_elsewhere, report_failure, settle
from sparkrun_tui.launch.run.parts.defects import defect
from sparkrun_tui.launch.run.parts.given import Given
from sparkrun_tui.launch.run.parts.host_work import drop
from sparkrun_tui.launch.run.parts.reporter import Reporter
from sparkrun_tui.launch.run.parts.running import Running
from sparkrun_tui.launch.run.watch import last_memory
from sparkrun_tui.recipe.values.rendered import Rendered

_CRASHED = 5.0
"""Seconds of grace for the other ranks when one has crashed after it served."""

_SERVING = frozenset({LaunchStatus.READY, LaunchStatus.DEGRADED})


Work = Callable[[Given, Running, Reporter], Awaitable[None]]
"""Carries out a launch and watches it."""


class _Wish(StrEnum):
    NONE = "none"
    CANCEL = "cancel"
    STOP = "stop"
    DETACH = "detach"


class Launch:
    """One launch, from its first step until it is stopped or detached.

    Made by `Launcher.launch` and `Launcher.attach`. `work` carries it out and watches it; it returns when the launch
    has ended by itself, and raises `SparkrunError` when it has failed.
    """

    def __init__(self, given: Given, running: Running, report: Reporter, work: Work) -> None:
        self._given = given
        self._running = running
        self._report = report
        self._work = work
        self._wish = _Wish.NONE
        self._task: asyncio.Task[None] | None = None
        self._body: asyncio.Task[None] | None = None

    @property
    def launch_id(self) -> str:
        """The launch id, as in the labels of its containers."""
        return self._given.plan.launch_id

    @property
    def plan(self) -> LaunchPlan:
        """The plan; it is made again with the hosts' answers once they have been asked."""
        return self._given.plan

    @property
    def rendered(self) -> Rendered | None:
        """The recipe with its overrides; None for a launch found on the hosts, which store no recipe."""
        return None if self._given.attached else self._given.plan.rendered

    @property
    def state(self) -> LaunchState:
        """The state now."""
        return self._report.bus.state

    @property
    def revision(self) -> int:
        """Grows with each event."""
        return self._report.bus.revision

    @property
    def logs(self) -> Mapping[str, LogBuffer]:
        """The log of each host that has one."""
        return self._report.bus.logs

    @property
    def key(self) -> Secret | None:
        """The API key that requests to its server must send; None where it wants none, or where none is known."""
        return self._running.key

    async def find_key(self) -> Secret | None:
        """The API key of its server, sought among its processes where it is not known yet. Raises `HostError`."""
        if self._running.key is None:
            self._running.key = await sought(self._given, self._running)
        if self._running.key is not None:
            self._report.bus.hide([self._running.key])
        return self._running.key

    async def own_address(self) -> str:
        """Where its server answers, as seen from its host. Raises `HostError` where another program does, or none."""
        return await own_address(self._given, self._running)

    @property
    def finished(self) -> bool:
        """Whether the tasks have ended: the launch has failed, was cancelled, stopped or detached."""
        return self._task is not None and self._task.done()

    def events(self, after: int = 0) -> AsyncIterator[AnyEvent]:
        """Every event with a number above `after`, then new ones until the launch has ended or is detached."""
        return self._report.bus.events(after)

    def begin(self) -> None:
        """Start the tasks on the running event loop."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"launch {self.launch_id}")

    def cancel(self) -> None:
        """Give up the launch: running steps are ended, and containers are removed once their logs are saved.

        A second call acts as `force`. A launch that serves is stopped instead.
        """
        if self._wish in (_Wish.CANCEL, _Wish.STOP):
            self.force()
            return
        self._ask(_Wish.STOP if self.state.status in _SERVING else _Wish.CANCEL)

    def force(self) -> None:
        """Kill immediately, and do not wait for hosts that do not answer; a notice names what may be left."""
        self._running.force.set()
        if self._wish in (_Wish.NONE, _Wish.DETACH):
            self._ask(_Wish.STOP if self._running.served else _Wish.CANCEL)

    async def stop(self) -> LaunchState:
        """Stop the launch on all its hosts and wait until it is gone; a launch that is starting is cancelled."""
        if self._wish is _Wish.NONE:
            self._ask(_Wish.STOP if self._running.served else _Wish.CANCEL)
        return await self.wait_ended()

    async def detach(self) -> None:
        """End the tasks of this process; everything on the hosts goes on, and the journal is kept."""
        if self._wish is _Wish.NONE:
            self._ask(_Wish.DETACH)
        await self.wait_ended()

    async def wait_ready(self) -> LaunchState:
        """The state once the launch serves, or has ended without having served."""
        async for _ in self.events():
            if self.state.status in _SERVING or self.state.status in FINAL:
                break
        return self.state

    async def wait_ended(self) -> LaunchState:
        """The state once the tasks have ended."""
        if self._task is not None:
            await asyncio.wait([self._task])
        return self.state

    def _ask(self, wish: _Wish) -> None:
        self._wish = wish
        if wish is _Wish.CANCEL:
            self._status(LaunchStatus.CANCELLING)
        elif wish is _Wish.STOP:
            self._status(LaunchStatus.STOPPING)
        if self._body is not None:
            self._body.cancel()

    def _status(self, status: LaunchStatus, detail: str = "") -> None:
        if self.state.status is not status or self.state.detail != detail:
            self._report.bus.emit(StatusChanged(status=status, detail=detail))

    async def _run(self) -> None:
        try:
            failure = await self._carry_out() if self._wish is _Wish.NONE else None
            await self._conclude(failure)
            await self._running.leases.release()
        finally:
            # Also when the event loop is shut down; the hosts are then left as they are, as after a detach.
            await self._running.followers.close()
            self._report.bus.close()

    async def _carry_out(self) -> SparkrunError | None:
        async def body() -> None:
            await self._work(self._given, self._running, self._report)

        self._body = asyncio.create_task(body())
        try:
            await asyncio.wait([self._body])
        except asyncio.CancelledError:
            await drop([self._body])
            raise
        if self._body.cancelled():
            return None
        error = self._body.exception()
        if error is None or isinstance(error, SparkrunError):
            return error
        return defect(self._given, self._report, error)

    async def _conclude(self, failure: SparkrunError | None) -> None:
        """Clean up as the kind of ending requires, and only then report the ending."""
        if self._wish is _Wish.DETACH:
            return
        given, running, report = self._given, self._running, self._report
        ended_by_itself = self._wish is _Wish.NONE
        grace = 0.0
        ending = LaunchStatus.CANCELLED
        detail = ""
        if self._wish is _Wish.STOP or (ended_by_itself and running.done):
            grace = given.plan.serve.stop_grace
            ending = LaunchStatus.STOPPED
            detail = running.done
        elif failure is not None and await removed_elsewhere(given, running, failure):
            ending = LaunchStatus.STOPPED
            detail = "stopped by another program"
        elif failure is not None and ended_by_itself:
            await report_failure(given, running, report, failure)
            if running.served:
                grace = _CRASHED
            ending = LaunchStatus.FAILED
            detail = failure.what

        left = await cleanup.clear(given, running, report, grace=grace)
        await last_memory(given, running, report, [item.host for item in left])
        # The last lines of an engine may have begun another phase.
        settle(report)
        unclear = cleanup.leftovers_text(left)
        if failure is None:
            detail = unclear or detail
        else:
            detail = detail or unclear
        self._status(ending, detail)
