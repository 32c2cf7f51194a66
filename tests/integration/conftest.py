"""The cluster of real hosts, for every test of this directory, and the workstation that the tests sit at.

One cluster serves the whole session; each test finds it as new: no containers of an earlier test, nothing in its
homes and caches, every fault healed. The tests' own process is inside the cluster's network, so what they call reaches
the hosts by name and address, and reaches nothing else.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from cluster import Cluster, Daemon, Host, HostSpec, images, models, roots, services
from cluster.generations import Generation
from cluster.hub_client import Hub
from cluster.layers import LayerCache, cache_directory
from cluster.registry import Image, Registry
from cluster.workstation import Workstation

import sparkrun_tui
from sparkrun_tui.remote.ssh.pool import SshPool

HOSTS = 2
RECIPES = Path(__file__).parent / "recipes"


CACHE = cache_directory()
"""Read before tests change the environment."""


@pytest.fixture(scope="session")
def all_images() -> images.Images:
    """The tests' images, built or taken from the cache."""
    return images.prepare(LayerCache(CACHE / "layers"))


@pytest.fixture(scope="session")
def pushed_images(all_images: images.Images) -> tuple[Image, ...]:
    """What the registry holds."""
    return all_images.all()


@pytest.fixture(scope="session")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the Hub stand-in serves."""
    made = tmp_path_factory.mktemp("hub")
    models.write_repositories(made)
    return made


@pytest.fixture(scope="session")
def host_spec() -> HostSpec:
    """What each host is like."""
    return HostSpec()


@pytest.fixture(scope="session")
def cluster(pushed_images: tuple[Image, ...], repositories: Path, host_spec: HostSpec) -> Iterator[Cluster]:
    """Two hosts, the registry with all images, and the Hub; the tests' process is on the workstation."""
    running = Cluster([services.registry(CACHE / "registry"), services.hub(repositories)])
    try:
        running.add_hosts(*[host_spec] * HOSTS)
        running.join()
        registry = Registry()
        registry.wait_until_up()
        for image in pushed_images:
            registry.push(image)
        Hub(repositories).wait_until_up()
        running.repositories = repositories
        yield running
    finally:
        remains = running.close()
    assert remains == [], "the cluster left something behind"


@pytest.fixture(scope="session")
def workstation_of_session(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Workstation:
    """The person's home directory, for the whole session."""
    return Workstation(cluster, tmp_path_factory.mktemp("workstation"))


@pytest.fixture(autouse=True)
def private_home(workstation: Workstation) -> Path:
    """Here the private home of each test is the workstation's."""
    return workstation.home


@pytest.fixture
def workstation(workstation_of_session: Workstation, monkeypatch: pytest.MonkeyPatch) -> Workstation:
    """An empty home and a matching environment, in this process and in all that it starts."""
    workstation_of_session.clean()
    environment = workstation_of_session.environment()
    for name in list(os.environ):
        if name not in environment and not name.startswith("PYTEST_"):
            monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    # What is started is the code that the tests import, whichever checkout the interpreter's environment names.
    monkeypatch.setenv("PYTHONPATH", str(Path(sparkrun_tui.__file__).parents[1]))
    return workstation_of_session


@pytest.fixture(autouse=True)
def as_new(cluster: Cluster, hub: Hub) -> Iterator[None]:
    """Every host healed and emptied after the test."""
    yield
    for host in cluster.hosts:
        host.faults.heal()
        host.clean()
    hub.heal()


@pytest.fixture
async def pool(workstation: Workstation) -> AsyncIterator[SshPool]:
    """Links to the hosts, as the program makes them."""
    pool = SshPool()
    yield pool
    await pool.close()


@pytest.fixture(scope="session")
def newer_root(cluster: Cluster) -> Path:
    """The root of Debian 13, made or taken from the cache."""
    cluster.leave()
    try:
        return roots.debian_13(CACHE / "roots")
    finally:
        cluster.join()


@pytest.fixture(scope="session")
def newer_hosts(cluster: Cluster, newer_root: Path) -> list[Host]:
    """Two more hosts, with Debian 13's programs and containerd's image store; made for the first test that asks."""
    return cluster.add_hosts(*[HostSpec(root=newer_root, daemon=Daemon.CONTAINERD)] * HOSTS)


@pytest.fixture
def hosts(request: pytest.FixtureRequest, cluster: Cluster, workstation: Workstation) -> list[Host]:
    """The cluster's two hosts; the first is the head. `cluster.generations.on` chooses others."""
    chosen = getattr(request, "param", Generation.OWN)
    own = cluster.hosts[:HOSTS]
    if chosen is Generation.OWN:
        return own
    newer: list[Host] = request.getfixturevalue("newer_hosts")
    workstation.know_hosts()
    return chosen.of(own, newer)


@pytest.fixture(scope="session")
def hub(cluster: Cluster) -> Hub:
    """The Hub stand-in."""
    return Hub(cluster.repositories)


@pytest.fixture(scope="session")
def registry(cluster: Cluster) -> Registry:
    """The image registry, which the hosts use in place of Docker Hub."""
    return Registry()


@pytest.fixture
def recipes() -> Path:
    """The directory of the recipes that suit the tests' images and models."""
    return RECIPES


@pytest.fixture
def sparkrun(workstation: Workstation) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The program's command line, as a person at the workstation calls it: `sparkrun("status", "-H", "spark-01")`."""

    def call(*arguments: str, timeout: float = 180) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-P", "-m", "sparkrun_tui", *arguments]
        return subprocess.run(
            argv, capture_output=True, text=True, timeout=timeout, check=False, stdin=subprocess.DEVNULL
        )

    return call
