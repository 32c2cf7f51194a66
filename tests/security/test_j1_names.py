"""J1: names and words that are not UTF-8, as folders and terminals may hold them, take nothing down."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from sparkrun_tui.base.disk import paths
from sparkrun_tui.base.disk.files import read_text, write_private
from sparkrun_tui.recipe.format.export import write_new_recipe
from sparkrun_tui.ui.app.app import SparkrunApp
from sparkrun_tui.ui.app.session import Session
from tests.cli.conftest import Cli, cli
from tests.ui.conftest import ALPHA, settle
from tests.ui.fakes import LAB_SETTINGS, FakeBackend

__all__ = ["cli"]
ODD = os.fsdecode(b"a\xff\x80")

pytestmark = pytest.mark.skipif(sys.platform == "darwin", reason="names of files are UTF-8 there")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of recipes with one whose name is not UTF-8."""
    monkeypatch.setattr(paths, "bundled_recipes", lambda: tmp_path / "none")
    folder = tmp_path / "recipes"
    folder.mkdir()
    (folder / f"{ODD}.yaml").write_text(ALPHA)
    return folder


async def test_a_value_of_such_a_recipe_is_kept(folder: Path) -> None:
    settings = replace(LAB_SETTINGS, recipe_dirs=(folder,))
    key = str(folder / f"{ODD}.yaml")
    for number in range(2):
        app = SparkrunApp(Session(settings, backend=FakeBackend()))
        async with app.run_test(size=(140, 40)) as pilot:
            await settle(pilot)
            if number:
                assert app.state.edits_of(key).kept == {"port": "9001"}
                continue
            app.state.edits_of(key).set("port", "9001")
            for keys in ("d", "y"), ("escape", "asterisk", "w"):
                await pilot.press(*keys)
            app.persistence.keep()


@pytest.mark.parametrize("text", [ODD, "\ud800", "a\udfffb", "plain ä"])
def test_any_text_can_be_written(tmp_path: Path, text: str) -> None:
    write_private(tmp_path / "kept.json", json.dumps({"a": text}, ensure_ascii=False))
    assert json.loads(read_text(tmp_path / "kept.json")) == {"a": text}
    write_new_recipe(tmp_path / "new.yaml", text)
    assert (tmp_path / "new.yaml").is_file()


@pytest.mark.parametrize(
    "more", [("-o", f"served_model_name={ODD}"), ("-e", f"A={ODD}"), ("--", f"--served-model-name={ODD}")]
)
def test_a_typed_value_that_is_not_utf8_is_no_defect(cli: Cli, more: tuple[str, ...]) -> None:
    result = cli("run", "--dry-run", "--solo", "qwen3-1.7b-vllm", *more)
    assert "defect" not in result.err and "unexpected" not in result.err
