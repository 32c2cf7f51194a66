"""The memory guards of hosts: each is a detached job, whose folder holds its record and outlives a restart."""

from __future__ import annotations

from sparkrun_tui.base import shell
from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.reading import identifiers
from sparkrun_tui.base.text import clean_line
from sparkrun_tui.remote.failures import LinkLost
from sparkrun_tui.remote.guard import script
from sparkrun_tui.remote.guard.record import GuardRecord, parse
from sparkrun_tui.remote.transport import Outcome, Transport

ROOT = "~/.local/state/sparkrun-tui/jobs"
"""On a disk, and not among caches: after a restart the record says what the memory did before it."""

_TIMEOUT = 20.0


def folder(launch_id: str) -> shell.Text:
    """The folder of a launch's guard on each of its hosts. Raises `ValueError` for what is no launch id."""
    return shell.path_word(f"{ROOT}/{_key(launch_id)}")


def by_hand(launch_id: str, container: str, floor: int) -> shell.Text:
    """The command that starts the guard of a container by hand; `floor` is bytes."""
    return shell.script(
        "mkdir -p -- {folder} && nohup sh -c {guard} >/dev/null 2>&1 &",
        folder=folder(launch_id),
        guard=shell.word(script.guard(folder(launch_id), container, floor // 1024)),
    )


class Guard:
    """The guard of a launch on one host."""

    def __init__(self, transport: Transport, launch_id: str) -> None:
        """Raises `ValueError` for what is no launch id."""
        from sparkrun_tui.remote.script.jobs import Jobs  # a plan only names the command of a guard

        self._transport = transport
        self._key = _key(launch_id)
        self._folder = folder(launch_id)
        self._jobs = Jobs(transport, ROOT)

    async def start(self, container: str, floor: int) -> None:
        """Start it unless it was started before; `floor` is bytes. Raises `LinkLost`, `HostError`."""
        guard = script.guard(self._folder, container, floor // 1024)
        await self._transport.run(script.forget(shell.path_word(ROOT)), timeout=_TIMEOUT)
        await self._jobs.start(self._key, guard)

    async def read(self, *, past: int = script.PAST, recent: int = script.RECENT) -> GuardRecord | None:
        """Its record, all or the newest lines of it; None where there is none. Raises `LinkLost`, `HostError`."""
        result = await self._transport.run(script.read(self._folder, past=past, recent=recent), timeout=_TIMEOUT)
        if result.outcome in (Outcome.LOST, Outcome.TIMED_OUT):
            raise LinkLost(f"no answer about the memory guard ({result.outcome.value})", host=self._transport.name)
        if not result.ok:
            why = clean_line(result.stderr.strip().rpartition("\n")[2])
            raise HostError(f"the memory guard's record cannot be read: {why}", host=self._transport.name)
        return parse(result.stdout)

    async def end(self) -> None:
        """End it and remove its record; fine when there is none. Raises `LinkLost`, `HostError`."""
        await self._jobs.end(self._key)


def _key(launch_id: str) -> str:
    known = identifiers.launch_id(launch_id)
    if known is None:
        raise ValueError(f"not the id of a launch: {launch_id[:60]!r}")
    return f"{known}/guard"
