"""H1: a server that sends another part of a file than was asked for says nothing about a model."""

from __future__ import annotations

import asyncio
import json
import struct
from pathlib import Path

import pytest

from sparkrun_tui.remote.hub.downloads import HubError
from sparkrun_tui.remote.hub.model_facts import HubFacts
from tests.support.serving import serving

COMMIT = "0123456789abcdef" * 2 + "01234567"
CONFIG = json.dumps(
    {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "num_hidden_layers": 2, "hidden_size": 64}
).encode()
FIRST = 100_000
"""Bytes of the first request for a header."""


def weights(count: int = 3000) -> bytes:
    """A file whose header needs two requests."""
    entries = {
        f"model.layers.0.mlp.{n}.weight": {"dtype": "BF16", "shape": [8, 8], "data_offsets": [n * 128, (n + 1) * 128]}
        for n in range(count)
    }
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text


async def figures(place: str, tmp_path: Path) -> int | None:
    """The bytes of the weights, from a server that calls the second part `place`."""
    files = {"config.json": CONFIG, "model.safetensors": weights()}

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            path = head.split(" ")[1]
            extra = ""
            status = "200 OK"
            if path.startswith("/api/"):
                siblings = [{"rfilename": name, "size": len(data)} for name, data in files.items()]
                body = json.dumps({"id": "org/m", "sha": COMMIT, "gated": False, "siblings": siblings}).encode()
            else:
                start, end = head.lower().partition("range: bytes=")[2].partition("\r\n")[0].split("-")
                body = files[path.rpartition("/")[2]][int(start) : int(end) + 1]
                status = "206 Partial Content"
                extra = f"Content-Range: bytes {start}-{int(start) + len(body) - 1}/*\r\n"
                if int(start):
                    extra = f"Content-Range: {place}\r\n" if place else ""
            writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{extra}\r\n".encode() + body)
            await writer.drain()

    async with serving(handle) as port:
        facts = HubFacts(None, hub=tmp_path / "hub", endpoint=f"http://127.0.0.1:{port}")
        found = (await facts.read("org/m")).weights
        return None if found is None else found.total


async def test_the_part_that_was_asked_for_is_read(tmp_path: Path) -> None:
    assert await figures(f"bytes {FIRST}-200000/300000", tmp_path) == 3000 * 128


@pytest.mark.parametrize("place", ["", "bytes 0-99999/300000", f"bytes {FIRST}0-200000/300000", "items 1-2/3"])
async def test_another_part_is_refused(place: str, tmp_path: Path) -> None:
    with pytest.raises(HubError, match="cannot send parts"):
        await figures(place, tmp_path)
