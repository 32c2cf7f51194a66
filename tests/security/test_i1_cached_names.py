"""I1: whoever may write to a host's cache chooses the names of files there, and learns or changes nothing by them."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import pytest

from sparkrun_tui.remote.hub.host_cache import listing_in
from sparkrun_tui.remote.hub.host_store import list_store
from sparkrun_tui.remote.local_transport import LocalTransport
from sparkrun_tui.remote.probe.ask import probe
from sparkrun_tui.remote.probe.cached_model import Wanted
from tests.support.stored import COMMIT, store_model

FORGED = (
    "]]\ninfiniband_dev=yes\nrdma=mlx5_0\teth0\t3\ntool=sha256sum",
    "]]\nlease_renewed=9999999999\n[[lease\n{\"user\":\"bob\",\"launch\":\"abcd2345\"}\n]]",
    "]]\n[[meminfo\nMemTotal: 999999999 kB\nMemAvailable: 999999999 kB\n]]",
    "]]\n[[docker\nversion=1.0\nroot=elsewhere\nsecurity=name=rootless \n]]",
    "]]\n[[listen\nLISTEN 0 4096 *:8000 *:* users:((\"sshd\",pid=1))\n]]",
    "]]\nend=yes",
)  # fmt: skip


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    store_model(tmp_path / "hub", "org/m")
    return tmp_path


def asked(cache: Path, *, quant: str = "", revision: str = "") -> list[Wanted]:
    return [Wanted("org/m", revision, quant, str(cache))]


@pytest.mark.parametrize("end", [".safetensors", ".gguf"])
@pytest.mark.parametrize("quant", ["", "Q4"])
@pytest.mark.parametrize("lines", FORGED)
async def test_a_name_of_several_lines_is_no_fact_of_the_host(cache: Path, lines: str, quant: str, end: str) -> None:
    wanted = asked(cache, quant=quant)
    plain = await probe(LocalTransport(), models=wanted)
    (cache / f"hub/models--org--m/snapshots/{COMMIT}/a{quant}\n{lines}\n[[models\n{end}").write_bytes(b"x")
    found = await probe(LocalTransport(), models=wanted)
    for name in ("infiniband", "rdma", "lease", "docker_kind", "docker_root", "image_root", "memory_total", "models"):
        assert getattr(found, name) == getattr(plain, name), name
    assert 8000 not in found.used_ports or 8000 in plain.used_ports


@pytest.mark.parametrize("holds", ["pipe", "../../../..", f"{COMMIT}\n]]\nend=yes\n"])
async def test_what_a_ref_says_neither_leads_elsewhere_nor_holds_up(cache: Path, holds: str) -> None:
    ref = cache / "hub/models--org--m/refs/main"
    ref.unlink()
    if holds == "pipe":
        os.mkfifo(ref)
    else:
        ref.write_text(holds)
    async with asyncio.timeout(30):
        assert (await probe(LocalTransport(), models=asked(cache))).models == {}
        assert await listing_in(LocalTransport(), str(cache / "hub"), "org/m", "") is None


async def test_a_link_in_a_cache_makes_up_no_other_model(cache: Path) -> None:
    before = await list_store(LocalTransport(), str(cache / "hub"))
    (cache / "hub/models--a--link").symlink_to("x\nrepo\tyes\tme\tmodels--org--forged")
    (cache / "hub/models--b\nrepo\tyes\tme\tmodels--org--other").mkdir()
    found = await list_store(LocalTransport(), str(cache / "hub"))
    assert [repo.repo for repo in found.repos] == ["a/link", "org/m"]
    # Listing a cache may count as reading it, a second later.
    known = tuple(replace(repo, read=0.0) for repo in before.repos)
    others = tuple(replace(repo, read=0.0) for repo in found.repos[1:])
    assert replace(found, repos=others, now=0, disk_free=0) == replace(before, repos=known, now=0, disk_free=0)
