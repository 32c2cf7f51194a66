"""Bounded output of a command: the beginning and the end are kept, banners before the mark are not."""

from __future__ import annotations

from sparkrun_tui.base.text import decode

HALF = 1 << 20
"""Bytes kept of the beginning, and of the end, of a stream."""

_MOST_BANNER = 65_536
"""Bytes kept of what a login shell prints before the mark; up to twice as many while it prints."""


class Kept:
    """Collects a stream within `2 * half` bytes."""

    def __init__(self, half: int = HALF) -> None:
        self._half = half
        self._head = bytearray()
        self._tail = bytearray()
        self._dropped = 0

    def add(self, data: bytes) -> None:
        """Take more of the stream."""
        room = self._half - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        self._tail += data
        if len(self._tail) > 2 * self._half:
            self._trim()

    def text(self) -> str:
        """What was kept, decoded; a line says how much is missing in the middle."""
        self._trim()
        if not self._dropped:
            return decode(bytes(self._head + self._tail))
        return f"{decode(bytes(self._head))}\n… {self._dropped:,} bytes left out …\n{decode(bytes(self._tail))}"

    def _trim(self) -> None:
        surplus = len(self._tail) - self._half
        if surplus > 0:
            del self._tail[:surplus]
            self._dropped += surplus


class AfterMark:
    """Passes on what follows the line `mark`; what comes before it is a banner of the login shell."""

    def __init__(self, mark: bytes) -> None:
        self._mark = mark + b"\n"
        self.found = False
        self._before = bytearray()

    @property
    def banner(self) -> bytes:
        """What came before the mark, at least its end."""
        return bytes(self._before)

    def feed(self, data: bytes) -> bytes:
        """The part of `data` that belongs to the script."""
        if self.found:
            return data
        # A banner may come byte by byte: only what is new is searched, with what the mark may have begun before it.
        searched = max(len(self._before) - len(self._mark), 0)
        self._before += data
        at = self._before.find(self._mark, searched)
        if at < 0:
            if len(self._before) > 2 * _MOST_BANNER:
                del self._before[:-_MOST_BANNER]
            return b""
        rest = bytes(self._before[at + len(self._mark) :])
        del self._before[at:]
        self.found = True
        return rest
