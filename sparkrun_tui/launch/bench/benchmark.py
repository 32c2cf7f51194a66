"""A benchmark from its beginning to its kept result. It belongs to no screen: whoever shows it looks at `revision`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from enum import StrEnum

from sparkrun_tui.base.defects import defect
from sparkrun_tui.base.errors import SparkrunError
from sparkrun_tui.launch.bench import client
from sparkrun_tui.launch.bench.measuring import Measurement, Progress
from sparkrun_tui.launch.bench.options import Options
from sparkrun_tui.launch.bench.result import Result
from sparkrun_tui.launch.bench.store import keep
from sparkrun_tui.launch.bench.subject import Subject
from sparkrun_tui.launch.plan.launch_id import new_launch_id
from sparkrun_tui.remote.aio import closing

FindSubject = Callable[[], Awaitable[Subject]]
"""Asks the hosts what is measured. Raises `SparkrunError`."""


class Status(StrEnum):
    """How far a benchmark is."""

    PREPARING = "preparing"
    MEASURING = "measuring"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"


class Benchmark:
    """One benchmark of a workload. Its client is installed first where it is missing: ask the user before."""

    def __init__(self, name: str, options: Options) -> None:
        self.name = name
        self.options = options
        self.status = Status.PREPARING
        self.progress = Progress(0, options.requests, "asking the hosts")
        self.result: Result | None = None
        """What was measured, kept already; of a benchmark that was stopped, what it had until then."""
        self.problem = ""
        self.remedy = ""
        self.revision = 0
        """A number that grows with every change."""
        self._task: asyncio.Task[None] | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing more is measured."""
        return self.status not in (Status.PREPARING, Status.MEASURING)

    def start(self, find: FindSubject) -> None:
        """Measure in the background; what fails is in `problem` and `remedy`."""
        self._task = asyncio.create_task(self._run_guarded(find), name="benchmark")

    def stop(self) -> None:
        """End it; what was measured until now is kept."""
        if self._task is not None and not self.is_over:
            self._task.cancel()

    async def finished(self) -> None:
        """Wait until nothing runs any more."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _run_guarded(self, find: FindSubject) -> None:
        try:
            await self.run(find)
        except SparkrunError as error:
            self.problem, self.remedy = error.first, error.remedy
        except Exception as error:
            self.problem = defect("the benchmark", error)
            self.remedy = "This is a defect of sparkrun-tui: please report it."
            self._now(Status.FAILED)

    async def run(self, find: FindSubject, tell: Callable[[], None] = lambda: None) -> None:
        """Measure here; `tell` is called after every change. Raises `SparkrunError`."""
        try:
            if not client.is_installed():
                async with closing(client.install()) as steps:
                    async for words in steps:
                        self._at(Progress(0, self.options.requests, words), tell)
            subject = await find()
            measurement = Measurement(subject.server, self.options, subject.measured, new_launch_id())
            try:
                self._now(Status.MEASURING)
                async with closing(measurement.steps()) as progress:
                    async for step in progress:
                        self._at(step, tell)
            finally:
                if measurement.result is not None:
                    keep(measurement.result)
                self.result = measurement.result
        except asyncio.CancelledError:
            self._now(Status.STOPPED)
            raise
        except SparkrunError:
            self._now(Status.FAILED)
            raise
        self._now(Status.DONE)
        tell()

    def _at(self, progress: Progress, tell: Callable[[], None]) -> None:
        self.progress = progress
        self.revision += 1
        tell()

    def _now(self, status: Status) -> None:
        self.status = status
        self.revision += 1
