"""Checks over a folder of published recipes, collected when SPARKRUN_WILD names one."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from sparkrun_tui.engines.checks.validation import validate
from sparkrun_tui.recipe.format.export import exported
from sparkrun_tui.recipe.format.loader import load_file, load_text
from sparkrun_tui.recipe.model import BrokenRecipe, Recipe, Severity
from sparkrun_tui.recipe.values.overrides import render
from sparkrun_tui.recipe.values.shellwords import commands

_FOLDER = os.environ.get("SPARKRUN_WILD", "")

if _FOLDER:
    FILES = sorted(path for path in Path(_FOLDER).rglob("*") if path.suffix in (".yaml", ".yml"))

    @pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
    def test_a_published_recipe(path: Path) -> None:
        recipe = load_file(path)
        if isinstance(recipe, BrokenRecipe):
            assert recipe.error.message and recipe.error.spot is not None
            return
        rendered = render(recipe, {})
        for problem in validate(recipe, rendered, {}):
            assert problem.message and (problem.spot is None or _exists(recipe, problem.spot.line, problem.spot.column))
            assert problem.severity in Severity
        if rendered.command is None:
            return
        assert rendered.argv
        for words in commands(rendered.command):
            for word in words:
                value = word if word.startswith("{") else word.partition("=")[2]
                if value.startswith("{") and value.endswith("}"):
                    json.loads(value)
        overrides = {"port": "9001", "gpu_memory_utilization": "0.70", "zz_new": "a b: c"}
        again = load_text(exported(recipe, overrides), recipe.source)
        assert render(again, {}).command == render(recipe, overrides).command

    def _exists(recipe: Recipe, line: int, column: int) -> bool:
        lines = recipe.text.splitlines()
        return 1 <= line <= len(lines) and 1 <= column <= len(lines[line - 1]) + 1
