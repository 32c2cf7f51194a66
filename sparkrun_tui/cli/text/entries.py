"""Rows of the recipe list and findings about recipes, as plain text and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, cast

from sparkrun_tui.recipe.model import Problem
from sparkrun_tui.recipe.registry.config import is_public
from sparkrun_tui.recipe.search.entry import Entry, dtype_text, hosts_text, params_text, reference

if TYPE_CHECKING:
    from sparkrun_tui.cli.shapes.recipes import Origin, ProblemJson, RecipeRow


def entry_row(entry: Entry) -> tuple[str, ...]:
    """The cells of one row of `list`."""
    return (
        reference(entry),
        entry.runtime or "(broken)",
        params_text(entry),
        dtype_text(entry),
        hosts_text(entry) if entry.runtime else "",
        entry.model,
        " ".join((entry.description or entry.error).split()),
    )


def long_row(entry: Entry) -> tuple[str, ...]:
    """The cells of one row of `list --long`, with the origin of the recipe before its description."""
    *first, description = entry_row(entry)
    source = entry.source
    origin = f"{source.kind} {source.path}"
    if source.registry_text:
        # Its path is a folder in the cache, which does not help the user.
        origin = f"registry {source.registry_text}"
    return (*first, origin, description)


def addresses(entries: Iterable[Entry]) -> list[str]:
    """One line with the address of each registry of these entries, except those shipped with the program."""
    found: dict[str, str] = {}
    for entry in entries:
        source = entry.source
        if source.address and not is_public(source.repository, source.address):
            found[source.repository] = source.address
    return [f"recipes of {name} come from {address}" for name, address in found.items()]


def entry_json(entry: Entry) -> RecipeRow:
    """A row of the list as one JSON object; unknown values are null, as for a file that could not be loaded."""
    return {
        "name": entry.name,
        "reference": reference(entry),
        "model": entry.model or None,
        "runtime": entry.runtime or None,
        "container": entry.container or None,
        "description": entry.description,
        "maintainer": entry.maintainer,
        "model_params": entry.params,
        "model_params_from": _origin(entry.params_from),
        "active_params": entry.active,
        "model_dtype": entry.dtype or None,
        "model_dtype_from": _origin(entry.dtype_from),
        "context": entry.context,
        "tensor_parallel": entry.tp,
        "min_nodes": entry.min_nodes,
        "max_nodes": entry.max_nodes,
        "source": entry.source.kind,
        "registry": entry.source.registry or None,
        "repository": entry.source.repository or None,
        "repository_url": entry.source.address or None,
        "path": entry.source.path,
        "error": entry.error or None,
    }


def _origin(name: str) -> Origin | None:
    """Who states a figure; None for a figure that nobody states."""
    return cast("Origin", name) if name else None


def problem_json(problem: Problem) -> ProblemJson:
    """A finding as one JSON object."""
    spot = problem.spot
    return {
        "severity": problem.severity,
        "code": problem.code,
        "message": problem.message,
        "path": spot.path if spot else None,
        "line": spot.line if spot else None,
        "column": spot.column if spot else None,
        "remedy": problem.remedy,
    }


def problem_lines(problem: Problem, path: str) -> Iterator[str]:
    """A finding as compilers print one: `file:line:column: severity: text`, and the remedy below it."""
    where = str(problem.spot) if problem.spot else path
    yield f"{where}: {problem.severity}: {problem.message} [{problem.code}]"
    if problem.remedy:
        yield f"    {problem.remedy}"
