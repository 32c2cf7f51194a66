"""E3: a mirror of the Hub that refuses a download at endless length fills no memory."""

from __future__ import annotations

import asyncio
import json
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sparkrun_tui.remote.hub.downloads import HubError, HubSource
from sparkrun_tui.remote.ports.models import ModelRequest
from tests.security.test_d1_mirror import COMMIT, everything, no_wait
from tests.support.serving import requests, serving

MEMORY = 400 << 20
BODY = b'{"a": 1}'


@asynccontextmanager
async def mirror(status: str, *, chunks: bool) -> AsyncIterator[str]:
    """A mirror that answers downloads with `status` and a body without end.

    With `chunks` it is the pass for the chunk store that has no end.
    """

    async def endless(writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n".encode())
        while True:
            writer.write(b"[" * (1 << 20))
            await writer.drain()

    async def answer(method: str, path: str, writer: asyncio.StreamWriter) -> None:
        body = BODY
        lines = [f"X-Repo-Commit: {COMMIT}", 'ETag: "%s"' % ("a" * 64)]
        if "xet-read-token" in path:
            await endless(writer)
        elif path.startswith("/api/"):
            siblings = [{"rfilename": "config.json", "size": len(BODY)}]
            body = json.dumps({"id": "org/m", "sha": COMMIT, "gated": False, "tags": [], "siblings": siblings}).encode()
        elif method == "GET":
            await endless(writer)
        elif chunks:
            token = f"http://127.0.0.1:{port}/api/models/org/m/xet-read-token/{COMMIT}"
            lines += [f"X-Xet-Hash: {'b' * 64}", f'Link: <{token}>; rel="xet-auth"']
        head = "\r\n".join(["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *lines, "", ""])
        writer.write(head.encode())
        if method != "HEAD":
            writer.write(body)
        await writer.drain()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async for method, path in requests(reader):
            await answer(method, path, writer)

    async with serving(handle) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.mark.parametrize(("status", "chunks"), [("500 Bad", False), ("404 Gone", False), ("200 OK", True)])
async def test_a_refusal_without_end_fills_no_memory(status: str, chunks: bool, tmp_path: Path) -> None:
    async with mirror(status, chunks=chunks) as address:
        source = HubSource(everything, hub=tmp_path / "hub", endpoint=address, sleep=no_wait, memory=MEMORY)
        async with asyncio.timeout(60):
            with pytest.raises(HubError, match="too large"):
                async for _ in source.fetch(ModelRequest("org/m")):
                    pass
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 3 * MEMORY >> 10, "KiB"
