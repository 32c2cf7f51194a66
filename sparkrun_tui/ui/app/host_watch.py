"""Keeps the picture of the hosts fresh: asks them at the start, after whatever changes them, and from time to time."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from sparkrun_tui.ui.model.launch_status import COMING

if TYPE_CHECKING:
    from sparkrun_tui.base.user.settings import Cluster
    from sparkrun_tui.fleet.model import FleetView, HostStatus
    from sparkrun_tui.fleet.world import World
    from sparkrun_tui.launch.record.state import LaunchState
    from sparkrun_tui.ui.app.shell import AppShell
    from sparkrun_tui.ui.model.ports import HostSeen

CLOSE = 5.0
"""Seconds between two surveys while the user watches what runs."""

PERIOD = 10.0
"""Seconds between two surveys while the app is in use."""

REST = 60.0
"""Seconds between two surveys when no key was pressed for a while and the hosts are not in sight."""

_PATIENCE = 120.0
"""Seconds without a key or a click after which the app counts as not in use."""


class HostWatch:
    """Asks the hosts of the current cluster; one survey at a time, and none while nothing is due."""

    def __init__(self, app: AppShell) -> None:
        self._app = app
        self._task: asyncio.Task[None] | None = None
        self._sooner = asyncio.Event()
        self._turn = asyncio.Lock()
        self._begun = time.monotonic()
        self._tried = 0.0
        """When hosts that do not answer were last asked."""
        self._used = time.monotonic()
        self._measuring = False
        self._heard: dict[tuple[str, str], tuple[int, ...]] = {}

    def start(self) -> None:
        """Ask from time to time from now on. Called by the app itself, whose context the task keeps."""
        self._task = asyncio.create_task(self._ask_when_due(), name="hosts")

    def end(self) -> None:
        """Ask no more."""
        if self._task is not None:
            self._task.cancel()

    def choose(self) -> None:
        """Another cluster was chosen, or it is to be asked anew: the user may be asked for keys and passphrases."""
        cluster = self._app.state.cluster
        if cluster is not None:
            # A survey of the cluster before may still wait for a host.
            self._turn = asyncio.Lock()
            self._app.state.world.asking()
            self._app.update_bars()
            self._app.background(self._meet(cluster), "hosts")

    async def _meet(self, cluster: Cluster) -> None:
        async with self._turn:
            # A question to the user takes its time, which a survey does not leave.
            await self._app.backend.probe(cluster, lambda seen: self._probed(cluster, seen))
            self._tried = time.monotonic()
        await self.refresh()

    def _probed(self, cluster: Cluster, seen: HostSeen) -> None:
        if cluster is not self._app.state.cluster:
            return
        world = self._app.state.world
        if seen.facts is None:
            world.down(seen.name, seen.problem, seen.remedy, seen.needs_user)
        else:
            world.up(seen.facts, seen.name)
        self._app.world_changed()

    def ask(self) -> None:
        """Ask all hosts soon, in the background."""
        self._app.background(self.refresh(), "hosts")

    async def refresh(self, everyone: bool = False) -> None:
        """Ask the hosts what they have and what runs there, and wait for the answers.

        Hosts that did not answer are asked again only once in a while, unless `everyone` is to be asked: each may take
        many seconds. Hosts that wait for the user are asked when the cluster is chosen again.
        """
        wanted = time.monotonic()
        async with self._turn:
            cluster = self._app.state.cluster
            if cluster is None or (self._begun >= wanted and not everyone):
                return
            self._begun = time.monotonic()
            await self._survey(cluster, everyone or self._begun - self._tried > REST)

    async def _survey(self, cluster: Cluster, everyone: bool) -> None:
        world = self._app.state.world
        leave_out: set[str] = set()
        for name, host in world.hosts.items():
            if host.needs_user or (host.problem and not everyone):
                leave_out.add(name)
        if everyone:
            self._tried = self._begun

        def seen(status: HostStatus) -> None:
            if status.facts is not None and world is self._app.state.known_world:
                world.up(status.facts, status.name)
                world.linked(status.name, status.link.state)
                self._app.world_changed()

        view = await self._app.backend.survey(cluster, seen, frozenset(leave_out))
        if world is self._app.state.known_world:
            world.surveyed(view)
            self._app.world_changed()
            if not self._measuring:
                self._measuring = True
                # A server that is slow to answer must not hold up the next survey.
                self._app.background(self._measure(view, cluster, world), "measure")

    async def _measure(self, view: FleetView, cluster: Cluster, world: World) -> None:
        """Ask the servers that this survey has found how busy they are."""
        try:
            readings = await self._app.backend.readings(view, cluster)
        finally:
            self._measuring = False
        if world is self._app.state.known_world:
            world.measured(readings)
            self._app.world_changed()

    # When.

    async def _ask_when_due(self) -> None:
        while True:
            due = self._begun + self._every() - time.monotonic()
            if due <= 0 and not self._turn.locked():
                self.ask()
                # The survey has its own time; this task must not begin a second one.
                due = 1.0
            self._sooner.clear()
            try:
                async with asyncio.timeout(max(due, 1.0)):
                    await self._sooner.wait()
            except TimeoutError:
                continue

    def touched(self) -> None:
        """A key was pressed or the mouse was used: what is shown must not be older than a moment."""
        resting = self._every() == REST
        self._used = time.monotonic()
        if resting:
            self._sooner.set()

    def pace_changed(self) -> None:
        """Another screen is shown, which may need news more often."""
        self._sooner.set()

    def _every(self) -> float:
        watches = self._app.watches_hosts()
        if time.monotonic() - self._used > _PATIENCE:
            # Lines that are watched from across the room must go on.
            return PERIOD if watches else REST
        return CLOSE if watches else PERIOD

    # What launches say.

    def heard(self, state: LaunchState) -> None:
        """A launch reports its links and the memory of its hosts."""
        cluster = self._app.state.cluster
        if cluster is None or state.cluster != cluster.name:
            return
        world = self._app.state.world
        for row in state.hosts.values():
            world.linked(row.name, row.link)
            place = (state.launch_id, row.name)
            if not row.memory or self._heard.get(place) is row.memory:
                continue
            # The first readings may be those of a journal, which are old.
            if place in self._heard:
                world.memory_seen(row.name, row.memory[-1], time.time())
            self._heard[place] = row.memory
        if state.status not in COMING:
            for place in [place for place in self._heard if place[0] == state.launch_id]:
                del self._heard[place]
        self._app.world_changed()

    def settled(self, launch_id: str) -> None:
        """A launch serves, or has ended: its hosts are asked what they have now."""
        self._app.state.world.settled(launch_id)
        self.ask()
