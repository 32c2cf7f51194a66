"""H1: a host that can be reached, and breaks whatever is asked of it, is asked again with pauses, and not for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sparkrun_tui.launch.launcher import Launcher
from sparkrun_tui.launch.record.events import LaunchStatus
from sparkrun_tui.launch.run.launch import Launch
from sparkrun_tui.remote.docker.logs import follow
from sparkrun_tui.remote.docker.types import ContainerInfo, Frame, ImageInfo
from sparkrun_tui.remote.failures import LinkLost
from sparkrun_tui.remote.ssh.link import Backoff, HostLink
from sparkrun_tui.remote.transport import LinkState
from tests.launch.fakes import SOLO, FakeCluster, rendered
from tests.launch.fakes.docker import FakeDocker
from tests.launch.fakes.host import FakeHost
from tests.launch.virtual import virtual_time
from tests.support import ssh_server
from tests.support.site import opened_site, until


class Breaking(FakeDocker):
    """A daemon whose connections break, on a host whose link is up."""

    def __init__(self, host: FakeHost, broken: set[str], calls: list[float]) -> None:
        super().__init__(host)
        self._broken = broken
        self._calls = calls

    def _break(self, what: str) -> None:
        if what in self._broken:
            self._calls.append(asyncio.get_running_loop().time())
            raise LinkLost("the connection to Docker broke", host=self._host.name)

    async def containers(self, labels: Sequence[str] = ()) -> Sequence[ContainerInfo]:
        self._break("containers")
        return await super().containers(labels)

    async def image(self, reference: str) -> ImageInfo | None:
        self._break("image")
        return await super().image(reference)

    async def inspect(self, container: str) -> ContainerInfo | None:
        self._break("inspect")
        return await super().inspect(container)


def launched(cluster: FakeCluster, broken: set[str], calls: list[float]) -> Launch:
    services = replace(
        cluster.services, docker=lambda transport: Breaking(cluster.hosts[transport.name], broken, calls)
    )
    launcher = Launcher(cluster.launcher().settings, services, {})
    return launcher.launch(launcher.plan(rendered(SOLO), cluster.cluster))


@pytest.mark.parametrize("what", ["containers", "image", "inspect"])
@virtual_time
async def test_a_step_is_tried_again_with_pauses_and_given_up(cluster: FakeCluster, what: str) -> None:
    calls: list[float] = []
    broken = {what}
    launch = launched(cluster, broken, calls)
    await asyncio.sleep(60)
    assert 3 < len(calls) < 20
    assert launch.revision < 150
    await asyncio.sleep(900)
    assert launch.state.status is LaunchStatus.FAILED
    assert len(calls) < 150
    broken.clear()
    await launch.stop()
    assert cluster.remaining == []


@virtual_time
async def test_what_serves_is_asked_with_pauses(cluster: FakeCluster) -> None:
    calls: list[float] = []
    broken: set[str] = set()
    launch = launched(cluster, broken, calls)
    await launch.wait_ready()
    broken.add("inspect")
    await asyncio.sleep(60)
    assert launch.state.status is LaunchStatus.UNKNOWN
    assert len(calls) < 100
    broken.clear()
    await launch.stop()


@virtual_time
async def test_the_cleanup_ends(cluster: FakeCluster) -> None:
    calls: list[float] = []
    broken: set[str] = set()
    launch = launched(cluster, broken, calls)
    await launch.wait_ready()
    broken.add("containers")
    async with asyncio.timeout(120):
        state = await launch.stop()
    assert "not confirmed on spark-1" in state.detail
    assert len(calls) < 20


@virtual_time
async def test_a_link_that_never_holds_is_opened_with_pauses() -> None:
    opened: list[object] = []

    async def open_() -> object:
        opened.append(object())
        return opened[-1]

    link: HostLink[object] = HostLink("spark", open_, lambda error: LinkLost(str(error)), roll=lambda: 1.0)
    for _ in range(20):
        # A short loss of a good link costs no pause, so that the first two are opened at once.
        link.lost(await link.connection(), ConnectionResetError("x"))
    assert asyncio.get_running_loop().time() > 1000 + 100
    link._up_at -= 100.0
    before = asyncio.get_running_loop().time()
    link.lost(await link.connection(), None)
    await link.close(lambda _: None)
    assert asyncio.get_running_loop().time() - before < 9


class _Daemon:
    """A daemon whose logs break off in the middle of a message; it says that the container runs on."""

    host = "spark-1"

    def __init__(self, error: Exception) -> None:
        self.asked = 0
        self._error = error

    async def inspect(self, container: str) -> ContainerInfo:
        return ContainerInfo(container, "mine", "image", "running", {})

    async def log_batches(self, container: str, **_: object) -> AsyncIterator[list[Frame]]:
        self.asked += 1
        for _nothing in ():
            yield [Frame("stdout", b"")]
        raise self._error


@pytest.mark.parametrize("error", [LinkLost("broke off"), ValueError("odd")])
@virtual_time
async def test_a_log_that_only_breaks_is_given_up(error: Exception) -> None:
    daemon: Any = _Daemon(error)
    with pytest.raises(LinkLost, match="again and again"):
        async for batch in follow(daemon, "mine", keep=False):
            assert batch == []
    assert daemon.asked < 10
    asked = daemon.asked
    with pytest.raises(TimeoutError):
        # One that is followed may come back at any time.
        async with asyncio.timeout(300):
            async for batch in follow(daemon, "mine"):
                assert batch == []
    assert 10 < daemon.asked - asked < 100


async def test_a_server_that_drops_each_login_is_not_logged_in_to_in_a_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened_site(tmp_path) as site:
        site.pool._backoff = Backoff(base=0.5, cap=8.0)
        transport = site.pool.transport("spark")
        await transport.connect()

        def auth_completed(self: ssh_server._Server) -> None:
            asyncio.get_running_loop().call_later(0.01, self._conn.abort)

        monkeypatch.setattr(ssh_server._Server, "auth_completed", auth_completed, raising=False)
        before = site.server.logins
        site.server.drop()
        await until(lambda: site.server.logins > before)
        await asyncio.sleep(1.5)
        assert site.server.logins - before < 12
        assert transport.link.state in (LinkState.RECONNECTING, LinkState.UP)
