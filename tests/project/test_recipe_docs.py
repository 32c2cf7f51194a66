"""The reference of a recipe's fields names every key that the program knows, and all its examples are recipes."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from sparkrun_tui.engines.checks.validation import validate
from sparkrun_tui.engines.layout.hook_env import HOOK_VARIABLES
from sparkrun_tui.recipe.format.extensions import LATER_KEYS
from sparkrun_tui.recipe.format.hooks import ContainerOptions
from sparkrun_tui.recipe.format.keys import KEYS, KNOWN_KEYS, Key
from sparkrun_tui.recipe.format.launching import STYLES
from sparkrun_tui.recipe.format.loader import load_file
from sparkrun_tui.recipe.model import Recipe, Severity
from sparkrun_tui.recipe.values.conditional import OPERATORS, SELECTORS
from sparkrun_tui.recipe.values.env_fields import LAUNCH_FIELDS

TEXT = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text(encoding="utf-8")
_EXAMPLE = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"^# file: (\S+)\n")
_ROW = re.compile(r"^\| `([^`]+)` \|.*\| (?:1|0\.4|here) \|.*$", re.MULTILINE)
EXAMPLES = _EXAMPLE.findall(TEXT)


def row(key: Key) -> str:
    return f"| `{key.name}` | {key.kind} | {key.default} | {key.since} | {key.reader} | {key.does} |"


def name_of(text: str) -> str:
    found = _FILE.match(text)
    return found[1] if found else "recipe.yaml"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the examples that have a name, which others include."""
    for text in EXAMPLES:
        if _FILE.match(text):
            (tmp_path / name_of(text)).write_text(text, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name)
def test_every_key_has_its_row(key: Key) -> None:
    assert row(key) in TEXT.splitlines(), f"docs/recipes.md needs this row:\n{row(key)}"


def test_every_row_is_a_key() -> None:
    rows = [match[1] for match in _ROW.finditer(TEXT)]
    assert sorted(rows) == sorted(key.name for key in KEYS)


def test_the_table_has_what_the_program_reads() -> None:
    names = {key.name for key in KEYS}
    assert names >= KNOWN_KEYS | LATER_KEYS
    options = {field.name for field in fields(ContainerOptions)} - {"problems"}
    assert {f"executor_config.{option}" for option in options} <= names
    for word in (*LAUNCH_FIELDS, *SELECTORS, *OPERATORS, *HOOK_VARIABLES, *STYLES):
        assert word in TEXT, f"docs/recipes.md does not name {word}"


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name)
def test_every_key_that_has_an_effect_is_in_an_example(key: Key) -> None:
    if key.reader.startswith("nothing") or key.name == "executor_config.ulimits":
        return
    holder, _, word = key.name.rpartition(".")
    top = key.name.partition(".")[0].removesuffix("[]")
    of_top = [text for text in EXAMPLES if re.search(rf"^{top}:", text, re.MULTILINE)]
    assert of_top, f"docs/recipes.md has no example with {top}"
    if holder:
        assert any(re.search(rf"\b{word}:", text) for text in of_top), f"docs/recipes.md has no example of {key.name}"


@pytest.mark.parametrize("text", EXAMPLES, ids=lambda text: text.split("\n")[0])
def test_every_example_is_a_recipe_without_mistakes(text: str, folder: Path) -> None:
    (folder / "patches").mkdir()
    (folder / "patches" / "a.patch").write_text("--- a", encoding="utf-8")
    path = folder / name_of(text)
    path.write_text(text, encoding="utf-8")
    recipe = load_file(path)
    assert isinstance(recipe, Recipe), recipe
    found = [problem for problem in validate(recipe, None, {"HF_TOKEN": "x"}) if problem.severity is not Severity.NOTE]
    assert not found, [problem.message for problem in found]
