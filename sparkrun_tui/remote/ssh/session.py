"""One command on an SSH connection, as bytes: its output in order, and how it ended."""

from __future__ import annotations

from collections.abc import Callable

import asyncssh

from sparkrun_tui.remote.script.pieces import Pieces
from sparkrun_tui.remote.transport import Outcome


class Session(asyncssh.SSHClientSession[bytes]):
    """Receives a command's output into `pieces`; `outcome` stays None when the link was lost before the end."""

    def __init__(self) -> None:
        self.outcome: Outcome | None = None
        self.code: int | None = None
        self.pieces = Pieces()
        self._on_end: Callable[[], object] | None = None
        self._gone = False

    @property
    def on_end(self) -> Callable[[], object] | None:
        """Called once when the channel is gone; immediately when it is gone already."""
        return self._on_end

    @on_end.setter
    def on_end(self, call: Callable[[], object]) -> None:
        self._on_end = call
        if self._gone:
            call()

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        """The channel is open."""
        self.pieces.hold = lambda on: chan.pause_reading() if on else chan.resume_reading()

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        """Output came."""
        self.pieces.push("stdout" if datatype is None else "stderr", data)

    def eof_received(self) -> bool:
        """Output is over; our side stays open, since its end would make the watcher stop the script."""
        return True

    def exit_status_received(self, status: int) -> None:
        """The command exited."""
        self.outcome, self.code = Outcome.EXITED, status
        self.pieces.ended()

    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:
        """The command was ended by a signal."""
        self.outcome = Outcome.SIGNALLED
        self.pieces.ended()

    def connection_lost(self, exc: Exception | None) -> None:
        """The channel is gone, with or without an outcome."""
        self._gone = True
        self.pieces.close()
        if self._on_end is not None:
            self._on_end()
