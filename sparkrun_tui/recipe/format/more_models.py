"""Models that a recipe needs beside its own: `distribution_config` and its `additional_models`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.text import shorten
from sparkrun_tui.recipe.model import Problem, Recipe, Severity
from sparkrun_tui.recipe.names.detect import is_repository, is_revision, split_gguf
from sparkrun_tui.recipe.values.rendered import Rendered, value_text
from sparkrun_tui.recipe.values.template import TemplateError, expand

KEY = "distribution_config"
MAX_MODELS = 32
"""The most models that a recipe may ask for beside its own."""
_READ = frozenset({"name", "revision", "allow_patterns"})


@dataclass(frozen=True, slots=True)
class MoreModel:
    """A repository that every host gets: its name, with the quantisation of a GGUF; its revision; which files."""

    name: str
    revision: str = ""
    patterns: tuple[str, ...] = ()


def more_models(rendered: Rendered) -> tuple[tuple[MoreModel, ...], tuple[Problem, ...]]:
    """The models beside the recipe's own, each once, and what is wrong with their entries."""
    recipe = rendered.recipe
    problems: list[Problem] = []
    found: dict[MoreModel, None] = {}
    for where, entry in _entries(recipe, problems):
        made = _model(rendered, where, entry)
        if isinstance(made, Problem):
            problems.append(made)
        elif made.name != recipe.model:
            # The recipe's own model is fetched in the revision that the recipe pins.
            found[made] = None
        if isinstance(entry, Mapping):
            problems += _unread(recipe, where, entry)
    if len(found) > MAX_MODELS:
        message = f"`{KEY}` names {len(found)} models; at most {MAX_MODELS} are fetched beside the recipe's own"
        problems.append(_problem(recipe, message))
        return (), tuple(problems)
    return tuple(found), tuple(problems)


def _entries(recipe: Recipe, problems: list[Problem]) -> Iterator[tuple[str, Any]]:
    """The entries of both lists, each with its name in messages."""
    data = recipe.runtime_config.get(KEY)
    if data in (None, "", {}):
        return
    if not isinstance(data, Mapping):
        problems.append(_problem(recipe, f"`{KEY}` must be a mapping of keys"))
        return
    models = data.get("models")
    if not isinstance(models, Mapping):
        models = {}
    if models.get("enabled") is False:
        message = f"`{KEY}.models.enabled` has no effect: a model that the hosts do not have is fetched"
        problems.append(_problem(recipe, message, severity=Severity.WARNING))
    if data.get("containers"):
        message = f"`{KEY}.containers` has no effect: the hosts get the image that they run"
        problems.append(_problem(recipe, message, severity=Severity.WARNING))
    lists = {"models.entries": models.get("entries"), "additional_models": data.get("additional_models")}
    for name, entries in lists.items():
        if entries is None:
            continue
        if not isinstance(entries, list):
            problems.append(_problem(recipe, f"`{KEY}.{name}` must be a list of models"))
            continue
        for number, entry in enumerate(entries, 1):
            yield f"{KEY}.{name}[{number}]", entry


def _model(rendered: Rendered, where: str, entry: Any) -> MoreModel | Problem:
    recipe = rendered.recipe
    data = {"name": entry} if isinstance(entry, str) else entry
    if not isinstance(data, Mapping) or not isinstance(data.get("name"), str):
        return _problem(recipe, f"`{where}` is not a model", "write the name of a repository, or a mapping with `name`")
    patterns = data.get("allow_patterns")
    if patterns is None:
        patterns = []
    if not isinstance(patterns, list) or not all(isinstance(text, str) and text.strip() for text in patterns):
        return _problem(recipe, f"`{where}.allow_patterns` must be a list of patterns for file names")
    try:
        name = _filled(rendered, data["name"])
        revision = _filled(rendered, str(data.get("revision") or ""))
    except TemplateError as error:
        return _problem(recipe, f"`{where}`: {error}")
    if not is_repository(split_gguf(name)[0]):
        return _problem(
            recipe, f"`{where}`: `{shorten(name, 80)}` is not the name of a repository on the Hugging Face Hub"
        )
    if revision and not is_revision(revision):
        return _problem(recipe, f"`{where}`: `{shorten(revision, 80)}` is not a revision of a repository")
    return MoreModel(name, revision, tuple(patterns))


def _filled(rendered: Rendered, text: str) -> str:
    if "{" not in text:
        return text.strip()
    values = {key: value_text(link.value) for key, link in rendered.chain.items()}
    return expand(text, values, doubled=False).text.strip()


def _unread(recipe: Recipe, where: str, entry: Mapping[str, Any]) -> Iterator[Problem]:
    """Warnings about keys of an entry that are not carried out, unless they ask for what is done anyway."""
    for key, value in entry.items():
        says_nothing = value in (None, []) or (key == "target" and value == [-1])
        if key in _READ or says_nothing:
            continue
        message = f"`{where}.{key}` has no effect: every host gets all the files that are asked for"
        yield _problem(recipe, message, severity=Severity.WARNING)


def _problem(recipe: Recipe, message: str, remedy: str = "", severity: Severity = Severity.ERROR) -> Problem:
    return Problem(severity, "more-models", message, recipe.place_of(KEY), remedy)
