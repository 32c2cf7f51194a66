"""J2: a host whose files cannot be read does not hold up the check of the others, nor for ever that of its own."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.user.settings import Cluster
from sparkrun_tui.launch.stores import verify as verifying
from sparkrun_tui.launch.stores.look import look
from sparkrun_tui.launch.stores.verify import Verdict, verify_models
from sparkrun_tui.remote.hub import gguf_length
from sparkrun_tui.remote.hub.gguf_length import gguf_least_size
from sparkrun_tui.remote.local_transport import LocalTransport
from tests.security.test_h1_shared_stores import DEVICE, hub, mounted, services
from tests.support.stored import COMMIT, store_model
from tests.support.weights import gguf

__all__ = ["hub"]


async def test_a_disk_that_never_answers_is_not_waited_for(
    tmp_path: Path, hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gguf_length, "TIMEOUT", 0.5)
    program = tmp_path / "bin/head"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    began = time.monotonic()
    with pytest.raises(HostError, match="could not be read within"):
        await gguf_least_size(LocalTransport(), str(tmp_path / "x.gguf"), 10)
    assert time.monotonic() - began < 20
    # Its process ends by itself, since nobody holds its input any more.
    await asyncio.sleep(1.0)


async def test_a_host_that_fails_again_and_again_is_left(
    tmp_path: Path, hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounted(tmp_path, DEVICE)
    for number in range(12):
        folder = store_model(hub, f"org/m{number}")
        (folder / "snapshots" / COMMIT / "m.gguf").write_bytes(gguf(32))
    asked: list[str] = []

    async def never(_transport: object, path: str, _size: int) -> int:
        asked.append(path)
        await asyncio.sleep(0)
        raise HostError("gone", host="spark-1")

    monkeypatch.setattr(verifying, "gguf_least_size", never)
    cluster, hosts = Cluster("home", ("spark-1",), hf_cache=str(hub.parent)), services({"spark-1": []})
    found = await verify_models(await look(cluster, hosts), cluster, hosts, ask_hub=False)
    assert len(found) == 12 and {checked.verdict for checked in found} == {Verdict.UNKNOWN}
    assert len(asked) < 8
    assert any("not checked, since 3 others could not be" in checked.detail for checked in found)


async def test_slow_headers_of_one_host_are_given_up(
    tmp_path: Path, hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounted(tmp_path, DEVICE)
    folder = store_model(hub, "org/m")
    for number in range(50):
        (folder / "snapshots" / COMMIT / f"m{number}.gguf").write_bytes(gguf(32))
    asked: list[str] = []

    async def slow(_transport: object, path: str, _size: int) -> int:
        asked.append(path)
        await asyncio.sleep(0.2)
        return 1

    monkeypatch.setattr(verifying, "gguf_least_size", slow)
    monkeypatch.setattr(verifying, "_MOST_READING", 0.5)
    cluster, hosts = Cluster("home", ("spark-1",), hf_cache=str(hub.parent)), services({"spark-1": []})
    (checked,) = await verify_models(await look(cluster, hosts), cluster, hosts, ask_hub=False)
    assert len(asked) < 6
    assert checked.verdict is Verdict.UNKNOWN and "took too long to read" in checked.detail
