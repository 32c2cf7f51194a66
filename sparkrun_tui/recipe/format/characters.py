"""Invisible characters in what a recipe will run: control characters stop a launch, other hidden ones are warnings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sparkrun_tui.base.errors import Spot
from sparkrun_tui.base.text import first_control, first_hidden, visible_line
from sparkrun_tui.recipe.format.spots import command_spot
from sparkrun_tui.recipe.model import Problem, Severity
from sparkrun_tui.recipe.values.rendered import Rendered, value_text

_AROUND = 20
"""Characters that are shown before and behind the invisible one."""


def check_characters(rendered: Rendered) -> Iterator[Problem]:
    """One problem for each text with an invisible character that will be executed, or becomes part of a command.

    Control characters other than line breaks and tabs are errors: a terminal, or a paste, would act on something else
    than what is read. Characters that only hide or reorder text (zero width, bidirectional) are warnings.
    """
    for key, text, spot in _texts(rendered):
        if text.isascii() and text.isprintable():
            continue
        at = first_control(text)
        if at is not None:
            message = f"`{key}` contains a control character: {_around(text, at)}"
            yield Problem(Severity.ERROR, "control-character", message, spot, "remove it, or write it as an escape")
            continue
        at = first_hidden(text)
        if at is not None:
            message = f"`{key}` contains an invisible character: {_around(text, at)}"
            yield Problem(Severity.WARNING, "hidden-character", message, spot, "remove it unless it is meant")


def _around(text: str, at: int) -> str:
    return visible_line(text[max(at - _AROUND, 0) : at + _AROUND])


def _texts(rendered: Rendered) -> Iterator[tuple[str, str, Spot | None]]:
    """Name, text and place of everything in a recipe that reaches a host, overrides too."""
    recipe = rendered.recipe
    if recipe.command is not None:
        at = first_control(recipe.command)
        spot = recipe.command_spot
        if at is not None:
            spot = command_spot(recipe, at)
        yield "command", recipe.command, spot
    for key, text in (
        ("model", recipe.model),
        ("model_revision", recipe.model_revision),
        ("container", recipe.container),
        ("runtime", recipe.runtime),
    ):
        yield key, text, recipe.spots.get(key)
    yield "readiness", recipe.readiness.prompt, recipe.spots.get("readiness")
    for image in recipe.images:
        yield "containers", f"{image.host}: {image.image}", image.spot
    for layer in recipe.original.layers:
        for text in _strings(layer.when):
            yield "overrides", text, layer.spot
        yield "overrides", layer.container, layer.spot
        for name, value in (*layer.defaults.items(), *layer.env.items()):
            yield f"overrides.{name}", f"{name}={value_text(value)}", value.spot or layer.spot
    for key, value in recipe.env.items():
        yield f"env.{key}", f"{key}={value.text}", recipe.spots.get(f"env.{key}") or value.spot
    for key, link in rendered.chain.items():
        yield key, f"{key}={value_text(link.value)}", link.value.spot
    for key, data in recipe.runtime_config.items():
        for text in _strings(data):
            yield key, text, recipe.place_of(key)


def _strings(data: Any) -> Iterator[str]:
    """Every text in a value, keys of mappings too. The reader has bounded its depth."""
    if isinstance(data, str):
        yield data
    elif isinstance(data, Mapping):
        for key, value in data.items():
            yield str(key)
            yield from _strings(value)
    elif isinstance(data, (list, tuple)):
        for value in data:
            yield from _strings(value)
