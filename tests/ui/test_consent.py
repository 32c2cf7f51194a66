"""Consent to a recipe from a registry: asked once with everything it wants, and again when its file changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from textual.pilot import Pilot

from sparkrun_tui.launch.record.events import LaunchStatus, StatusChanged
from sparkrun_tui.recipe.format.loader import load_text
from sparkrun_tui.recipe.model import Recipe, Source, SourceKind
from sparkrun_tui.ui.app.app import SparkrunApp
from sparkrun_tui.ui.ink import text_of
from sparkrun_tui.ui.screens.browse import BrowseScreen
from sparkrun_tui.ui.screens.dialogs.changes import ChangesScreen
from sparkrun_tui.ui.screens.dialogs.dialog import Confirm
from sparkrun_tui.ui.widgets.text_pane import TextPane

from .conftest import ALPHA, Pilots, lines_with, press, settle
from .fakes import FakeBackend

SIZES = pytest.mark.parametrize("size", [(80, 24), (120, 40)])
GREEDY = (
    ALPHA
    + """\
env:
  HF_TOKEN: ${HF_TOKEN}
  MY_SECRET: ${MY_SECRET}
executor_config:
  privileged: true
  volumes: [/data/one:/one, /data/two:/two, /data/three:/three, /data/four:/four]
  devices: [/dev/sda, /dev/nvidia0]
  cap_add: [SYS_ADMIN, IPC_LOCK]
pre_exec:
  - pip install left-pad-of-the-registry
post_exec:
  - echo the very last command of the recipe
"""
)


def foreign(text: str) -> Recipe:
    """A recipe that lies in the cache of a registry."""
    place = "/cache/registries/ab/files-01-2-3/greedy.yaml"
    return load_text(text, Source(SourceKind.REGISTRY, place, "acme"))


async def ask(pilot: Pilot[int], recipe: Recipe) -> None:
    """Go to the plan of this recipe and launch it from there."""
    app = cast(SparkrunApp, pilot.app)
    app.open_plan(app.state.catalog.evaluate(recipe, {}, app.state.view).rendered)
    await settle(pilot)
    await pilot.press("L" if lines_with(pilot, "✗") else "enter")
    await come(pilot)


async def come(pilot: Pilot[int]) -> None:
    for _ in range(100):
        await pilot.pause()
        if isinstance(pilot.app.screen, Confirm):
            return


def end(pilot: Pilot[int], backend: FakeBackend) -> None:
    """Let the newest launch end, so that its hosts have their memory again."""
    backend.launches[-1].send(StatusChanged(status=LaunchStatus.CANCELLED))
    cast(SparkrunApp, pilot.app).launch_poll.tick()


def shown(pilot: Pilot[int]) -> str:
    """The whole question, also what is out of sight."""
    return "\n".join(cast(Confirm, pilot.app.screen)._lines)


@SIZES
async def test_everything_it_wants_is_listed_and_can_be_read_with_the_answers_in_sight(
    open_app: Pilots, size: tuple[int, int], backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_SECRET", "hunter2")
    async with open_app(size) as pilot:
        await ask(pilot, foreign(GREEDY))
        text = shown(pilot)
        for part in (
            "reads MY_SECRET from this machine (set)",
            "runs privileged",
            "/data/one:/one",
            "/data/four:/four",
            "SYS_ADMIN",
            "/dev/sda",
            "pip install left-pad-of-the-registry",
            "echo the very last command of the recipe",
        ):
            assert part in text, part
        assert "hunter2" not in text
        assert lines_with(pilot, "Trust it (y)") and lines_with(pilot, "Cancel (n)")
        await press(pilot, "G")
        assert lines_with(pilot, "runs its command in its image")
        assert lines_with(pilot, "Trust it (y)")
        await press(pilot, "n")
        await settle(pilot)
        assert not [call for call in backend.calls if call.startswith("launch")]


@SIZES
async def test_what_goes_beyond_serving_is_told_with_the_problems_before_any_launch(
    open_app: Pilots, size: tuple[int, int]
) -> None:
    async with open_app(size) as pilot:
        app = cast(SparkrunApp, pilot.app)
        screen = cast(BrowseScreen, app.screen)
        screen.detail.show(foreign(GREEDY))
        screen.detail.choose_tab("problems")
        part = screen.detail.query_one("#part", TextPane)
        text = " ".join(text_of(line).strip() for line in part.lines)
        assert "! runs privileged" in text and "/data/four:/four" in text
        screen.detail.show(foreign(ALPHA.replace("v0.14.0", f"v0.14.0@sha256:{'a' * 64}")))
        assert "nothing but its image" in " ".join(text_of(line).strip() for line in part.lines)
        assert app.state.recipe is not None
        screen.detail.show(app.state.recipe)
        assert "beyond serving" not in " ".join(text_of(line) for line in part.lines)


async def test_it_is_asked_once_and_again_when_the_file_changed(open_app: Pilots, backend: FakeBackend) -> None:
    recipe = foreign(ALPHA)
    async with open_app() as pilot:
        await ask(pilot, recipe)
        assert "is launched for the first time" in shown(pilot)
        await press(pilot, "y")
        await settle(pilot)
        assert len(backend.launches) == 1
        end(pilot, backend)
        await press(pilot, "escape")
        await ask(pilot, recipe)
        await settle(pilot)
        assert len(backend.launches) == 2
        end(pilot, backend)
        await press(pilot, "escape")
        await ask(pilot, foreign(ALPHA.replace("--port", "--trust-remote-code --port")))
        assert "has changed since you agreed to it" in shown(pilot)
        assert "runs Python code that comes with the model" in shown(pilot)
        await press(pilot, "n")
        await settle(pilot)
        assert len(backend.launches) == 2


async def test_a_recipe_of_one_s_own_is_not_asked_about(
    open_app: Pilots, backend: FakeBackend, recipe_dir: Path
) -> None:
    recipe = foreign(ALPHA)
    own = replace(recipe, source=Source(SourceKind.USER, str(recipe_dir / "alpha.yaml"), ""))
    async with open_app() as pilot:
        await ask(pilot, own)
        await settle(pilot)
        assert len(backend.launches) == 1


async def test_a_mount_that_recipes_of_registries_do_not_get_may_be_given_to_it(
    open_app: Pilots, backend: FakeBackend
) -> None:
    async with open_app((120, 40)) as pilot:
        await ask(pilot, foreign(ALPHA + "executor_config:\n  volumes: ['/etc:/host-etc']\n"))
        assert "may not mount /etc" in shown(pilot)
        await press(pilot, "y")
        await come(pilot)
        assert "/etc:/host-etc" in shown(pilot)
        await press(pilot, "y")
        assert backend.calls[-1].endswith("ignored ['host-mount']")


async def test_other_errors_of_a_recipe_cannot_be_waved_through(open_app: Pilots, backend: FakeBackend) -> None:
    text = ALPHA + "mode: several\nexecutor_config:\n  volumes: ['/etc:/host-etc']\n"
    async with open_app((120, 40)) as pilot:
        await ask(pilot, foreign(text))
        assert not isinstance(pilot.app.screen, Confirm)
        assert not any(call.startswith("launch") for call in backend.calls)


async def test_a_copy_of_ones_own_is_asked_about_first(open_app: Pilots, recipe_dir: Path) -> None:
    async with open_app((120, 40)) as pilot:
        app = cast(SparkrunApp, pilot.app)
        app.push_screen(ChangesScreen(foreign(GREEDY)))
        await settle(pilot)
        await press(pilot, "w", "enter")
        await come(pilot)
        assert "a copy among your own recipes is launched without a question" in shown(pilot)
        assert "pip install left-pad-of-the-registry" in shown(pilot)
        await press(pilot, "n")
        await settle(pilot)
        assert not (recipe_dir / "greedy-mine.yaml").exists()
        await press(pilot, "w", "enter")
        await come(pilot)
        await press(pilot, "y")
        await settle(pilot)
        assert (recipe_dir / "greedy-mine.yaml").exists()


async def test_what_is_copied_has_signs_for_what_cannot_be_seen(
    open_app: Pilots, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_app((120, 40)) as pilot:
        app = cast(SparkrunApp, pilot.app)
        copied: list[str] = []
        monkeypatch.setattr(app, "copy_to_clipboard", copied.append)
        app.copy("vllm serve m\x1b[201~\r touch CANARY\n\tgo\u202e on", "command")
        assert copied == ["vllm serve m␛[201~␍ touch CANARY\n\tgo\\u202e on"]
