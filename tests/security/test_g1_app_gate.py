"""G1: whatever a recipe holds, and whichever widget draws it, no control character of it reaches the terminal."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.segment import Segment
from textual.color import Color

from sparkrun_tui.base.disk import paths
from sparkrun_tui.ui.app.app import SparkrunApp
from sparkrun_tui.ui.app.gate import Gate
from sparkrun_tui.ui.app.session import Session
from tests.ui.conftest import screen_text, settle
from tests.ui.fakes import LAB_SETTINGS, FakeBackend

_HIDDEN = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e]")
PAYLOAD = r'"a\e]0;CANARY\a\x9b31m\u202e\r\nb"'
RECIPES = {
    "engine": f"model: org/m\nruntime: {PAYLOAD}\ncontainer: a/b:1\ncommand: x\n",
    "values": f"model: org/m\nruntime: vllm\ncommand: 'vllm serve {{model}} {{k}}'\ndefaults: {{k: {PAYLOAD}}}\n",
    "all": f"model: {PAYLOAD}\nruntime: vllm\nname: {PAYLOAD}\ncontainer: {PAYLOAD}\ndescription: {PAYLOAD}\n"
    f"command: {PAYLOAD}\npost_commands: [{PAYLOAD}]\nmods: [{PAYLOAD}]\nmetadata: {{model_dtype: {PAYLOAD}}}\n",
}


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SparkrunApp:
    folder = tmp_path / "recipes"
    folder.mkdir()
    for name, text in RECIPES.items():
        (folder / f"{name}.yaml").write_text(text)
    monkeypatch.setattr(paths, "bundled_recipes", lambda: tmp_path / "none")
    return SparkrunApp(Session(replace(LAB_SETTINGS, recipe_dirs=(folder,)), backend=FakeBackend()))


async def test_no_screen_of_a_recipe_has_a_control_character(app: SparkrunApp) -> None:
    seen = ""
    async with app.run_test(size=(140, 50)) as pilot:
        await settle(pilot)
        for _ in RECIPES:
            # The list, the recipe, the editor of its first field, the plan.
            for key in ("enter", "enter", "escape", "escape", "l", "escape", "down"):
                await pilot.press(key)
                await settle(pilot)
                text = screen_text(pilot)
                found = _HIDDEN.search(text)
                assert found is None, (key, text[max(0, found.start() - 40) : found.end() + 20])
                seen += text
        assert app.is_running
    assert "␛]0;CANARY" in seen


def test_a_line_keeps_its_width() -> None:
    gate, black = Gate(), Color(0, 0, 0)
    line = [Segment("a\x1b[31m"), Segment("…" * 10), Segment("\x07")]
    shown = gate.apply(line, black)
    assert Segment.get_line_length(shown) == Segment.get_line_length(line)
    assert "".join(segment.text for segment in shown).startswith("a␛[31m")
    plain = [Segment("│ plain ✓ │")]
    assert gate.apply(plain, black) is plain
