"""D1: a mirror of the Hub decides what a model's files contain, and nothing about where they are written."""

from __future__ import annotations

import asyncio
import json
import os
import resource
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import unquote

import pytest

from sparkrun_tui.remote.hub.downloads import Choice, HubError, HubSource
from sparkrun_tui.remote.ports.models import ModelRequest, StoredModel
from tests.support.serving import requests, serving

COMMIT = "0123456789abcdef" * 2 + "01234567"
OTHER = "f" * 40
FILES = {"config.json": b'{"a": 1}', "sub/notes.txt": b"notes"}


@asynccontextmanager
async def mirror(heads: Mapping[str, str], *, endless_list: bool = False) -> AsyncIterator[str]:
    """The address of a mirror that offers `FILES`, with `heads` among the headers of each.

    With `endless_list` every list of files after the first one has no end.
    """
    lists = 0

    async def answer(path: str, method: str, writer: asyncio.StreamWriter) -> None:
        nonlocal lists
        extra: Mapping[str, str] = {}
        if path.startswith("/api/"):
            lists += 1
            siblings = [{"rfilename": name, "size": len(data)} for name, data in FILES.items()]
            body = json.dumps({"id": "org/m", "sha": COMMIT, "gated": False, "tags": [], "siblings": siblings}).encode()
            if endless_list and lists > 1:
                writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n[")
                while True:
                    writer.write(b" " * (1 << 20))
                    await writer.drain()
        else:
            name = unquote(path.partition(f"/resolve/{COMMIT}/")[2])
            body = FILES.get(name, b"")
            extra = {"ETag": f'"{len(name):040x}"', "X-Repo-Commit": COMMIT, **heads}
        lines = [f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n"]
        lines += [f"{name}: {value}\r\n" for name, value in extra.items()]
        writer.write("".join([*lines, "\r\n"]).encode())
        if method != "HEAD":
            writer.write(body)
        await writer.drain()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async for method, path in requests(reader):
            await answer(path, method, writer)

    async with serving(handle) as port:
        yield f"http://127.0.0.1:{port}"


def everything(names: Sequence[str], _: ModelRequest) -> Choice:
    return Choice(tuple(names))


async def no_wait(_: float) -> None:
    return None


async def fetched(hub: Path, address: str) -> StoredModel:
    source = HubSource(everything, hub=hub, endpoint=address, sleep=no_wait)
    async with asyncio.timeout(120):
        steps = [step async for step in source.fetch(ModelRequest("org/m"))]
    model = steps[-1]
    assert isinstance(model, StoredModel)
    return model


def linked_to(folder: Path) -> set[Path]:
    return {path.resolve() for path in folder.rglob("*") if path.is_symlink()}


def canaries(folder: Path) -> list[Path]:
    return list(folder.rglob("CANARY*"))


async def test_a_plain_mirror_fills_the_cache(tmp_path: Path) -> None:
    hub = tmp_path / "hub"
    async with mirror({}) as address:
        model = await fetched(hub, address)
    folder = hub / "models--org--m"
    assert (folder / "refs" / "main").read_text() == COMMIT == model.commit
    for name, data in FILES.items():
        assert (folder / "snapshots" / COMMIT / name).read_bytes() == data
    assert sorted(os.listdir(folder)) == ["blobs", "refs", "snapshots"], "what the library tried out is gone"


@pytest.mark.parametrize("header", ["ETag", "X-Linked-Etag"])
@pytest.mark.parametrize(
    "name",
    [
        "{base}/CANARY",
        "../../../CANARY",
        "../../models--other--model/snapshots/x/CANARY",
        "../../datasets--other--data/blobs/CANARY",
    ],
)
async def test_no_header_leads_out_of_the_models_folder(header: str, name: str, tmp_path: Path) -> None:
    hub = tmp_path / "hub"
    async with mirror({header: f'"{name.format(base=tmp_path)}"'}) as address:
        with pytest.raises(HubError, match="outside the model's folder"):
            await fetched(hub, address)
    assert not canaries(tmp_path)


async def test_a_file_of_the_user_does_not_become_part_of_a_model(tmp_path: Path) -> None:
    """A blob that exists already is only linked to; the snapshot is then sent to the hosts."""
    key = tmp_path / "id_canary"
    key.write_bytes(FILES["config.json"])
    async with mirror({"ETag": f'"{key}"'}) as address:
        with pytest.raises(HubError, match="outside the model's folder"):
            await fetched(tmp_path / "hub", address)
    assert key not in linked_to(tmp_path / "hub")


@pytest.mark.parametrize("commit", ["../../../../CANARY", OTHER, "refs/../../CANARY"])
async def test_the_commit_of_a_file_cannot_be_chosen(commit: str, tmp_path: Path) -> None:
    async with mirror({"X-Repo-Commit": commit}) as address:
        with pytest.raises(HubError):
            await fetched(tmp_path / "hub", address)
    assert not canaries(tmp_path)


async def test_a_list_without_end_while_downloading_fills_no_memory(tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    async with mirror({}, endless_list=True) as address:
        await fetched(tmp_path / "hub", address)
    assert max(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss - before, 0) < 1 << 20, "KiB"
