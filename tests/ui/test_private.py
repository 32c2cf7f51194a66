"""Secrets that stand in a recipe, or are typed for it, are dots wherever a picture could be taken of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparkrun_tui.ui.app.app import SparkrunApp
from sparkrun_tui.ui.widgets.form.field_list import FieldEditor, FieldList

from .conftest import ALPHA, Pilots, lines_with, press, screen_text

OWN, TYPED = "correct-horse-battery", "another-long-word-of-mine"


@pytest.fixture
def keyed(recipe_dir: Path) -> Path:
    """A recipe whose API key stands in the file, in its values and in its environment."""
    text = ALPHA.replace("name: alpha-8b", "name: aaa-keyed").replace("  port: 8000", f"  port: 8000\n  api_key: {OWN}")
    text = text.replace("--port {port}", "--port {port} --api-key {api_key}")
    path = recipe_dir / "keyed.yaml"
    path.write_text(f"{text}env:\n  MY_TOKEN: {OWN}\n")
    return path


async def test_what_stands_in_the_file_is_shown_as_dots(open_app: Pilots, keyed: Path) -> None:
    async with open_app((160, 50), query="aaa-keyed") as pilot:
        assert lines_with(pilot, "--api-key •••")
        for key in ("v", "right_square_bracket", "right_square_bracket", "right_square_bracket"):
            await press(pilot, key)
            assert OWN not in screen_text(pilot)
        await press(pilot, "right_square_bracket", "right_square_bracket", "right_square_bracket")
        assert OWN not in screen_text(pilot)


async def test_what_is_typed_is_dots_too_and_reaches_the_command(open_app: Pilots, keyed: Path) -> None:
    async with open_app((160, 50), query="aaa-keyed") as pilot:
        app = pilot.app
        assert isinstance(app, SparkrunApp)
        await press(pilot, "o")
        app.screen.query_one(FieldList).select("api_key")
        await press(pilot, "enter", *TYPED)
        assert TYPED not in screen_text(pilot) and app.screen.query_one(FieldEditor).value == TYPED
        await press(pilot, "enter")
        assert TYPED not in screen_text(pilot) and OWN not in screen_text(pilot)
        evaluation = app.screen.query_one("#detail").evaluation  # type: ignore[attr-defined]
        assert '--api-key "${SPARKRUN_SECRET_API_KEY}"' in evaluation.command
        assert evaluation.rendered.chain["api_key"].value.text == TYPED
        await press(pilot, "escape", "d")
        assert lines_with(pilot, "api_key") and TYPED not in screen_text(pilot) and OWN not in screen_text(pilot)
        await press(pilot, "escape", "o", "enter", "escape")
        app.screen.query_one(FieldList).select("port")
        await press(pilot, "enter", *"90")
        assert lines_with(pilot, "--port 90"), "other fields are typed as text again"
