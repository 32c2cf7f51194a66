"""K1: what the Hub, or a mirror, lists costs no look into this machine's disk for each name, and holds nothing up."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from sparkrun_tui.remote.hub.downloads import Choice, HubSource
from sparkrun_tui.remote.ports.models import ModelRequest
from tests.support.serving import serving

COMMIT = "0123456789abcdef" * 2 + "01234567"
FILES = 5000


def everything(names: Sequence[str], _: ModelRequest) -> Choice:
    return Choice(tuple(names))


@pytest.mark.parametrize("quant", ["", "Q4"])
async def test_a_long_list_of_deep_names_is_compared_with_the_cache_by_one_walk(
    quant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"{'a/' * 20}{number}.safetensors" for number in range(FILES)]
    here = tmp_path / "models--org--m" / "snapshots" / COMMIT / "a" / "whole.safetensors"
    here.parent.mkdir(parents=True)
    here.write_bytes(b"1234")
    files = [{"rfilename": name, "size": 1} for name in [*names, "a/whole.safetensors"]]
    body = json.dumps({"id": "org/m", "sha": COMMIT, "siblings": files}).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head + body)

    looked = 0
    real = os.path.realpath

    def counted(path: str, *, strict: bool = False) -> str:
        nonlocal looked
        looked += 1
        return real(path, strict=strict)

    async with serving(handle) as port:
        source = HubSource(everything, hub=tmp_path, endpoint=f"http://127.0.0.1:{port}")
        monkeypatch.setattr(os.path, "realpath", counted)
        plan = await source.plan(ModelRequest("org/m", gguf_quant=quant))
    assert len(plan.files) == FILES + 1
    assert [file.name for file in plan.files if file.cached] == []
    assert looked < 20


async def test_a_file_that_is_here_with_its_size_is_not_fetched(tmp_path: Path) -> None:
    snapshot = tmp_path / "models--org--m" / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (snapshot / "whole.safetensors").write_bytes(b"1234")
    (snapshot / "cut.safetensors").write_bytes(b"12")
    files = [{"rfilename": name, "size": 4} for name in ("whole.safetensors", "cut.safetensors", "new.safetensors")]
    body = json.dumps({"id": "org/m", "sha": COMMIT, "siblings": files}).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head + body)

    async with serving(handle) as port:
        source = HubSource(everything, hub=tmp_path, endpoint=f"http://127.0.0.1:{port}")
        plan = await source.plan(ModelRequest("org/m"))
    assert [file.name for file in plan.files if file.cached] == ["whole.safetensors"]
