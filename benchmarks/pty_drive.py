"""Runs a program in a terminal of its own and looks at it from outside: first frame, answer to a key, CPU, memory."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

_STEERING = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-_]")
_TICKS = os.sysconf("SC_CLK_TCK")


class Terminal:
    """A child process in a pty; times are seconds, memory is bytes."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], width: int = 120, height: int = 40) -> None:
        self.began = time.perf_counter()
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.execvpe(argv[0], list(argv), {**env, "TERM": "xterm-256color", "COLORTERM": "truecolor"})
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        self.text = b""

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        os.close(self._fd)
        os.waitpid(self.pid, 0)

    def wait_for(self, marker: str, timeout: float = 30.0) -> float:
        """Read until `marker` (a regular expression) is on the screen; when that was, by `time.perf_counter`."""
        wanted = re.compile(marker.encode())
        end = time.perf_counter() + timeout
        while time.perf_counter() < end:
            if select.select([self._fd], [], [], 0.05)[0]:
                try:
                    self.text = (self.text + os.read(self._fd, 1 << 16))[-(1 << 18) :]
                except OSError:
                    break
                if wanted.search(_STEERING.sub(b"", self.text)):
                    return time.perf_counter()
        sys.stderr.write(_STEERING.sub(b"", self.text)[-2000:].decode(errors="replace") + "\n")
        raise TimeoutError(f"{marker!r} did not appear")

    def press(self, key: str, marker: str, timeout: float = 30.0) -> float:
        """Send a key and wait for its answer; how long that took."""
        began = time.perf_counter()
        self.send(key)
        return self.wait_for(marker, timeout) - began

    def send(self, key: str) -> None:
        """Send a key, and forget what was on the screen before it."""
        self.text = b""
        os.write(self._fd, key.encode())

    def quit(self, key: str, timeout: float = 10.0) -> None:
        """Send the key that ends the program, and wait until it has ended, as the terminal has then."""
        self.send(key)
        end = time.perf_counter() + timeout
        while time.perf_counter() < end and not self._has_ended():
            self.drain(0.05)

    def _has_ended(self) -> bool:
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def drain(self, seconds: float) -> None:
        """Read for a while, as a terminal would."""
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            if select.select([self._fd], [], [], left)[0]:
                try:
                    self.text = (self.text + os.read(self._fd, 1 << 16))[-(1 << 16) :]
                except OSError:
                    return

    @property
    def cpu(self) -> float:
        """CPU seconds of the child so far, of the threads that run now; in ticks where the kernel keeps no more."""
        spent = 0
        try:
            for thread in Path(f"/proc/{self.pid}/task").iterdir():
                spent += int((thread / "schedstat").read_text(encoding="ascii").split()[0])
        except OSError:
            spent = 0
        if spent:
            return spent / 1e9
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    @property
    def rss(self) -> int:
        """Resident memory of the child."""
        with open(f"/proc/{self.pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of the values lie."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]
