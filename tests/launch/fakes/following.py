"""What is asked of a cluster in memory while engines run: their logs, and their ports."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.remote.docker.logs import LogRecord
from sparkrun_tui.remote.failures import LinkLost
from sparkrun_tui.remote.http.client import HttpCall, HttpRefused, HttpReply

if TYPE_CHECKING:
    from tests.launch.fakes.cluster import FakeCluster


class FakeLogs:
    """`Logs` of the fake cluster."""

    def __init__(self, cluster: FakeCluster) -> None:
        self._cluster = cluster

    async def follow(
        self, transport: Any, container: str, *, tail: int | None = None, since: float | None = None, keep: bool = True
    ) -> AsyncIterator[Sequence[LogRecord]]:
        host = self._cluster.hosts[transport.name]
        item = host.containers[container]
        at = max(len(item.log) - tail, 0) if tail is not None else 0
        while True:
            while host.lost or host.unreachable:
                if not keep:
                    raise LinkLost("the connection was lost", host=host.name)
                await asyncio.sleep(0.5)
            batch, at = item.log[at:], len(item.log)
            if batch:
                yield [record for record in batch if since is None or record.time >= since - 2]
            elif not keep or item.info.state not in ("created", "running"):
                return
            else:
                await asyncio.sleep(0.1)


class FakeHttp:
    """`Http` of the fake cluster: an OpenAI-like server on each open port."""

    def __init__(self, cluster: FakeCluster) -> None:
        self._cluster = cluster
        self.calls: list[HttpCall] = []
        self.missing: frozenset[str] = frozenset()
        """Paths that the servers do not have."""
        self.answers: dict[str, HttpReply] = {}
        """What the servers answer at some paths."""
        self.key = ""
        """The API key that the servers want, at all paths but those of `self.open`."""
        self.open: frozenset[str] = frozenset({"/health"})

    async def ask(self, transport: Any, call: HttpCall) -> HttpReply:
        await asyncio.sleep(0.001)
        host = self._cluster.hosts[transport.name]
        host.check()
        self.calls.append(call)
        model = host.servers.get(call.port)
        if model is None:
            raise HostError("refused", host=host.name)
        if self.refuses(call):
            return HttpReply(401, b'{"error": "Unauthorized"}')
        if call.path in self.answers:
            return self.answers[call.path]
        if call.path == "/v1/models":
            return HttpReply(200, json.dumps({"data": [{"id": model}]}).encode())
        if call.path == "/health":
            return HttpReply(503 if host.unhealthy else 200, b"")
        if call.path in self.missing:
            return HttpReply(404, b'{"detail": "Not Found"}')
        await asyncio.sleep(self._cluster.first_token)
        return HttpReply(200, json.dumps({"choices": [{"text": "x"}]}).encode())

    def refuses(self, call: HttpCall) -> bool:
        given = call.key.reveal() if call.key is not None else ""
        return bool(self.key) and call.path not in self.open and given != self.key

    async def stream(self, transport: Any, call: HttpCall) -> AsyncIterator[bytes]:
        self.calls.append(call)
        if self.refuses(call):
            raise HttpRefused(401, "Unauthorized", host=transport.name)
        if call.path in self.missing:
            raise HttpRefused(404, "Not Found", host=transport.name)
        if call.path in self.answers and not self.answers[call.path].ok:
            raise HttpRefused(self.answers[call.path].status, "refused", host=transport.name)
        for chunk in self._cluster.answer:
            await asyncio.sleep(0.1)
            yield chunk
