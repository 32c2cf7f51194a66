"""Checks of values against the parser of the engine that gets them: what it cannot read, and what is out of limits."""

from __future__ import annotations

from collections.abc import Iterator

from sparkrun_tui.engines.fields.declared import field_for
from sparkrun_tui.engines.fields.filled import field_of, is_passed, takes_value
from sparkrun_tui.engines.fields.types import Field
from sparkrun_tui.recipe.model import Problem, Severity
from sparkrun_tui.recipe.values.rendered import ChainValue, Origin, Rendered, value_text

_STRICT = frozenset({"port", "gpu_memory_utilization", "tensor_parallel", "pipeline_parallel"})
"""Keys with which no engine starts when their value is bad."""
_NONE = frozenset({"none", "null"})
"""Words that some parsers read as no value at all."""
_BY_PERSON = frozenset({Origin.OVERRIDE, Origin.USER})


def check_values(rendered: Rendered) -> Iterator[Problem]:
    """What is wrong with the values of a recipe and its overrides.

    An error is a value that the engine's own parser refuses, and a value out of limits that a person has typed; an
    author's value out of limits is a warning, except with keys that every engine judges alike.
    """
    for _, problem in refused_values(rendered):
        yield problem
    for key, link in _values(rendered):
        field = _field(rendered, key, link)
        text = value_text(link.value)
        wrong = field.check(text)
        if not wrong or _refusal(rendered, key, link):
            continue
        if not field.known:
            continue
        severity, remedy = Severity.WARNING, ""
        typed = link.origin in _BY_PERSON and is_passed(rendered.recipe, key)
        if key in _STRICT or typed:
            severity = Severity.ERROR
        if key == "gpu_memory_utilization":
            severity, wrong, remedy = _utilisation(rendered, text, wrong)
            if not wrong:
                continue
        yield _problem(key, link, wrong, severity, remedy)


def refused_values(rendered: Rendered) -> Iterator[tuple[str, Problem]]:
    """The keys whose values the engine's parser cannot read, each with its error: the engine would end at once."""
    for key, link in _values(rendered):
        wrong = _refusal(rendered, key, link)
        if wrong:
            yield key, _problem(key, link, wrong, Severity.ERROR)


def _values(rendered: Rendered) -> Iterator[tuple[str, ChainValue]]:
    """The values of the chain that are given, by their keys."""
    for key, link in rendered.chain.items():
        if link.origin is Origin.MODEL or link.value.data is None or not value_text(link.value):
            continue
        yield key, link


def _field(rendered: Rendered, key: str, link: ChainValue) -> Field:
    """What a value is checked by: the flag that it becomes, else what its key usually means."""
    if is_passed(rendered.recipe, key):
        return field_of(rendered.recipe, key)
    return field_for(key, link.value)


def _refusal(rendered: Rendered, key: str, link: ChainValue) -> str:
    """Why the engine cannot read a value, in words; empty when it can, or where it does not get the value as it is."""
    recipe = rendered.recipe
    text = value_text(link.value)
    if text.lower() in _NONE or "$" in text or "`" in text:
        return ""
    if not is_passed(recipe, key):
        return ""
    if rendered.command is not None and key not in rendered.used:
        return ""
    if link.origin in _BY_PERSON and text.startswith("--") and takes_value(recipe, key):
        return "must not begin with `--`, which the engine reads as another flag"
    field = field_of(recipe, key)
    if isinstance(link.value.data, (list, dict, bool)):
        # How these become words is judged where the command is built.
        return ""
    if not field.known and recipe.defaults.get(key) is not None and link.origin is Origin.RECIPE:
        # An author may use a key that is spelt like a flag for something else.
        return ""
    return field.refusal(text)


def _problem(key: str, link: ChainValue, wrong: str, severity: Severity, remedy: str = "") -> Problem:
    message = f"`{key}` {wrong}, not {value_text(link.value)[:60]}"
    return Problem(severity, f"value-{key.replace('_', '-')}", message, link.value.spot, remedy)


def _utilisation(rendered: Rendered, text: str, wrong: str) -> tuple[Severity, str, str]:
    """Severity, message and remedy for a share of memory that is out of range; the message is empty where it is right.

    `wrong` is the message of the general check.
    """
    value = rendered.get("gpu_memory_utilization")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return Severity.ERROR, wrong, ""
    if value <= 1:
        return Severity.ERROR, wrong, ""
    if "--gpu-memory-utilization-gb" in rendered.argv:
        return Severity.NOTE, "", ""
    if value > 1024:
        return Severity.ERROR, wrong, ""
    remedy = f"{text} may be meant as GiB: write a share of the memory, such as {min(value, 121) / 121:.2f}"
    return Severity.ERROR, wrong, remedy
