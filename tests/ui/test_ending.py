"""The app as a process on a terminal: SIGTERM and a closed terminal end it as its key does."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator

import pytest


class Terminal:
    """The app with the demo on a pseudo terminal."""

    def __init__(self) -> None:
        self.master, self.line = os.openpty()
        self.before = termios.tcgetattr(self.line)
        argv = [sys.executable, "-P", "-m", "sparkrun_tui", "--demo"]
        self.process = subprocess.Popen(
            argv, stdin=self.line, stdout=self.line, stderr=self.line, env=os.environ | {"TERM": "xterm-256color"},
            start_new_session=True,
            # The controlling terminal, whose end is SIGHUP.
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        self.shown = b""

    def read(self, seconds: float) -> None:
        """Take what the app draws, until nothing comes for `seconds`."""
        while select.select([self.master], [], [], seconds)[0]:
            try:
                data = os.read(self.master, 65536)
            except OSError:
                return
            if not data:
                return
            self.shown += data

    def until_drawn(self) -> None:
        """Wait for the list of recipes."""
        deadline = time.monotonic() + 60
        while b"demo" not in self.shown or b"\x1b[?1049h" not in self.shown:
            assert time.monotonic() < deadline, self.shown[-2000:]
            self.read(0.2)
        self.read(1.0)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    opened = Terminal()
    yield opened
    if opened.process.poll() is None:
        opened.process.kill()
        opened.process.wait()
    for descriptor in (opened.master, opened.line):
        if descriptor >= 0:
            os.close(descriptor)


def test_sigterm_puts_the_terminal_right(terminal: Terminal) -> None:
    terminal.until_drawn()
    assert termios.tcgetattr(terminal.line) != terminal.before
    terminal.process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + 20
    while terminal.process.poll() is None:
        assert time.monotonic() < deadline
        terminal.read(0.1)
    terminal.read(0.2)
    assert terminal.process.returncode == 0
    assert termios.tcgetattr(terminal.line) == terminal.before
    for off in (b"\x1b[?1049l", b"\x1b[?25h", b"\x1b[?1000l"):
        assert off in terminal.shown


def test_a_closed_terminal_ends_it(terminal: Terminal) -> None:
    terminal.until_drawn()
    os.close(terminal.line)
    os.close(terminal.master)
    terminal.master = terminal.line = -1
    assert terminal.process.wait(20) == 0
