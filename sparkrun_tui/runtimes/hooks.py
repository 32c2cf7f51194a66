"""The hooks of a recipe (`pre_exec`, `post_exec`, `post_commands`) put into a plan, with waits that leave them time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sparkrun_tui.recipe.hooks import hooks_of
from sparkrun_tui.recipe.model import Recipe
from sparkrun_tui.runtimes.common import HF_HOME, container_name
from sparkrun_tui.runtimes.plan import Hook, PlanRequest, RankPlan, ReadyCheck, ServePlan, Stage

TIME_FOR_HOOKS = 1800.0
"""Seconds that a stage waits longer for containers that run hooks first: they install packages."""

_WHERE = {
    "pre_exec": "in every container before the engine",
    "post_exec": "in the head's container once it serves",
    "post_commands": "on the head host once it serves",
}


def with_hooks(plan: ServePlan, request: PlanRequest, container: str = "") -> ServePlan:
    """The plan with the recipe's hooks: before the script of each container, and once it serves.

    `container` names the head's container where it is not ours.
    """
    recipe = request.rendered.recipe
    name = container or container_name(request.launch_id, 0)
    found = hooks_of(request.rendered, launch_values(request, plan.ready, name))
    before = _titled("pre_exec", found.before, recipe)
    after = _titled("post_exec", found.after, recipe)
    host_after = _titled("post_commands", found.host_after, recipe)
    return replace(
        plan,
        ranks=tuple(_with_before(rank, before) for rank in plan.ranks),
        stages=tuple(map(_patient, plan.stages)) if before else plan.stages,
        after=after,
        host_after=host_after,
        notes=(*plan.notes, *map(_note, (*before, *after, *host_after))),
        problems=(*plan.problems, *found.problems),
    )


def launch_values(request: PlanRequest, ready: ReadyCheck, container: str) -> Mapping[str, str]:
    """The values that only a launch has, by the names under which commands for its end ask for them."""
    head = request.hosts[0]
    return {
        "head_host": head.name,
        "head_ip": head.address,
        "port": str(ready.port),
        "cluster_id": request.launch_id,
        "container_name": container,
        "cache_dir": HF_HOME,
        "base_url": f"http://{head.address}:{ready.port}/v1",
    }


def before_hooks(request: PlanRequest) -> tuple[Hook, ...]:
    """What runs in every container before the engine."""
    return _titled("pre_exec", hooks_of(request.rendered).before, request.rendered.recipe)


def _titled(key: str, commands: Sequence[str], recipe: Recipe) -> tuple[Hook, ...]:
    spot = recipe.spots.get(key) or recipe.spots.get(f"runtime_config.{key}")
    place = f" ({spot.path.rpartition('/')[2]}:{spot.line})" if spot is not None else ""
    count = f" of {len(commands)}" if len(commands) > 1 else ""
    return tuple(
        Hook(f"{key}{f' {number}{count}' if count else ''}{place}", command)
        for number, command in enumerate(commands, 1)
    )


def _with_before(rank: RankPlan, before: tuple[Hook, ...]) -> RankPlan:
    return replace(rank, container=replace(rank.container, before=before))


def _patient(stage: Stage) -> Stage:
    return (
        stage
        if stage.wait is None
        else replace(stage, wait=replace(stage.wait, timeout=stage.wait.timeout + TIME_FOR_HOOKS))
    )


def _note(hook: Hook) -> str:
    key = hook.title.partition(" ")[0]
    command = hook.command.replace("\n", " ⏎ ")
    return f"{hook.title}, {_WHERE[key]}: {command}"
