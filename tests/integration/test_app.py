"""The whole story in the app, by keys alone, on hosts with real sshd and dockerd."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from cluster import Host
from cluster.workstation import Workstation
from fetching import ask, wait_for
from textual.pilot import Pilot

from sparkrun_tui.base.user.settings import Cluster, Settings
from sparkrun_tui.launch.record.events import LaunchStatus
from sparkrun_tui.ui.app.app import SparkrunApp
from sparkrun_tui.ui.app.session import Session
from sparkrun_tui.ui.screens.chat import ChatScreen
from sparkrun_tui.ui.screens.fleet import FleetList, FleetScreen
from sparkrun_tui.ui.screens.launch import LaunchScreen
from sparkrun_tui.ui.screens.plan import PlanScreen

QUESTION = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 4}


def open_app(recipes: Path, query: str, hosts: tuple[str, ...]) -> SparkrunApp:
    """The app as a person would open it, with these recipes and one cluster."""
    settings = Settings(clusters=(Cluster("lab", hosts),), recipe_dirs=(recipes,))
    return SparkrunApp(Session(settings=settings, query=query))


async def until(pilot: Pilot[int], condition: Callable[[], bool], what: str, seconds: float = 120) -> None:
    """Wait until something is seen; fails with what is on the screen."""
    async with asyncio.timeout(seconds):
        try:
            while not condition():
                await pilot.pause(0.05)
        except asyncio.CancelledError:
            shown = "\n".join(str(line) for line in screen_text(pilot))
            raise AssertionError(f"waited {seconds} s for: {what}\n{shown}") from None


def screen_text(pilot: Pilot[int]) -> list[str]:
    """What the terminal shows, line by line."""
    app = pilot.app
    width, height = app.size
    strips = app.screen._compositor.render_strips()
    return ["".join(segment.text for segment in strip)[:width] for strip in strips[:height]]


def shows(pilot: Pilot[int], text: str) -> Callable[[], bool]:
    """Whether `text` stands on the screen."""
    return lambda: any(text in line for line in screen_text(pilot))


async def launch_from_browser(pilot: Pilot[int], recipe: str) -> LaunchScreen:
    """From the list through the plan to the launch screen."""
    await until(pilot, shows(pilot, recipe), f"{recipe} in the list")
    await until(
        pilot, lambda: all(mark.state == "up" for mark in app_of(pilot).state.marks.values()), "hosts that answer"
    )
    await pilot.press("l")
    await until(pilot, lambda: isinstance(pilot.app.screen, PlanScreen), "the plan")
    await until(pilot, lambda: planned(pilot), "the plan to be made")
    await pilot.press("enter")
    await until(pilot, lambda: isinstance(pilot.app.screen, LaunchScreen), "the launch screen")
    screen = pilot.app.screen
    assert isinstance(screen, LaunchScreen)
    return screen


def planned(pilot: Pilot[int]) -> bool:
    """Whether the plan on the screen is complete."""
    screen = pilot.app.screen
    return isinstance(screen, PlanScreen) and screen.list.plan is not None


def app_of(pilot: Pilot[int]) -> SparkrunApp:
    """The app under test."""
    assert isinstance(pilot.app, SparkrunApp)
    return pilot.app


async def ready(pilot: Pilot[int], screen: LaunchScreen) -> None:
    """Wait until the launch serves; a failure is told with its cause."""
    ends = {LaunchStatus.READY, LaunchStatus.FAILED, LaunchStatus.CANCELLED}
    await until(pilot, lambda: screen.launch.state.status in ends, "the launch to be ready")
    assert screen.launch.state.status is LaunchStatus.READY, screen.launch.state.diagnosis


async def test_llama_cpp_from_search_to_stop(hosts: list[Host], recipes: Path, workstation: Workstation) -> None:
    app = open_app(recipes, "tiny-llama", ("spark-01",))
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await launch_from_browser(pilot, "tiny-llama")
        await ready(pilot, screen)
        await until(pilot, shows(pilot, "10.78.0.11:8000"), "the endpoint on the screen")
        status, answer = ask(hosts[0], "/v1/chat/completions", QUESTION)
        assert status == 200 and answer["choices"][0]["message"]["content"] is not None
        await pilot.press("t")
        await pilot.pause(0.3)
        chat = pilot.app.screen
        assert isinstance(chat, ChatScreen)
        await pilot.press("enter")
        await until(pilot, lambda: chat.conversation.turns and not chat.conversation.is_busy, "an answer", 60)
        assert chat.conversation.turns[0].problem == ""
        await until(pilot, shows(pilot, "first token after"), "the figures of the answer")
        await pilot.press("escape")
        await pilot.press("x")
        await pilot.pause(0.3)
        await pilot.press("y")
        await until(pilot, lambda: screen.launch.state.status is LaunchStatus.STOPPED, "the stop")
    assert hosts[0].containers() == []


async def test_vllm_on_two_hosts_goes_on_without_us(hosts: list[Host], recipes: Path, workstation: Workstation) -> None:
    names = ("spark-01", "spark-02")
    app = open_app(recipes, "tiny-vllm", names)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, shows(pilot, "-tp 1"), "the command of the recipe")
        await pilot.press("o")
        await move_to_field(pilot, "tensor_parallel")
        await pilot.press("right")
        await until(pilot, shows(pilot, "-tp 2"), "the command with two ranks")
        await pilot.press("escape")
        screen = await launch_from_browser(pilot, "tiny-vllm")
        await ready(pilot, screen)
        launch_id = screen.launch.launch_id
    wait_for(hosts[0], "/health", 200)
    assert all(host.containers() for host in hosts)

    again = open_app(recipes, "", names)
    async with again.run_test(size=(80, 24)) as pilot:
        await pilot.press("f")
        await until(pilot, lambda: isinstance(pilot.app.screen, FleetScreen), "the fleet")
        await until(pilot, shows(pilot, "tiny-vllm"), "the workload in the fleet")
        pilot.app.screen.query_one(FleetList).focus()
        await pilot.press("enter")
        await until(pilot, shows(pilot, "serving for"), "the page of the workload")
        await pilot.press("v")
        await until(pilot, lambda: isinstance(pilot.app.screen, LaunchScreen), "the launch, attached again")
        attached = pilot.app.screen
        assert isinstance(attached, LaunchScreen)
        assert attached.launch.launch_id == launch_id
        await until(
            pilot,
            lambda: any(
                "Application startup complete" in line.text for line in attached.launch.logs["spark-01"].since(0)
            ),
            "the log from its beginning",
        )
        await until(pilot, lambda: attached.launch.state.status is LaunchStatus.READY, "it is seen to serve")
        await pilot.press("x")
        await pilot.pause(0.3)
        await pilot.press("y")
        await until(pilot, lambda: attached.launch.state.status is LaunchStatus.STOPPED, "the stop")
    assert [host.containers() for host in hosts] == [[], []]


async def move_to_field(pilot: Pilot[int], key: str) -> None:
    """Go down the override form to the field `key`."""
    from sparkrun_tui.ui.widgets.form.field_list import FieldList

    form = pilot.app.screen.query_one(FieldList)
    await pilot.press("g")
    for _ in range(40):
        if form.current is not None and form.current.key == key:
            return
        await pilot.press("down")
    raise AssertionError(f"there is no field {key}")


async def test_escape_leaves_a_launch_alone_and_ctrl_c_cancels_it(
    hosts: list[Host], recipes: Path, workstation: Workstation
) -> None:
    app = open_app(recipes, "tiny-vllm", ("spark-01",))
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await launch_from_browser(pilot, "tiny-vllm")
        launch = screen.launch
        await pilot.press("escape")
        await pilot.pause(0.5)
        assert launch.state.status in (LaunchStatus.STARTING, LaunchStatus.READY)
        app.open_launch(launch)
        await pilot.pause(0.2)
        await pilot.press("ctrl+c")
        await pilot.pause(0.3)
        await pilot.press("y")
        await until(pilot, lambda: launch.state.status is LaunchStatus.CANCELLED, "the cancelled launch")
    assert hosts[0].containers() == []


async def test_a_failure_names_its_cause_and_a_repair_goes_to_the_form(
    hosts: list[Host], recipes: Path, workstation: Workstation, tmp_path: Path
) -> None:
    text = (recipes / "tiny-vllm.yaml").read_text().replace("command: |", 'env:\n  STANDIN_MODE: "kv"\n\ncommand: |')
    (tmp_path / "too-long.yaml").write_text(text)
    app = open_app(tmp_path, "too-long", ("spark-01",))
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await launch_from_browser(pilot, "too-long")
        launch = screen.launch
        await until(pilot, lambda: launch.state.status is LaunchStatus.FAILED, "the failure")
        assert launch.state.diagnosis is not None
        repairs = launch.state.diagnosis.repairs
        assert repairs and repairs[0].key == "max_model_len"
        await until(pilot, shows(pilot, "max_model_len"), "the repair on the screen")
        assert any("seq len" in line.text for line in launch.logs["spark-01"].since(0)), "the log stays readable"
        assert hosts[0].containers() == []
        await pilot.press("o")
        await until(pilot, shows(pilot, f"--max-model-len {repairs[0].value}"), "the repaired command in the browser")
