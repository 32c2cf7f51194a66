"""A9: whatever a Docker daemon answers, its host is named, the others are shown, and memory stays bounded."""

from __future__ import annotations

import asyncio
import json
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from sparkrun_tui.engines.plan import LABEL
from sparkrun_tui.fleet.model import FleetView
from sparkrun_tui.fleet.survey import MOST_SHOWN, survey
from sparkrun_tui.remote.docker.client import DockerClient
from sparkrun_tui.remote.docker.types import DockerError
from sparkrun_tui.remote.transport import LinkState
from tests.launch.fakes import FakeCluster
from tests.support.scripted import ScriptedTransport


@asynccontextmanager
async def hostile(
    path: Path, bodies: dict[str, bytes], version: bytes = b"1.41", endless: bytes = b""
) -> AsyncIterator[DockerClient]:
    """A client of a daemon that answers requests whose path holds a key with that body, for ever if `endless`."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                target = head.split(b" ")[1].decode()
                body = next((body for key, body in bodies.items() if key in target), b"OK")
                length = b"" if endless and "_ping" not in target else b"Content-Length: %d\r\n" % len(body)
                writer.write(b"HTTP/1.1 200 OK\r\nApi-Version: " + version + b"\r\n" + length + b"\r\n" + body)
                while not length:
                    writer.write(endless)
                    await writer.drain()
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_unix_server(serve, str(path))
    client = DockerClient(ScriptedTransport(sockets={"/var/run/docker.sock": path}))
    async with server:
        yield client
        await client.close()


def entry(number: int = 0, **changes: object) -> dict[str, object]:
    labels = {f"{LABEL}launch": f"{number:08d}", f"{LABEL}rank": "0", f"{LABEL}nodes": "1"}
    whole = {"Id": f"{number:064x}", "Names": [f"/c{number}"], "Image": "i", "State": "exited", "Labels": labels}
    return whole | {"Status": "Exited (0)", "Created": 1_700_000_000 - number} | changes


def listed(*entries: object) -> bytes:
    return json.dumps(entries).encode()


WRONG = {
    "html": b"<html>no</html>",
    "null": b"null",
    "object": b'{"a": 1}',
    "numbers": b"[1, 2]",
    "nulls": b"[null]",
    "deep": b"[" * 100_000,
    "long number": b"[" + b"9" * 5000 + b"]",
    "not utf-8": b'["\xff\xfe"]',
    "id": listed(entry(Id=7)),
    "id with a path": listed(entry(Id="../../x\r\nA: b")),
    "surrogate": b'[{"Id": "\\ud800", "State": "running"}]',
    "names": listed(entry(Names={"a": 1})),
    "state": listed(entry(State=[])),
    "labels": listed(entry(Labels=["a"])),
    "label": listed(entry(Labels={"a": 5})),
    "status": listed(entry(Status=5)),
}


@pytest.mark.parametrize("body", WRONG.values(), ids=WRONG.keys())
async def test_lists_of_a_wrong_shape_are_docker_errors(tmp_path: Path, body: bytes) -> None:
    async with hostile(tmp_path / "d.sock", {"/containers/json": body}) as client:
        with pytest.raises(DockerError, match="cannot be understood"):
            await client.containers()


@pytest.mark.parametrize("status", ["Exited (--5)", "Exited (²)", "Exited (" + "9" * 5000 + ")"])
async def test_numbers_that_are_none_are_unknown(tmp_path: Path, status: str) -> None:
    async with hostile(
        tmp_path / "d.sock", {"/containers/json": listed(entry(Status=status))}, "².²".encode()
    ) as client:
        assert [info.exit_code for info in await client.containers()] == [None]


@pytest.mark.parametrize("body", [b"[]", b"5", b'{"State": []}', b'{"Id": "a", "State": {"Status": 5}}'])
async def test_inspected_containers_of_a_wrong_shape_are_docker_errors(tmp_path: Path, body: bytes) -> None:
    async with hostile(tmp_path / "d.sock", {"/json": body}) as client:
        with pytest.raises(DockerError):
            await client.inspect("a")


async def test_a_body_that_never_ends_stops_at_its_cap(tmp_path: Path) -> None:
    async with hostile(tmp_path / "d.sock", {"/json": b"["}, endless=b"1," * 32_768) as client:
        tracemalloc.start()
        with pytest.raises(DockerError, match="sent an answer of more than"):
            await client.containers()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 64 << 20


async def test_malformed_lines_of_a_pull_cost_nothing(tmp_path: Path) -> None:
    lines = [b"{", b"\xff\xfe", b"5", b'{"status": 5}', b'{"id": "a", "status": "Downloading", "progressDetail": []}',
             b"[" * 100_000, b'{"id": "a", "status": "Pull complete"}']  # fmt: skip
    bodies = {"/images/create": b"\n".join(lines), "/images/": b'{"Id": "sha256:1"}'}
    async with hostile(tmp_path / "d.sock", bodies) as client:
        assert [step.layers_done async for step in client.pull("a/b:1")][-1] == 1


async def seen(cluster: FakeCluster, client: DockerClient) -> FleetView:
    """A survey of two hosts of which the first has a hostile daemon."""
    honest = cluster.services.docker
    services = replace(
        cluster.services, docker=lambda transport: client if transport.name == "spark-1" else honest(transport)
    )
    return await survey(cluster.cluster, services)


@pytest.mark.parametrize("body", WRONG.values(), ids=WRONG.keys())
async def test_a_survey_shows_the_other_hosts(tmp_path: Path, body: bytes) -> None:
    cluster = FakeCluster("spark-1", "spark-2")
    async with hostile(tmp_path / "d.sock", {"/containers/json": body}) as client:
        view = await seen(cluster, client)
    assert view.hosts[0].link.state is LinkState.UNREACHABLE
    assert "cannot be understood" in view.hosts[0].link.detail
    assert view.hosts[1].facts is not None


@pytest.mark.parametrize("value", ["1000000000", "9" * 5000, "²", "-1"])
async def test_labels_are_bounded(tmp_path: Path, value: str) -> None:
    labels = {f"{LABEL}launch": "aaaa2345", **{f"{LABEL}{name}": value for name in ("rank", "nodes", "port")}}
    inspected = {"Id": "a", "State": {"Status": "running"}, "Config": {"Labels": labels}}
    bodies = {"/containers/json": listed(entry(Labels=labels)), "/json": json.dumps(inspected).encode()}
    async with hostile(tmp_path / "d.sock", bodies) as client:
        view = await seen(FakeCluster("spark-1", "spark-2"), client)
    (workload,) = view.workloads
    assert (workload.expected_ranks, workload.port) == (1, None)


async def test_thousands_of_containers_are_cut_with_a_word(tmp_path: Path) -> None:
    inspected = {"Id": "a", "State": {"Status": "exited"}, "Config": {"Labels": {f"{LABEL}launch": "aaaa2345"}}}
    bodies = {"/containers/json": listed(*map(entry, range(20_000))), "/json": json.dumps(inspected).encode()}
    async with hostile(tmp_path / "d.sock", bodies) as client:
        view = await seen(FakeCluster("spark-1", "spark-2"), client)
    assert f"{MOST_SHOWN} are shown" in view.hosts[0].note
    assert sum(len(item.ranks) for item in view.workloads) == MOST_SHOWN


async def test_a_defect_at_one_host_is_named_and_hides_no_other() -> None:
    cluster = FakeCluster("spark-1", "spark-2")
    honest = cluster.services.docker

    def broken(transport: object) -> object:
        if getattr(transport, "name", "") == "spark-1":
            raise AttributeError("nobody foresaw this")
        return honest(transport)  # type: ignore[arg-type]

    view = await survey(cluster.cluster, replace(cluster.services, docker=broken))  # type: ignore[arg-type]
    assert "unexpected AttributeError" in view.hosts[0].link.detail
    assert "defect" in view.hosts[0].link.remedy
    assert view.hosts[1].facts is not None
