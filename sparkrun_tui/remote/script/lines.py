"""Bytes of a remote stream as lines: carriage returns overwrite, endless lines are cut, bad UTF-8 never fails."""

from __future__ import annotations

import codecs

MAX_BYTES = 8192
"""Characters kept of one line; what follows until its end is counted and left out."""


class LineSplitter:
    """Feed it chunks, get whole lines. `\\n` ends a line, `\\r` starts it over as a terminal would (progress bars)."""

    def __init__(self, limit: int = MAX_BYTES) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._limit = limit
        self._pending = ""
        self._cut = 0
        self._return = False

    def feed(self, data: bytes) -> list[str]:
        """The lines that `data` completes, without their ends."""
        return self._take(self._decoder.decode(data))

    def flush(self) -> list[str]:
        """What is left when the stream has ended: the unfinished last line, if any."""
        lines = self._take(self._decoder.decode(b"", final=True))
        if self._pending or self._cut:
            lines.append(self._finish())
        return lines

    @property
    def pending(self) -> str:
        """The unfinished line so far (a progress bar between two `\\r`)."""
        return self._pending

    def _take(self, text: str) -> list[str]:
        *ended, rest = text.split("\n")
        lines = []
        for piece in ended:
            self._add(piece)
            lines.append(self._finish())
        self._add(rest)
        return lines

    def _finish(self) -> str:
        line = self._pending
        if self._cut:
            line = f"{line} … ({self._cut:,} more characters)"
        self._pending, self._cut, self._return = "", 0, False
        return line

    def _add(self, piece: str) -> None:
        # A \r only overwrites when something follows it: "line\r\n" keeps its text.
        if not piece:
            return
        parts = piece.split("\r")
        if len(parts) == 1 and not self._return:
            self._append(piece)
            return
        for index, part in enumerate(parts):
            if index:
                self._return = True
            if part:
                if self._return:
                    self._pending, self._cut, self._return = "", 0, False
                self._append(part)

    def _append(self, text: str) -> None:
        room = self._limit - len(self._pending)
        self._pending += text[: max(room, 0)]
        self._cut += max(len(text) - max(room, 0), 0)


class ByteLines:
    """Bytes as whole lines of at most `limit` bytes; a longer line is left out as a whole, and counted.

    Unlike `LineSplitter` it neither decodes nor shortens: for lines of JSON, of which a part is worth nothing.
    """

    def __init__(self, limit: int) -> None:
        self.too_long = 0
        """Lines that were left out."""
        self._limit = limit
        self._pending = bytearray()
        self._skipping = False

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes, without their ends."""
        lines = []
        start = 0
        while (end := data.find(b"\n", start)) >= 0:
            self._add(data[start:end])
            if not self._skipping:
                lines.append(bytes(self._pending))
            self._pending.clear()
            self._skipping = False
            start = end + 1
        self._add(data[start:])
        return lines

    def rest(self) -> bytes:
        """What is left when the stream has ended: an unfinished last line, or nothing."""
        left = bytes(self._pending)
        self._pending.clear()
        return left

    def _add(self, data: bytes) -> None:
        if self._skipping:
            return
        if len(self._pending) + len(data) > self._limit:
            self._pending.clear()
            self._skipping = True
            self.too_long += 1
            return
        self._pending += data
