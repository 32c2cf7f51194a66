"""Everything that is wrong, or likely wrong, with a recipe: findings of reading and rendering, and checks of sense."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from itertools import islice, pairwise
from math import inf

from sparkrun_tui.base.errors import Spot
from sparkrun_tui.base.identifiers import variable_name
from sparkrun_tui.engines.checks.fields import check_container, check_metadata, check_model, check_topology, problem
from sparkrun_tui.engines.checks.flags import check_flags
from sparkrun_tui.engines.fields.declared import field_for
from sparkrun_tui.engines.registry import ENGINES
from sparkrun_tui.recipe.bundled_files.attachments import bring
from sparkrun_tui.recipe.format.characters import check_characters
from sparkrun_tui.recipe.format.extensions import changes_launch, later_fields
from sparkrun_tui.recipe.format.hooks import container_options, hooks_of
from sparkrun_tui.recipe.format.loader import KNOWN_KEYS, METADATA_KEYS, unknown_keys
from sparkrun_tui.recipe.format.spots import command_spot
from sparkrun_tui.recipe.model import Problem, Recipe, Severity
from sparkrun_tui.recipe.suggestions import did_you_mean, listed
from sparkrun_tui.recipe.values.environment import unfilled, wanted
from sparkrun_tui.recipe.values.overrides import render, value_text
from sparkrun_tui.recipe.values.rendered import ChainValue, Origin, Rendered

_STRICT = frozenset({"port", "gpu_memory_utilization", "tensor_parallel", "pipeline_parallel"})
"""Keys whose bad value no engine can start with."""
_NOT_IN_COMMANDS = frozenset({"tensor_parallel", "pipeline_parallel", "data_parallel"})
"""Keys that decide about hosts even when the command does not use them."""
_LOST_CONTINUATION = re.compile(r"\\(?=[ \t]+\n[ \t]*-)")


def validate(
    recipe: Recipe,
    rendered: Rendered | None = None,
    env: Mapping[str, str] | None = None,
    *,
    attention_heads: int | None = None,
    gpus_per_host: int = 1,
    engine_version: str = "",
) -> tuple[Problem, ...]:
    """All problems of a recipe, in the order of the file; the same finding at the same place is told once.

    `rendered` carries the overrides (none when left out); `env` is the workstation's environment, of which only
    the names are looked at; `attention_heads` is known when the model's facts are,
    `engine_version` when the image has said it of itself.
    """
    result = rendered if rendered is not None else render(recipe, {})
    found = [*recipe.problems, *result.problems]
    found += check_characters(result)
    found += check_model(recipe, result)
    found += _check_runtime(recipe)
    found += check_container(recipe)
    found += check_metadata(recipe)
    found += check_topology(result, attention_heads, gpus_per_host)
    found += _check_values(result)
    found += _unused_defaults(result)
    found += _check_env(recipe, os.environ if env is None else env)
    found += _check_later(recipe)
    found += _misspelt_keys(recipe)
    found += check_flags(result, engine_version)
    found += [*hooks_of(result).problems, *container_options(recipe).problems, *_check_brought(result)]
    return ordered(found)


def ordered(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Problems by their place in the file, those without a place last, repetitions dropped."""
    unique = dict.fromkeys(problems)

    def place(found: Problem) -> tuple[float, int]:
        return (found.spot.line, found.spot.column) if found.spot else (inf, 0)

    return tuple(sorted(unique, key=place))


def _check_runtime(recipe: Recipe) -> Iterator[Problem]:
    known = ENGINES
    if recipe.runtime not in known:
        remedy = did_you_mean(recipe.runtime, known) or f"this program launches {listed(sorted(known), 'and')}"
        message = f"the engine `{recipe.runtime}` is not one that this program launches"
        yield problem(recipe, Severity.ERROR, "unknown-runtime", message, "runtime", remedy=remedy)
    elif "runtime" not in recipe.spots and recipe.version != "1":
        message = f"`runtime` is not given; it is taken as `{recipe.runtime}`"
        yield problem(recipe, Severity.NOTE, "missing-runtime", message, "")
    if recipe.command is not None:
        for match in islice(_LOST_CONTINUATION.finditer(recipe.command), 20):
            message = "a backslash with spaces after it does not continue the line: the shell ends the command here"
            yield Problem(Severity.WARNING, "continuation", message, command_spot(recipe, match.start()))
        for offset in islice(_comments_between(recipe.command), 20):
            message = "a comment between the lines of a command ends it: the shell takes the next line as another one"
            remedy = "move the comment above the command"
            yield Problem(Severity.WARNING, "continuation", message, command_spot(recipe, offset), remedy)
    elif recipe.runtime in known:
        message = "`command` is not given; the engine's command is built from `defaults`"
        yield problem(recipe, Severity.NOTE, "missing-command", message, "")


def _comments_between(command: str) -> Iterator[int]:
    """Where comments stand in a continued command that would go on with a flag behind them."""
    lines = command.split("\n")
    start, continued = 0, False
    for line, following in pairwise(lines):
        text = line.lstrip(" \t")
        comment = text.startswith("#")
        if continued and comment and following.lstrip(" \t").startswith("-"):
            yield start + len(line) - len(text)
            continued = False
        continued = line.endswith("\\") or (continued and comment)
        start += len(line) + 1


def _chain_spot(link: ChainValue) -> Spot | None:
    return link.value.spot


def _check_values(rendered: Rendered) -> Iterator[Problem]:
    for key, link in rendered.chain.items():
        if link.origin is Origin.MODEL or link.value.data is None:
            continue
        field = field_for(key, link.value)
        text = value_text(link.value)
        if not field.known or not text or (wrong := field.check(text)) == "":
            continue
        severity, remedy = Severity.ERROR if key in _STRICT else Severity.WARNING, ""
        if key == "gpu_memory_utilization":
            severity, wrong, remedy = _utilisation(rendered, text, wrong)
            if not wrong:
                continue
        message = f"`{key}` {wrong}, not {text[:60]}"
        yield Problem(severity, f"value-{key.replace('_', '-')}", message, _chain_spot(link), remedy)


def _utilisation(rendered: Rendered, text: str, wrong: str) -> tuple[Severity, str, str]:
    value = rendered.get("gpu_memory_utilization")
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 1:
        return Severity.ERROR, wrong, ""
    if "--gpu-memory-utilization-gb" in rendered.argv:
        return Severity.NOTE, "", ""
    remedy = f"{text} may be meant as GiB: a share of the memory is wanted, such as {min(value, 121) / 121:.2f}"
    return Severity.ERROR, wrong, remedy if 1 < value <= 1024 else ""


def _unused_defaults(rendered: Rendered) -> Iterator[Problem]:
    recipe = rendered.recipe
    if recipe.command is None:
        return
    for key, value in recipe.defaults.items():
        if key in rendered.used or key in rendered.overrides:
            continue
        message = f"`{key}` is not used by the command"
        note = key in _NOT_IN_COMMANDS and recipe.min_nodes == recipe.max_nodes
        severity = Severity.NOTE if note else Severity.WARNING
        yield Problem(severity, "unused-default", message, recipe.spots.get(f"defaults.{key}") or value.spot)


def _check_env(recipe: Recipe, environ: Mapping[str, str]) -> Iterator[Problem]:
    for name in recipe.env:
        if variable_name(name) is None:
            message = f"`{name[:60]}` is not a name for a variable"
            yield problem(recipe, Severity.ERROR, "env-name", message, f"env.{name}")
        if "\0" in recipe.env[name].text:
            yield problem(recipe, Severity.ERROR, "env-value", f"`env.{name}` holds a NUL character", f"env.{name}")
        for form in unfilled(recipe.env[name].text):
            message = f"`{form}` stays as it is written: only `$NAME` and `${{NAME}}` are filled in"
            yield problem(recipe, Severity.WARNING, "env-form", message, f"env.{name}")
    for want in wanted(recipe, environ):
        if not want.is_set:
            message = f"`${{{want.name}}}` is not set on this machine: it stays as it is written"
            remedy = f"export {want.name}=... before the launch"
            yield problem(recipe, Severity.WARNING, "env-unset", message, f"env.{want.keys[0]}", remedy=remedy)


def _check_brought(rendered: Rendered) -> Iterator[Problem]:
    """What is copied into the containers; which registries are here says nothing against the recipe itself."""
    for found in bring(rendered).problems:
        if found.code == "mod-unseen":
            yield replace(found, severity=Severity.NOTE)
            continue
        here = found.code == "mod-missing"
        yield (
            replace(found, severity=Severity.WARNING, message=f"{found.message}: a launch stops at it")
            if here
            else found
        )


def _misspelt_keys(recipe: Recipe) -> Iterator[Problem]:
    """Keys that are nearly one of the format's, which the file does not have."""
    own = [(key, key, KNOWN_KEYS) for key in unknown_keys(recipe)]
    own += [(key, f"metadata.{key}", METADATA_KEYS) for key in recipe.metadata.extra]
    for key, place, known in own:
        near = _nearly(key.lower(), known)
        if near and f"{place.removesuffix(key)}{near}" not in recipe.spots:
            message = f"`{place}` is not a key of the format, and has no effect"
            yield problem(recipe, Severity.WARNING, "unknown-key", message, place, remedy=f"did you mean `{near}`?")


@lru_cache(maxsize=1024)
def _nearly(key: str, known: frozenset[str]) -> str:
    """The one of `known` that `key` is a slip of, kept: a form asks again with each keystroke."""
    return next(iter(difflib.get_close_matches(key, sorted(known), n=1, cutoff=0.85)), "")


def _check_later(recipe: Recipe) -> Iterator[Problem]:
    for field in later_fields(recipe):
        if changes_launch(field):
            message = f"`{field.key}` ({field.meaning}) is not carried out by this program"
            severity = Severity.WARNING
        else:
            did = f"has no effect: {field.idle}" if field.idle else "has no effect on the launch"
            did = "is carried out" if field.honoured and not field.idle else did
            message, severity = f"`{field.key}` ({field.meaning}) {did}", Severity.NOTE
        yield problem(recipe, severity, "later-field", message, field.key, f"runtime_config.{field.key}")
