"""The journal of a launch on disk: its events as JSON lines and a log file per host, kept within bounds."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from io import TextIOWrapper
from pathlib import Path

from sparkrun_tui.base import identifiers, paths
from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.base.files import private_folder
from sparkrun_tui.base.json_text import JsonError, parse_json
from sparkrun_tui.base.secrets import Redactor
from sparkrun_tui.base.text import clean_line, log_line
from sparkrun_tui.base.units import MIB
from sparkrun_tui.launch.record.codec import from_json, to_json
from sparkrun_tui.launch.record.events import AnyEvent, Progressed, StatusChanged, StepChanged
from sparkrun_tui.launch.record.fold import fold_all
from sparkrun_tui.launch.record.logs import LogLine
from sparkrun_tui.launch.record.state import LaunchState

KEEP_LAUNCHES = 20
KEEP_BYTES = 500 * MIB
_PROGRESS_EVERY = 1.0
_FLUSH_EVERY = 1.0
"""Seconds of log lines that may be lost when this program is killed; the hosts have them still."""
_STAMP = re.compile(r"^(\S+) (stdout|stderr|app) (.*)$")


def launches_dir() -> Path:
    """The folder that holds one folder per launch."""
    return paths.state_dir() / "launches"


def launch_folder(launch_id: str) -> Path:
    """The folder of a launch. Raises `LaunchError` for what is no id of ours: a label may say anything, paths too."""
    known = identifiers.launch_id(launch_id)
    if known is None:
        raise LaunchError(f"`{clean_line(launch_id)[:60]}` is no launch of sparkrun-tui", remedy="sparkrun-tui status")
    return launches_dir() / known


class Journal:
    """Writes what a launch does as it happens; folders are 0700, files 0600, and `redact` takes out secrets.

    `folder` is what `launch_folder` gives for the launch, so that none is made elsewhere.
    """

    def __init__(self, folder: Path, redact: Redactor) -> None:
        self.folder = folder
        self._redact = redact
        private_folder(folder.parent)
        _private_dir(folder)
        _private_dir(folder / "hosts")
        self._events = _private_file(folder / "events.jsonl")
        self._logs: dict[str, TextIOWrapper] = {}
        self._progress: dict[tuple[str, str], float] = {}
        self._flushed = 0.0

    def event(self, event: AnyEvent) -> None:
        """Append an event. Progress is thinned to one a second per host and phase."""
        if isinstance(event, Progressed):
            key = (event.host, event.phase)
            if event.time - self._progress.get(key, 0.0) < _PROGRESS_EVERY:
                return
            self._progress[key] = event.time
        self._events.write(json.dumps(self._redact.data(to_json(event)), ensure_ascii=False) + "\n")
        self._events.flush()
        self.flush()
        if isinstance(event, StatusChanged | StepChanged):
            os.fsync(self._events.fileno())

    def log(self, host: str, lines: Iterable[LogLine]) -> None:
        """Append lines to the log file of a host."""
        file = self._logs.get(host)
        if file is None:
            file = self._logs[host] = _private_file(log_path(self.folder, host))
        file.writelines(f"{iso_time(line.time)} {line.stream} {self._redact(line.text)}\n" for line in lines)
        now = time.monotonic()
        if now - self._flushed >= _FLUSH_EVERY:
            self._flushed = now
            self.flush()

    def restart_log(self, host: str) -> None:
        """Empty the log file of a host, which is about to be written anew from its first line."""
        file = self._logs.pop(host, None)
        if file is not None:
            file.close()
        log_path(self.folder, host).unlink(missing_ok=True)

    def flush(self) -> None:
        """Hand what is buffered to the system, so that the files can be read now."""
        for file in self._logs.values():
            file.flush()

    def close(self) -> None:
        """Close all files."""
        for file in (self._events, *self._logs.values()):
            file.close()


@dataclass(frozen=True, slots=True)
class PastLaunch:
    """A launch as its journal tells it."""

    folder: Path
    state: LaunchState
    size: int
    """Bytes on disk."""


def read_state(folder: Path) -> LaunchState:
    """The state that the journal in `folder` ends with; damaged lines are passed over."""
    return fold_all(read_events(folder))


def read_events(folder: Path) -> Iterator[AnyEvent]:
    """The events of a journal, in order."""
    try:
        text = (folder / "events.jsonl").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    # Not splitlines(): JSON may hold other characters that end a line.
    for line in text.split("\n"):
        try:
            body = parse_json(line)
        except JsonError:
            continue
        event = from_json(body) if isinstance(body, dict) else None
        if event is not None:
            yield event


def read_log(folder: Path, host: str, newest: int = 20_000) -> list[LogLine]:
    """The last `newest` lines of a host's log file; empty when there is none."""
    try:
        with log_path(folder, host).open(encoding="utf-8", errors="replace") as file:
            rows = file.readlines()[-newest:]
    except OSError:
        return []
    return [line for row in rows if (line := _parse(row.rstrip("\n"))) is not None]


def log_lines(folder: Path, host: str) -> Iterator[LogLine]:
    """Every line of a host's log file, without holding them all; a last line that is still being written is left out.

    What cannot be read as a line is given as text, with the time of the line before it.
    """
    before = 0.0
    try:
        with log_path(folder, host).open(encoding="utf-8", errors="replace", newline="\n") as file:
            for row in file:
                if not row.endswith("\n"):
                    return
                line = _parse(row.rstrip("\n")) or LogLine(before, "app", log_line(row.rstrip("\n")))
                before = line.time
                yield line
    except FileNotFoundError:
        return


def past_launches(folder: Path | None = None) -> list[PastLaunch]:
    """All launches with a journal, newest first."""
    root = folder or launches_dir()
    found = [PastLaunch(path, read_state(path), _size(path)) for path in _folders(root)]
    return sorted(found, key=lambda past: past.state.started or 0.0, reverse=True)


def prune(keep: Iterable[str] = (), folder: Path | None = None) -> list[str]:
    """Remove the oldest journals beyond 20 launches or 500 MB, never those in `keep`; the ids removed."""
    kept = set(keep)
    removed: list[str] = []
    total = 0
    for number, path in enumerate(_newest_first(folder or launches_dir())):
        total += _size(path)
        if path.name not in kept and (number >= KEEP_LAUNCHES or total > KEEP_BYTES):
            shutil.rmtree(path, ignore_errors=True)
            removed.append(path.name)
    return removed


def log_path(folder: Path, host: str) -> Path:
    """The log file of a host; characters that a file name cannot hold become `_`."""
    return folder / "hosts" / (re.sub(r"[^A-Za-z0-9._@-]", "_", host).lstrip(".") + ".log")


def _folders(root: Path) -> list[Path]:
    return [path for path in root.iterdir() if (path / "events.jsonl").is_file()] if root.is_dir() else []


def _newest_first(root: Path) -> list[Path]:
    return sorted(_folders(root), key=lambda path: (path / "events.jsonl").stat().st_mtime, reverse=True)


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def _private_dir(path: Path) -> None:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o700)


def _private_file(path: Path) -> TextIOWrapper:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    return os.fdopen(handle, "a", encoding="utf-8", errors="replace")


@lru_cache(maxsize=64)
def _second(seconds: int) -> str:
    """Thousands of lines share a second: its date is worked out once."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def iso_time(time: float) -> str:
    """A Unix time as ISO 8601 in UTC with microseconds."""
    seconds, micros = divmod(round(time * 1_000_000), 1_000_000)
    return f"{_second(seconds)}.{micros:06}Z"


def _parse(row: str) -> LogLine | None:
    match = _STAMP.match(row)
    if match is None:
        return None
    try:
        time = datetime.fromisoformat(match[1].replace("Z", "+00:00")).timestamp()
    except ValueError:
        return None
    return LogLine(time, match[2], log_line(match[3]))
