"""The pages of a host and of a workload: what they are and their figures over the last minutes, by keys and mouse."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import cast

import pytest
from textual.pilot import Pilot

from sparkrun_tui.fleet.metrics import Metrics
from sparkrun_tui.fleet.model import FleetView, Health, HostStatus, Workload, WorkloadRank
from sparkrun_tui.launch.log_warnings import LogWarning
from sparkrun_tui.remote.probe.facts import Gpu, HostFacts
from sparkrun_tui.remote.transport import LinkState, LinkStatus
from sparkrun_tui.ui.app import host_watch
from sparkrun_tui.ui.app.app import SparkrunApp
from sparkrun_tui.ui.model.ports import Insight
from sparkrun_tui.ui.screens.fleet import FleetScreen
from sparkrun_tui.ui.screens.launch import LaunchScreen
from sparkrun_tui.ui.screens.load_page import HostPage, WorkloadPage

from .conftest import Pilots, lines_with, press, screen_text, settle, until
from .fakes import FakeBackend, host_facts

SIZES = pytest.mark.parametrize("size", [(60, 20), (80, 24), (120, 40), (200, 50)], ids=lambda size: f"{size[0]}")
UP = LinkStatus(LinkState.UP, 1.0)


def spark(name: str, free: float = 33.0, load: float | None = 61.0) -> HostFacts:
    """A Spark, whose driver does not state memory."""
    gpu = Gpu("NVIDIA GB10", "580.95.05", None, load, 74.0, 63.0, 2405.0)
    return host_facts(name, free, gpu)


def serving(engine: str = "vllm", health: Health = Health.SERVING) -> Workload:
    started = time.time() - 7200
    ranks = tuple(
        WorkloadRank(f"spark-{number + 1}", f"id{number}", f"coder-{number}", number, "head", "running", started)
        for number in range(2)
    )
    return Workload("abcd2345", "coder", engine, "acme/Coder-80B", "coder", 8000, ranks, 2, health)


def survey(backend: FakeBackend, workload: Workload | None = None, **free: float) -> None:
    """What the hosts answer from now on."""
    hosts = tuple(HostStatus(name, UP, spark(name, free.get(name, 33.0))) for name in ("spark-1", "spark-2"))
    backend.view = FleetView("lab", time.time(), hosts, (workload or serving(),))


def busy(backend: FakeBackend, when: float, generated: float) -> None:
    """What its server says at this Unix time."""
    backend.metrics = {"abcd2345": Metrics(when, 3.0, 1.0, 0.12, generated, 10 * generated)}


async def look(pilot: Pilot[int]) -> None:
    """Open the fleet, and let it ask the hosts: what they said at the start was before this test's answers."""
    await press(pilot, "f")
    await settle(pilot)


async def measured(pilot: Pilot[int], backend: FakeBackend) -> None:
    """Three surveys, between which the server has worked."""
    begun = time.time() - 60
    for seconds, generated in ((0, 1000.0), (10, 1410.0), (20, 1820.0)):
        survey(backend)
        busy(backend, begun + seconds, generated)
        await press(pilot, "r")
        await settle(pilot)


async def whole_page(pilot: Pilot[int]) -> str:
    """What a page shows, from its beginning to its end."""
    shown = screen_text(pilot)
    for _ in range(12):
        await press(pilot, "pagedown")
        shown += screen_text(pilot)
    return shown


@SIZES
async def test_a_workload_has_a_page_with_all_of_it(
    open_app: Pilots, backend: FakeBackend, size: tuple[int, int]
) -> None:
    survey(backend)
    backend.insight = Insight(262_144, (LogWarning(1000.0, "Using default MoE config", False),))
    async with open_app(size) as pilot:
        await look(pilot)
        await measured(pilot, backend)
        await press(pilot, "enter")
        await settle(pilot)
        assert isinstance(pilot.app.screen, WorkloadPage)
        shown = await whole_page(pilot)
        for text in (
            *("✓ serving for 2:00", "vLLM", "launch abcd2345", "acme/Coder-80B", "as coder", "http://spark-1:8000/v1"),
            *("context 262,144 tokens", "rank 1", "generation", "41 tok/s", "410 tok/s", "3 running, 1 waiting"),
            *("KV cache", "12 %", "Using default MoE config", "spark-1 GPU load", "61 %", "88.7 of 121.7 GiB", "now"),
        ):
            assert text in shown, f"{text}\n{shown}"


@SIZES
async def test_a_host_has_a_page_with_its_gpu_its_memory_and_what_runs_there(
    open_app: Pilots, backend: FakeBackend, size: tuple[int, int]
) -> None:
    async with open_app(size) as pilot:
        survey(backend)
        await look(pilot)
        await press(pilot, "k", "enter")
        await settle(pilot)
        assert isinstance(pilot.app.screen, HostPage)
        shown = await whole_page(pilot)
        for text in (
            *("NVIDIA GB10", "driver 580", "coder holds about", "33.0 GiB left", "800 GiB free of 3.5 TiB"),
            *("✓ coder :8000 rank 0", "GPU load", "61 %", "GPU clock", "2,405 MHz", "74 W", "63 °C"),
        ):
            assert text in shown, f"{text}\n{shown}"
        assert "GPU memory" not in shown, "a Spark does not say what of its memory is its GPU's"


@SIZES
async def test_the_fleet_shows_all_figures_of_the_chosen_row(
    open_app: Pilots, backend: FakeBackend, size: tuple[int, int]
) -> None:
    survey(backend)
    async with open_app(size) as pilot:
        await look(pilot)
        await measured(pilot, backend)
        for text in ("generation", "41 tok/s", "prompts", "3 running, 1 waiting", "KV cache"):
            assert lines_with(pilot, text), screen_text(pilot)
        await press(pilot, "k")
        for text in ("GPU load", "GPU clock", "GPU power", "temperature") if size[1] > 20 else ():
            assert lines_with(pilot, text), screen_text(pilot)
        assert isinstance(pilot.app.screen, FleetScreen)


async def test_what_is_not_known_is_said_and_not_drawn_as_nothing(open_app: Pilots, backend: FakeBackend) -> None:
    async with open_app((80, 24)) as pilot:
        survey(backend, serving("sglang"))
        silent = HostStatus("spark-1", UP, spark("spark-1", load=None))
        backend.view = replace(backend.view, hosts=(silent, *backend.view.hosts[1:]))
        await look(pilot)
        await press(pilot, "enter")
        await settle(pilot)
        assert lines_with(pilot, "--enable-metrics")
        (line,) = lines_with(pilot, "spark-1 GPU load")
        assert "unknown" in line
        await press(pilot, "left")
        await until(pilot, lambda: isinstance(pilot.app.screen, HostPage))


async def test_a_host_that_does_not_answer_keeps_its_lines_and_says_why(open_app: Pilots, backend: FakeBackend) -> None:
    survey(backend)
    async with open_app((80, 24)) as pilot:
        await press(pilot, "f")
        await settle(pilot)
        down = LinkStatus(LinkState.UNREACHABLE, 1.0, "no route to host", "Is it switched on?")
        backend.view = replace(
            backend.view, taken=time.time() + 5, hosts=(HostStatus("spark-1", down), *backend.view.hosts[1:])
        )
        await press(pilot, "k", "enter")
        await settle(pilot)
        assert lines_with(pilot, "? does not answer: no route to host") and lines_with(pilot, "Is it switched on?")
        assert lines_with(pilot, "memory") and lines_with(pilot, "unknown")


async def test_a_workload_that_ends_stays_readable_and_its_actions_say_why_not(
    open_app: Pilots, backend: FakeBackend
) -> None:
    survey(backend)
    async with open_app((80, 24)) as pilot:
        await look(pilot)
        await press(pilot, "enter")
        await settle(pilot)
        backend.view = replace(backend.view, workloads=())
        await press(pilot, "r")
        await settle(pilot)
        assert lines_with(pilot, "it does not run any more") and lines_with(pilot, "acme/Coder-80B")
        before = list(backend.calls)
        await press(pilot, "x")
        assert [call for call in backend.calls[len(before) :] if call.startswith("stop")] == []
        await press(pilot, "escape")
        assert isinstance(pilot.app.screen, FleetScreen)


async def test_pages_follow_each_other_and_the_log_is_one_key_away(open_app: Pilots, backend: FakeBackend) -> None:
    survey(backend)
    async with open_app((80, 24)) as pilot:
        await look(pilot)
        await press(pilot, "k", "enter")
        await settle(pilot)
        kinds = []
        for _ in range(3):
            kinds.append(type(pilot.app.screen))
            await press(pilot, "right_square_bracket")
            await settle(pilot)
        assert kinds == [HostPage, HostPage, WorkloadPage] and isinstance(pilot.app.screen, HostPage)
        await press(pilot, "enter")
        assert isinstance(pilot.app.screen, HostPage), "a host has no log"
        await press(pilot, "left_square_bracket")
        await settle(pilot)
        await press(pilot, "y")
        assert pilot.app.clipboard == "http://spark-1:8000/v1"
        await press(pilot, "enter")
        await settle(pilot)
        assert isinstance(pilot.app.screen, LaunchScreen) and "attach abcd2345" in backend.calls


async def test_the_length_of_time_is_chosen(open_app: Pilots, backend: FakeBackend) -> None:
    survey(backend)
    async with open_app((80, 24)) as pilot:
        await look(pilot)
        await press(pilot, "k", "enter")
        await settle(pilot)
        assert lines_with(pilot, "2 min ago")
        await press(pilot, "minus", "minus", "minus")
        assert lines_with(pilot, "15 min ago")
        await press(pilot, "plus")
        assert lines_with(pilot, "5 min ago")


async def test_a_click_on_the_chosen_row_opens_its_page(open_app: Pilots, backend: FakeBackend) -> None:
    survey(backend)
    async with open_app((120, 40)) as pilot:
        await press(pilot, "f")
        await settle(pilot)
        await pilot.click("#fleet", offset=(3, 3), times=2)
        await settle(pilot)
        assert isinstance(pilot.app.screen, HostPage)
        assert lines_with(pilot, "─ spark-2 ─")


async def test_the_palette_finds_hosts_and_workloads(open_app: Pilots, backend: FakeBackend) -> None:
    survey(backend)
    async with open_app((120, 40)) as pilot:
        await press(pilot, "f")
        await settle(pilot)
        await press(pilot, "escape", "ctrl+p", *"workload coder")
        await until(pilot, lambda: lines_with(pilot, "serving on spark-1, spark-2"))
        await press(pilot, "down", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, WorkloadPage))


async def test_the_chosen_row_stays_chosen_when_rows_come_and_go(open_app: Pilots, backend: FakeBackend) -> None:
    survey(backend)
    async with open_app((80, 24)) as pilot:
        await press(pilot, "f")
        await settle(pilot)
        screen = cast(FleetScreen, pilot.app.screen)
        await press(pilot, "j")
        assert screen.list.current is not None and screen.list.current.host == "spark-2"
        backend.view = replace(backend.view, workloads=())
        await press(pilot, "r")
        await settle(pilot)
        assert screen.list.current is not None and screen.list.current.host == "spark-2"


async def test_figures_are_taken_while_no_page_of_them_is_shown(open_app: Pilots, backend: FakeBackend) -> None:
    survey(backend)
    busy(backend, time.time(), 1000.0)
    async with open_app((80, 24)) as pilot:
        await settle(pilot)
        assert backend.measurements


@pytest.mark.parametrize(("watches", "pace"), [(True, host_watch.PERIOD), (False, host_watch.REST)])
async def test_lines_in_sight_go_on_when_no_key_is_pressed(
    open_app: Pilots, backend: FakeBackend, watches: bool, pace: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    survey(backend)
    async with open_app((80, 24)) as pilot:
        if watches:
            await press(pilot, "f")
            await settle(pilot)
        app = cast(SparkrunApp, pilot.app)
        monkeypatch.setattr(app.host_watch, "_used", time.monotonic() - 3600)
        assert app.host_watch._every() == pace
