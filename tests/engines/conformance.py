"""The parts of an engine: for each a check that says what is missing and where to write it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from sparkrun_tui.base.errors import SparkrunError
from sparkrun_tui.base.units import GIB
from sparkrun_tui.demo.clock import Clock
from sparkrun_tui.demo.engines.figures import Figures
from sparkrun_tui.demo.engines.log_script import filled
from sparkrun_tui.demo.engines.registry import SIMULATED
from sparkrun_tui.demo.engines.simulated import Start
from sparkrun_tui.engines.checks.flags import check_flags
from sparkrun_tui.engines.checks.validation import validate
from sparkrun_tui.engines.command.built import serve_words
from sparkrun_tui.engines.dumps import flag_help, load_flags
from sparkrun_tui.engines.engine import Engine
from sparkrun_tui.engines.fields.declared import FIELDS
from sparkrun_tui.engines.fields.filled import field_of
from sparkrun_tui.engines.fields.types import Field, FieldType
from sparkrun_tui.engines.flags import NOTHING, Flag
from sparkrun_tui.engines.image_version import version_in_tag
from sparkrun_tui.engines.layout.common import BASE_ENV
from sparkrun_tui.engines.logs.phases import PhaseReader
from sparkrun_tui.engines.plan import Phase, Role
from sparkrun_tui.engines.settings import read_settings
from sparkrun_tui.engines.starter import starter
from sparkrun_tui.launch.sizing.image_label import version_of
from sparkrun_tui.memory.engines import MODELS
from sparkrun_tui.memory.llama_cpp.cache import Shape
from sparkrun_tui.memory.settings import EngineSettings, Speculative
from sparkrun_tui.recipe.format.loader import load_text
from sparkrun_tui.recipe.search.entry import CONTEXT_KEYS
from sparkrun_tui.recipe.values.overrides import render
from sparkrun_tui.recipe.values.rendered import Rendered
from sparkrun_tui.remote.docker.types import ImageInfo
from tests.engines.samples import hosts, plan

Missing = Iterator[str]
"""What is missing, each with the place to write it."""

_SPECULATIVE = frozenset(["json", *(field.name for field in fields(Speculative))])


def model_for(engine: Engine) -> str:
    """A model that the engine can serve."""
    return "acme/Falcon-30B-GGUF:Q8_0" if engine.family.gguf else "acme/Falcon-30B"


def recipe_with(engine: Engine, defaults: Mapping[str, Any], command: str = "") -> Rendered:
    """A recipe for an engine."""
    body: dict[str, Any] = {
        "model": model_for(engine),
        "runtime": engine.name,
        "container": "acme/image:1.2",
        "defaults": dict(defaults),
    }
    if command:
        body["command"] = command
    # JSON is YAML, and says of each value which type it has.
    return render(load_text(json.dumps(body)), {})


def sample(row: Flag, field: Field) -> Any:
    """A value that the key of a row takes and that has the flag written."""
    if row.switch:
        return not row.on_by_default
    if row.only:
        return row.only[-1]
    if field.type is FieldType.INT:
        return int(max(field.minimum or 1, 1))
    if field.type is FieldType.FLOAT:
        return 0.5
    if field.type is FieldType.JSON:
        return {"method": "mtp"}
    return field.values[-1] if field.values else "4"


def form(engine: Engine) -> Missing:
    """Every declared key has a field with a title and a help text."""
    for row in engine.family.flags.declared:
        for key in (row.key, *row.aliases):
            field = field_of(recipe_with(engine, {}).recipe, key)
            described = row.field is not None or row.key in FIELDS or flag_help(engine.family, row.name)
            if not described or not field.title or not field.help:
                where = "`field=Field(...)` in its row, in engines/fields/declared.py, or in its folder's help.json"
                yield f"key `{key}`: describe it, by {where}"


def command(engine: Engine) -> Missing:
    """Every declared key, and each of its aliases, is in the command that is built from it."""
    for row in engine.family.flags.declared:
        value = sample(row, field_of(recipe_with(engine, {}).recipe, row.key))
        wanted = row.off[0] if row.switch and row.on_by_default else row.in_command
        if row.later:
            # The sample's image says no version, which is taken as the newest.
            wanted = row.later[0]
        for key in (row.key, *row.aliases):
            rendered = recipe_with(engine, {key: value})
            try:
                words = serve_words(rendered, engine.family)
            except SparkrunError as error:
                yield f"key `{key}`: the command is not built: {error}"
                continue
            if wanted not in words:
                yield f"key `{key}`: {wanted} is not in the built command {' '.join(words)}"
    if not engine.family.dialect.starts(serve_words(recipe_with(engine, {}), engine.family)):
        yield "the built command does not start the server: correct `first_argument` or `start` in family.py"


def validation(engine: Engine) -> Missing:
    """The shipped dump knows every flag of the table, and finds nothing wrong with a built command."""
    family = engine.family
    dump = f"engines/{family.folder}/flags-{family.known_version}.json"
    known = load_flags(family)
    if not known.by_spelling:
        yield f"no dump of its flags: write {dump} (engines.dumps.compact makes it)"
        return
    for row in family.flags:
        gone = {*known.history.words()[1], *family.dialect.gone}
        if not any(word in known.by_spelling or word in gone or "." in word for word in row.spellings):
            yield f"{row.name} is in the table and not in {dump}"
    for row in family.flags.declared:
        value = sample(row, field_of(recipe_with(engine, {}).recipe, row.key))
        text = engine.command(recipe_with(engine, {row.key: value}))
        for problem in check_flags(
            recipe_with(engine, {}, text.replace("{", "{{").replace("}", "}}")), family.known_version
        ):
            yield f"key `{row.key}`: the built command is found fault with: {problem.message}"


def estimator(engine: Engine) -> Missing:
    """The estimator has a model of the engine, and every row says what it sets there."""
    family = engine.family
    if family.name not in MODELS:
        yield f"no model of its memory: write memory/{family.folder}/ and a line in memory/engines.py"
    names = {field.name for field in fields(EngineSettings)}
    for row in family.flags:
        group, _, leaf = row.sets.rpartition(".")
        record = getattr(EngineSettings(""), group, None)
        own = is_dataclass(record) and leaf in {field.name for field in fields(record)}
        if row.sets == NOTHING or own or (group == "spec" and leaf in _SPECULATIVE) or (not group and leaf in names):
            continue
        yield f"{row.name}: say in its row what it `sets` in memory.settings.EngineSettings, or NOTHING"
    for row in family.flags.declared:
        value = sample(row, field_of(recipe_with(engine, {}).recipe, row.key))
        words = serve_words(recipe_with(engine, {row.key: value}), family)
        for note in read_settings(family, words).notes:
            yield f"key `{row.key}`: {note}"


def phases(engine: Engine) -> Missing:
    """The log reader marks the begin and the end of a start, and every line that it reads has a word to look for."""
    log = engine.family.log
    where = f"engines/{engine.family.folder}/log.py"
    seen = {(mark.phase, mark.done) for mark in log.marks}
    for phase, done, what in (
        (Phase.START, False, "begins"),
        (Phase.LOAD, False, "loads weights"),
        (Phase.READY, True, "serves"),
    ):
        if (phase, done) not in seen:
            yield f"no mark in {where} for the line that says that it {what}"
    if not log.facts:
        yield f"no figures of memory in {where}: at least `weights_bytes`"
    for pattern in log.patterns:
        if not pattern.words:
            yield f"`{pattern.text}` in {where} has no plain word of four letters in each alternative: it is slow"


def causes(engine: Engine) -> Missing:
    """There are causes of failure, each with words."""
    where = f"engines/{engine.family.folder}/causes.py"
    if not engine.family.causes:
        yield f"no causes of failure: write CAUSES in {where}"
    for cause in engine.family.causes:
        if not cause.title or not cause.why:
            yield f"`{cause.pattern.text}` in {where} has no title or no explanation"


def image(engine: Engine) -> Missing:
    """The version is found in an image's tag and in its labels."""
    family = engine.family
    if version_in_tag(family, f"acme/image:{family.known_version}") != family.known_version:
        yield "the version is not found in an image's tag: see `build_numbers` and engines/image_version.py"
    if not re.search(family.image_words, engine.image_prefix, re.IGNORECASE):
        yield f"`image_words` in family.py does not find the engine's own image {engine.image_prefix}"
    word = next((word for word in re.split(r"[^A-Za-z]+", engine.image_prefix) if _names(family.image_words, word)), "")
    labels = {f"ai.{word}.version": family.known_version}
    info = ImageInfo("id", (), (), (), "linux", "arm64", 1, labels=labels)
    if word and version_of(engine.name, info) != family.known_version:
        yield f"the version is not found in the label {labels}"


def _names(pattern: str, word: str) -> bool:
    return re.search(pattern, word, re.IGNORECASE) is not None


def metrics(engine: Engine) -> Missing:
    """The Prometheus page is known."""
    names = engine.family.metrics
    for what in ("running", "waiting", "kv_usage", "generated", "prompted"):
        if not getattr(names, what):
            yield f"no name of the metric `{what}`: write `metrics` in family.py"


def demo(engine: Engine) -> Missing:
    """The demo simulates a start that the engine's own log reader follows to the end."""
    family = engine.family
    simulated = SIMULATED.get(family.name)
    if simulated is None:
        yield f"the demo does not simulate it: write demo/engines/{family.folder}_log.py and a line in registry.py"
        return
    log = simulated.log(Start(_figures(family.name), Role.SOLO, 0, False, "10.0.0.1"))
    reader = PhaseReader(family.log)
    for text in [step.text for step in log.steps()] + [text for text, _ in log.up()]:
        reader.feed(filled(text, simulated.stamp, Clock(), 0.0))
    if reader.phase is not Phase.READY or not reader.done:
        yield f"the demo's log is read up to {reader.phase} only"
    if "weights_bytes" not in reader.facts:
        yield "the demo's log does not show how large the weights are"


def _figures(engine: str) -> Figures:
    return Figures(
        engine=engine,
        model="acme/Falcon-30B",
        ranks=1,
        length=8192,
        utilisation=0.8,
        total=120 * GIB,
        free=110 * GIB,
        base=2 * GIB,
        weights=30 * GIB,
        kv=20 * GIB,
        kv_tokens=100_000,
        graphs=GIB,
        activation=GIB,
        request=GIB,
        longest=32_768,
        shape=Shape(8192, 8192, 1, 4, True, 2048, 512, 512),
    )


def new_recipe(engine: Engine) -> Missing:
    """`recipe new` makes a recipe without findings."""
    recipe = load_text(starter(model_for(engine), engine.family.name, "acme/image:1.2"))
    for problem in validate(recipe, render(recipe, {}), {}):
        yield f"a new recipe is found fault with: {problem.message}"


def search(engine: Engine) -> Missing:
    """A search knows the context of a recipe by the flag in its command."""
    if not any(row.key in CONTEXT_KEYS for row in engine.family.flags):
        yield f"no flag of the table has one of the keys {', '.join(CONTEXT_KEYS)}: `ctx:` finds none of its recipes"


def layout(engine: Engine) -> Missing:
    """It is laid out on as many hosts as it says that it uses, under its own name."""
    for number in (1, 2):
        rendered = recipe_with(engine, {"tensor_parallel": number})
        count, _ = engine.host_count(rendered, 2, 1)
        serve = plan(rendered, count, views=hosts(count))
        if serve.engine != engine.name:
            yield f"its plans are those of `{serve.engine}`"
        if not serve.stages:
            yield "its plan starts nothing"
        if serve.ranks and len(serve.ranks) != count:
            yield f"it uses {count} hosts by `host_count` and plans {len(serve.ranks)}: see `one_host` in engine.py"
        for rank in serve.ranks:
            if BASE_ENV.keys() - rank.container.env.keys():
                yield "its containers lack the variables of all engines: make them by `layout.common.container`"


Check = Callable[[Engine], Missing]

PARTS: Mapping[str, Check] = {
    "form": form,
    "command": command,
    "validation": validation,
    "estimator": estimator,
    "phases": phases,
    "causes": causes,
    "image": image,
    "metrics": metrics,
    "demo": demo,
    "new recipe": new_recipe,
    "search": search,
    "layout": layout,
}
"""The parts, by the names that a family's `lacks` uses."""


def missing(engine: Engine, part: str) -> list[str]:
    """What an engine lacks of a part."""
    return list(PARTS[part](engine))
