"""Exports the logs of a launch: a file per host and one of all hosts, complete, without secrets or escapes."""

from __future__ import annotations

import heapq
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from pathlib import Path

from sparkrun_tui.base.disk import paths
from sparkrun_tui.base.disk.files import open_append, private_folder
from sparkrun_tui.base.errors import SparkrunError
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.base.text import clean_line
from sparkrun_tui.launch.record.journal import launches_dir, log_lines, log_path
from sparkrun_tui.launch.record.log_files import iso_time
from sparkrun_tui.launch.record.logs import LogLine, safe_line
from sparkrun_tui.launch.record.state import LaunchState

ALL = "all-hosts.log"
"""The file with the lines of all hosts, in order of time."""

_ODD = late_regex(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Exported:
    """The result of an export: the folder, its files, and the number of log lines."""

    folder: Path
    files: tuple[Path, ...]
    lines: int


def exports_dir() -> Path:
    """The folder that holds one folder per export."""
    return paths.state_dir() / "exports"


def export_logs(
    state: LaunchState,
    memory: Mapping[str, Sequence[LogLine]],
    redact: Callable[[str], str],
    folder: Path | None = None,
    now: float | None = None,
) -> Exported:
    """Write the logs of a launch into a new folder, from its journal and from lines that are only in `memory`.

    `memory` has the newest lines by host; `redact` masks secrets. Folders have mode 0700, files 0600.
    Raises `SparkrunError` when a file cannot be written.
    """
    stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(now))
    target = folder or exports_dir() / _ODD.sub("-", f"{state.recipe}-{state.launch_id}-{stamp}").strip("-.")
    journal = launches_dir() / Path(state.launch_id).name
    hosts = tuple(dict.fromkeys((*state.hosts, *memory)))
    try:
        private_folder(target)
        files, count = [], 0
        for host in hosts:
            path = target / log_path(target, host).name
            count += _write(path, _heading(state, host), _rows(complete(journal, host, memory.get(host, ())), redact))
            files.append(path)
        if len(hosts) > 1:
            files.append(target / ALL)
            _write(files[-1], _heading(state, ", ".join(hosts)), _merged(journal, memory, hosts, redact))
    except OSError as error:
        raise SparkrunError(
            f"the logs cannot be saved in {target}: {error.strerror or error}",
            remedy="Check the room on the disk. `sparkrun-tui logs` prints them, too.",
        ) from error
    return Exported(target, tuple(files), count)


def complete(journal: Path, host: str, memory: Sequence[LogLine]) -> Iterator[LogLine]:
    """The lines of a host: those of its log file, then those that are not on the disk yet."""
    last: tuple[LogLine, ...] = ()
    for line in log_lines(journal, host):
        last = (*last[-1:], line)
        yield line
    yield from memory[_known(memory, last) :]


def _known(memory: Sequence[LogLine], last: Sequence[LogLine]) -> int:
    """How many lines of `memory` are on disk, where the file ends with the lines `last`."""
    if not last:
        return 0
    keys = [_key(line) for line in last]
    for end in range(len(memory), 0, -1):
        if _key(memory[end - 1]) == keys[-1]:
            before = [_key(line) for line in memory[max(end - len(keys), 0) : end]]
            if before == keys[-len(before) :]:
                return end
    for number, line in enumerate(memory):
        if line.time > last[-1].time:
            return number
    return len(memory)


def _key(line: LogLine) -> tuple[int, str, str]:
    return round(line.time * 1_000_000), line.stream, line.text


def _merged(
    journal: Path, memory: Mapping[str, Sequence[LogLine]], hosts: Sequence[str], redact: Callable[[str], str]
) -> Iterator[str]:
    def tagged(host: str) -> Iterator[tuple[float, str]]:
        tag = clean_line(host)
        for line in complete(journal, host, memory.get(host, ())):
            yield line.time, f"{iso_time(line.time)} {tag} {line.stream} {safe_line(line, redact).text}"

    for _, row in heapq.merge(*(tagged(host) for host in hosts), key=itemgetter(0)):
        yield row


def _rows(lines: Iterable[LogLine], redact: Callable[[str], str]) -> Iterator[str]:
    for line in lines:
        yield f"{iso_time(line.time)} {line.stream} {safe_line(line, redact).text}"


def _heading(state: LaunchState, hosts: str) -> str:
    began = f", started {iso_time(state.started)}" if state.started is not None else ""
    title = f"{state.recipe} ({state.engine}, {state.model}), launch {state.launch_id} on {state.cluster}{began}"
    return f"# {clean_line(title)}: {clean_line(hosts)}, {state.status.value}"


def _write(path: Path, heading: str, rows: Iterable[str]) -> int:
    handle = open_append(path)
    count = 0
    with os.fdopen(handle, "a", encoding="utf-8", errors="replace") as file:
        file.truncate(0)
        file.write(heading + "\n")
        for row in rows:
            file.write(row + "\n")
            count += 1
    return count
