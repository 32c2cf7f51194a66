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
from textual import events
from textual._xterm_parser import XTermParser

from sparkrun_tui.ui.app.terminal_input import TerminalDecoder

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


PASTED = (
    b"\x1b[31mERROR\x1b[0m q\r",
    b"a\x1b]0;x\x07b",
    b"a\x1b",
    b"\x1b[200~x",
    b"caf\xe9 \xf0\x9f",
    b"one\x1b[201~S\r two",
    b"\x1b[20",
)


@pytest.mark.parametrize("size", [1, 3, 4096])
@pytest.mark.parametrize("text", PASTED)
def test_a_pasted_text_is_never_taken_for_keys(text: bytes, size: int) -> None:
    if b"\x1b[201~" in text and size < 4096:
        # Only the terminal knows whether an end is that of the paste.
        return
    decoder, parser = TerminalDecoder(), XTermParser()
    data = _START + text + _END + b"k"
    found: list[object] = []
    for at in range(0, len(data), size):
        # The driver passes nothing on where there is nothing yet.
        if read := decoder.decode(data[at : at + size]):
            found += parser.feed(read)
    keys = [event.key for event in found if isinstance(event, events.Key)]
    assert keys == ["k"]
    (paste,) = [event for event in found if isinstance(event, events.Paste)]
    assert "\x1b" not in paste.text and len(paste.text) >= 2


@pytest.mark.parametrize("size", [1, 2, 4096])
def test_what_is_typed_is_passed_on_as_it_is(size: int) -> None:
    data = "\x1b[A\x1bOP\x1b[<0;1;1Mäx\x1b[200~p\x1b[201~\x1b[B\x1b".encode()
    decoder = TerminalDecoder()
    assert "".join(decoder.decode(data[at : at + size]) for at in range(0, len(data), size)) == data.decode()


def test_a_log_with_colours_is_pasted_as_text(terminal: Terminal) -> None:
    assert terminal.until(b"spark")
    terminal.send(b"/")
    time.sleep(0.5)
    terminal.send(_START + b"\x1b[31mzebra\x1b[0m" + _END)
    assert terminal.until("␛[31mzebra".encode()), terminal.shown[-2000:]
