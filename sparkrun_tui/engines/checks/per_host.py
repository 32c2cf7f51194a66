"""Checks of what a recipe fixes and a launch decides: rank arguments, network devices, the place of the model's files.

All three are carried out as written, so these are warnings.
"""

from __future__ import annotations

from collections.abc import Iterator

from sparkrun_tui.base.text import shorten
from sparkrun_tui.engines.checks.fields import problem
from sparkrun_tui.engines.command.arguments import read_arguments
from sparkrun_tui.engines.command.built import serve_words
from sparkrun_tui.engines.layout.nccl import ADDRESS_VARIABLES, DEVICE_VARIABLES
from sparkrun_tui.engines.registry import family_of
from sparkrun_tui.recipe.format.hooks import container_options
from sparkrun_tui.recipe.format.spots import command_spot
from sparkrun_tui.recipe.model import Problem, Severity
from sparkrun_tui.recipe.names.local_model import CACHE_TARGETS, is_path
from sparkrun_tui.recipe.names.mounts import is_below, split_volume
from sparkrun_tui.recipe.suggestions import listed
from sparkrun_tui.recipe.values.rendered import Rendered

_CACHE_VARIABLES = ("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "TRANSFORMERS_CACHE")
"""Variables by which engines find the models that were fetched (huggingface_hub/constants.py, transformers)."""


def check_per_host(rendered: Rendered) -> Iterator[Problem]:
    """Warnings about values of a recipe in place of those that a launch finds out for each host."""
    yield from _rank_flags(rendered)
    yield from _network_devices(rendered)
    yield from _model_cache(rendered)


def _rank_flags(rendered: Rendered) -> Iterator[Problem]:
    """Flags of the author's command that tell a host its rank; with a variable in it, the author has a plan."""
    recipe = rendered.recipe
    family = family_of(recipe.runtime)
    if family is None or rendered.command is None:
        return
    words = serve_words(rendered, family)
    if not family.dialect.starts(words):
        return
    found = []
    for entry in read_arguments(words, family).given:
        is_fixed = not any("$" in value for value in entry.values)
        if entry.flag is not None and entry.flag.name in family.rank_flags and is_fixed:
            found.append(entry.word)
    if not found:
        return
    flags = listed(dict.fromkeys(found), "and")
    message = f"the command has {flags}, which a launch on several hosts adds for each: one host alone waits for others"
    spot = command_spot(recipe, max(0, (recipe.command or "").find(found[0])))
    yield Problem(Severity.WARNING, "rank-flags", message, spot, f"leave out {flags}")


def _network_devices(rendered: Rendered) -> Iterator[Problem]:
    """Variables that name network devices or one host's address, in a recipe that several hosts may run."""
    recipe = rendered.recipe
    if recipe.max_nodes == 1:
        return
    for name, value in recipe.env.items():
        if name in ADDRESS_VARIABLES and value.text and "$" not in value.text and "{" not in value.text:
            message = f"`{name}` gives all hosts the same address: on several hosts the others are looked for there"
            remedy = "leave it out: each host gets its own address"
            yield problem(recipe, Severity.WARNING, "one-address", message, f"env.{name}", remedy=remedy)
        if name in DEVICE_VARIABLES:
            message = f"`{name}` names network devices: a host where they are called otherwise does not find the others"
            remedy = "leave it out: the devices of each host are looked up"
            yield problem(recipe, Severity.WARNING, "network-device", message, f"env.{name}", remedy=remedy)


def _model_cache(rendered: Rendered) -> Iterator[Problem]:
    """Variables that move the model's cache to a place where nothing of the host is mounted."""
    recipe = rendered.recipe
    family = family_of(recipe.runtime)
    if family is None or family.gguf or is_path(recipe.model):
        return
    mounted = [*CACHE_TARGETS, *(split_volume(volume)[1] for volume in container_options(recipe).volumes)]
    for name in _CACHE_VARIABLES:
        value = recipe.env.get(name)
        if value is None or not value.text or "$" in value.text or "{" in value.text:
            continue
        if is_below(value.text, mounted):
            continue
        place = shorten(value.text, 80)
        message = f"`{name}` leads the engine to {place}, where the fetched model is not: it is fetched again"
        remedy = f"leave out `{name}`, or mount a folder there (`executor_config.volumes`)"
        yield problem(recipe, Severity.WARNING, "model-cache", message, f"env.{name}", remedy=remedy)
