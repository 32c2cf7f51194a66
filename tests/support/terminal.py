"""A program on a pseudo terminal whose screen is followed as a terminal shows it."""

from __future__ import annotations

import fcntl
import os
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyte

_NOT_KNOWN = re.compile(rb"\x1b\[[<=>?][\d;]*[a-zA-Z$]+p?|\x1b\]22;[^\x1b\x07]*(?:\x07|\x1b\\)")
"""Questions and modes that pyte would print instead of skipping; the alternate screen is not needed."""
_LONGEST = 120.0
"""Seconds after which what is waited for will not come."""


class Terminal:
    """Runs a program, types on it, changes its size, and knows what is on its screen."""

    def __init__(
        self, argv: Sequence[str], size: tuple[int, int], environment: Mapping[str, str], folder: Path
    ) -> None:
        width, height = size
        self.screen = pyte.Screen(width, height)
        self._stream = pyte.ByteStream(self.screen)
        self._left = b""
        self.master, self.line = os.openpty()
        self.before = termios.tcgetattr(self.line)
        self._set_size(width, height)
        self.process = subprocess.Popen(
            argv, stdin=self.line, stdout=self.line, stderr=self.line, env=dict(environment), cwd=folder,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip

    def _set_size(self, width: int, height: int) -> None:
        fcntl.ioctl(self.line, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def resize(self, width: int, height: int) -> None:
        """Another size, as when a window is dragged."""
        self.read(0.2)
        self.screen.resize(height, width)
        self._set_size(width, height)
        self.read(0.5)

    def read(self, seconds: float) -> None:
        """Take what the program draws, until nothing comes for `seconds`."""
        while select.select([self.master], [], [], seconds)[0]:
            try:
                data = self._left + os.read(self.master, 65536)
            except OSError:
                return
            # A sequence that is not whole yet waits for its rest.
            whole = data.rfind(b"\x1b")
            self._left = b""
            if whole >= 0 and len(data) - whole < 64:
                data, self._left = data[:whole], data[whole:]
            self._stream.feed(_NOT_KNOWN.sub(b"", data))
        if self._left:
            self._stream.feed(_NOT_KNOWN.sub(b"", self._left))
            self._left = b""

    @property
    def text(self) -> str:
        """What is on the screen."""
        return "\n".join(line.rstrip() for line in self.screen.display)

    def until(self, *wanted: str, gone: str = "") -> None:
        """Wait until all of these texts are on the screen, and `gone` no longer is."""
        end = time.monotonic() + _LONGEST
        while not all(text in self.text for text in wanted) or (gone and gone in self.text):
            assert time.monotonic() < end, f"{wanted} did not come, or {gone!r} stayed:\n{self.text}"
            assert self.process.poll() is None, f"it ended with {self.process.returncode}:\n{self.text}"
            self.read(0.1)

    def type(self, text: str) -> None:
        """Type keys."""
        os.write(self.master, text.encode())
        self.read(0.3)

    def ended(self) -> int:
        """Wait for the end of the program; its exit code."""
        end = time.monotonic() + _LONGEST
        while self.process.poll() is None:
            assert time.monotonic() < end, f"it did not end:\n{self.text}"
            self.read(0.1)
        return self.process.returncode

    def close(self) -> None:
        """End the program, if it still runs, and give the terminal back."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
        os.close(self.line)
