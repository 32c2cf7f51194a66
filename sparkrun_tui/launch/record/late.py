"""What a stop adds to the journal of a launch that this program no longer watches."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace

from sparkrun_tui.base.reading import identifiers
from sparkrun_tui.launch.record.guard_seen import seen
from sparkrun_tui.launch.record.journal import add_event, launches_dir, note_end, read_state
from sparkrun_tui.remote.guard.record import GuardRecord

STOPPED = "stopped"


class LateRecord:
    """The journal of a launch for what is learned while it is stopped; where this machine has none, nothing is kept."""

    def __init__(self, launch_id: str) -> None:
        self._folder = None
        known = identifiers.launch_id(launch_id)
        if known is not None and (launches_dir() / known / "events.jsonl").is_file():
            self._folder = launches_dir() / known

    def guard(self, host: str, record: GuardRecord) -> None:
        """Add the record of a host's guard, before it is removed. Raises `OSError`."""
        if self._folder is None:
            return
        row = read_state(self._folder).hosts.get(host)
        after = 0.0
        if row is not None and row.guard is not None:
            after = row.guard.until
        add_event(self._folder, replace(seen(record, host, after, closing=True), time=time.time()))

    def stopped(self) -> None:
        """Add that all its ranks were stopped now. A journal that cannot be written stays as it is."""
        if self._folder is not None:
            with suppress(OSError):
                note_end(self._folder, STOPPED, time.time())
