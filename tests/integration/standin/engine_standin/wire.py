"""JSON lines over TCP, which all the stand-ins speak with each other."""

from __future__ import annotations

import json
import select
import socket
import threading
import time
from typing import Any


class Wire:
    """One connection; `receive` gives None at its end."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(None)
        self.connection = connection
        self._file = connection.makefile("r", encoding="utf-8")
        self._lock = threading.Lock()

    @classmethod
    def connect(cls, host: str, port: int, patience: float = 0.0) -> Wire:
        """Connect, and try again for `patience` seconds while nobody listens; raises OSError when that was in vain."""
        deadline = time.monotonic() + patience
        while True:
            try:
                return cls(socket.create_connection((host, port), timeout=5))
            except OSError:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(0.2)

    def send(self, **message: Any) -> None:
        """Send one message."""
        with self._lock:
            self.connection.sendall(json.dumps(message).encode() + b"\n")

    def receive(self) -> dict[str, Any] | None:
        """The next message, or None when the other side is gone."""
        try:
            line = self._file.readline()
        except OSError:
            return None
        return json.loads(line) if line.endswith("\n") else None

    def is_closed(self) -> bool:
        """Whether the other side is gone, without waiting. Only where it has nothing to say."""
        try:
            readable = select.select([self.connection], [], [], 0)[0]
            return bool(readable) and self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except OSError:
            return True

    def close(self) -> None:
        """End the connection."""
        self.connection.close()
