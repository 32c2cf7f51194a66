"""Launches that must not go on: what stands in the way is said in time, by name, and nothing is changed for it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cluster import Cluster as Hosts
from cluster import Host, HostSpec
from cluster.generations import Generation, on, on_both
from cluster.hub_client import Hub
from cluster.spec import REGISTRY
from cluster.workstation import Workstation
from fetching import wait_for
from test_launch_faults import begin, launcher, pair, ready, recipe, remaining, until

from sparkrun_tui.launch.record.events import LaunchStatus
from sparkrun_tui.recipe.format.loader import load_recipe
from sparkrun_tui.recipe.values.overrides import render
from sparkrun_tui.recipe.values.rendered import Rendered

RECIPES = Path(__file__).with_name("recipes")
PORT = 5999
TRACES = "ls -A ~/.cache/sparkrun-tui ~/.cache/huggingface 2>/dev/null | grep -v : || true"


def untouched(host: Host) -> bool:
    """No container, no lease, no model: nothing was changed on the host."""
    return host.containers() == [] and host.run(TRACES).split() == []


# --- seen before anything is changed -----------------------------------------------------------------------------


@on_both
async def test_a_port_that_is_taken_is_said_before_anything_is_changed(hosts: list[Host]) -> None:
    hosts[0].run("setsid python3 -m http.server 8000 </dev/null >/dev/null 2>&1 & echo $! >/tmp/server.pid")
    wait_for(hosts[0], "/", 200)
    try:
        async with launcher() as at:
            launch = begin(at, hosts[:1], recipe("tiny-llama"))
            state = await launch.wait_ended()
    finally:
        hosts[0].run("kill $(cat /tmp/server.pid)")
    assert state.status is LaunchStatus.FAILED
    assert "port 8000 is in use" in state.detail
    assert untouched(hosts[0])


async def test_a_disk_that_is_too_small_is_said_before_anything_is_changed(
    cluster: Hosts, workstation: Workstation
) -> None:
    small = cluster.add_host(HostSpec(disk="40m"))
    workstation.know_hosts()
    try:
        async with launcher() as at:
            launch = begin(at, [small], recipe("tiny-llama"))
            state = await launch.wait_ended()
        assert state.status is LaunchStatus.FAILED
        assert "little room for" in state.detail
        assert state.diagnosis is not None and state.diagnosis.host == small.name
        assert untouched(small)
    finally:
        cluster.remove_host(small)


@on_both
async def test_the_same_launch_again_is_told_that_it_runs(hosts: list[Host]) -> None:
    async with launcher() as at:
        first = begin(at, hosts[:1], recipe("tiny-llama"))
        await ready(first)
        listing = ("ps", "--all", "--no-trunc", "--format", "{{.ID}} {{.Names}} {{.State}} {{.CreatedAt}}")
        before = hosts[0].docker(*listing), hosts[0].run(TRACES)
        again = begin(at, hosts[:1], recipe("tiny-llama"))
        state = await again.wait_ended()
        assert state.status is LaunchStatus.FAILED
        assert "already runs with these settings" in state.detail and first.launch_id in state.detail
        assert (hosts[0].docker(*listing), hosts[0].run(TRACES)) == before
        assert first.state.status is LaunchStatus.READY
        await first.stop()
    assert remaining(hosts) == []


@on(Generation.OWN, Generation.MIXED)
async def test_of_two_launchers_one_wins_and_the_other_is_told_whose_turn_it_is(hosts: list[Host]) -> None:
    async with launcher() as here, launcher() as there:
        launches = [begin(here, hosts, pair("hang")), begin(there, list(reversed(hosts)), pair("hang"))]
        done, waiting = await asyncio.wait(
            [asyncio.create_task(launch.wait_ended()) for launch in launches],
            timeout=30,
            return_when=asyncio.FIRST_COMPLETED,
        )
        assert (len(done), len(waiting)) == (1, 1)
        (loser,) = [launch for launch in launches if launch.finished]
        (winner,) = [launch for launch in launches if not launch.finished]
        assert loser.state.status is LaunchStatus.FAILED
        assert f"another launch is preparing this host: {winner.launch_id}" in loser.state.detail
        winner.cancel()
        await asyncio.wait(waiting)
    assert remaining(hosts) == []


# --- the registry ------------------------------------------------------------------------------------------------


@pytest.fixture
def failing(hosts: list[Host]) -> Iterator[Callable[[int], None]]:
    """Start the failing registry on the head: `failing(STATUS)`. It fails until the file /tmp/mended exists."""
    source = Path(__file__).with_name("failing_registry.py").read_text()

    def start(status: int) -> None:
        hosts[0].run("rm -f /tmp/mended; cat >/tmp/registry.py", input=source)
        words = f"python3 /tmp/registry.py {PORT} {REGISTRY} {status} /tmp/mended"
        hosts[0].run(f"setsid {words} </dev/null >/tmp/asked 2>&1 & echo $! >/tmp/registry.pid")
        hosts[0].run(f"until (exec 3<>/dev/tcp/127.0.0.1/{PORT}) 2>/dev/null; do sleep 0.05; done")

    yield start
    hosts[0].run("kill $(cat /tmp/registry.pid)", check=False)
    hosts[0].run(f"docker rmi 127.0.0.1:{PORT}/spark-tests/llama-cpp:1", check=False)


def from_failing_registry() -> Rendered:
    text = (RECIPES / "tiny-llama.yaml").read_text()
    path = Path.home() / "from-failing.yaml"
    path.write_text(text.replace("spark-tests/", f"127.0.0.1:{PORT}/spark-tests/"))
    return render(load_recipe(path), {})


@on_both
@pytest.mark.parametrize(("status", "cause"), [(404, "manifest unknown|not found"), (401, "unauthorized|denied")])
async def test_a_registry_that_refuses_is_not_asked_again(
    hosts: list[Host], failing: Callable[[int], None], status: int, cause: str
) -> None:
    failing(status)
    async with launcher() as at:
        state = await begin(at, hosts[:1], from_failing_registry()).wait_ended()
    assert state.status is LaunchStatus.FAILED
    assert any(word in state.detail.lower() for word in cause.split("|")), state.detail
    assert not any("next try in" in notice.text for notice in state.notices)
    assert remaining(hosts) == []


@on_both
async def test_a_registry_that_stumbles_is_asked_again(hosts: list[Host], failing: Callable[[int], None]) -> None:
    failing(500)
    async with launcher() as at:
        launch = begin(at, hosts[:1], from_failing_registry())
        await until(lambda: any("next try in 5 s" in notice.text for notice in launch.state.notices), 60)
        hosts[0].run("touch /tmp/mended")
        await ready(launch)
        await launch.stop()
    assert remaining(hosts) == []


# --- without the Hub ---------------------------------------------------------------------------------------------


async def test_without_the_hub_what_lies_somewhere_is_enough(
    hosts: list[Host], hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with launcher() as at:
        first = begin(at, hosts[:1], recipe("tiny-llama"))
        await ready(first)
        await first.stop()
        monkeypatch.setenv("HF_ENDPOINT", "http://10.78.0.1:9")
        # Whole on the host, and nowhere else.
        shutil.rmtree(Path.home() / ".cache/huggingface")
        held = begin(at, hosts[:1], recipe("tiny-llama"))
        await ready(held)
        text = "cannot be reached; the Hub is not needed, since every host has"
        assert any(text in notice.text for notice in held.state.notices)
        await held.stop()
        # Nowhere at all.
        hosts[0].run("rm -rf ~/.cache/huggingface/hub")
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        state = await begin(at, hosts[:1], recipe("tiny-llama")).wait_ended()
        assert state.status is LaunchStatus.FAILED
        told = "HF_HUB_OFFLINE is set, so the Hub is not asked, and tiny-lab/tiny-chat-GGUF is whole neither on this"
        assert told in state.detail
    assert remaining(hosts) == []
