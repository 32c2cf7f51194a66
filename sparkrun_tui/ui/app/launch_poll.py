"""Polls launches and logs for changes with one timer for the whole app, which stops when nothing is watched."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sparkrun_tui.base.records import dataclass

if TYPE_CHECKING:
    from textual.timer import Timer

    from sparkrun_tui.ui.app.shell import Timers
    from sparkrun_tui.ui.model.ports import Changed, LaunchPort

TICK = 0.1
"""Seconds between two polls while something changes."""

REST = 0.5
"""Seconds between two polls when nothing has changed for a while."""

_PATIENCE = 20


@dataclass(slots=True)
class _Watch:
    launch: LaunchPort
    changed: Changed
    revision: int = -1
    lines: int = -1

    def poll(self) -> bool:
        revision = self.launch.revision
        lines = sum(buffer.end for buffer in self.launch.logs.values())
        state_changed, logs_changed = revision != self.revision, lines != self.lines
        self.revision, self.lines = revision, lines
        if state_changed or logs_changed:
            self.changed(state_changed, logs_changed)
        return state_changed or logs_changed


class LaunchPoll:
    """Polls the watched launches. No message is sent per log line: readers take what is new from the buffers."""

    def __init__(self, timers: Timers) -> None:
        self._timers = timers
        self._watches: list[_Watch] = []
        self._timer: Timer | None = None
        self._interval = 0.0
        self._quiet = 0

    def watch(self, launch: LaunchPort, changed: Changed) -> Callable[[], None]:
        """Call `changed` now and after every change; the returned function ends that."""
        watch = _Watch(launch, changed)
        self._watches.append(watch)
        watch.poll()
        self.wake()

        def end() -> None:
            if watch in self._watches:
                self._watches.remove(watch)

        return end

    def wake(self) -> None:
        """Poll often again: something is about to change."""
        self._quiet = 0
        if self._watches:
            self._tick_every(TICK)

    def tick(self) -> None:
        """Poll every watched launch once."""
        changed = [watch.poll() for watch in list(self._watches)]
        if any(changed):
            self.wake()
            return
        from sparkrun_tui.launch.record.fold import FINAL  # not before the first paint

        self._quiet += 1
        over = all(watch.launch.state.status in FINAL for watch in self._watches)
        if not self._watches or (over and self._quiet > _PATIENCE):
            self._stop()
        elif self._quiet > _PATIENCE:
            self._tick_every(REST)

    def _tick_every(self, interval: float) -> None:
        if self._timer is not None and self._interval == interval:
            return
        self._stop()
        self._interval = interval
        self._timer = self._timers.set_interval(interval, self.tick)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
