"""The journal of a launch on disk: its events as JSON lines and a log file per host, bounded in size."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from sparkrun_tui.base.disk import paths
from sparkrun_tui.base.disk.files import claim, private_folder, read_text
from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.base.reading import identifiers
from sparkrun_tui.base.reading.json_text import JsonError, parse_json
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.secrets import Redactor
from sparkrun_tui.base.text import clean_line
from sparkrun_tui.base.units import MIB
from sparkrun_tui.launch.record import log_files
from sparkrun_tui.launch.record.codec import from_json, to_json
from sparkrun_tui.launch.record.event_file import MOST_BYTES as EVENT_BYTES
from sparkrun_tui.launch.record.event_file import EventFile
from sparkrun_tui.launch.record.events import AnyEvent, LaunchStatus, Progressed, StatusChanged, StepChanged
from sparkrun_tui.launch.record.fold import FINAL, fold, fold_all
from sparkrun_tui.launch.record.log_files import LAUNCH_BYTES, HostLog
from sparkrun_tui.launch.record.logs import LogLine
from sparkrun_tui.launch.record.state import LaunchState

GONE = "no longer there"
"""The detail of a launch that was not found on its hosts any more, and of which no other end is known."""

FRESH = 120.0
"""Seconds after its last event in which a launch may still be prepared by another process of this program."""

KEEP_LAUNCHES = 20
KEEP_BYTES = 500 * MIB
_MOST_EVENTS = 200_000
"""The most lines of a journal that are read, more than this program writes."""

_PROGRESS_EVERY = 1.0
_FLUSH_EVERY = 1.0
"""Seconds of log lines that may be lost when this program is killed; the hosts still have them."""


def launches_dir() -> Path:
    """The folder that holds one folder per launch."""
    return paths.state_dir() / "launches"


def launch_folder(launch_id: str) -> Path:
    """The folder of a launch. Raises `LaunchError` for an invalid id: a label may hold any text, even a path."""
    known = identifiers.launch_id(launch_id)
    if known is None:
        raise LaunchError(
            f"`{clean_line(launch_id)[:60]}` is not a launch id",
            remedy="Run `sparkrun-tui status` to see the ids of launches.",
        )
    return launches_dir() / known


_CLAIM = "writer.lock"
"""Held by the program that writes a journal."""

_open: set[Path] = set()
"""Folders of the launches that this process writes."""


class Journal:
    """Writes the events and logs of a launch as they come; folders have mode 0700, files 0600.

    `folder` is the result of `launch_folder`, which only gives folders inside that of all launches. `redact` removes
    secrets. `hosts` is the number of hosts, which share the bytes for logs. Every method raises `OSError` when the
    disk is full or cannot be written; what could not be written is lost, and later calls write again.

    One program writes the journal of a launch. Where another one does already, such as `run --follow` beside
    `logs -f`, nothing is written here, since both would write the same lines. Once the other one has ended, events are
    written here; its lines stay the last ones, and who watches the launch next reads on from there.
    """

    def __init__(self, folder: Path, redact: Redactor, hosts: int = 1) -> None:
        self.folder = folder
        self._redact = redact
        self._hosts = hosts
        private_folder(folder.parent)
        _private_dir(folder)
        _private_dir(folder / "hosts")
        self._events = EventFile(folder / "events.jsonl")
        self._claim = claim(folder / _CLAIM)
        self._keeps_logs = self._claim is not None
        self._logs: dict[str, HostLog] = {}
        self._progress: dict[tuple[str, str], float] = {}
        self._flushed = 0.0
        _open.add(folder)

    def event(self, event: AnyEvent) -> None:
        """Append an event. Progress is thinned to one a second per host and phase."""
        if self._claim is None:
            self._claim = claim(self.folder / _CLAIM)
        if self._claim is None:
            return
        if isinstance(event, Progressed):
            key = (event.host, event.phase)
            if event.time - self._progress.get(key, 0.0) < _PROGRESS_EVERY:
                return
            self._progress[key] = event.time
        body = self._redact.data(to_json(event))
        self._events.add(body, safely=isinstance(event, StatusChanged | StepChanged))
        self.flush()

    def log(self, host: str, lines: Sequence[LogLine]) -> None:
        """Append lines to the log of a host; when a log exceeds its share, its middle is dropped."""
        if not self._keeps_logs:
            return
        file = self._logs.get(host)
        if file is None:
            self._hosts = max(self._hosts, len(self._logs) + 1)
            file = self._logs[host] = HostLog(log_path(self.folder, host), 0, self._make_room)
            for known in self._logs.values():
                known.most = LAUNCH_BYTES // self._hosts
        file.add(lines, self._redact.each([line.text for line in lines]))
        now = time.monotonic()
        if now - self._flushed >= _FLUSH_EVERY:
            self._flushed = now
            self.flush()

    def restart_log(self, host: str) -> None:
        """Empty the log of a host, which will be written again from its first line."""
        if not self._keeps_logs:
            return
        file = self._logs.pop(host, None)
        if file is not None:
            file.close()
        log_files.remove(log_path(self.folder, host))

    def flush(self) -> None:
        """Write the collected lines, so that the files are complete."""
        failed: OSError | None = None
        for file in self._logs.values():
            try:
                file.flush()
            except OSError as error:
                failed = error
        if failed is not None:
            raise failed

    def close(self) -> None:
        """Close all files."""
        try:
            self.flush()
        finally:
            _open.discard(self.folder)
            self._events.close()
            for file in self._logs.values():
                file.close()
            if self._claim is not None:
                self._claim.release()

    def _make_room(self) -> None:
        """Remove old journals when all together are too large because this one grows."""
        prune(keep=[folder.name for folder in _open], folder=self.folder.parent)


@dataclass(frozen=True, slots=True)
class PastLaunch:
    """A launch as its journal records it."""

    folder: Path
    state: LaunchState
    size: int
    """Bytes on disk."""
    written: float = 0.0
    """When its last event was written, in Unix seconds."""


def note_gone(folder: Path) -> LaunchState:
    """Record that a launch is no longer on its hosts; the state from now on.

    It ended between its last event, whose time is taken for its end, and now. Does nothing to a launch that has
    ended, nor to one that another program watches. Raises `OSError` when the journal cannot be written.
    """
    last = max((event.time for event in read_events(folder)), default=0.0)
    return note_end(folder, GONE, last)


def note_end(folder: Path, detail: str, when: float) -> LaunchState:
    """Record that a launch was stopped at `when`, Unix seconds; the state from now on.

    Does nothing to a launch that has ended, nor to one that another program watches, which writes the end itself.
    Raises `OSError` when the journal cannot be written.
    """
    state = read_state(folder)
    if state.status in FINAL:
        return state
    held = claim(folder / _CLAIM)
    if held is None:
        return state
    held.release()
    end = StatusChanged(status=LaunchStatus.STOPPED, detail=detail, time=when)
    add_event(folder, end)
    return fold(state, end)


def add_event(folder: Path, event: AnyEvent) -> None:
    """Add one event to the journal of a launch that this program does not watch. Raises `OSError`."""
    file = EventFile(folder / "events.jsonl")
    try:
        file.add(to_json(event), safely=True)
    finally:
        file.close()


def remove(folder: Path) -> None:
    """Remove the journal of one launch with its logs.

    Raises `LaunchError` while a program writes it, and for a folder that is none; `OSError` when it cannot be.
    """
    if folder != launch_folder(folder.name) or not (folder / "events.jsonl").is_file():
        raise LaunchError(f"{folder} holds no record of a launch")
    held = None
    if folder not in _open:
        held = claim(folder / _CLAIM)
    if held is None:
        raise LaunchError(
            "its record is still being written, perhaps by the program in another terminal",
            remedy="Delete it once nothing follows the launch any more.",
        )
    try:
        shutil.rmtree(folder)
    finally:
        held.release()


def read_state(folder: Path) -> LaunchState:
    """The state at the end of the journal in `folder`; damaged lines are skipped."""
    return fold_all(read_events(folder))


def read_events(folder: Path) -> Iterator[AnyEvent]:
    """The events of a journal, in order."""
    try:
        text = read_text(folder / "events.jsonl", 2 * EVENT_BYTES, errors="replace")
    except OSError:
        return
    # Not splitlines(): JSON strings may contain other line separators.
    for line in text.split("\n", _MOST_EVENTS)[:_MOST_EVENTS]:
        if not line:
            continue
        try:
            body = parse_json(line)
        except JsonError:
            continue
        event = from_json(body) if isinstance(body, dict) else None
        if event is not None:
            yield event


def read_log(folder: Path, host: str, newest: int = 20_000) -> list[LogLine]:
    """The last `newest` lines of a host's log; empty when there is none. A line marks where lines were dropped."""
    try:
        return log_files.last_lines(log_path(folder, host), newest)
    except OSError:
        return []


def log_lines(folder: Path, host: str) -> Iterator[LogLine]:
    """Every kept line of a host's log, see `log_files.all_lines`."""
    return log_files.all_lines(log_path(folder, host))


def past_launches(folder: Path | None = None) -> list[PastLaunch]:
    """All launches with a journal, newest first."""
    root = folder or launches_dir()
    found = [PastLaunch(path, read_state(path), _size(path), _written(path)) for path in _folders(root)]
    return sorted(found, key=lambda past: past.state.started or 0.0, reverse=True)


def prune(keep: Iterable[str] = (), folder: Path | None = None) -> list[str]:
    """Remove the oldest journals beyond 20 launches or 500 MiB; the removed ids.

    Those in `keep` stay, and those that another program writes: a launch may serve for weeks without an event.
    """
    kept = set(keep)
    removed: list[str] = []
    total = 0
    for number, path in enumerate(_newest_first(folder or launches_dir())):
        total += _size(path)
        if path.name not in kept and (number >= KEEP_LAUNCHES or total > KEEP_BYTES) and _removed(path):
            removed.append(path.name)
    return removed


def _removed(path: Path) -> bool:
    """Remove a journal; False for one that another program writes, or that cannot be removed."""
    try:
        held = claim(path / _CLAIM)
    except OSError:
        # Its folder cannot be written any more, or is gone: it stays for the next time.
        return False
    if held is None:
        return False
    try:
        shutil.rmtree(path, ignore_errors=True)
    finally:
        held.release()
    return True


def log_path(folder: Path, host: str) -> Path:
    """The log file of a host; characters that a file name may not contain become `_`."""
    return folder / "hosts" / (re.sub(r"[^A-Za-z0-9._@-]", "_", host).lstrip(".") + ".log")


def _folders(root: Path) -> list[Path]:
    if not root.is_dir():
        return []
    return [path for path in root.iterdir() if (path / "events.jsonl").is_file()]


def _newest_first(root: Path) -> list[Path]:
    return sorted(_folders(root), key=_written, reverse=True)


def _written(path: Path) -> float:
    """The Unix time at which a journal was last written; 0 for one that was removed meanwhile."""
    try:
        return (path / "events.jsonl").stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _size(path: Path) -> int:
    total = 0
    for file in path.rglob("*"):
        try:
            if file.is_file():
                total += file.stat().st_size
        except FileNotFoundError:
            # The program that writes it has removed or renamed it.
            continue
    return total


def _private_dir(path: Path) -> None:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o700)
