"""The detail of a recipe as lines: headline with the memory picture, what it is, its problems."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sparkrun_tui.base.text import clean_line, clean_text, visible_text
from sparkrun_tui.base.units import format_count
from sparkrun_tui.memory.result import Estimate
from sparkrun_tui.recipe.model import BrokenRecipe, Problem, Recipe, Severity, SourceKind
from sparkrun_tui.recipe.values.environment import reads_text
from sparkrun_tui.recipe.values.launching import launching_lines
from sparkrun_tui.recipe.values.masking import dotted, redactor
from sparkrun_tui.ui.ink import Line, Span, clip, wrap
from sparkrun_tui.ui.paint.recipe.list_rows import short_count
from sparkrun_tui.ui.paint.recipe.memory_bar import is_supposed, picture_lines
from sparkrun_tui.ui.paint.recipe.memory_tab import suggestion_line, suggestion_lines

if TYPE_CHECKING:
    from sparkrun_tui.launch.sizing.evaluation import Evaluation
    from sparkrun_tui.launch.sizing.suggestions import Suggestion
    from sparkrun_tui.recipe.trust import Demand

_SIGNS = {Severity.ERROR: ("✗", "bad"), Severity.WARNING: ("!", "tight"), Severity.NOTE: ("·", "dim")}


def identity(evaluation: Evaluation, compact: bool = False) -> Line:
    """Model, engine, number format, size and hosts on one line; in a `compact` one hosts come early, by their names."""
    recipe = evaluation.recipe
    estimate = evaluation.estimate
    version = estimate.engine_version
    named = evaluation.engine.split(" ")[0] in version
    words = [version if named else f"{evaluation.engine} {version}".strip()]
    meta = recipe.metadata
    if meta.model_dtype and "{" not in meta.model_dtype:
        words.append(meta.model_dtype)
    if meta.model_params:
        active = f"-A{short_count(meta.active_params)}" if meta.active_params else ""
        words.append(short_count(meta.model_params) + active)
    if compact:
        words.insert(0, hosts_words(evaluation))
    else:
        words.append(format_count(evaluation.hosts, "host"))
    return [(clean_line(recipe.model or "no model"), "bold"), (" · " + clean_line(" · ".join(words)), "")]


_NAMED = 4
"""The most hosts that are named one by one."""


def hosts_words(evaluation: Evaluation) -> str:
    """How many hosts it takes, and which ones: `on spark-2`, `2 hosts: spark-1, spark-2`."""
    count = format_count(evaluation.hosts, "host")
    places = evaluation.places
    if not places or len(places) != evaluation.hosts:
        return count
    if len(places) > _NAMED:
        return f"{count}: {places[0]} … {places[-1]}"
    return f"on {places[0]}" if len(places) == 1 else f"{count}: {', '.join(places)}"


def headline(
    evaluation: Evaluation,
    width: int,
    compact: bool,
    offered: Sequence[Suggestion] | None = (),
    around: Sequence[Line] = (),
) -> list[Line]:
    """What is always visible of a recipe: what it is, its memory, the verdicts, and what is `around` on its hosts."""
    lines: list[Line] = [clip(identity(evaluation, compact), width)]
    estimate = evaluation.estimate
    if around and not compact:
        # What runs there matters more than the rest of the description.
        lines += description(evaluation.recipe, width)[:1]
    elif not compact:
        lines += [*description(evaluation.recipe, width), []]
    lines += picture_lines(estimate, width, compact)
    lines += around
    if not compact:
        lines += extras(evaluation, estimate, width, offered)
    return [clip(line, width) for line in lines]


def description(recipe: Recipe, width: int) -> list[Line]:
    """The recipe's description and where it comes from."""
    source = recipe.source
    origin = source.registry if source.kind is SourceKind.REGISTRY else source.kind.value
    words = clean_text(recipe.metadata.description).replace("\n", " ").strip()
    text = f"{words}   " if words else ""
    shown = wrap(text + origin, width)[:2]
    lines: list[Line] = []
    for row in shown:
        if row.endswith(origin):
            lines.append([(row[: len(row) - len(origin)], ""), (origin, "dim")])
        else:
            lines.append([(row, "")])
    return lines


def extras(
    evaluation: Evaluation, estimate: Estimate, width: int, offered: Sequence[Suggestion] | None = ()
) -> list[Line]:
    """The limits of the recipe, the first of `offered` (None: they are being tried), and where the facts come from."""
    lines: list[Line] = []
    limits = _limits(estimate)
    if limits:
        lines += [[(row, "dim")] for row in wrap(limits, width)]
    if offered is None and estimate.proposals:
        lines.append([("· trying what would help …", "dim")])
    elif offered:
        line = list(suggestion_line(1, offered[0]))
        more = len(offered) - 1
        if more:
            line.append((f"  ({more} more in Memory)", "dim"))
        lines.append(line)
    facts = f"facts: {estimate.facts_source}"
    if is_supposed(estimate):
        facts += " · ~ an idle Spark's memory"
    lines.append([(facts, "dim")])
    problems = _problem_counts(evaluation)
    if problems:
        lines.append(problems)
    return lines


def _limits(estimate: Estimate) -> str:
    parts: list[str] = []
    if estimate.max_context is not None:
        parts.append(f"longest context {estimate.max_context:,}")
    if estimate.min_hosts is not None:
        parts.append(f"fewest hosts {estimate.min_hosts}")
    if estimate.max_utilisation is not None:
        parts.append(f"starts up to utilisation {estimate.max_utilisation:.2f}")
    return "  ".join(parts)


def _problem_counts(evaluation: Evaluation) -> list[Span]:
    """How many errors and warnings there are; empty without any."""
    spans: list[Span] = []
    errors = len(evaluation.errors)
    if errors:
        spans.append((f"✗ {format_count(errors, 'error')}  ", "bad"))
    warnings = sum(problem.severity is Severity.WARNING for problem in evaluation.problems)
    if warnings:
        spans.append((f"! {format_count(warnings, 'warning')}", "tight"))
    return spans


def about(evaluation: Evaluation, width: int, offered: Sequence[Suggestion] = ()) -> list[Line]:
    """The overview tab: everything about the recipe and its estimate, with the origin of each figure."""
    recipe, estimate = evaluation.recipe, evaluation.estimate
    lines = description(recipe, width)
    if evaluation.host_reason:
        lines += _wrapped_pair("hosts", clean_line(evaluation.host_reason), width)
    details = dict.fromkeys([estimate.starts.detail, estimate.context.detail, estimate.headroom.detail])
    for detail in details:
        if detail:
            lines += [[(row, "")] for row in wrap(clean_line(detail), width)]
    lines += extras(evaluation, estimate, width)
    lines += suggestion_lines(offered, width)
    lines += launching(evaluation, width)
    return [clip(line, width) for line in [*lines, *origins(recipe, width)]]


def launching(evaluation: Evaluation, width: int) -> list[Line]:
    """What the recipe says of its launch beside values and command: conditions, images of hosts, readiness."""
    lines: list[Line] = []
    redact = redactor(rendered=evaluation.rendered)
    for label, text in launching_lines(evaluation.rendered):
        lines += _wrapped_pair(label, clean_line(dotted(redact(text))), width)
    return lines


def origins(recipe: Recipe, width: int) -> list[Line]:
    """Where the recipe comes from: its file, what it reads of this machine, image, revision and maintainer."""
    lines: list[Line] = []
    for label, value in (
        ("registry", recipe.source.registry_text),
        ("file", recipe.source.path),
        ("reads", reads_text(recipe)),
        ("image", recipe.container),
        ("revision", recipe.model_revision),
        ("maintainer", recipe.metadata.maintainer),
    ):
        if value:
            lines += _wrapped_pair(label, clean_line(value), width)
    return lines


def _wrapped_pair(label: str, value: str, width: int) -> list[Line]:
    head = f"{label}  "
    rows = wrap(value, width - len(head))
    return [[(head, "dim"), (rows[0], "")], *([(" " * len(head) + row, "")] for row in rows[1:])]


def problem_lines(problems: Sequence[Problem], width: int, path: str = "") -> list[Line]:
    """Problems with their place in the file at `path`, or in another one, and what to do, errors first."""
    if not problems:
        return [[("✓ ", "good"), ("no problems found", "")]]
    lines: list[Line] = []
    for problem in problems:
        sign, style = _SIGNS[problem.severity]
        place = ""
        if problem.spot:
            place = f"line {problem.spot.line}: "
            if path and problem.spot.path != path:
                place = f"{clean_line(os.path.basename(problem.spot.path))}, {place}"
        rows = wrap(place + clean_line(problem.message), width - 2)
        lines.append([(f"{sign} ", style), (rows[0], "")])
        lines += [[("  " + row, "")] for row in rows[1:]]
        if problem.remedy:
            rows = wrap(clean_line(problem.remedy), width - 4)
            lines.append([("  → " + rows[0], "dim")])
            lines += [[("    " + row, "dim")] for row in rows[1:]]
    return lines


def demand_lines(demands: Sequence[Demand], width: int) -> list[Line]:
    """What a recipe would do beyond serving, each in full, most serious first."""
    lines: list[Line] = [[], [("beyond serving, once you agree when it is launched", "title")]]
    for demand in demands:
        sign, style = ("!", "tight") if demand.is_risky else ("·", "dim")
        whole = f"{demand.title}: {demand.detail}" if demand.detail else demand.title
        rows: list[str] = []
        for text in visible_text(whole).split("\n"):
            rows += wrap(text, width - 2)
        lines.append([(f"{sign} ", style), (rows[0], "")])
        lines += [[("  " + row, "")] for row in rows[1:]]
    if not demands:
        lines.append([("✓ ", "good"), ("nothing but its image and its command", "")])
    return lines


def broken_lines(recipe: BrokenRecipe, width: int) -> list[Line]:
    """A file that could not be read: what is wrong with it, and where."""
    place = str(recipe.error.spot) if recipe.error.spot else recipe.source.path
    lines: list[Line] = [[("✗ ", "bad"), ("this recipe cannot be read", "bold")]]
    lines += [[(row, "dim")] for row in wrap(clean_line(place), width)]
    return [*lines, *problem_lines([recipe.error], width)]


def problem_marks(problems: Sequence[Problem], path: str) -> dict[int, str]:
    """Lines of the source at `path` that have a problem, with the style of the worst."""
    marks: dict[int, str] = {}
    for problem in reversed(problems):
        if problem.spot and problem.spot.path == path:
            marks[problem.spot.line] = _SIGNS[problem.severity][1]
    return marks
