"""The log of one host on disk: its first and its newest part, within bounds, and how many lines lay between them.

A log begins in `HOST.log`. Once that has its share, lines go into `HOST.log.new`; when this is full it becomes
`HOST.log.old`, in place of the one before. The first row of these two says how many lines came before it, so that
what is missing is known whoever reads, and whoever wrote.
"""

from __future__ import annotations

import io
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import TextIO

from sparkrun_tui.base.files import open_regular, read_text
from sparkrun_tui.base.numbers import whole
from sparkrun_tui.base.text import log_line
from sparkrun_tui.base.units import MIB
from sparkrun_tui.launch.record.logs import LogLine

LAUNCH_BYTES = 64 * MIB
"""Bytes on disk of all logs of one launch."""

_CHUNK = 256 * 1024
"""Bytes of lines that are collected at most before they are written."""

_STAMP = re.compile(r"^(\S+) (stdout|stderr|app) (.*)$")
_BEFORE = re.compile(r"# ([0-9]{1,18}) lines come before this part")


class HostLog:
    """Writes the log of one host, with at most `most` bytes: a quarter for its beginning, the rest for its end.

    `rotated` is called when a part was filled. Several programs may write at once; each looks at the files themselves.
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

    def add(self, lines: Iterable[LogLine]) -> None:
        """Append lines; they reach the file with `flush`, or when they are many. Raises `OSError` as `flush` does."""
        for line in lines:
            row = f"{iso_time(line.time)} {line.stream} {line.text}\n".encode(errors="replace")
            self._pending.append(row)
            self._size += len(row)
            if self._size >= _CHUNK:
                self.flush()

    def flush(self) -> None:
        """Write what is collected. Raises `OSError` when it cannot be: then it is lost, and the file will say so."""
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
        """Let the file go; what is collected is not written."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def _part(self) -> int:
        """The file that has room now."""
        head, segment = self.most // 4, self.most * 3 // 8
        old, new = _parts(self._path)[1:]
        begun = new.exists()
        path = new if begun else self._path
        if _bytes(path) >= (segment if begun else head):
            if begun:
                os.replace(new, old)
            path = new
        if self._handle < 0 or not is_file(self._handle, path):
            self.close()
            self._handle = open_private(path)
            if path is new and os.fstat(self._handle).st_size == 0:
                self._head_row(old if old.exists() else self._path)
                self._rotated()
        return self._handle

    def _head_row(self, before: Path) -> None:
        """The first row of a new part, which follows the file `before`."""
        with open_regular(before) as file:
            base = _lines_before(file.readline().decode(errors="replace"))
            file.seek(0)
            count = sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(MIB), b""))
        total = count if base is None else base + count - 1
        write_all(self._handle, f"# {total} lines come before this part\n".encode())


def remove(path: Path) -> None:
    """Remove all parts of a log."""
    for part in _parts(path):
        part.unlink(missing_ok=True)


def all_lines(path: Path) -> Iterator[LogLine]:
    """Every line that is kept, without holding them all; where some were left out, a line says so.

    A last line that is still being written is left out. What cannot be read as a line is given as text, with the time
    of the line before it. Raises `OSError`, but for files that are not there.
    """
    with ExitStack() as files:
        opened = []
        # All at once: a part that is filled meanwhile is renamed, and still read to its end.
        for part in _parts(path):
            try:
                opened.append(files.enter_context(_rows_of(part)))
            except FileNotFoundError:
                continue
        yield from _read(row for file in opened for row in iter(partial(file.readline, _LONGEST_ROW), ""))


_MOST_READ = 256 * MIB
"""Bytes of one part of a log that is read: more than any that is written here."""

_LONGEST_ROW = MIB
"""Characters of a row that are read at once; no row that is written here has as many."""


def _rows_of(part: Path) -> TextIO:
    return io.TextIOWrapper(open_regular(part, _MOST_READ), encoding="utf-8", errors="replace", newline="\n")


def last_lines(path: Path, newest: int) -> list[LogLine]:
    """The last `newest` lines; a line says where some were left out. Raises `OSError`, but for files not there."""
    rows: list[str] = []
    for part in reversed(_parts(path)):
        try:
            text = read_text(part, _MOST_READ, errors="replace")
        except FileNotFoundError:
            continue
        rows = [*(f"{row}\n" for row in text.split("\n") if row), *rows]
        if len(rows) > newest:
            break
    if newest <= 0 or not rows:
        return []
    # Of a part that is read from its middle it is not known how many lines came before.
    whole_part = len(rows) <= newest
    found = list(_read(iter(rows if whole_part else rows[-newest:]), from_middle=not _at_the_start(path, rows)))
    return found[-newest:]


def _at_the_start(path: Path, rows: list[str]) -> bool:
    """Whether rows begin where the log does, so that the first part's lines are among them."""
    return path.exists() and not _BEFORE.match(rows[0])


def _read(rows: Iterator[str], from_middle: bool = False) -> Iterator[LogLine]:
    before, seen = 0.0, None if from_middle else 0
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
        seen = None if seen is None else seen + 1
        if not text:
            continue
        line = parse(text) or LogLine(before, "app", log_line(text))
        before = line.time
        yield line


def _lines_before(row: str) -> int | None:
    match = _BEFORE.match(row)
    return None if match is None else whole(match[1])


def _parts(path: Path) -> tuple[Path, Path, Path]:
    """The files of a log in order: its beginning, and the two newest parts."""
    return path, path.with_name(f"{path.name}.old"), path.with_name(f"{path.name}.new")


def _gap_row(at: float, text: str) -> bytes:
    return f"{iso_time(at)} app … {text} …\n".encode()


def _bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def is_file(handle: int, path: Path) -> bool:
    """Whether an open file is still the one at `path`, which another program may have put aside."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def open_private(path: Path) -> int:
    """Open a file to append to, mode 0600."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def write_all(handle: int, data: bytes) -> None:
    """Write all of `data`. Raises `OSError`."""
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]


@lru_cache(maxsize=64)
def _second(seconds: int) -> str:
    """Thousands of lines share a second: its date is worked out once."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def iso_time(time: float) -> str:
    """A Unix time as ISO 8601 in UTC with microseconds."""
    seconds, micros = divmod(round(time * 1_000_000), 1_000_000)
    return f"{_second(seconds)}.{micros:06}Z"


def parse(row: str) -> LogLine | None:
    """A row of a log file as a line; None when it is none."""
    match = _STAMP.match(row)
    if match is None:
        return None
    try:
        stamp = datetime.fromisoformat(match[1].replace("Z", "+00:00")).timestamp()
    except ValueError:
        return None
    return LogLine(stamp, match[2], log_line(match[3]))
