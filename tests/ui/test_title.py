"""The terminal's title: one line of plain text that tells what is going on, given back at the end."""

from __future__ import annotations

import pytest

from sparkrun_tui.engines.plan import Phase
from sparkrun_tui.launch.record.events import LaunchBegan, LaunchStatus, StatusChanged, StepChanged, StepState
from sparkrun_tui.launch.record.fold import fold
from sparkrun_tui.launch.record.state import LaunchState
from sparkrun_tui.ui.app.title import TerminalTitle, title


def state(recipe: str, status: LaunchStatus, *over: Phase) -> LaunchState:
    began = LaunchBegan(
        launch_id=recipe, recipe=recipe, engine="vllm", model="m", cluster="lab", hosts=("a", "b"), port=1, time=1.0
    )
    now = fold(LaunchState(), began)
    for phase in over:
        now = fold(now, StepChanged(host="a", phase=phase, state=StepState.OK, time=2.0))
    return fold(now, StatusChanged(status=status, time=3.0))


def test_nothing_going_on_is_the_name_alone() -> None:
    assert title([]) == "sparkrun-tui"
    assert title([state("x", LaunchStatus.STOPPED)]) == "sparkrun-tui"


def test_a_launch_tells_how_many_phases_are_over() -> None:
    coming = state("qwen3", LaunchStatus.STARTING, Phase.CHECK, Phase.IMAGE)
    assert title([coming]) == f"sparkrun-tui · qwen3 launching 2/{len(Phase)}"
    assert title([coming, state("other", LaunchStatus.STARTING)]) == "sparkrun-tui · 2 launching"
    assert title([state("up", LaunchStatus.READY), coming]).endswith("qwen3 launching 2/8")


def test_what_serves_and_what_failed_last_are_told() -> None:
    up = state("qwen3", LaunchStatus.READY)
    assert title([up]) == "sparkrun-tui · qwen3 serving"
    assert title([up, state("b", LaunchStatus.DEGRADED)]) == "sparkrun-tui · 2 serving"
    assert title([up, state("glm", LaunchStatus.FAILED)]) == "sparkrun-tui · glm failed"
    assert title([state("glm", LaunchStatus.FAILED), up]) == "sparkrun-tui · qwen3 serving"


def test_foreign_names_are_made_safe_and_short() -> None:
    shown = title([state("evil\x07\x1b]2;owned\x07" + "n" * 200, LaunchStatus.READY)])
    assert shown.isprintable() and "\x1b" not in shown and len(shown) < 70


class Driver:
    def __init__(self) -> None:
        self.written = ""

    def write(self, data: str) -> None:
        self.written += data

    def flush(self) -> None:
        pass


class Terminal:
    is_headless = False
    is_web = False

    def __init__(self) -> None:
        self._driver = Driver()


def test_the_title_that_was_there_is_kept_and_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    shown = TerminalTitle(terminal)  # type: ignore[arg-type]
    shown.restore()
    assert terminal._driver.written == ""
    for text in ("one", "one", "two"):
        shown.show(text)
    assert terminal._driver.written == "\x1b[22;2t\x1b]2;one\x07\x1b]2;two\x07"
    shown.restore()
    shown.restore()
    assert terminal._driver.written.endswith("\x1b]2;two\x07\x1b]2;\x07\x1b[23;2t")
    terminal.is_headless = True
    before = terminal._driver.written
    shown.show("three")
    assert terminal._driver.written == before
