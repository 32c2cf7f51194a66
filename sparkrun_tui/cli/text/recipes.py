"""A recipe, its problems and its memory estimate as plain lines and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, cast

from sparkrun_tui.base import shell
from sparkrun_tui.base.units import GIB, format_gib
from sparkrun_tui.cli.text.entries import problem_lines
from sparkrun_tui.engines.registry import ENGINES
from sparkrun_tui.launch.sizing.evaluation import Evaluation
from sparkrun_tui.launch.sizing.sizing import declared_block
from sparkrun_tui.launch.sizing.suggestions import Suggestion
from sparkrun_tui.memory.result import Estimate, Level
from sparkrun_tui.memory.speed.words import sentence
from sparkrun_tui.recipe.model import Recipe, SourceKind
from sparkrun_tui.recipe.search.entry import hosts_text, reference
from sparkrun_tui.recipe.values.environment import reads_text
from sparkrun_tui.recipe.values.launching import launching_lines
from sparkrun_tui.recipe.values.masking import dotted, redactor, shown, shown_data
from sparkrun_tui.recipe.values.rendered import Rendered

if TYPE_CHECKING:
    from sparkrun_tui.cli.shapes.recipes import EstimateJson, LayerJson, RecipeJson

MARKS = {Level.GOOD: "✓", Level.TIGHT: "!", Level.BAD: "✗", Level.UNKNOWN: "?"}
_PARTS = {"others": "other tenants", "kv": "KV cache", "graphs": "CUDA graphs"}


def recipe_json(recipe: Recipe) -> RecipeJson:
    """A whole recipe as one JSON object."""
    meta = recipe.metadata
    return {
        "name": recipe.name,
        "reference": reference(recipe),
        "source": recipe.source.kind,
        "registry": recipe.source.registry or None,
        "repository": recipe.source.repository or None,
        "repository_url": recipe.source.address or None,
        "path": recipe.source.path,
        "address": recipe.source.address or None,
        "sha256": recipe.digest,
        "model": recipe.model,
        "runtime": recipe.runtime,
        "container": recipe.container,
        "description": meta.description,
        "maintainer": meta.maintainer,
        "model_params": meta.model_params,
        "model_dtype": meta.model_dtype,
        "mode": recipe.mode,
        "min_nodes": recipe.min_nodes,
        "max_nodes": recipe.max_nodes,
        "launchable": recipe.runtime in ENGINES,
        "included": [file.path for file in recipe.included],
        "containers": {entry.host: entry.image for entry in recipe.images},
        "defaults": {key: shown_data(key, value) for key, value in recipe.defaults.items()},
    }


def shown_env(recipe: Recipe) -> dict[str, str]:
    """The recipe's `env` as it may be shown: a secret written in the file is masked, a reference to one is not."""
    return {key: shown(key, value) for key, value in recipe.env.items()}


def shown_values(rendered: Rendered) -> dict[str, Any]:
    """The effective values as they may be shown."""
    return {key: shown_data(key, link.value) for key, link in rendered.chain.items()}


def decisions_json(rendered: Rendered) -> list[LayerJson]:
    """Which of the recipe's `overrides` hold, and why, in their order."""
    redact = redactor(rendered=rendered)
    found = []
    for decision in rendered.decisions:
        layer = decision.layer
        sets = [*layer.defaults, *layer.env]
        if layer.container:
            sets.append("container")
        entry: LayerJson = {
            "number": layer.number,
            "when": redact.data(layer.when),
            "holds": decision.holds,
            "reason": redact(decision.reason),
            "sets": sets,
        }
        found.append(entry)
    return found


def shown_command(evaluation: Evaluation) -> str:
    """The command that will run, as it may be shown, with dots for its secrets; empty when there is none."""
    return dotted(redactor(rendered=evaluation.rendered)(evaluation.command))


def _field(name: str, text: str) -> Iterator[str]:
    """A field of several lines, all indented."""
    first, *rest = text.split("\n")
    yield f"{name:<13} {first}"
    yield from (f"{'':<13} {line}" for line in rest)


def describe(evaluation: Evaluation, offered: Sequence[Suggestion] = ()) -> Iterator[str]:
    """The lines of `show`: what the recipe is, its values, its command, problems, memory."""
    recipe = evaluation.recipe
    yield from _identity_lines(recipe)
    yield ""
    yield "Values:"
    for key, item in evaluation.rendered.chain.items():
        note = "" if item.origin == "recipe" else f"   ({item.origin})"
        yield f"  {key}: {shown(key, item.value)}{note}"
    more = launching_lines(evaluation.rendered)
    if more:
        yield ""
        yield "Launch:"
        redact = redactor(rendered=evaluation.rendered)
        yield from (f"  {label}: {dotted(redact(text))}" for label, text in more)
    if recipe.env:
        yield ""
        yield "Environment:"
        for key, text in shown_env(recipe).items():
            yield f"  {key}: {text}"
        names = reads_text(recipe)
        if names:
            yield f"  (reads variables of this machine: {names})"
    yield ""
    yield "Command:"
    command = shown_command(evaluation) or "(none)"
    for text in command.rstrip("\n").split("\n"):
        yield f"  {text}"
    if evaluation.problems:
        yield ""
        yield "Problems:"
    for problem in evaluation.problems:
        for line in problem_lines(problem, recipe.source.path):
            yield f"  {line}"
    yield ""
    yield from memory_lines(evaluation, offered)


def _identity_lines(recipe: Recipe) -> Iterator[str]:
    meta = recipe.metadata
    yield f"Name:         {recipe.name}"
    if meta.description:
        # Its lines are indented, so that none of them looks like another field.
        yield from _field("Description:", meta.description)
    if meta.maintainer:
        yield f"Maintainer:   {meta.maintainer}"
    revision = f" @ {recipe.model_revision}" if recipe.model_revision else ""
    yield f"Model:        {recipe.model}{revision}"
    yield f"Engine:       {recipe.runtime}"
    yield f"Container:    {recipe.container or '(the engine default)'}"
    yield f"Hosts:        {hosts_text(recipe)} ({recipe.mode})"
    if recipe.source.registry_text:
        yield f"Registry:     {recipe.source.registry_text}"
    if recipe.source.kind is SourceKind.URL:
        yield f"Address:      {recipe.source.address}"
        yield f"SHA-256:      {recipe.digest}"
        return
    yield f"File:         {recipe.source.path}"


def memory_lines(evaluation: Evaluation, offered: Sequence[Suggestion] = ()) -> Iterator[str]:
    """The figures that the recipe declares, then what the engine will allocate on each host, in GiB; suggestions."""
    declared = declared_block(evaluation.rendered)
    if declared is not None:
        yield from declared.lines()
        yield ""
    yield from estimate_lines(evaluation.estimate)
    for suggestion in offered:
        yield f"  {suggestion_line(suggestion)}"


def estimate_lines(estimate: Estimate) -> Iterator[str]:
    """What the engine will allocate, host by host, and the three verdicts."""
    version = estimate.engine_version or "not known"
    yield f"As the engine will allocate (facts: {estimate.facts_source}; engine: {version}):"
    for picture in estimate.hosts:
        source = picture.host.source
        yield f"  {picture.host.name}: {format_gib(picture.host.total)} in total ({source})"
        for part in picture.parts:
            name = _PARTS.get(part.kind, part.kind)
            band = "" if part.low == part.high else f"  ({part.low / GIB:.1f} to {part.high / GIB:.1f})"
            yield f"    {name + ':':16}{format_gib(part.bytes):>12}{band}  {part.source}"
        if picture.budget is not None:
            yield f"    {'budget:':16}{format_gib(picture.budget):>12}"
        left = "unknown" if picture.free is None else format_gib(picture.free)
        yield f"    {'left:':16}{left:>12}"
    # The three are one and the same where the engine is not modelled.
    for verdict in dict.fromkeys((estimate.starts, estimate.context, estimate.headroom)):
        reason = f": {verdict.detail}" if verdict.level is Level.UNKNOWN and verdict.detail else ""
        yield f"  {MARKS[verdict.level]} {verdict.text}{reason}"
    if estimate.speed is not None:
        yield f"  {sentence(estimate.speed)}"
    for note in estimate.notes:
        yield f"  note: {note}"


def suggestion_line(suggestion: Suggestion) -> str:
    """A suggestion as the options of a command, with the present values and what it achieves."""
    options: list[str] = [shell.override(change.key, change.new) for change in suggestion.changes if not change.flag]
    flags = [change.flag for change in suggestion.changes if change.flag]
    if flags:
        options += ["--", *flags]
    present = ", ".join(f"{change.key} {change.old}" for change in suggestion.changes)
    return f"try {' '.join(options)}  ({present} now): {suggestion.why}"


def estimate_json(estimate: Estimate, offered: Sequence[Suggestion] = ()) -> EstimateJson:
    """The estimate as one JSON object: sizes in bytes, each host's facts and parts in one object.

    `proposals` are the suggestions that were tried (`launch.sizing.suggestions`).
    """
    whole = asdict(estimate)
    whole["proposals"] = [
        {"why": suggestion.why, "changes": [asdict(change) for change in suggestion.changes]} for suggestion in offered
    ]
    verdicts = {name: whole.pop(name) for name in ("starts", "context", "headroom")}
    hosts = [{**picture.pop("host"), **picture} for picture in whole.pop("hosts")]
    return cast("EstimateJson", {"level": estimate.level, "verdicts": verdicts, "hosts": hosts, **whole})
