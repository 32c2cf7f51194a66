"""Fields in the values of `env`: `{config.KEY}` for a value of the recipe, `{launch.FIELD}` for one of the launch.

Nothing else in braces is touched, and no value is read again for further fields. Doubled braces write such a field
literally: `{{launch.node_rank}}` is `{launch.node_rank}`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from sparkrun_tui.base.reading.filling import filled_in
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.base.text import shorten
from sparkrun_tui.recipe.format.yamltree import MAX_TEXT
from sparkrun_tui.recipe.model import Problem, Recipe, Severity
from sparkrun_tui.recipe.suggestions import did_you_mean
from sparkrun_tui.recipe.values.rendered import ChainValue

LAUNCH_FIELDS: Mapping[str, str] = {
    "model_path": "the model's folder or GGUF file in the container",
    "model_revision": "the commit of the model",
    "num_nodes": "the number of hosts",
    "node_rank": "the rank of the host, from 0",
    "node_host": "the name of the host",
    "cluster_id": "the id of the launch",
    "runtime_cache_dir": "the folder in the container that is kept on the host",
}
"""Values that only a launch has, and what they are."""

FIELD = r"(?<![$\{])(?P<open>\{+)(?P<space>config|launch)\.(?P<name>[^{}\n]*)(?P<close>\}+)"
"""A field with its braces. A value of a shell variable (`${config.x}`) is none."""
_FIELD = late_regex(FIELD)
_BEGUN = late_regex(r"(?<![$\{])\{(config|launch)\.[^{}]*(?=\{|\n|$)")
_NAME = late_regex(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class EnvField:
    """One field of a text: `space` is `config` or `launch`. Of doubled braces, `literal` is what they mean."""

    space: str
    name: str
    literal: str = ""


def field_at(match: re.Match[str]) -> tuple[EnvField, str]:
    """The field of a match of `FIELD`, and the braces behind it that are not part of it."""
    width = len(match["open"])
    close = match["close"]
    if width == 1:
        return EnvField(match["space"], match["name"]), close[1:]
    rest = close[width:]
    inner = close[:width]
    if len(inner) == width:
        inner = inner[1:]
    literal = f"{match['open'][1:]}{match['space']}.{match['name']}{inner}"
    return EnvField(match["space"], match["name"], literal), rest


def fields_in(text: str) -> Iterator[EnvField]:
    """The fields of a text that are to be filled in."""
    for match in _FIELD.finditer(text):
        field, _ = field_at(match)
        if not field.literal:
            yield field


def config_keys(recipe: Recipe) -> frozenset[str]:
    """The keys of the chain that the recipe's `env` reads."""
    found: set[str] = set()
    for value in recipe.env.values():
        if "{config." in value.text:
            found.update(field.name for field in fields_in(value.text) if field.space == "config")
    return frozenset(found)


def launch_fields(recipe: Recipe) -> frozenset[str]:
    """The values of a launch that the recipe's `env` reads."""
    found: set[str] = set()
    for value in recipe.env.values():
        if "{launch." in value.text:
            found.update(field.name for field in fields_in(value.text) if field.space == "launch")
    return frozenset(found)


def field_problems(recipe: Recipe, chain: Mapping[str, ChainValue]) -> Iterator[Problem]:
    """Fields of `env` that cannot be filled in."""
    for key, value in recipe.env.items():
        if "config." not in value.text and "launch." not in value.text:
            continue
        spot = value.spot or recipe.spots.get(f"env.{key}")
        begun = _BEGUN.search(value.text)
        if begun is not None:
            message = f"`env.{key}`: `{begun.group()[:60]}` has no closing brace"
            yield Problem(Severity.ERROR, "env-field", message, spot)
        for field in fields_in(value.text):
            wrong, remedy = _wrong(field, chain)
            if field.name == "runtime_cache_dir" and field.space == "launch" and not recipe.runtime_cache.enabled:
                wrong = "`{launch.runtime_cache_dir}` has no value, since `runtime_cache` is off"
            if wrong:
                yield Problem(Severity.ERROR, "env-field", f"`env.{key}`: {wrong}", spot, remedy)


def _wrong(field: EnvField, chain: Mapping[str, ChainValue]) -> tuple[str, str]:
    """What is wrong with a field, and the remedy; empty where it is right."""
    name = f"{{{field.space}.{shorten(field.name, 60)}}}"
    if _NAME.fullmatch(field.name) is None:
        return f"`{name}` is not the name of a value", "write `{config.KEY}` or `{launch.FIELD}`, without a format"
    if field.space == "launch":
        if field.name in LAUNCH_FIELDS:
            return "", ""
        remedy = did_you_mean(field.name, LAUNCH_FIELDS) or f"a launch has {', '.join(LAUNCH_FIELDS)}"
        return f"`{name}` is not a value of a launch", remedy
    link = chain.get(field.name)
    if link is None or link.value.data is None:
        remedy = did_you_mean(field.name, chain) or f"add `{field.name}` to `defaults`"
        return f"`{name}` has no value", remedy
    if isinstance(link.value.data, (list, dict)):
        return f"`{name}` is a list or a mapping, which cannot be put into a variable", ""
    return "", ""


def protected(text: str) -> str:
    """A text that is put into a value, in the form in which `with_launch` leaves it as it is."""
    if "{launch." not in text:
        return text

    def more_braces(match: re.Match[str]) -> str:
        if match["space"] != "launch":
            return match.group()
        return "{" + match.group() + "}"

    return _FIELD.sub(more_braces, text)


def with_launch(text: str, values: Mapping[str, str]) -> str:
    """A text with the fields of the launch filled in; one that `values` lacks stays as it is written."""
    if "{launch." not in text:
        return text

    def fill(match: re.Match[str]) -> str:
        field, rest = field_at(match)
        if field.space != "launch":
            return match.group()
        if field.literal:
            return field.literal + rest
        return values.get(field.name, f"{{launch.{field.name}}}") + rest

    return filled_in(_FIELD, text, fill, MAX_TEXT)
