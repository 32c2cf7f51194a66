"""H1: a host that lists as many models, images and containers as it may does not hold the app up."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from sparkrun_tui.engines.plan import LABEL
from sparkrun_tui.launch.stores.look import view_of
from sparkrun_tui.launch.stores.model import HostStores, NamedBy, StoresView, User
from sparkrun_tui.launch.stores.prune import offer_images, offer_models, why_model_stays
from sparkrun_tui.launch.stores.uses import uses_of_image, uses_of_model
from sparkrun_tui.remote.docker.types import ContainerInfo, ImageListed
from sparkrun_tui.remote.hub import gguf_length
from sparkrun_tui.remote.hub.gguf_length import gguf_least_size
from sparkrun_tui.remote.hub.host_store import HostStore, StoredRepo
from sparkrun_tui.remote.local_transport import LocalTransport

COUNT = 300
SECONDS = 6.0
"""Much more than is needed, and a tenth of what looking at each pair takes."""


def host(count: int, command: str, *, state: str = "running", labelled: bool = False) -> HostStores:
    """A host with as many models, images and containers, which all mount its cache."""
    repos = tuple(StoredRepo(f"org/m{number}", size=1) for number in range(count))
    labels = {}
    if labelled:
        models = ",".join(f"org/m{number}" for number in range(count))
        labels = {f"{LABEL}launch": "abcd2345", f"{LABEL}models": models}
    containers = tuple(
        ContainerInfo(f"c{number}", f"c{number}", f"img{number}", state, labels, mounts=("/hub",), command=command)
        for number in range(count)
    )
    images = tuple(ImageListed(f"sha256:{number}", (f"img{number}:1",), (), 1) for number in range(count))
    store = HostStore("/hub", 0.0, "me", "boot", repos=repos)
    return HostStores("spark-1", store=store, images=images, containers=containers)


@pytest.mark.parametrize("command", ["x" * 200, "vllm serve org/m7", "org/m" * 1000])
@pytest.mark.parametrize("labelled", [False, True])
def test_what_uses_what_is_found_in_little_time(command: str, labelled: bool) -> None:
    named = [NamedBy(User.RECIPE, f"r{number}", f"org/m{number}", f"img{number}:1") for number in range(COUNT)]
    made = host(COUNT, command, labelled=labelled)
    began = time.process_time()
    view = view_of("lab", 0.0, [made], named)
    offer_models(view)
    offer_images(view)
    assert time.process_time() - began < SECONDS
    assert len(view.models) == COUNT
    assert max(len(model.uses) for model in view.models) < 200


def test_one_that_holds_a_model_is_among_those_that_are_kept() -> None:
    ended = [ContainerInfo(f"c{number}", "c", "i", "exited", {}, mounts=("/hub",)) for number in range(500)]
    runs = ContainerInfo("last", "the-last", "i", "running", {}, mounts=("/hub",))
    stored = StoredRepo("org/m", size=1)
    store = HostStore("/hub", 0.0, "me", "boot", repos=(stored,))
    made = HostStores("spark-1", store=store, images=(), containers=(*ended, runs))
    assert "the-last" in why_model_stays(made, stored)
    image = ImageListed("sha256:1", ("i",), (), 1)
    assert any(use.holds for use in uses_of_image(made, image, ()))
    speaks = ContainerInfo("last", "the-last", "i", "running", {}, command="serve org/m")
    assert "the-last" in why_model_stays(HostStores("spark-1", store=store, containers=(*ended, speaks)), stored)
    busy = [ContainerInfo(f"r{number}", "other", "i", "running", {}) for number in range(500)]
    many = HostStores("spark-1", store=store, containers=(*busy, speaks))
    assert "one of very many" in why_model_stays(many, stored)
    assert len(uses_of_model(made, stored, ())) < 100


async def test_a_header_is_not_read_in_the_turn_of_the_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[threading.Thread] = []

    def slow(_fetch: object) -> int:
        threads.append(threading.current_thread())
        return 1

    monkeypatch.setattr(gguf_length, "least_size", slow)
    path = tmp_path / "m.gguf"
    path.write_bytes(b"GGUF" * 10)
    assert await gguf_least_size(LocalTransport(), str(path), 40) == 1
    assert threads and threading.main_thread() not in threads


def test_views_of_hosts_are_not_kept_for_long() -> None:
    views: list[StoresView] = [view_of("lab", 0.0, [host(2, "x")], ()) for _ in range(40)]
    assert len(views) == 40
    from sparkrun_tui.launch.stores import uses

    assert len(uses._USERS._known) <= 16
