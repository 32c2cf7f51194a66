"""J2: whatever bytes a terminal sends, pasted or typed, the app goes on and takes no pasted text for keys."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

_START, _END = b"\x1b[200~", b"\x1b[201~"
_SECONDS = 60.0


class Terminal:
    """The app in a terminal of its own."""

    def __init__(self, home: Path) -> None:
        names = ("HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")
        env = {**os.environ, **dict.fromkeys(names, str(home)), "TERM": "xterm-256color"}
        self.shown = b""
        self.child, self.end = pty.fork()
        if self.child == 0:
            os.execve(sys.executable, [sys.executable, "-m", "sparkrun_tui", "--demo"], env)
        fcntl.ioctl(self.end, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))

    def send(self, data: bytes) -> None:
        os.write(self.end, data)

    def until(self, words: bytes) -> bool:
        """Whether the app draws these words in time; False when it ends before."""
        limit = time.monotonic() + _SECONDS
        while time.monotonic() < limit and words not in self.shown:
            ready, _, _ = select.select([self.end], [], [], 0.2)
            if ready:
                try:
                    self.shown += os.read(self.end, 65_536)
                except OSError:
                    return False
        return words in self.shown


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal(tmp_path)
    yield terminal
    os.close(terminal.end)
    os.waitpid(terminal.child, 0)


@pytest.mark.parametrize("data", [b"\xff\xfe", _START + b"caf\xe9 qqq" + _END, b"\xf1", b"\xc3"])
def test_bytes_of_another_encoding_do_not_end_the_app(terminal: Terminal, data: bytes) -> None:
    assert terminal.until(b"spark")
    terminal.send(b"/")
    assert terminal.until(b"search") or terminal.shown
    terminal.send(data)
    time.sleep(0.5)
    terminal.shown = b""
    terminal.send(b"zebra")
    assert terminal.until(b"zebra"), terminal.shown[-2000:]
