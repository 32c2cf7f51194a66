"""Every engine has every part, or says that it does without; no other module names an engine."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import sparkrun_tui
from sparkrun_tui.engines import registry
from sparkrun_tui.engines.engine import Engine
from sparkrun_tui.engines.registry import ENGINES
from tests.engines.conformance import PARTS, missing

ALL = list({engine.name: engine for engine in ENGINES.values()}.values())


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("engine", ALL, ids=lambda engine: engine.name)
def test_an_engine_has_the_part_or_says_that_it_lacks_it(engine: Engine, part: str) -> None:
    found = missing(engine, part)
    if part in engine.family.lacks:
        assert found, f"{engine.name} has the part `{part}` now: take it out of `lacks` in its family.py"
        return
    told = "\n".join(f"  {line}" for line in found)
    assert found == [], f"{engine.name} lacks of the part `{part}` (docs/adding-an-engine.md):\n{told}"


@pytest.mark.parametrize("engine", ALL, ids=lambda engine: engine.name)
def test_what_an_engine_says_that_it_lacks_is_a_part(engine: Engine) -> None:
    assert engine.family.lacks.keys() <= PARTS.keys()
    assert all(engine.family.lacks.values()), "each with its reason"


NAMES = re.compile(
    r"(vllm|sglang|llama|llamacpp|eugr)([-_.](ray|distributed|cpp|server|vllm|d))?|(vllm|sglang|llamacpp)[:.].*"
)
PACKAGE = Path(sparkrun_tui.__file__).parent
OWN = tuple(
    f"{place}/{folder}"
    for place in ("engines", "memory", "demo/engines")
    for folder in ("vllm", "sglang", "llama", "eugr")
)
"""The folders, and in the demo the modules, of single engines."""

ALLOWED = {
    "demo/engines/registry.py": "one line for each engine that is simulated",
    "memory/engines.py": "one line for each engine that is modelled",
    "recipe/model.py": "words that the recipe format itself gives a meaning",
    "recipe/format/detect.py": "what the format says of recipes without `runtime`",
    "recipe/format/extensions.py": "eugr's scripts are a part of the format",
    "recipe/bundled_files/attachments.py": "eugr's mods are a part of the format",
    "recipe/registry/config.py": "a registry of that name",
    "recipe/values/shellwords.py": "which command of a script is shown; engines.command.built asks the engine itself",
    "engines/checks/fields.py": "images that eugr's scripts build",
    "launch/run/watch.py": "what runs in the containers of eugr's scripts",
    "models/gguf/layers.py": "an architecture of models",
}
"""Modules that may name an engine, and why."""


def named_in(path: Path) -> list[str]:
    """The strings of a module that are the name of an engine, and its uses of `Runtime`; docstrings do not count."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    bare = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in bare:
            found += [node.value] if NAMES.fullmatch(node.value) else []
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Runtime":
            found.append(f"Runtime.{node.attr}")
    return found


def test_only_its_own_folder_names_an_engine() -> None:
    """What depends on the engine is asked of its Family, its Engine, its EngineModel or its Simulated."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        place = path.relative_to(PACKAGE).as_posix()
        if not place.startswith(OWN):
            found[place] = named_in(path)
    assert {place: words for place, words in found.items() if words and place not in ALLOWED} == {}
    assert [place for place in ALLOWED if not found[place]] == [], "they name none any more: take them out"


def test_the_registry_is_one_line_an_engine() -> None:
    source = Path(registry.__file__).read_text(encoding="utf-8")
    listed = source[source.index("_ENGINES: ") : source.index("ENGINES: Mapping")]
    assert len(re.findall(r"^    \w+\(\),$", listed, re.MULTILINE)) == len(ALL)
