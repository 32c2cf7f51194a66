"""The settled screens as they look at three sizes in a dark and a light theme; README tells how to accept a change."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion
from textual.pilot import Pilot
from textual.widgets import Input, TextArea

from sparkrun_tui.base.disk import paths
from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.units import GIB
from sparkrun_tui.base.user.settings import Cluster, Settings
from sparkrun_tui.engines.plan import Phase
from sparkrun_tui.fleet.load import Load
from sparkrun_tui.fleet.model import FleetView, Health, HostStatus, Workload, WorkloadRank
from sparkrun_tui.launch.log_warnings import LogWarning
from sparkrun_tui.launch.record.events import (
    EndpointUp,
    LaunchStatus,
    Progressed,
    StatusChanged,
    StepChanged,
    StepState,
)
from sparkrun_tui.remote.probe.facts import Gpu
from sparkrun_tui.remote.transport import LinkState, LinkStatus
from sparkrun_tui.ui.app.app import SparkrunApp
from sparkrun_tui.ui.app.session import Session
from sparkrun_tui.ui.model.ports import Insight, KeyQuestion, PastLaunch
from sparkrun_tui.ui.screens.chat import ChatScreen
from sparkrun_tui.ui.screens.dialogs.dialog import Confirm

from .as_text import ScreenExtension, as_text
from .conftest import ALPHA, BETA, BROKEN, GAMMA, press, settle, until
from .fakes import LAB_SETTINGS, THOUGHT, FakeBackend, FakeLaunch, host_facts
from .test_launch import DIAGNOSIS, tick

NOW = 1_100.0
THEMES = ("textual-dark", "textual-light")
SIZES = pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 50)], ids=lambda size: f"{size[0]}x{size[1]}")
WIDE = pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])
SMALL = pytest.mark.parametrize("size", [(80, 24)], ids=["80x24"])
CHATS = pytest.mark.parametrize("size", [(80, 24), (100, 30), (200, 50)], ids=lambda size: f"{size[0]}x{size[1]}")
Size = tuple[int, int]
Opened = Callable[[Size], AbstractAsyncContextManager[Pilot[int]]]


@pytest.fixture
def screens(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    """Screens that were accepted, one file each."""
    return snapshot.use_extension(ScreenExtension)


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No clock that runs, no time zone of the machine, no cursor that blinks."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        patch.setattr(time, "time", lambda: NOW)
        patch.setattr(Input, "_toggle_cursor", lambda self: None)
        patch.setattr(TextArea, "_toggle_cursor_blink_visible", lambda self: None)
        yield
    time.tzset()


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: FakeBackend) -> Opened:
    """The app on four recipes that count as bundled, so that no path of the machine is on the screen."""
    folder = tmp_path / "bundled"
    folder.mkdir()
    for name, text in (("alpha", ALPHA), ("beta", BETA), ("gamma", GAMMA), ("broken", BROKEN)):
        (folder / f"{name}.yaml").write_text(text)
    monkeypatch.setattr(paths, "bundled_recipes", lambda: folder)

    @asynccontextmanager
    async def open_it(size: Size) -> AsyncIterator[Pilot[int]]:
        app = SparkrunApp(Session(Settings(clusters=LAB_SETTINGS.clusters), backend=backend))
        async with app.run_test(size=size) as pilot:
            await settle(pilot)
            yield pilot

    return open_it


def app_of(pilot: Pilot[int]) -> SparkrunApp:
    assert isinstance(pilot.app, SparkrunApp)
    return pilot.app


def under_way() -> FakeLaunch:
    """A launch on two hosts of which one loads while the other still gets its model."""
    launch = FakeLaunch("abcd1234", ("spark-1", "spark-2"))
    for phase, began, ended in ((Phase.CHECK, 1000, 1001), (Phase.IMAGE, 1001, 1008), (Phase.MODEL, 1008, 1040)):
        launch.send(
            StepChanged(host="spark-1", phase=phase, state=StepState.RUNNING, time=began),
            StepChanged(host="spark-1", phase=phase, state=StepState.OK, time=ended),
        )
    launch.send(
        StepChanged(host="spark-1", phase=Phase.START, state=StepState.RUNNING, time=1090.0),
        StepChanged(host="spark-2", phase=Phase.CHECK, state=StepState.OK, time=1001.0),
        StepChanged(host="spark-2", phase=Phase.MODEL, state=StepState.RUNNING, time=1008.0),
        Progressed(
            host="spark-2", phase=Phase.MODEL, done=30 * GIB, total=80 * GIB, unit="B", rate=200 << 20, time=1090.0
        ),
    )
    launch.print("spark-1", *(f"(EngineCore pid=7) INFO 11-24 10:00:{n:02} [core.py:1] line {n}" for n in range(12)))
    launch.print("spark-1", "(EngineCore pid=7) WARNING 11-24 10:00:59 [core.py:1] something is slow", time=1020.0)
    launch.print("spark-2", "model-00007-of-00040.safetensors", time=1030.0)
    return launch


def serving() -> FakeLaunch:
    """The same launch once it serves."""
    launch = under_way()
    launch.send(
        EndpointUp(url="http://10.0.0.1:8000/v1", model="some/model", time=1094.0),
        StatusChanged(status=LaunchStatus.READY, time=1095.0),
    )
    return launch


def fleet() -> FleetView:
    """Two hosts that serve together, one that is idle and one that does not answer."""
    up = LinkStatus(LinkState.UP, 1.0)
    ranks = tuple(
        WorkloadRank(f"spark-{n + 1}", f"id{n}", f"sparkrun-{n}", n, "head" if not n else "worker", "running", 100.0)
        for n in range(2)
    )
    hosts = (
        HostStatus(
            "spark-1",
            up,
            host_facts("spark-1", 20, Gpu("GB10", utilisation=61, power_watts=74, temperature=63, clock_mhz=2405)),
        ),
        HostStatus(
            "spark-2", up, host_facts("spark-2", 5.5, Gpu("GB10", utilisation=98, power_watts=90, temperature=81))
        ),
        HostStatus(
            "spark-3", up, host_facts("spark-3", 117, Gpu("GB10", utilisation=0, power_watts=11, temperature=40))
        ),
        HostStatus("spark-4", LinkStatus(LinkState.UNREACHABLE, 1000.0, "no route to host")),
    )
    workload = Workload("abc", "beta-70b", "vllm", "acme/beta-70b", "beta", 8000, ranks, 2, Health.SERVING)
    return FleetView("lab", NOW, hosts, (workload,))


# The tests, a screen each.


@SIZES
async def test_recipes(opened: Opened, screens: SnapshotAssertion, size: Size) -> None:
    async with opened(size) as pilot:
        await press(pilot, "j")
        await pilot.pause(0.1)
        assert await as_text(pilot, THEMES) == screens


@WIDE
async def test_memory_in_figures(opened: Opened, screens: SnapshotAssertion, size: Size) -> None:
    async with opened(size) as pilot:
        await press(pilot, "m", "z")
        await settle(pilot)
        assert await as_text(pilot, THEMES) == screens


@SIZES
async def test_the_plan_with_a_step_open(opened: Opened, screens: SnapshotAssertion, size: Size) -> None:
    async with opened(size) as pilot:
        await press(pilot, "j", "p")
        await settle(pilot)
        await press(pilot, "j", "j", "right")
        assert await as_text(pilot, THEMES) == screens


@SIZES
async def test_a_launch_under_way(opened: Opened, screens: SnapshotAssertion, size: Size) -> None:
    async with opened(size) as pilot:
        app_of(pilot).open_launch(under_way())
        await settle(pilot)
        assert await as_text(pilot, THEMES) == screens


@SMALL
async def test_logs_merged_with_a_search(opened: Opened, screens: SnapshotAssertion, size: Size) -> None:
    async with opened(size) as pilot:
        app_of(pilot).open_launch(under_way())
        await settle(pilot)
        await press(pilot, "m", "slash", *"line", "enter")
        await settle(pilot)
        assert await as_text(pilot, THEMES) == screens


@SIZES
async def test_a_failure_with_its_repairs(opened: Opened, screens: SnapshotAssertion, size: Size) -> None:
    async with opened(size) as pilot:
        launch = under_way()
        app_of(pilot).open_launch(launch)
        failed = StepChanged(
            host="spark-1", phase=Phase.START, state=StepState.FAILED, detail="exit code 1", time=1095.0
        )
        launch.send(failed, DIAGNOSIS, StatusChanged(status=LaunchStatus.FAILED, time=1095.0))
        tick(pilot)
        await settle(pilot)
        assert await as_text(pilot, THEMES) == screens


@SIZES
async def test_a_launch_that_serves(opened: Opened, screens: SnapshotAssertion, size: Size) -> None:
    async with opened(size) as pilot:
        app_of(pilot).open_launch(serving())
        await settle(pilot)
        assert await as_text(pilot, THEMES) == screens


@SIZES
async def test_the_fleet(opened: Opened, backend: FakeBackend, screens: SnapshotAssertion, size: Size) -> None:
    async with opened(size) as pilot:
        backend.view = fleet()
        app_of(pilot).choose_cluster(Cluster("lab", tuple(host.name for host in backend.view.hosts)))
        await settle(pilot)
        await press(pilot, "f")
        await settle(pilot)
        assert await as_text(pilot, THEMES) == screens


def sampled(pilot: Pilot[int]) -> None:
    """Ten minutes in the life of these hosts: they load, serve, are silent for a while, and serve again."""
    world = app_of(pilot).state.world
    for number in range(60):
        when = NOW - 600 + 10 * number
        if 30 <= number < 36:
            world.samples.host_silent("spark-1", when)
            world.samples.servers_silent(["abc"], when)
            continue
        load = 83.0 if number < 12 else 60.0 + 30 * math.sin(number / 5)
        gpu = Gpu("GB10", "580", None, load, 10 + load, 40 + number / 3, 2405.0 if load > 50 else 1800.0)
        world.samples.host_seen(host_facts("spark-1", 117 - min(number, 12) * 8, gpu, when), "spark-1")
        if number >= 12:
            busy = 2 + 2 * math.sin(number / 5)
            world.samples.server_seen("abc", Load(20 * busy, busy, 0.0, busy / 10, 300 * busy), when)


@SIZES
@pytest.mark.parametrize("keys", [("enter",), ("k", "enter")], ids=["workload", "host"])
async def test_figures_on_a_page(
    opened: Opened, backend: FakeBackend, screens: SnapshotAssertion, size: Size, keys: tuple[str, ...]
) -> None:
    async with opened(size) as pilot:
        backend.view = fleet()
        warning = LogWarning(1050.0, "Using default MoE config. Performance might be sub-optimal!", False, 2)
        backend.insight = Insight(262_144, (warning,))
        app_of(pilot).choose_cluster(Cluster("lab", tuple(host.name for host in backend.view.hosts)))
        sampled(pilot)
        await settle(pilot)
        await press(pilot, "f", *keys)
        await settle(pilot)
        assert await as_text(pilot, THEMES) == screens


@SIZES
async def test_history(opened: Opened, backend: FakeBackend, screens: SnapshotAssertion, size: Size) -> None:
    backend.past = [
        PastLaunch("c", "nemotron-3-super-120b-nvfp4-2x", "lab", ("spark-1",), "ready", 1000.0, None, 65.0),
        PastLaunch("b", "beta-70b", "lab", ("spark-1",), "failed", 900.0, 950.0, None, "KV cache too small"),
        PastLaunch("a", "alpha-8b", "a-long-cluster-name", ("spark-1",), "cancelled", 800.0, 850.0, None),
    ]
    async with opened(size) as pilot:
        await press(pilot, "h")
        await settle(pilot)
        await press(pilot, "j")
        assert await as_text(pilot, THEMES) == screens


@SIZES
async def test_help(opened: Opened, screens: SnapshotAssertion, size: Size) -> None:
    async with opened(size) as pilot:
        app_of(pilot).open_launch(under_way())
        await settle(pilot)
        await press(pilot, "question_mark")
        assert await as_text(pilot, THEMES) == screens


@SMALL
async def test_registries(opened: Opened, screens: SnapshotAssertion, size: Size) -> None:
    async with opened(size) as pilot:
        await press(pilot, "R")
        await settle(pilot)
        assert await as_text(pilot, THEMES) == screens


@SMALL
async def test_the_choice_of_the_cluster(opened: Opened, screens: SnapshotAssertion, size: Size) -> None:
    async with opened(size) as pilot:
        await press(pilot, "c")
        assert await as_text(pilot, THEMES) == screens


@SMALL
async def test_a_question(opened: Opened, screens: SnapshotAssertion, size: Size) -> None:
    async with opened(size) as pilot:
        app = app_of(pilot)
        asked = app.launches.host_key(KeyQuestion("spark-1", "ssh-ed25519", "SHA256:aGVsbG8gd29ybGQ"))
        app.background(asked, "question")
        while not isinstance(app.screen, Confirm):
            await pilot.pause(0.05)
        assert await as_text(pilot, THEMES) == screens


async def asked(pilot: Pilot[int], *keys: str) -> None:
    """A chat with a question that was answered."""
    app_of(pilot).open_launch(serving())
    await settle(pilot)
    await press(pilot, "t", *keys, "enter")
    screen = pilot.app.screen
    assert isinstance(screen, ChatScreen)
    await until(pilot, lambda: not screen.conversation.is_busy)
    await pilot.pause(0.3)


@SMALL
async def test_a_chat_before_the_first_question(opened: Opened, screens: SnapshotAssertion, size: Size) -> None:
    async with opened(size) as pilot:
        app_of(pilot).open_launch(serving())
        await settle(pilot)
        await press(pilot, "t")
        assert await as_text(pilot, THEMES) == screens


@CHATS
async def test_a_chat(opened: Opened, backend: FakeBackend, screens: SnapshotAssertion, size: Size) -> None:
    backend.answer = (f"{THOUGHT}They greet me.", "Hello from the model.\n\n", "```\n\tcode [/b]\n```")
    backend.refusal = HostError("the connection was lost", host="spark-1", remedy="Is it switched on?")
    async with opened(size) as pilot:
        await asked(pilot, *"Hello, who are you?")
        assert await as_text(pilot, THEMES) == screens


@SMALL
async def test_code_for_an_endpoint(opened: Opened, screens: SnapshotAssertion, size: Size) -> None:
    async with opened(size) as pilot:
        app_of(pilot).open_launch(serving())
        await settle(pilot)
        await press(pilot, "s", "right")
        await settle(pilot)
        assert await as_text(pilot, THEMES) == screens


@SMALL
async def test_the_palette(opened: Opened, screens: SnapshotAssertion, size: Size) -> None:
    async with opened(size) as pilot:
        await press(pilot, "ctrl+p")
        await settle(pilot)
        assert await as_text(pilot, THEMES) == screens
