"""Every engine has every part, or says that it does without; no other module names an engine."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

import sparkrun_tui
from sparkrun_tui.engines import registry
from sparkrun_tui.engines.engine import Engine
from sparkrun_tui.engines.family import Dialect, Family, Starter
from sparkrun_tui.engines.flags import NOTHING, Flag, FlagTable
from sparkrun_tui.engines.plan import PlanRequest, ServePlan
from sparkrun_tui.engines.registry import ENGINES, FAMILIES
from sparkrun_tui.engines.short_words import SHORT_WORDS
from sparkrun_tui.ui.model.columns import BY_KEY
from tests.engines.conformance import PARTS, missing

ALL = list({engine.name: engine for engine in ENGINES.values()}.values())


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("engine", ALL, ids=lambda engine: engine.name)
def test_an_engine_has_the_part_or_says_that_it_lacks_it(engine: Engine, part: str) -> None:
    found = missing(engine, part)
    if part in engine.family.lacks:
        assert found, f"{engine.name} has the part `{part}` now: take it out of `lacks` in its family.py"
        return
    shown = "\n".join(f"  {line}" for line in found)
    assert found == [], f"{engine.name} lacks of the part `{part}` (docs/adding-an-engine.md):\n{shown}"


@pytest.mark.parametrize("engine", ALL, ids=lambda engine: engine.name)
def test_what_an_engine_says_that_it_lacks_is_a_part(engine: Engine) -> None:
    assert engine.family.lacks.keys() <= PARTS.keys()
    assert all(engine.family.lacks.values()), "each with its reason"


class Bare(Engine):
    """An engine of which only what must be there is written."""

    def plan(self, request: PlanRequest) -> ServePlan:
        serve = ENGINES["sglang"].plan(request)
        return replace(serve, engine=self.name)


def bare_engine() -> Bare:
    """With one row of which nothing is said."""
    rows = (Flag(("--port",), "port", sets=NOTHING), Flag(("--frob-rate",), "frob_rate"))
    family = Family(
        name="frob",
        title="Frob",
        program="frobd",
        known_version="1.2.0",
        flags=FlagTable(rows),
        dialect=Dialect(lambda words: 1 if words[:1] == ("frobd",) else None),
        start=("frobd",),
        starter=Starter("frobd {model}", (("port",), ("host",))),
        image_words="frob",
    )
    return Bare("frob", "Frob", family, "acme/frob")


EXPECTED = {
    "form": "key `frob_rate`: describe it",
    "validation": "no dump of its flags: write engines/frob/flags-1.2.0.json",
    "estimator": "no model of its memory: write memory/frob/ and a line in memory/engines.py",
    "phases": "no mark in engines/frob/log.py for the line that says that it serves",
    "causes": "no causes of failure: write CAUSES in engines/frob/causes.py",
    "metrics": "no name of the metric `running`: write `metrics` in family.py",
    "demo": "the demo does not simulate it: write demo/engines/frob_log.py",
    "new recipe": "a new recipe is found fault with",
    "search": "no flag of the table has one of the keys max_model_len",
}


def test_an_engine_with_little_is_told_each_part_that_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    bare = bare_engine()
    monkeypatch.setitem(cast(dict[str, Engine], ENGINES), bare.name, bare)
    monkeypatch.setitem(cast(dict[str, Family], FAMILIES), bare.family.name, bare.family)
    found = {part: "\n".join(missing(bare, part)) for part in PARTS}
    assert {part for part, text in found.items() if text} == EXPECTED.keys()
    for part, words in EXPECTED.items():
        assert words in found[part], part


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
    "engines/registry.py": "one line for each runtime word",
    "memory/engines.py": "one line for each engine that is modelled",
    "recipe/model.py": "words that the recipe format itself gives a meaning",
    "recipe/names/detect.py": "what the format says of recipes without `runtime`",
    "recipe/format/extensions.py": "eugr's scripts are a part of the format",
    "recipe/bundled_files/attachments.py": "eugr's mods are a part of the format",
    "recipe/registry/config.py": "a registry of that name",
    "recipe/trust.py": "eugr's scripts are a part of the format, and are asked about",
    "recipe/values/shellwords.py": "which command of a script is shown; engines.command.built asks the engine itself",
    "launch/run/watch.py": "what runs in the containers of eugr's scripts",
    "models/gguf/layers.py": "an architecture of models",
    "engines/short_words.py": "words of a narrow column, which the first screen needs before any engine is loaded",
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
    listed = source[source.index("_ENGINES: ") : source.index("By the runtime word")]
    assert len(re.findall(r'^    "[\w-]+": \(.*\),$', listed, re.MULTILINE)) == len(ENGINES)


def test_the_registry_says_of_each_engine_what_the_engine_says() -> None:
    words = [word for engine in ALL for word in (engine.name, *engine.aliases)]
    assert sorted(words) == sorted(ENGINES)
    assert all(word in (engine.name, *engine.aliases) for word, engine in ENGINES.items())
    assert {engine.family.name for engine in ALL} == set(FAMILIES)
    assert all(family.name == name for name, family in FAMILIES.items())
    assert {word: registry._ENGINES[word][0] for word in ENGINES} == {
        word: engine.family.name for word, engine in ENGINES.items()
    }


def test_a_short_word_is_that_of_an_engine() -> None:
    assert set(SHORT_WORDS) <= set(ENGINES)
    assert all(len(word) <= BY_KEY["engine"].width for word in SHORT_WORDS.values())
