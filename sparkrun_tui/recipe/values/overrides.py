"""Applies overrides to a recipe: typed values, the chain in its order of precedence, the rendered command."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from itertools import islice
from types import MappingProxyType
from typing import Any

from sparkrun_tui.base import shell
from sparkrun_tui.base.errors import Spot, UsageError
from sparkrun_tui.base.reading.json_text import JsonError, parse_json
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.base.secrets import looks_secret
from sparkrun_tui.recipe.format.extensions import projector_word
from sparkrun_tui.recipe.format.spots import command_spot, looks_like_a_program
from sparkrun_tui.recipe.format.yamltree import compact_json, resolve, scalar_data
from sparkrun_tui.recipe.model import Metadata, Problem, Recipe, Severity, Value
from sparkrun_tui.recipe.names.local_model import inside_path, is_path
from sparkrun_tui.recipe.suggestions import did_you_mean
from sparkrun_tui.recipe.values import launch_keys
from sparkrun_tui.recipe.values.env_fields import config_keys
from sparkrun_tui.recipe.values.launch_keys import Divided, FlagsError, Kind, PartError
from sparkrun_tui.recipe.values.rendered import ChainValue, Origin, Rendered, value_text
from sparkrun_tui.recipe.values.shell_scanner import QUOTES, quotes_at
from sparkrun_tui.recipe.values.shellwords import serve_argv
from sparkrun_tui.recipe.values.template import Expansion, Slot, TemplateError, expand, scan

_EMPTY: Mapping[str, object] = MappingProxyType({})
_META = late_regex(r"[\n;&|<>`$(){}*?\[\]!#'\"\\]")
LOST_CONTINUATION = late_regex(r"(?<!\\)((?:\\\\)*)\\([ \t]+)(?=\n)")
"""A backslash with blanks behind it at the end of a line. Of two backslashes the first takes the second as a letter."""
_MODEL_PATH = "resolved_model_path"
"""A placeholder that sparkrun fills: with the path of `cluster_config` where it gives one, else with the model."""
_MOST_REPORTED = 20
"""The most placeholders without a value that are reported one by one."""
_KEY = late_regex(r"[A-Za-z0-9_-]++(?:\.[A-Za-z0-9_-]++)*")


def parse_value(text: str, default: Value | None = None) -> Value:
    """A typed override as YAML reads a scalar, unless the default it replaces is a string: then it stays one."""
    if default is not None and isinstance(default.data, str):
        return Value(text, text)
    if default is not None and isinstance(default.data, (list, dict)):
        try:
            data = parse_json(text)
        except JsonError:
            return Value(text, text)
        return Value(data, compact_json(data)) if isinstance(data, (list, dict)) else Value(data, text)
    data = scalar_data(text, resolve(text))
    return Value(text, text) if data is None else Value(data, text)


_LONGEST_SHOWN = 12
"""A longer text that is not an assignment is shortened in the message."""


def parse_assignment(text: str) -> tuple[str, str]:
    """`key=value` as typed after `-o`. Raises `UsageError`."""
    key, equals, value = text.partition("=")
    key = key.strip()
    if not equals or _KEY.fullmatch(key) is None:
        # The text behind the sign may be a secret, and so may a long word without one.
        shown = text
        if equals:
            shown = f"{key[:80]}=…"
        elif len(text) > _LONGEST_SHOWN:
            shown = f"{text[:4]}…"
        raise UsageError(f"`{shown}` is not an override", remedy="write it as key=value, such as port=9000")
    return key, value


def from_data(data: object, default: Value | None = None) -> Value:
    """Plain data, such as a per-user default, as a `Value`; it stays a string where the default is one."""
    if isinstance(data, (list, dict)):
        return Value(data, compact_json(data))
    text = value_text(Value(data, str(data)))
    return Value(text, text) if default is not None and isinstance(default.data, str) else Value(data, text)


def build_chain(
    recipe: Recipe, overrides: Mapping[str, str], user_defaults: Mapping[str, object] = _EMPTY
) -> dict[str, ChainValue]:
    """The effective values: overrides win over per-user defaults, those over the recipe's, `model` is lowest.

    `model_revision` is present when the recipe pins one; for another model that the user names, it is `main`.
    `mmproj` is present where the recipe has that key, or a command for llama.cpp that uses it, `resolved_model_path`
    where the command uses it. A part of a value that cannot be set is left as it is.
    """
    chain, _ = _chain(recipe, launch_keys.divided(recipe, overrides), user_defaults)
    return chain


def _chain(
    recipe: Recipe, found: Divided, user_defaults: Mapping[str, object]
) -> tuple[dict[str, ChainValue], list[Problem]]:
    """The effective values, and the problems of dotted keys that lead nowhere."""
    overrides = found.values
    chain = {"model": ChainValue(Value(recipe.model, recipe.model, recipe.spots.get("model")), Origin.MODEL)}
    if recipe.model_revision:
        other = "model" in overrides or "model" in user_defaults
        revision = "main" if other else recipe.model_revision
        spot = recipe.spots.get("model_revision")
        chain["model_revision"] = ChainValue(Value(revision, revision, spot), Origin.MODEL)
    projector = projector_word(recipe, "model" in overrides or "model" in user_defaults)
    if projector:
        spot = recipe.place_of("mmproj")
        chain["mmproj"] = ChainValue(Value(projector, projector, spot), Origin.MODEL)
    if f"{{{_MODEL_PATH}}}" in (recipe.command or "") and not _path_elsewhere(recipe):
        chain[_MODEL_PATH] = ChainValue(Value("{model}", "{model}", recipe.spots.get("model")), Origin.MODEL)
    for key, value in recipe.defaults.items():
        chain[key] = ChainValue(value, Origin.RECIPE)
    for key, data in user_defaults.items():
        chain[key] = ChainValue(from_data(data, recipe.defaults.get(key)), Origin.USER)
    for key, typed in overrides.items():
        text = typed.strip() if key == "model" else typed
        before = chain.get(key)
        chain[key] = ChainValue(parse_value(text, before.value if before else None), Origin.OVERRIDE)
    problems = []
    whole = set(chain)
    for key, text in found.parts.items():
        root = launch_keys.root_of(key)
        before = chain.get(root)
        try:
            value = launch_keys.with_part(before.value if before else None, key, text)
        except PartError as error:
            hint = did_you_mean(root, whole) if root not in whole else ""
            problems.append(Problem(Severity.ERROR, "override-part", str(error), None, hint))
            continue
        chain[root] = ChainValue(value, Origin.OVERRIDE)
    return chain, problems


def _path_elsewhere(recipe: Recipe) -> str:
    """The path on the hosts that `cluster_config` gives for the model; empty where it gives none."""
    settings = recipe.runtime_config.get("cluster_config")
    if not isinstance(settings, dict):
        return ""
    return str(settings.get(_MODEL_PATH) or "")


def render(
    recipe: Recipe,
    overrides: Mapping[str, str],
    user_defaults: Mapping[str, object] = _EMPTY,
    *,
    values_alone: bool = False,
) -> Rendered:
    """The recipe with `overrides` (texts as typed) and per-user defaults; never raises: errors are in `problems`.

    With `values_alone` the command is left out, which takes most of the time where it is long.
    """
    found = launch_keys.divided(recipe, overrides)
    chain, part_problems = _chain(recipe, found, user_defaults)
    problems = _override_problems(recipe, found.values, chain)
    problems += part_problems
    extra, flag_problems = _flag_words(found)
    problems += flag_problems
    written = recipe
    recipe = launch_keys.applied(_of_model(recipe, chain), found)
    kept = None if recipe is written else written
    if recipe.model.startswith("~/") and is_path(recipe.model):
        # The engine gets the path in the container; the recipe keeps that of the hosts.
        inside = inside_path(recipe.model)
        chain["model"] = replace(chain["model"], value=Value(inside, inside, chain["model"].value.spot))
    if recipe.command is None or values_alone:
        return Rendered(
            recipe, chain, dict(overrides), None, (), frozenset(chain), tuple(problems),
            extra=extra, written=kept, user_defaults=user_defaults,
        )  # fmt: skip
    command = rejoined(recipe.command)
    texts = {key: value_text(link.value) for key, link in chain.items()}
    composite = {key for key, link in chain.items() if isinstance(link.value.data, (list, dict))}

    doubled = recipe.version == "1"
    by_env = config_keys(recipe) & chain.keys()
    around = _surroundings(command, doubled, composite)

    def fill(slot: Slot, text: str) -> str:
        if slot.key in composite and around[slot.offset] not in QUOTES:
            return shell.word(text)
        return text

    try:
        expansion = expand(command, texts, doubled=doubled, fill=fill if composite else None)
    except TemplateError as error:
        problems.append(_circle(recipe, chain, error))
        used = _reached(command, texts, doubled) | by_env
        return Rendered(
            recipe, chain, dict(overrides), command, (), used, tuple(problems),
            written=kept, user_defaults=user_defaults,
        )  # fmt: skip
    problems += _expansion_problems(recipe, chain, expansion)
    used = expansion.used | by_env
    text = expansion.text
    try:
        text = launch_keys.with_flags(text, extra)
    except FlagsError as error:
        problems.append(Problem(Severity.ERROR, "extra-flags", str(error), recipe.command_spot))
    argv = serve_argv(text)
    return Rendered(
        recipe, chain, dict(overrides), text, argv, used, tuple(problems), written=kept, user_defaults=user_defaults
    )


def _flag_words(found: Divided) -> tuple[tuple[str, ...], list[Problem]]:
    """The words of the extra flags, and the problem with them."""
    try:
        return launch_keys.flag_words(found.flags), []
    except FlagsError as error:
        return (), [Problem(Severity.ERROR, "extra-flags", str(error))]


def rejoined(command: str) -> str:
    """A command whose lines also continue where blanks follow the backslash: they are invisible, and never meant.

    The backslash moves behind the blanks, so that every character keeps its place.
    """
    return LOST_CONTINUATION.sub(lambda match: f"{match[1]}{match[2]}\\", command)


def _surroundings(command: str, doubled: bool, keys: Collection[str]) -> dict[int, str]:
    """What surrounds the placeholders of some keys in a command, by their offsets."""
    if not keys:
        return {}
    return quotes_at(command, (slot.offset for slot in scan(command, doubled).slots if slot.key in keys))


def _reached(command: str, texts: Mapping[str, str], doubled: bool) -> frozenset[str]:
    """The keys that a command refers to, directly or through others, in a circle too."""
    found: set[str] = set()
    waiting = {slot.key for slot in scan(command, doubled).slots} & texts.keys()
    while waiting:
        found |= waiting
        inner = {slot.key for key in waiting for slot in scan(texts[key], False).slots}
        waiting = (inner & texts.keys()) - found
    return frozenset(found)


def _of_model(recipe: Recipe, chain: Mapping[str, ChainValue]) -> Recipe:
    """The recipe with the effective model, which is the one to download and to size.

    Placeholders in `model` are filled. Where the user names another model, the revision and the facts that the recipe
    gives of its own are left out: they are not this one's. A `model` among the defaults is only a word for the command.
    """
    link = chain["model"]
    other = link.origin in (Origin.OVERRIDE, Origin.USER)
    text = value_text(link.value) if other else recipe.model
    if "{" in text:
        try:
            text = expand(text, {key: value_text(part.value) for key, part in chain.items()}, doubled=False).text
        except TemplateError:
            # A circle, which rendering the command reports.
            return recipe
    text = text.strip()
    if text == recipe.model:
        return recipe
    if not other:
        return replace(recipe, model=text)
    words = recipe.metadata
    metadata = Metadata(description=words.description, maintainer=words.maintainer, extra=words.extra)
    return replace(recipe, model=text, model_revision="", metadata=metadata)


def _place(recipe: Recipe, link: ChainValue | None) -> Spot | None:
    return (link.value.spot if link else None) or recipe.command_spot


def _circle(recipe: Recipe, chain: Mapping[str, ChainValue], error: TemplateError) -> Problem:
    key = error.keys[-1] if error.keys else ""
    return Problem(Severity.ERROR, "cycle", str(error), _place(recipe, chain.get(key)))


def _expansion_problems(recipe: Recipe, chain: Mapping[str, ChainValue], expansion: Expansion) -> list[Problem]:
    first = {slot.key: slot for slot in reversed(expansion.unknown)}
    slots = list(islice(reversed(first.values()), _MOST_REPORTED))
    around = quotes_at(recipe.command or "", (slot.offset for slot in slots))
    problems = [_unknown(recipe, slot, chain, around[slot.offset]) for slot in slots]
    for key, holders in islice(expansion.unknown_in.items(), _MOST_REPORTED):
        shown = key
        if looks_secret(holders[0]):
            # It may be a part of the secret.
            shown = "…"
        message = f"`{{{shown}}}` in the value of `{holders[0]}` has no value"
        spot = _place(recipe, chain[holders[0]])
        problems.append(Problem(Severity.ERROR, "unknown-placeholder", message, spot, did_you_mean(key, chain)))
    for key in sorted(expansion.used):
        link = chain[key]
        was_emptied = link.origin is not Origin.RECIPE and link.value.data == ""
        if was_emptied or link.value.data is None:
            message = f"`{key}` has no value: its place in the command stays empty"
            problems.append(Problem(Severity.WARNING, "empty-value", message, _place(recipe, link)))
    if recipe.version != "1" and recipe.command is not None:
        template = scan(recipe.command, False)
        if template.escapes:
            spot = command_spot(recipe, template.escapes[0])
            message = "doubled braces are read as escapes, as in version-1 recipes"
            problems.append(Problem(Severity.WARNING, "doubled-braces", message, spot, "write single braces"))
    for key in sorted(expansion.used):
        link = chain[key]
        if recipe.version == "1" or not isinstance(link.value.data, str) or "{{" not in link.value.text:
            continue
        if scan(link.value.text, False).escapes:
            message = f"doubled braces in the value of `{key}` are read as escapes, as in version-1 recipes"
            problems.append(
                Problem(Severity.WARNING, "doubled-braces", message, _place(recipe, link), "write single braces")
            )
    return problems


def _unknown(recipe: Recipe, slot: Slot, chain: Mapping[str, ChainValue], around: str) -> Problem:
    hint = did_you_mean(slot.key, chain)
    program = not hint and looks_like_a_program(recipe.command or "", slot.offset, around)
    severity = Severity.WARNING if program else Severity.ERROR
    remedy = hint or f"add `{slot.key}` to `defaults`, or set it with -o {slot.key}=VALUE"
    path = _path_elsewhere(recipe)
    if slot.key == _MODEL_PATH and path:
        remedy = f"here a model on the hosts is `model: {path[:200]}`, and `{{model}}` in the command"
    return Problem(
        severity,
        "unknown-placeholder",
        f"`{{{slot.key}}}` has no value",
        command_spot(recipe, slot.offset),
        "" if program else remedy,
    )


def _override_problems(recipe: Recipe, overrides: Mapping[str, str], chain: Mapping[str, ChainValue]) -> list[Problem]:
    problems = []
    users = {key: value_text(chain[key].value) for key in recipe.defaults if chain[key].origin is Origin.USER}
    for key, text in {**users, **overrides}.items():
        default = recipe.defaults.get(key)
        before = value_text(default) if default else ""
        value: Any = chain[key].value.data
        if "\n" in text or "\r" in text:
            message = f"the value of `{key}` has a line break"
            problems.append(Problem(Severity.WARNING, "line-break", message))
        elif isinstance(value, str) and (found := set(_META.findall(text)) - set(_META.findall(before))):
            marks = " ".join(sorted(found))
            message = f"the value of `{key}` contains characters with a meaning in a shell: {marks}"
            problems.append(Problem(Severity.WARNING, "shell-characters", message))
    return problems


def changed(recipe: Recipe, overrides: Mapping[str, str]) -> dict[str, str]:
    """The overrides that differ from the recipe's defaults; one equal to its default is dropped."""
    kept = {}
    original = recipe.original
    conditional = launch_keys.conditional_keys(original)
    for key, text in overrides.items():
        kind = launch_keys.kind_of(original, key)
        if kind is not Kind.VALUE:
            own = launch_keys.own_value(original, key)
            if own is None or own.text != text.strip() or conditional & {key, launch_keys.root_of(key)}:
                kept[key] = text
            continue
        default = original.defaults.get(key)
        if default is None or key in conditional or value_text(parse_value(text, default)) != value_text(default):
            kept[key] = text
    return kept


def metadata_in_force(rendered: Rendered) -> Metadata:
    """The recipe's metadata with dtypes of the form `{key}` taken from the chain; `auto` and unknown keys are empty."""
    metadata = rendered.recipe.metadata

    def word(text: str) -> str:
        if text.startswith("{") and text.endswith("}"):
            link = rendered.chain.get(text[1:-1].strip())
            text = value_text(link.value) if link else ""
        return "" if text.lower() == "auto" else text

    return replace(metadata, model_dtype=word(metadata.model_dtype), kv_dtype=word(metadata.kv_dtype))
