"""Shipping models with a stand-in for rsync that copies, breaks off and refuses as the real one does."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.remote.failures import LinkLost
from sparkrun_tui.remote.local_transport import LocalTransport
from sparkrun_tui.remote.ports.models import ModelFile, StoredModel, Transfer
from sparkrun_tui.remote.ssh.host_key_policy import HostKeyPolicy
from sparkrun_tui.remote.transfer.rsync import RsyncShipper, explain, parts_of, progress, version
from tests.support.site import FixedResolver, Site

COMMIT = "c" * 40

# Copies what --files-from names; MODE in a file beside it says how to misbehave, a line a call.
STAND_IN = (
    f"#!{sys.executable}\n"
    + """\
import os, shutil, sys, time
here = os.path.dirname(os.path.abspath(__file__))
if "--version" in sys.argv:
    own = here + "/version"
    print(open(own).read() if os.path.exists(own) else "rsync  version 3.2.7  protocol version 31")
    sys.exit()
with open(here + "/calls", "a") as calls:
    calls.write("\\t".join(sys.argv[1:]) + "\\n")
modes = open(here + "/modes").read().split() if os.path.exists(here + "/modes") else []
mode = modes.pop(0) if modes else "ok"
open(here + "/modes", "w").write(" ".join(modes))
names = sys.stdin.buffer.read().decode().split("\\0")
with open(here + "/names", "a") as log:
    log.write(" ".join(names) + "\\n")
source, target = sys.argv[-2:]
target = target.partition(":")[2] or target
target = target if target.startswith("/") else os.path.join(os.environ["HOME"], target)
print("sending incremental file list")
sent = 0
for name in names:
    if mode.isdigit():
        sys.stderr.write("rsync error: unexplained\\n" if mode != "255" else "Connection reset by peer\\n")
        sys.exit(int(mode))
    if mode == "hang":
        time.sleep(100)
    path = os.path.join(target, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if os.path.islink(source + name):
        if not os.path.lexists(path):
            os.symlink(os.readlink(source + name), path)
    else:
        shutil.copy(source + name, path)
        sent += os.path.getsize(path)
    sys.stdout.write("\\r%17s  50%%  100.00MB/s    0:00:00 (xfr#1, to-chk=1/2)" % format(sent, ","))
    if mode == "half":
        sys.stdout.flush()
        sys.stderr.write("Connection reset by peer\\nrsync error: unexplained error (code 255)\\n")
        sys.exit(255)
print()
"""
)


class Bench:
    """A model in a cache on this machine, and a shipper with the stand-in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hub = folder / "hub"
        root = self.hub / "models--acme--tiny"
        for part in ("blobs", "refs", f"snapshots/{COMMIT}/sub"):
            (root / part).mkdir(parents=True)
        (root / "refs/main").write_text(COMMIT)
        self.files = []
        for name, size in (("model.safetensors", 5000), ("config.json", 7), ("sub/x.json", 3)):
            (root / "blobs" / f"sha-{size}").write_bytes(b"x" * size)
            up = "../../../blobs" if "/" in name else "../../blobs"
            (root / "snapshots" / COMMIT / name).symlink_to(f"{up}/sha-{size}")
            self.files.append(ModelFile(name, size, True))
        self.model = StoredModel("acme/tiny", COMMIT, str(self.hub), tuple(self.files))
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.program = self.bin / "rsync"
        self.program.write_text(STAND_IN)
        self.program.chmod(0o755)
        self.pauses: list[float] = []
        self.shipper = RsyncShipper(
            FixedResolver(), HostKeyPolicy(folder / "own"), rsync=str(self.program), sleep=self.sleep
        )
        self.cache = str(folder / "there" / "huggingface")

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)

    def modes(self, *modes: str) -> None:
        (self.bin / "modes").write_text(" ".join(modes))

    def names(self) -> list[list[str]]:
        return [line.split() for line in (self.bin / "names").read_text().splitlines()]

    async def ship(self) -> list[Transfer]:
        return [moved async for moved in self.shipper.ship(self.model, LocalTransport(), self.cache)]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def test_blobs_first_then_links_then_the_ref(bench: Bench) -> None:
    assert not await bench.shipper.present(bench.model, LocalTransport(), bench.cache)
    seen = await bench.ship()
    assert (seen[0].done, seen[0].total) == (0, 5010)
    assert seen[-1] == Transfer(5010, 5010)
    blobs, links, refs = bench.names()
    assert set(blobs) == {f"models--acme--tiny/blobs/sha-{size}" for size in (5000, 7, 3)}
    assert all("/snapshots/" in name for name in links)
    assert refs == ["models--acme--tiny/refs/main"]
    assert await bench.shipper.present(bench.model, LocalTransport(), bench.cache)
    there = Path(bench.cache) / "hub" / bench.model.snapshot / "sub/x.json"
    assert there.is_symlink()
    assert there.read_bytes() == b"xxx"


async def test_nothing_is_sent_when_all_is_there(bench: Bench) -> None:
    await bench.ship()
    calls = (bench.bin / "calls").read_text()
    assert await bench.ship() == [Transfer(5010, 5010)]
    assert (bench.bin / "calls").read_text() == calls


async def test_only_what_is_missing_counts_as_to_be_sent(bench: Bench) -> None:
    await bench.ship()
    (Path(bench.cache) / "hub/models--acme--tiny/blobs/sha-7").unlink()
    seen = await bench.ship()
    assert seen[0].done == 5003


async def test_what_breaks_off_is_tried_again_and_goes_on(bench: Bench) -> None:
    bench.modes("half", "255", "ok")
    seen = await bench.ship()
    assert seen[-1].done == 5010
    assert bench.pauses == [2.0, 4.0]


async def test_a_line_that_never_holds_is_given_up(bench: Bench) -> None:
    bench.modes(*["255"] * 20)
    with pytest.raises(LinkLost, match="broke off: Connection reset"):
        await bench.ship()
    assert bench.pauses == [2.0, 4.0, 8.0, 16.0, 20.0]


@pytest.mark.parametrize("code", ["11", "23", "1"])
async def test_what_will_not_pass_is_told_at_once(bench: Bench, code: str) -> None:
    bench.modes(code)
    with pytest.raises(HostError):
        await bench.ship()
    assert bench.pauses == []


async def test_a_transfer_that_is_left_is_stopped(bench: Bench) -> None:
    bench.modes("hang")
    moving = bench.shipper.ship(bench.model, LocalTransport(), bench.cache)
    await anext(moving)
    task = asyncio.create_task(anext(moving))  # type: ignore[arg-type]
    await asyncio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_another_program_of_that_name_is_refused(bench: Bench) -> None:
    (bench.bin / "version").write_text("openrsync: protocol version 29\nrsync version 2.6.9 compatible")
    with pytest.raises(HostError, match="too old or another program") as caught:
        await bench.ship()
    assert "brew install rsync" in caught.value.remedy
    (bench.bin / "version").unlink()
    missing = RsyncShipper(FixedResolver(), HostKeyPolicy(bench.folder / "own"), rsync="no-such-rsync")
    with pytest.raises(HostError, match="not installed"):
        async for _ in missing.ship(bench.model, LocalTransport(), bench.cache):
            pass


async def test_to_a_host_it_goes_through_ssh_with_our_options(
    site: Site, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bench.bin / "ssh").write_text("#!/bin/sh\n")
    (bench.bin / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{bench.bin}:{os.environ['PATH']}")
    shipper = RsyncShipper(site.resolver, site.policy, rsync=str(bench.program), sleep=bench.sleep)
    transport = site.pool.transport("spark")
    async for _moved in shipper.ship(bench.model, transport, bench.cache):
        pass
    call = (bench.bin / "calls").read_text().splitlines()[0].split("\t")
    shell = call[call.index("-e") + 1]
    assert shell.startswith("ssh ")
    assert f"-p {site.server.port}" in shell
    assert "StrictHostKeyChecking=yes" in shell
    assert call[-1] == f"127.0.0.1:{bench.cache}/hub/"
    assert call[-3] == "--"
    assert await shipper.present(bench.model, transport, bench.cache)


def test_files_that_are_no_links_are_sent_as_they_are(bench: Bench) -> None:
    path = bench.hub / bench.model.snapshot / "config.json"
    path.unlink()
    path.write_bytes(b"1234567")
    parts = parts_of(bench.model)
    assert "models--acme--tiny/blobs/sha-7" not in parts.blobs
    assert f"{bench.model.snapshot}/config.json" in parts.links


@pytest.mark.parametrize(
    ("line", "done"),
    [
        (b"    104,857,600  17%   98.63MB/s    0:00:05 ", 104857600),
        (b"    609,280,000 100%  110.12MB/s    0:00:05 (xfr#3, to-chk=0/9)", 609280000),
        (b"              0   0%    0.00kB/s    0:00:00 (xfr#0, to-chk=3/3)", 0),
        (b"models--x/blobs/abc", None),
        (b"", None),
    ],
)
def test_progress_lines(line: bytes, done: int | None) -> None:
    assert progress(line) == done


def test_versions() -> None:
    assert version("rsync  version 3.2.7  protocol version 31") == (3, 2)
    assert version("rsync  version v3.4.1") == (3, 4)
    assert version("openrsync: protocol version 29\nrsync version 2.6.9 compatible") is None


@pytest.mark.parametrize(
    ("code", "said", "match"),
    [
        (255, "me@h: Permission denied (publickey).", "refuses the ssh login"),
        (12, "bash: line 1: rsync: command not found\nrsync error: error in rsync protocol", "missing on the host"),
        (2, "protocol version mismatch -- is your shell clean?", "prints text"),
        (11, "rsync: write failed: No space left on device (28)\nrsync error: error in file IO", "No space left"),
        (23, 'rsync: [receiver] mkstemp "/x" failed: Permission denied (13)\nrsync error: some files', "mkstemp"),
        (30, "rsync error: timeout in data send/receive", "broke off"),
        (4, "", "rsync failed \\(4\\)"),
    ],
)
def test_exit_codes_in_words(code: int, said: str, match: str) -> None:
    with pytest.raises(HostError, match=match) as caught:
        raise explain(code, said, "spark")
    assert caught.value.host == "spark"
