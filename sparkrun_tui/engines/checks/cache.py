"""Whether the engine looks for the model where a launch puts it: in the mounted Hugging Face cache."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sparkrun_tui.base.text import shorten
from sparkrun_tui.engines.checks.fields import problem
from sparkrun_tui.engines.command.arguments import read_arguments
from sparkrun_tui.engines.command.built import serve_words
from sparkrun_tui.engines.family import Family
from sparkrun_tui.engines.registry import family_of
from sparkrun_tui.recipe.format.hooks import container_options
from sparkrun_tui.recipe.model import Problem, Recipe, Severity
from sparkrun_tui.recipe.names.detect import is_repository
from sparkrun_tui.recipe.names.local_model import CACHE_TARGETS, inside_path
from sparkrun_tui.recipe.names.mounts import is_below, normal_path, split_volume
from sparkrun_tui.recipe.values.rendered import Rendered

_FLAG = "--download-dir"
_HOST_CACHE = "~/.cache/huggingface"
"""Where the cache of a host is unless its settings say otherwise."""
_VARIABLES = ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME")
"""What huggingface_hub reads, the strongest first (huggingface_hub/constants.py)."""


def check_cache(rendered: Rendered) -> Iterator[Problem]:
    """Warnings where the engine looks for the model's files in a folder that a launch does not put them into.

    Only the setting that counts is judged: the flag over the variables. llama-server gets the path of a file.
    """
    recipe = rendered.recipe
    family = family_of(recipe.runtime)
    if family is None or family.gguf or not is_repository(recipe.model):
        return
    words = serve_words(rendered, family)
    if not any(recipe.model in word for word in words):
        # It serves something else, which may lie anywhere.
        return
    yield from _replaced(recipe)
    name, folder = _looked_in(rendered, words, family)
    if not folder.startswith(("/", "~/")) or set(folder) & set("${"):
        return
    place = normal_path(inside_path(folder))
    targets = [split_volume(volume)[1] for volume in container_options(recipe).volumes]
    if is_below(place, [*CACHE_TARGETS, *map(normal_path, targets)]):
        return
    message = (
        f"`{name}` leads to {shorten(place, 80)}, where nothing is mounted: the fetched model is not found there, and"
        f" {family.title} downloads it again into the container"
    )
    remedy = f"leave `{name}` out: containers get the host's Hugging Face cache at {CACHE_TARGETS[0]}"
    spot = f"env.{name}"
    if name == _FLAG:
        spot = "command"
    yield problem(recipe, Severity.WARNING, "cache-elsewhere", message, spot, remedy=remedy)


def _replaced(recipe: Recipe) -> Iterator[Problem]:
    """A warning for each volume that the recipe mounts in place of the host's cache, from another folder."""
    cache = CACHE_TARGETS[0]
    for volume in container_options(recipe).volumes:
        source, target, _ = split_volume(volume)
        place = normal_path(target)
        if place not in (cache, f"{cache}/hub") or normal_path(source) == _HOST_CACHE + place[len(cache) :]:
            continue
        message = (
            f"the volume {shorten(source, 80)} takes the place of the host's Hugging Face cache: the fetched model is"
            " seen only where both are the same folder"
        )
        remedy = f"leave it out: containers get {_HOST_CACHE} of each host at {cache}"
        yield Problem(Severity.WARNING, "cache-elsewhere", message, recipe.place_of("executor_config"), remedy)


def _looked_in(rendered: Rendered, words: Sequence[str], family: Family) -> tuple[str, str]:
    """The setting that says where the model's files are looked for, and its folder; both empty where none says it."""
    for entry in reversed(read_arguments(words, family).given):
        if entry.flag is not None and _FLAG in entry.flag.spellings and entry.values:
            return _FLAG, entry.values[0]
    for name in _VARIABLES:
        value = rendered.recipe.env.get(name)
        if value is not None and value.text:
            return name, value.text
    return "", ""
