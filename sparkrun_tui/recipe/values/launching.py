"""What a recipe says about its launch beside values and command, as short lines for people."""

from __future__ import annotations

import os

from sparkrun_tui.base.text import visible_line
from sparkrun_tui.recipe.format.hooks import container_options
from sparkrun_tui.recipe.model import Readiness, Recipe
from sparkrun_tui.recipe.values.rendered import Rendered


def launching_lines(rendered: Rendered) -> list[tuple[str, str]]:
    """Label and text for each field: included files, conditions, images of hosts, readiness, caches, options."""
    recipe = rendered.recipe
    lines = []
    for file in recipe.included:
        lines.append(("includes", os.path.basename(file.path)))
    for decision in rendered.decisions:
        lines.append(("overrides", str(decision)))
    for image in recipe.images:
        lines.append(("containers", f"{image.host}: {image.image}"))
    for text in readiness_texts(recipe.readiness):
        lines.append(("readiness", text))
    cache = cache_text(recipe)
    if cache:
        lines.append(("runtime_cache", cache))
    for text in option_texts(recipe):
        lines.append(("container", text))
    return [(label, visible_line(text)) for label, text in lines]


def readiness_texts(readiness: Readiness) -> list[str]:
    """What a recipe asks of the wait for its server, one text for each value that it gives."""
    texts = []
    limits = (
        ("the port opens", readiness.port_timeout),
        ("the health path answers after that", readiness.health_timeout),
        ("it is healthy, from the start", readiness.timeout),
        ("the model answers", readiness.inference_timeout),
    )
    for what, limit in limits:
        if limit is None:
            continue
        if limit:
            texts.append(f"at most {limit:g} s until {what}")
        else:
            texts.append(f"no limit until {what}")
    if readiness.path:
        texts.append(f"the health path is {readiness.path}")
    if not readiness.inference:
        texts.append("no answer of the model is asked for")
    if readiness.style != "auto":
        texts.append(f"the model is asked in the style {readiness.style}")
    if readiness.prompt:
        texts.append(f"the model is asked: {readiness.prompt}")
    return texts


def cache_text(recipe: Recipe) -> str:
    """What is kept of compiled code, empty where it is the usual."""
    cache = recipe.runtime_cache
    if not cache.enabled:
        return "nothing is kept on the hosts"
    keys = []
    if cache.key_by_image:
        keys.append("image")
    if cache.key_by_model:
        keys.append("model")
    return f"a folder for each {' and '.join(keys)}" if keys else ""


def option_texts(recipe: Recipe) -> list[str]:
    """The options of the container that change how it runs and not what it sees."""
    options = container_options(recipe)
    texts = []
    if options.memory_limit:
        texts.append(f"at most {options.memory_limit} of memory")
    if options.restart_policy:
        texts.append(f"restarted by Docker: {options.restart_policy}")
    texts += [f"security option {option}" for option in options.security_opt]
    texts += [f"label {label}" for label in options.labels]
    return texts
