"""A launch plan as lines: what is done where, why so many hosts, and the commands of open steps."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from sparkrun_tui.base.text import clean_line, visible_line, visible_text
from sparkrun_tui.base.units import format_bytes
from sparkrun_tui.launch.plan.plan import LaunchPlan
from sparkrun_tui.launch.plan.shapes import PlanStep
from sparkrun_tui.memory.result import Estimate
from sparkrun_tui.recipe.model import Severity
from sparkrun_tui.recipe.trust import Demand
from sparkrun_tui.ui.ink import Line, Span, clip, fit, width_of, wrap, wrap_line
from sparkrun_tui.ui.paint.recipe.command_view import shell_lines
from sparkrun_tui.ui.paint.recipe.detail import problem_lines
from sparkrun_tui.ui.paint.recipe.memory_bar import picture_lines


def hosts_of(step: PlanStep, plan: LaunchPlan) -> str:
    """Which hosts a step is for: `all` when it is every one."""
    names = plan.host_names
    if len(names) > 1 and set(step.hosts) == set(names):
        return "both" if len(names) == 2 else "all"
    return ", ".join(step.hosts)


def step_line(number: int, step: PlanStep, plan: LaunchPlan, width: int, open_: bool) -> Line:
    """One step: number, phase, hosts, what, how much."""
    spans: list[Span] = [
        ("▾ " if open_ else "▸ ", "accent"),
        (f"{number:<3}", "key"),
        (fit(step.phase.value, 9), "bold"),
        (fit(clean_line(hosts_of(step, plan)), 14 if width >= 100 else 10), ""),
    ]
    if step.title not in (step.phase.value, "wait"):
        spans.append((f" {visible_line(step.title)}", ""))
    if step.detail:
        spans.append((f" {visible_line(step.detail)}", "dim"))
    size = format_bytes(step.size) if step.size else ""
    if size and size not in step.detail:
        where = " in all" if len(step.hosts) > 1 else ""
        spans.append((f"  {size}{where}", "number"))
    return clip(spans, width)


def plan_lines(
    plan: LaunchPlan,
    opened: AbstractSet[int],
    width: int,
    estimate: Estimate | None = None,
    head: Sequence[Line] = (),
    hint: str = "",
) -> tuple[list[Line], dict[int, int]]:
    """All lines, and which of them (by number) are steps.

    Behind the `head` comes what prevents the launch, with the `hint` what to press; the memory picture and warnings
    follow the steps.
    """
    lines: list[Line] = [*head]
    errors = [problem for problem in plan.problems if problem.severity is Severity.ERROR]
    others = [problem for problem in plan.problems if problem.severity is not Severity.ERROR]
    if errors:
        lines += problem_lines(errors, width)
        if hint:
            lines += wrap_line([("  ", ""), (hint, "accent")], width, indent=2)
        lines.append([])
    steps: dict[int, int] = {}
    for index, step in enumerate(plan.steps):
        steps[len(lines)] = index
        lines.append(step_line(index + 1, step, plan, width, index in opened))
        if index in opened:
            lines += _rest(step, plan, width)
            lines += _commands(step, width)
    lines.append([])
    for note in plan.serve.notes:
        lines += wrap_line([("· ", "dim"), (visible_line(note), "")], width, indent=2)
    if estimate is not None:
        lines += [[], *picture_lines(estimate, min(width, 100))]
    if others:
        lines += [[], *problem_lines(others, width)]
    return lines, steps


def consent_lines(question: str, wanted: Sequence[Demand]) -> list[str]:
    """The text of the question for consent: what a recipe would do beyond serving, most serious first."""
    lines = [f"{question}.", "", "What it does:"]
    for demand in wanted:
        texts = visible_text(demand.detail).split("\n") if demand.detail else []
        sign = "!" if demand.is_risky else "·"
        if len(texts) == 1:
            lines.append(f"{sign} {demand.title}: {texts[0]}")
            continue
        lines.append(f"{sign} {demand.title}")
        lines += [f"    {text}" for text in texts]
    return lines


def _rest(step: PlanStep, plan: LaunchPlan, width: int) -> list[Line]:
    """The title and detail of a step in full, when its own line has no room for them."""
    if width_of(step_line(1, step, plan, 10_000, True)) <= width:
        return []
    about = ", ".join(visible_line(text) for text in (step.title, step.detail) if text)
    return [[("     ", ""), (row, "")] for row in wrap(about, max(width - 5, 20))]


def _commands(step: PlanStep, width: int) -> list[Line]:
    lines: list[Line] = []
    for command in step.commands:
        lines.append([("     ", ""), (f"# {clean_line(command.host)}", "comment")])
        for row in shell_lines(command.text, max(width - 5, 20)):
            lines.append([("     ", ""), *row])
    return lines
