"""The heart of the stand-in's Ray cluster: which nodes there are, whose GPUs are taken, and messages to nodes."""

from __future__ import annotations

import socket
import threading
from typing import Any

from engine_standin.wire import Wire


class Gcs:
    """Listens on the head's address. A node stays for as long as its connection does, a claim as long as its driver."""

    def __init__(self, address: str, port: int) -> None:
        self._listener = socket.create_server((address, port), backlog=32)
        self._lock = threading.Lock()
        self._nodes: dict[str, dict[str, Any]] = {}
        self._links: dict[str, Wire] = {}
        self._claims: dict[Wire, list[str]] = {}
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            threading.Thread(target=self._talk, args=(Wire(connection),), daemon=True).start()

    def _talk(self, wire: Wire) -> None:
        joined = ""
        try:
            while message := wire.receive():
                if message["op"] == "join":
                    joined = message["node"]["ip"]
                    with self._lock:
                        self._nodes[joined], self._links[joined] = message["node"], wire
                    wire.send(ok=True)
                else:
                    wire.send(**self._answer(message, wire))
        except OSError:
            pass
        with self._lock:
            self._claims.pop(wire, None)
            if joined:
                self._nodes.pop(joined, None)
                self._links.pop(joined, None)

    def _answer(self, message: dict[str, Any], wire: Wire) -> dict[str, Any]:
        with self._lock:
            taken = [ip for claim in self._claims.values() for ip in claim]
            if message["op"] == "claim":
                free = [ip for ip in self._nodes for _ in range(self._nodes[ip]["gpus"] - taken.count(ip))]
                if len(free) < message["gpus"]:
                    return {"missing": message["gpus"] - len(free)}
                # The driver's own node first, so that rank 0 is the head.
                free.sort(key=lambda ip: ip != message["first"])
                self._claims[wire] = free[: message["gpus"]]
                return {"claimed": [self._nodes[ip] for ip in self._claims[wire]]}
            if message["op"] == "spawn":
                self._links[message["ip"]].send(spawn=message["worker"])
                return {"ok": True}
            return {"nodes": list(self._nodes.values()), "taken": len(taken)}
