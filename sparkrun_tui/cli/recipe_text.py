"""A recipe, its problems and its memory estimate as plain lines and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sparkrun_tui.base.units import GIB, format_gib
from sparkrun_tui.launch.sizing import declared_facts, size
from sparkrun_tui.memory.metadata_block import metadata_block
from sparkrun_tui.memory.result import Estimate, Level
from sparkrun_tui.recipe.entry import hosts_text, params_text
from sparkrun_tui.recipe.model import BrokenRecipe, Problem, Recipe
from sparkrun_tui.recipe.rendered import Rendered
from sparkrun_tui.recipe.sources import reference

MARKS = {Level.GOOD: "✓", Level.TIGHT: "!", Level.BAD: "✗", Level.UNKNOWN: "?"}
_PARTS = {"others": "other tenants", "kv": "KV cache", "graphs": "CUDA graphs"}


def recipe_row(recipe: Recipe) -> tuple[str, ...]:
    """The cells of one row of `list`."""
    meta = recipe.metadata
    return (
        reference(recipe),
        recipe.runtime,
        params_text(recipe),
        meta.model_dtype,
        hosts_text(recipe),
        recipe.model,
        meta.description,
    )


def recipe_json(recipe: Recipe | BrokenRecipe) -> dict[str, Any]:
    """A recipe as one JSON object; a file that could not be loaded has `error` and little else."""
    common: dict[str, Any] = {
        "name": recipe.name,
        "reference": reference(recipe),
        "source": recipe.source.kind.value,
        "registry": recipe.source.registry,
        "path": recipe.source.path,
    }
    if isinstance(recipe, BrokenRecipe):
        return {**common, "model": None, "runtime": None, "error": problem_json(recipe.error)}
    meta = recipe.metadata
    return {
        **common,
        "model": recipe.model,
        "runtime": recipe.runtime,
        "container": recipe.container,
        "description": meta.description,
        "maintainer": meta.maintainer,
        "model_params": meta.model_params,
        "model_dtype": meta.model_dtype,
        "mode": recipe.mode.value,
        "min_nodes": recipe.min_nodes,
        "max_nodes": recipe.max_nodes,
        "launchable": recipe.launchable,
        "defaults": {key: value.data for key, value in recipe.defaults.items()},
    }


def problem_json(problem: Problem) -> dict[str, Any]:
    """A finding as one JSON object."""
    spot = problem.spot
    return {
        "severity": problem.severity.value,
        "code": problem.code,
        "message": problem.message,
        "path": spot.path if spot else None,
        "line": spot.line if spot else None,
        "column": spot.column if spot else None,
        "remedy": problem.remedy,
    }


def problem_line(problem: Problem, path: str) -> str:
    """A finding as compilers print one: `file:line:column: severity: text`."""
    where = str(problem.spot) if problem.spot else path
    remedy = f"\n    {problem.remedy}" if problem.remedy else ""
    return f"{where}: {problem.severity}: {problem.message} [{problem.code}]{remedy}"


def describe(rendered: Rendered) -> Iterator[str]:
    """The lines of `show`: what it is, values in force, the command, problems, memory."""
    recipe, meta = rendered.recipe, rendered.recipe.metadata
    yield f"Name:         {recipe.name}"
    if meta.description:
        yield f"Description:  {meta.description}"
    if meta.maintainer:
        yield f"Maintainer:   {meta.maintainer}"
    yield f"Model:        {recipe.model}{f' @ {recipe.model_revision}' if recipe.model_revision else ''}"
    yield f"Engine:       {recipe.runtime}"
    yield f"Container:    {recipe.container or '(the engine default)'}"
    yield f"Hosts:        {hosts_text(recipe)} ({recipe.mode})"
    yield f"File:         {recipe.source.path}"
    yield ""
    yield "Values:"
    for key, item in rendered.chain.items():
        note = "" if item.origin == "recipe" else f"   ({item.origin})"
        yield f"  {key}: {item.value.text}{note}"
    if recipe.env:
        yield ""
        yield "Environment:"
        yield from (f"  {key}: {value.text}" for key, value in recipe.env.items())
    yield ""
    yield "Command:"
    yield from (f"  {text}" for text in (rendered.command or "(built by the engine from the values)").splitlines())
    if rendered.problems:
        yield ""
        yield "Problems:"
        yield from (f"  {problem_line(problem, recipe.source.path)}" for problem in rendered.problems)
    yield ""
    yield from memory_lines(rendered)


def memory_lines(rendered: Rendered) -> Iterator[str]:
    """The block of the declared figures, then what the engine will allocate on each host, in GiB."""
    declared = metadata_block(declared_facts(rendered.recipe), rendered.get("max_model_len"), _tp(rendered))
    if declared is not None:
        yield from declared.lines()
        yield ""
    yield from estimate_lines(size(rendered, ()))


def _tp(rendered: Rendered) -> int:
    value = rendered.get("tensor_parallel", 1)
    return value if isinstance(value, int) and value > 0 else 1


def estimate_lines(estimate: Estimate) -> Iterator[str]:
    """What the engine will allocate, host by host, and the three verdicts."""
    yield f"As the engine will allocate (facts: {estimate.facts_source}; engine: {estimate.engine_version}):"
    for picture in estimate.hosts:
        source = picture.host.source
        yield f"  {picture.host.name}: {format_gib(picture.host.total)} in all ({source})"
        for part in picture.parts:
            name = _PARTS.get(part.kind, part.kind)
            band = "" if part.low == part.high else f"  ({part.low / GIB:.1f} to {part.high / GIB:.1f})"
            yield f"    {name + ':':16}{format_gib(part.bytes):>12}{band}  {part.source}"
        if picture.budget is not None:
            yield f"    {'budget:':16}{format_gib(picture.budget):>12}"
        left = "unknown" if picture.free is None else format_gib(picture.free)
        yield f"    {'left:':16}{left:>12}"
    for verdict in (estimate.starts, estimate.context, estimate.headroom):
        yield f"  {MARKS[verdict.level]} {verdict.text}"
    for proposal in estimate.proposals:
        yield f"  try -o {proposal.key}={proposal.new}  ({proposal.old} now): {proposal.why}"
    for note in estimate.notes:
        yield f"  note: {note}"


def estimate_json(estimate: Estimate) -> dict[str, Any]:
    """The estimate as one JSON object; sizes in bytes."""
    return {
        "level": estimate.level.value,
        "verdicts": {
            name: {"level": verdict.level.value, "text": verdict.text, "detail": verdict.detail}
            for name, verdict in (
                ("starts", estimate.starts),
                ("context", estimate.context),
                ("headroom", estimate.headroom),
            )
        },
        "hosts": [
            {
                "name": picture.host.name,
                "total": picture.host.total,
                "available": picture.host.available,
                "assumed": picture.host.assumed,
                "source": picture.host.source,
                "budget": picture.budget,
                "free": picture.free,
                "parts": [
                    {"kind": part.kind, "bytes": part.bytes, "low": part.low, "high": part.high, "source": part.source}
                    for part in picture.parts
                ],
            }
            for picture in estimate.hosts
        ],
        "max_context": estimate.max_context,
        "concurrency": estimate.concurrency,
        "min_hosts": estimate.min_hosts,
        "max_utilisation": estimate.max_utilisation,
        "min_utilisation": estimate.min_utilisation,
        "kv_bytes_per_request": estimate.kv_bytes_per_request,
        "pool_tokens": estimate.pool_tokens,
        "weights_bytes": estimate.weights_bytes,
        "engine_version": estimate.engine_version,
        "facts_source": estimate.facts_source,
        "proposals": [
            {"key": item.key, "old": item.old, "new": item.new, "why": item.why} for item in estimate.proposals
        ],
        "notes": list(estimate.notes),
    }
