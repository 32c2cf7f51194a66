"""Models from the Hub stand-in through the workstation onto real hosts, with the real rsync."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from cluster import Host, models
from cluster.generations import Generation, on, on_both
from cluster.workstation import Workstation

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.launch.sizing.host_models import cached_digest
from sparkrun_tui.remote.hub.downloads import Choice, HubSource
from sparkrun_tui.remote.ports.models import ModelFile, ModelRequest, StoredModel, Transfer
from sparkrun_tui.remote.probe.ask import probe
from sparkrun_tui.remote.probe.cached_model import Wanted
from sparkrun_tui.remote.ssh.host_key_policy import Question
from sparkrun_tui.remote.ssh.pool import SshPool
from sparkrun_tui.remote.transfer.rsync import RsyncShipper

CACHE = "~/.cache/huggingface"
ON_ITS_WAY = 6_000_000
"""Bytes that the buffers of a slow connection hold."""


def choose(names: Sequence[str], request: ModelRequest) -> Choice:
    files = tuple(name for name in names if request.gguf_quant in name)
    return Choice(files, files[0])


def processes(word: str) -> list[str]:
    """The command lines of processes here that contain `word`."""
    shown = subprocess.run(["ps", "-ewwo", "args"], capture_output=True, text=True, check=True).stdout
    return [line for line in shown.splitlines() if word in line]


@pytest.fixture
def shipper(pool: SshPool) -> RsyncShipper:
    return RsyncShipper(pool.resolver, pool.policy, sleep=lambda _seconds: asyncio.sleep(0.3))


async def fetched(repo: str, quant: str = "") -> StoredModel:
    async for item in HubSource(choose).fetch(ModelRequest(repo, gguf_quant=quant)):
        if isinstance(item, StoredModel):
            return item
    raise AssertionError("nothing was stored")


def big_model(size: int = 60_000_000) -> StoredModel:
    """A model of one large file and a small one, as huggingface_hub would have laid it out."""
    hub = Path.home() / ".cache/huggingface/hub"
    folder = hub / "models--acme--big"
    commit = "c" * 40
    for part in ("blobs", "refs", f"snapshots/{commit}"):
        (folder / part).mkdir(parents=True)
    (folder / "refs/main").write_text(commit)
    for name, content in (("model.safetensors", os.urandom(size)), ("config.json", b"{}")):
        blob = folder / "blobs" / hashlib.sha256(content).hexdigest()
        blob.write_bytes(content)
        (folder / "snapshots" / commit / name).symlink_to(f"../../blobs/{blob.name}")
    files = (ModelFile("model.safetensors", size), ModelFile("config.json", 2))
    return StoredModel("acme/big", commit, str(hub), files)


@on(Generation.OWN, Generation.MIXED)
async def test_from_the_hub_onto_both_hosts(pool: SshPool, shipper: RsyncShipper, hosts: list[Host]) -> None:
    model = await fetched(models.CHECKPOINT)
    for host in hosts:
        transport = pool.transport(host.name)
        assert not await shipper.present(model, transport, CACHE)
        seen = [moved async for moved in shipper.ship(model, transport, CACHE)]
        assert seen[-1] == Transfer(model.size, model.size)
        assert seen[0].done == 0
        assert await shipper.present(model, transport, CACHE)
        folder = f"/root/.cache/huggingface/hub/{model.snapshot}"
        assert set(host.run(f"ls {folder}").split()) == {file.name for file in model.files}
        links = host.run(f"cd {folder} && for f in *; do readlink $f; done").split()
        assert all(link.startswith("../../blobs/") for link in links)
        assert host.run(f"cat /root/.cache/huggingface/hub/{model.folder}/refs/main").strip() == model.commit
    assert [moved async for moved in shipper.ship(model, pool.transport(hosts[0].name), CACHE)] == [
        Transfer(model.size, model.size)
    ]


async def test_only_the_chosen_quantisation_travels(pool: SshPool, shipper: RsyncShipper, hosts: list[Host]) -> None:
    model = await fetched(models.GGUF, Path(models.GGUF_CHOSEN).stem.rpartition("-")[2])
    transport = pool.transport(f"spark@{hosts[0].name}")
    async for _moved in shipper.ship(model, transport, CACHE):
        pass
    there = hosts[0].run(f"ls -L /home/spark/.cache/huggingface/hub/{model.snapshot}").split()
    assert there == [file.name for file in model.files]


@on_both
async def test_broken_transfers_resume_and_never_look_whole(
    pool: SshPool, shipper: RsyncShipper, hosts: list[Host]
) -> None:
    model = big_model()
    host = hosts[0]
    host.faults.slow("100mbit")
    transport = pool.transport(host.name)
    before = host.received()
    kills = 0
    async for moved in shipper.ship(model, transport, CACHE):
        if kills < 3 and moved.done > (kills + 1) * 10_000_000:
            kills += 1
            await asyncio.to_thread(host.faults.kill_sessions)
            if kills == 1:
                assert not await shipper.present(model, transport, CACHE)
    assert kills == 3
    # Headers of packets are some four percent; of each break only what was on its way is sent again.
    assert host.received() - before < 1.06 * model.size + 3 * ON_ITS_WAY
    there = host.run(f"sha256sum /root/.cache/huggingface/hub/{model.snapshot}/model.safetensors").split()[0]
    assert there == os.readlink(Path(model.hub) / model.snapshot / "model.safetensors").rpartition("/")[2]
    assert "sparkrun-partial" not in host.run("find /root/.cache/huggingface")


@on_both
async def test_a_stopped_transfer_leaves_no_process(
    pool: SshPool, shipper: RsyncShipper, hosts: list[Host], workstation: Workstation
) -> None:
    model = big_model()
    hosts[0].faults.slow("50mbit")
    moving = shipper.ship(model, pool.transport(hosts[0].name), CACHE)
    async for moved in moving:
        if moved.done > 3_000_000:
            break
    await moving.aclose()  # type: ignore[attr-defined]
    assert [line for line in processes(str(workstation.home)) if "rsync" in line] == []
    await asyncio.sleep(1)
    assert "rsync" not in hosts[0].run("ps -eo comm")


@on_both
async def test_a_cache_that_cannot_be_written_says_so(pool: SshPool, shipper: RsyncShipper, hosts: list[Host]) -> None:
    model = big_model(1000)
    with pytest.raises(HostError, match="cannot be written") as caught:
        async for _moved in shipper.ship(model, pool.transport(f"spark@{hosts[0].name}"), "/root/cache"):
            pass
    assert "chown" in caught.value.remedy


async def test_a_key_with_a_passphrase_serves_transfers_too(
    workstation: Workstation, hosts: list[Host], tmp_path: Path
) -> None:
    key = tmp_path / "locked"
    await asyncio.to_thread(shutil.copy, workstation.cluster.key, key)
    key.chmod(0o600)
    await asyncio.to_thread(
        subprocess.run, ["ssh-keygen", "-q", "-p", "-P", "", "-N", "open sesame", "-f", str(key)], check=True
    )
    text = workstation.ssh_config.read_text().replace(str(workstation.cluster.key), str(key))
    workstation.ssh_config.write_text(text)
    asked: list[Question] = []

    async def answer(question: Question) -> str:
        asked.append(question)
        return "open sesame"

    pool = SshPool(ask=answer)
    shipper = RsyncShipper(pool.resolver, pool.policy, ring=pool.ring)
    model = big_model(1000)
    for host in hosts:
        seen = [moved async for moved in shipper.ship(model, pool.transport(host.name), CACHE)]
        assert seen[-1].done == seen[-1].total
    assert len(asked) == 1
    agents = processes("ssh-agent -D -a")
    assert agents
    await pool.close()
    # It ends by itself once its input is closed.
    for _ in range(100):
        if set(processes("ssh-agent -D -a")).isdisjoint(agents):
            return
        await asyncio.sleep(0.05)
    pytest.fail("the agent with the unlocked key goes on")


async def test_headers_in_the_cache_of_a_host_come_with_its_probe(
    pool: SshPool, shipper: RsyncShipper, hosts: list[Host]
) -> None:
    model = await fetched(models.CHECKPOINT)
    transport = pool.transport(hosts[0].name)
    async for _moved in shipper.ship(model, transport, CACHE):
        pass
    wanted = Wanted(models.CHECKPOINT)
    seen = (await probe(transport, models=[wanted, Wanted("acme/absent")])).models
    assert list(seen) == [wanted]
    digest = await cached_digest(wanted, seen[wanted], hosts[0].name)
    assert digest is not None and digest.weights is not None
    assert (digest.commit, digest.source) == (model.commit, f"headers on {hosts[0].name}")
    sizes = {file.name: file.size for file in model.files if file.name.endswith(".safetensors")}
    assert seen[wanted].sizes == sizes and digest.weights.total <= sum(sizes.values())
