"""A recipe, its problems and its memory estimate as plain lines and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from sparkrun_tui.base.errors import SparkrunError
from sparkrun_tui.base.units import GIB, format_gib
from sparkrun_tui.cli.text.entries import problem_line
from sparkrun_tui.engines.checks.validation import ordered
from sparkrun_tui.engines.registry import ENGINES
from sparkrun_tui.launch.sizing.judging import judged_problems, judged_size
from sparkrun_tui.launch.sizing.sizing import declared_facts
from sparkrun_tui.memory.metadata_block import metadata_block
from sparkrun_tui.memory.result import Estimate, Level
from sparkrun_tui.recipe.model import Problem, Recipe
from sparkrun_tui.recipe.search.entry import hosts_text
from sparkrun_tui.recipe.search.sources import reference
from sparkrun_tui.recipe.values.environment import reads_text
from sparkrun_tui.recipe.values.masking import concealed, dotted, problem_shown, redactor, shown, shown_data
from sparkrun_tui.recipe.values.rendered import Rendered

MARKS = {Level.GOOD: "✓", Level.TIGHT: "!", Level.BAD: "✗", Level.UNKNOWN: "?"}
_PARTS = {"others": "other tenants", "kv": "KV cache", "graphs": "CUDA graphs"}


def recipe_json(recipe: Recipe) -> dict[str, Any]:
    """A whole recipe as one JSON object."""
    meta = recipe.metadata
    return {
        "name": recipe.name,
        "reference": reference(recipe),
        "source": recipe.source.kind.value,
        "registry": recipe.source.registry or None,
        "repository": recipe.source.repository or None,
        "repository_url": recipe.source.address or None,
        "path": recipe.source.path,
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
        "defaults": {key: shown_data(key, value) for key, value in recipe.defaults.items()},
    }


def all_problems(rendered: Rendered) -> tuple[Problem, ...]:
    """Everything that is wrong with a recipe and its overrides, also as its engine sees it."""
    redact = redactor(rendered=rendered)
    return ordered([problem_shown(problem, redact) for problem in judged_problems(rendered)])


def command_text(rendered: Rendered) -> str:
    """The command as it runs: the author's, else the one that the engine builds; empty when there is none.

    Its secrets are variables.
    """
    rendered = concealed(rendered).rendered
    engine = ENGINES.get(rendered.recipe.runtime)
    if rendered.command is not None or engine is None:
        return rendered.command or ""
    try:
        return engine.command(rendered)
    except SparkrunError:
        # What stands in its way is among the problems.
        return ""


def shown_env(recipe: Recipe) -> dict[str, str]:
    """The recipe's `env` as it may be shown: a secret that stands in the file is masked, a reference to one is not."""
    return {key: shown(key, value) for key, value in recipe.env.items()}


def shown_values(rendered: Rendered) -> dict[str, Any]:
    """The values in force as they may be shown."""
    return {key: shown_data(key, link.value) for key, link in rendered.chain.items()}


def shown_command(rendered: Rendered) -> str:
    """The command as it may be shown, with dots for its secrets."""
    return dotted(redactor(rendered=rendered)(command_text(rendered)))


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
    if recipe.source.registry_text:
        yield f"Registry:     {recipe.source.registry_text}"
    yield f"File:         {recipe.source.path}"
    yield ""
    yield "Values:"
    for key, item in rendered.chain.items():
        note = "" if item.origin == "recipe" else f"   ({item.origin})"
        yield f"  {key}: {shown(key, item.value)}{note}"
    if recipe.env:
        yield ""
        yield "Environment:"
        yield from (f"  {key}: {text}" for key, text in shown_env(recipe).items())
        if names := reads_text(recipe):
            yield f"  (reads variables of this machine: {names})"
    yield ""
    yield "Command:"
    yield from (f"  {text}" for text in (shown_command(rendered) or "(none)").rstrip("\n").split("\n"))
    problems = all_problems(rendered)
    if problems:
        yield ""
        yield "Problems:"
        yield from (
            f"  {line}" for problem in problems for line in problem_line(problem, recipe.source.path).split("\n")
        )
    yield ""
    yield from memory_lines(rendered)


def memory_lines(rendered: Rendered) -> Iterator[str]:
    """The block of the declared figures, then what the engine will allocate on each host, in GiB."""
    declared = metadata_block(declared_facts(rendered), _context(rendered), _tp(rendered))
    if declared is not None:
        yield from declared.lines()
        yield ""
    yield from estimate_lines(judged_size(rendered, ()))


def _context(rendered: Rendered) -> object:
    return next((rendered.get(key) for key in ("max_model_len", "ctx_size") if rendered.get(key) is not None), None)


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
    """The estimate as one JSON object; sizes in bytes, the facts of a host beside its parts."""
    whole = asdict(estimate)
    verdicts = {name: whole.pop(name) for name in ("starts", "context", "headroom")}
    hosts = [{**picture.pop("host"), **picture} for picture in whole.pop("hosts")]
    return {"level": estimate.level, "verdicts": verdicts, "hosts": hosts, **whole}
