"""The log of one host on disk, bounded: its first and its newest part, and how many lines were dropped between them.

A log begins in `HOST.log`. Once that is full, lines go into `HOST.log.new`; when this is full it becomes
`HOST.log.old`, in place of the one before. The first row of these two says how many lines came before it, so that
every reader knows how many lines are missing, whichever program wrote them.
"""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import TextIO

from sparkrun_tui.base.disk.files import open_append, open_regular, read_text
from sparkrun_tui.base.reading.numbers import whole
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.base.text import log_line
from sparkrun_tui.base.units import MIB
from sparkrun_tui.launch.record.logs import LogLine

LAUNCH_BYTES = 64 * MIB
"""The most bytes on disk of all logs of one launch."""

_CHUNK = 256 * 1024
"""The most bytes of lines that are collected before they are written; a small log collects an eighth of its bytes."""

_STAMP = late_regex(r"^(\S+) (stdout|stderr|app) (.*)$")
_BEFORE = late_regex(r"# ([0-9]{1,18}) lines come before this part")


class HostLog:
    """Writes the log of one host, at most `most` bytes: a quarter for its beginning, the rest for its end.

    `rotated` is called when a part is full. Several programs may write at the same time; each checks the files on
    disk before it writes.
    """

    def __init__(self, path: Path, most: int, rotated: Callable[[], None]) -> None:
        self._path = path
        self.most = most
        self._rotated = rotated
        self._handle = -1
        self._pending: list[bytes] = []
        self._size = 0
        self._lost = 0
        self._torn = False

    def add(self, lines: Sequence[LogLine], texts: Sequence[str]) -> None:
        """Append lines with these texts in place of their own.

        They are written by `flush`, or when there are many. Raises `OSError` as `flush` does.
        """
        collected = min(_CHUNK, self.most // 8)
        for line, text in zip(lines, texts, strict=True):
            row = f"{iso_time(line.time)} {line.stream} {text}\n".encode(errors="replace")
            self._pending.append(row)
            self._size += len(row)
            if self._size >= collected:
                self.flush()

    def flush(self) -> None:
        """Write the collected lines. Raises `OSError` when that fails: they are lost, and the next write says so."""
        if not self._pending:
            return
        rows, self._pending, self._size = self._pending, [], 0
        try:
            handle = self._part()
            start = b"\n" if self._torn else b""
            if self._lost:
                start += _gap_row(time.time(), f"{self._lost:,} lines are missing here: they could not be written")
            self._torn = True
            write_all(handle, start + b"".join(rows))
        except OSError:
            self._lost += len(rows)
            raise
        self._torn, self._lost = False, 0

    def close(self) -> None:
        """Close the file; collected lines are not written."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def _part(self) -> int:
        """The handle of the file that has room now."""
        _, old, new = _parts(self._path)
        path = self._path
        if new.exists():
            path = new
            if _bytes(new) >= self.most * 3 // 8:
                os.replace(new, old)
        elif _bytes(path) >= self.most // 4:
            path = new
        if self._handle >= 0 and is_file(self._handle, path):
            return self._handle
        self.close()
        self._handle = open_append(path)
        if path is new and os.fstat(self._handle).st_size == 0:
            self._head_row(old if old.exists() else self._path)
            self._rotated()
        return self._handle

    def _head_row(self, before: Path) -> None:
        """Write the first row of a new part, which follows the file `before`."""
        with open_regular(before) as file:
            base = _lines_before(file.readline().decode(errors="replace"))
            file.seek(0)
            count = sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(MIB), b""))
        total = count if base is None else base + count - 1
        write_all(self._handle, f"# {total} lines come before this part\n".encode())


def remove(path: Path) -> None:
    """Remove all files of a log."""
    for part in _parts(path):
        part.unlink(missing_ok=True)


def all_lines(path: Path) -> Iterator[LogLine]:
    """Every kept line, read one by one; a line marks where lines were dropped.

    A last line that is still being written is left out. A row without a time has the time of the row before it.
    Raises `OSError`, except for files that do not exist.
    """
    with ExitStack() as files:
        opened = []
        # All are opened first: a part that is renamed meanwhile is still read to its end.
        for part in _parts(path):
            try:
                opened.append(files.enter_context(_rows_of(part)))
            except FileNotFoundError:
                continue
        yield from _read(row for file in opened for row in iter(partial(file.readline, _LONGEST_ROW), ""))


_MOST_READ = LAUNCH_BYTES // 2
"""The most bytes that are read of one file of a log, more than this program writes."""

_HEAD_ROW = 100
"""More characters than the first row of a part has."""

_LONGEST_ROW = MIB
"""The most characters that are read as one row, more than this program writes."""


def _rows_of(part: Path) -> TextIO:
    return io.TextIOWrapper(open_regular(part, _MOST_READ), encoding="utf-8", errors="replace", newline="\n")


def last_lines(path: Path, newest: int) -> list[LogLine]:
    """The last `newest` lines; a line marks where lines were dropped. Raises `OSError`, except for missing files."""
    rows: list[str] = []
    for part in reversed(_parts(path)):
        try:
            text = read_text(part, _MOST_READ, errors="replace")
        except FileNotFoundError:
            continue
        # Not all are split: a file of nothing but line ends would fill the memory.
        pieces = text.rsplit("\n", newest + 1)
        if len(pieces) > newest + 1:
            # The rest in front, of which only the beginning of the first row is looked at.
            pieces[0] = pieces[0][:_HEAD_ROW]
        rows = [*(f"{row}\n" for row in pieces if row), *rows]
        if len(rows) > newest:
            break
    if newest <= 0 or not rows:
        return []
    # When the rows begin in the middle of a part, it is unknown how many lines came before them.
    whole_part = len(rows) <= newest
    found = list(_read(iter(rows if whole_part else rows[-newest:]), from_middle=not _at_the_start(path, rows)))
    return found[-newest:]


def _at_the_start(path: Path, rows: list[str]) -> bool:
    """Whether the rows begin with the first row of the log."""
    return path.exists() and not _BEFORE.match(rows[0])


def _read(rows: Iterator[str], from_middle: bool = False) -> Iterator[LogLine]:
    before = 0.0
    # How many lines came before the current row; None when that is unknown.
    seen: int | None = None if from_middle else 0
    for row in rows:
        if not row.endswith("\n"):
            continue
        text = row.rstrip("\n")
        base = _lines_before(text)
        if base is not None:
            if seen is not None and base > seen:
                yield LogLine(before, "app", f"… {base - seen:,} lines are left out here: the log grew too large …")
            seen = base
            continue
        if seen is not None:
            seen += 1
        if not text:
            continue
        line = parse(text) or LogLine(before, "app", log_line(text))
        before = line.time
        yield line


def _lines_before(row: str) -> int | None:
    match = _BEFORE.match(row)
    return None if match is None else whole(match[1])


def _parts(path: Path) -> tuple[Path, Path, Path]:
    """The files of a log in order: its beginning, and its two newest parts."""
    return path, path.with_name(f"{path.name}.old"), path.with_name(f"{path.name}.new")


def _gap_row(at: float, text: str) -> bytes:
    return f"{iso_time(at)} app … {text} …\n".encode()


def _bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def is_file(handle: int, path: Path) -> bool:
    """Whether an open file is still the one at `path`, which another program may have renamed."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def write_all(handle: int, data: bytes) -> None:
    """Write all of `data`. Raises `OSError`."""
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]


@lru_cache(maxsize=64)
def _second(seconds: int) -> str:
    """The date and time of a Unix second. Cached, since thousands of lines share a second."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def iso_time(time: float) -> str:
    """A Unix time as ISO 8601 in UTC with microseconds."""
    seconds, micros = divmod(round(time * 1_000_000), 1_000_000)
    return f"{_second(seconds)}.{micros:06}Z"


def parse(row: str) -> LogLine | None:
    """A row of a log file as a line; None when it does not have the form of one."""
    match = _STAMP.match(row)
    if match is None:
        return None
    try:
        stamp = datetime.fromisoformat(match[1].replace("Z", "+00:00")).timestamp()
    except ValueError:
        return None
    return LogLine(stamp, match[2], log_line(match[3]))
