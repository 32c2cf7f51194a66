"""What the Hub, a mirror or a repository answers fills neither memory nor disk, and is refused in plain words."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import struct
import sys
import zlib
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from sparkrun_tui.remote.hub import downloads, facts_worker
from sparkrun_tui.remote.hub.downloads import Choice, HubError, HubSource
from sparkrun_tui.remote.ports.models import ModelFile, ModelPlan, ModelRequest
from tests.support.serving import serving

COMMIT = "0123456789abcdef" * 2 + "01234567"


@asynccontextmanager
async def mirror(head: bytes, begin: bytes, endless: bytes) -> AsyncIterator[str]:
    """The address of a server that answers everything with `head` and `begin`, then `endless` for ever."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 " + head + b"\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n" + begin)
        while endless:
            writer.write(endless)
            await writer.drain()

    async with serving(handle) as port:
        yield f"http://127.0.0.1:{port}"


def everything(names: Sequence[str], _: ModelRequest) -> Choice:
    return Choice(tuple(names))


def _bomb() -> tuple[bytes, bytes]:
    """A compressed stream that goes on: its beginning, and a piece that unpacks to a thousand times its size."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    begin = packer.compress(b'{"a": "') + packer.flush(zlib.Z_SYNC_FLUSH)
    piece = packer.compress(b" " * (8 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return begin, piece


@pytest.mark.parametrize("kind", ["plain", "packed", "refusal"])
async def test_an_answer_that_never_ends_ends_the_child_and_not_the_machine(kind: str, tmp_path: Path) -> None:
    head, begin, endless = b"200 OK", b"", b" " * (1 << 20)
    if kind == "refusal":
        head = b"500 Oh"
    if kind == "packed":
        begin, endless = _bomb()
        head += b"\r\nContent-Encoding: gzip"
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    async with mirror(head, begin, endless) as address:
        source = HubSource(everything, hub=tmp_path, endpoint=address)
        with pytest.raises(HubError, match="answer about org/m is too large") as caught:
            async with asyncio.timeout(90):
                await source.plan(ModelRequest("org/m"))
    assert not caught.value.unreached
    assert max(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss - before, 0) < 2 << 20


def test_a_list_of_very_many_files_is_refused() -> None:
    files = [{"name": f"f{number}", "size": 1} for number in range(downloads.MOST_FILES + 1)]
    message = downloads.worker_message(json.dumps({"kind": "listing", "commit": COMMIT, "files": files}).encode())
    with pytest.raises(HubError, match="more than can be taken"):
        downloads._listed(message, "org/m")


async def test_a_download_that_outgrows_what_was_announced_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = tmp_path / "pid"
    worker = tmp_path / "worker"
    worker.write_text(
        "import json, os, sys, time\n"
        f"open({str(pid)!r}, 'w').write(str(os.getpid()))\n"
        "for n in range(1000):\n"
        "    print(json.dumps({'kind': 'progress', 'done': n << 28}), flush=True); time.sleep(0.01)\n"
    )
    spawn = downloads.children.spawn

    async def replaced(words: Sequence[str], **options: object) -> asyncio.subprocess.Process:
        return await spawn([sys.executable, str(worker)], **options)  # type: ignore[arg-type]

    monkeypatch.setattr(downloads.children, "spawn", replaced)
    plan = ModelPlan("org/m", downloads.identifiers.commit(COMMIT) or pytest.fail(), (ModelFile("a", 1000),))
    source = HubSource(everything, hub=tmp_path / "hub")
    moving = source._download(plan, ModelRequest("org/m"), None, downloads.Meter())
    with pytest.raises(HubError, match="more than org/m is said to have"):
        async with asyncio.timeout(30), aclosing(moving):
            async for _ in moving:
                pass
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def safetensors(count: int) -> bytes:
    header = {f"t{number}": {"dtype": "BF16", "shape": [1], "data_offsets": [0, 2]} for number in range(count)}
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text


def request_of(names: Sequence[str], quant: str = "") -> dict[str, object]:
    whole = {"model": "org/m", "source": "here", "commit": COMMIT, "quant": quant}
    return {**whole, "files": ["config.json", *names]}


def reader(content: bytes, asked: list[str]) -> facts_worker.Read:
    def read(name: str, start: int, size: int) -> bytes:
        asked.append(name)
        return b'{"model_type": "llama"}' if name == "config.json" else content[start : start + size]

    return read


def test_the_tensors_of_all_files_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts_worker, "_MOST_TENSORS", 5000)
    names = [f"model-{number:05d}.safetensors" for number in range(1500)]
    asked: list[str] = []
    with pytest.raises(facts_worker.Refused, match="more than 5,000 tensors"):
        facts_worker.digest_of(request_of(names), reader(safetensors(1000), asked))
    assert len(asked) < 100
    ggufs = [f"m-Q4_K_M-{number:05d}.gguf" for number in range(20)]
    header = b"GGUF" + struct.pack("<IQQ", 3, 1000, 0)
    header += b"".join(struct.pack("<Q", 1) + b"t" + struct.pack("<IQIQ", 1, 1, 0, 0) for _ in range(1000))
    with pytest.raises(facts_worker.Refused, match="more than 5,000 tensors"):
        facts_worker.digest_of(request_of(ggufs, "Q4_K_M"), reader(header, []))


def test_very_many_files_of_weights_are_refused_before_one_is_read() -> None:
    asked: list[str] = []
    names = [f"{number}.safetensors" for number in range(5000)]
    with pytest.raises(facts_worker.Refused, match="5,000 files of weights"):
        facts_worker.digest_of(request_of(names), reader(safetensors(1), asked))
    assert asked == ["config.json"]
