"""Models and images to a host of the test cluster, beside bare rsync and docker save | docker load on the same link.

Needs Linux, root and what `./dev integration` installs: the hosts are those of the integration tests.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from unittest import mock

from benchmarks.table import Row
from sparkrun_tui.remote.docker.client import DockerClient
from sparkrun_tui.remote.ports.models import ModelFile, StoredModel
from sparkrun_tui.remote.ssh.pool import SshPool
from sparkrun_tui.remote.transfer.images import DockerImages
from sparkrun_tui.remote.transfer.rsync import RsyncShipper

TESTS = Path(__file__).resolve().parent.parent / "tests/integration"
sys.path.insert(0, str(TESTS))

from cluster import Cluster, Host, HostSpec, images, services  # noqa: E402 - the tests are no installed package
from cluster.layers import LayerCache, cache_directory  # noqa: E402
from cluster.registry import Image, Registry  # noqa: E402
from cluster.workstation import Workstation  # noqa: E402

_CACHE = "~/.cache/huggingface"
_LINKS = {"": "unlimited", "400mbit": "400 Mbit/s"}


def _model(home: Path, size: int) -> StoredModel:
    """A model of random bytes in one file, as huggingface_hub lays it out."""
    hub = home / ".cache/huggingface/hub"
    folder, commit = hub / "models--acme--big", "c" * 40
    for part in ("blobs", "refs", f"snapshots/{commit}"):
        (folder / part).mkdir(parents=True)
    (folder / "refs/main").write_text(commit)
    content = os.urandom(size)
    blob = folder / "blobs" / hashlib.sha256(content).hexdigest()
    blob.write_bytes(content)
    (folder / "snapshots" / commit / "model.safetensors").symlink_to(f"../../blobs/{blob.name}")
    return StoredModel("acme/big", commit, str(hub), (ModelFile("model.safetensors", size),))


def _timed(what: Callable[[], object]) -> float:
    began = time.monotonic()
    what()
    return time.monotonic() - began


def _shell(script: str) -> None:
    subprocess.run(["bash", "-o", "pipefail", "-c", script], check=True, capture_output=True)


def _ship(model: StoredModel, host: Host) -> None:
    async def ship() -> None:
        pool = SshPool()
        shipper = RsyncShipper(pool.resolver, pool.policy)
        async for _moved in shipper.ship(model, pool.transport(host.name), _CACHE):
            pass
        await pool.close()

    asyncio.run(ship())


def _stream(image: Image, sender: Host, receiver: Host) -> None:
    async def stream() -> None:
        pool = SshPool()
        here = pool.transport(sender.name)
        kept = DockerImages(
            lambda transport: DockerClient(here if transport.name == "localhost" else transport),
            pool.resolver,
            pool.policy,
        )
        async for _moved in kept.stream(pool.transport(receiver.name), image.reference):
            pass
        await pool.close()

    asyncio.run(stream())


def _rows(what: str, link: str, ours: list[float], bare: list[float], reference: str) -> list[Row]:
    name = f"{what}, {_LINKS[link]}"
    return [
        Row(f"{name}: {reference}", f"{median(bare):.2f} s", "reference"),
        Row(f"{name}: ours, whole step", f"{median(ours):.2f} s", "<= 1.10 x", f"{median(ours) / median(bare):.2f} x"),
    ]


def _models(home: Path, host: Host, size: int, rounds: int) -> list[Row]:
    model = _model(home, size)
    folder = f"{model.hub}/{model.folder}/"
    rows = []
    for link in _LINKS:
        if link:
            host.faults.slow(link)
        ours, bare = [], []
        for _ in range(rounds):
            host.run("rm -rf /root/.cache/huggingface/hub /root/bare")
            bare.append(_timed(lambda: _shell(f"rsync -a -e 'ssh -o BatchMode=yes' {folder} {host.name}:/root/bare/")))
            host.run("rm -rf /root/.cache/huggingface/hub /root/bare")
            ours.append(_timed(lambda: _ship(model, host)))
        host.faults.full_speed()
        rows += _rows(f"model of {size / 1e6:.0f} MB", link, ours, bare, "bare rsync -a")
    return rows


def _images(image: Image, sender: Host, receiver: Host, bin: Path, rounds: int) -> list[Row]:
    sender.docker("pull", "-q", image.reference)
    wrapper = bin / "docker"
    wrapper.write_text(f'#!/bin/sh\nexec ssh {sender.name} docker "$@"\n')
    wrapper.chmod(0o755)
    size = int(sender.docker("inspect", "--format", "{{.Size}}", image.reference))
    rows = []
    for link in _LINKS:
        if link:
            receiver.faults.slow(link)
        ours, bare = [], []
        for _ in range(rounds):
            receiver.docker("rmi", "--force", image.reference, check=False)
            script = f"docker save {image.reference} | ssh -o BatchMode=yes {receiver.name} docker load -q"
            bare.append(_timed(lambda script=script: _shell(script)))  # type: ignore[misc]
            receiver.docker("rmi", "--force", image.reference, check=False)
            ours.append(_timed(lambda: _stream(image, sender, receiver)))
        receiver.faults.full_speed()
        rows += _rows(f"image of {size / 1e6:.0f} MB", link, ours, bare, "docker save | ssh docker load")
    wrapper.unlink()
    return rows


def run(quick: bool = False) -> list[Row]:
    """Measure, on two hosts that are made for it."""
    rounds, size = (1, 100_000_000) if quick else (3, 1_000_000_000)
    base = images.base_layer(LayerCache(cache_directory() / "layers"))
    with TemporaryDirectory() as folder:
        cluster = Cluster([services.registry(Path(folder) / "registry")])
        try:
            sender, receiver = cluster.add_hosts(HostSpec(), HostSpec())
            cluster.join()
            registry = Registry()
            registry.wait_until_up()
            big = LayerCache(Path(folder) / "layers").files({"big": os.urandom(size // 3)})
            image = Image("spark-tests/big", "1", (base, big), {}, ("sh",))
            registry.push(image)
            person = Workstation(cluster, Path(folder) / "person")
            with mock.patch.dict(os.environ, person.environment(), clear=True):
                rows = _models(person.home, receiver, size, rounds)
                return rows + _images(image, sender, receiver, person.bin, rounds)
        finally:
            cluster.close()
