"""The plan of a launch: every step, its hosts, and the commands that do the same by hand."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import field, replace

from sparkrun_tui.base.defects import explained
from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.secrets import Redactor
from sparkrun_tui.base.user.settings import Cluster
from sparkrun_tui.engines.engine import Engine
from sparkrun_tui.engines.plan import UNKNOWN_RAY, HostView, ImageRay, PlanRequest, ServePlan
from sparkrun_tui.engines.registry import engine_for
from sparkrun_tui.launch.plan.shapes import PlanEnv, PlanStep
from sparkrun_tui.launch.plan.steps import plan_steps
from sparkrun_tui.launch.sizing.conditions import of_view, settled
from sparkrun_tui.launch.sizing.evaluation import recipe_problems
from sparkrun_tui.recipe.bundled_files.attachments import Attachments
from sparkrun_tui.recipe.model import Problem, Recipe, Severity
from sparkrun_tui.recipe.names.images import same_host
from sparkrun_tui.recipe.suggestions import did_you_mean
from sparkrun_tui.recipe.values import launch_keys
from sparkrun_tui.recipe.values.environment import reads_text
from sparkrun_tui.recipe.values.masking import concealed, problem_shown, redactor, shown_settings
from sparkrun_tui.recipe.values.rendered import Decision, Rendered

CONDITIONS = "conditions-changed"
"""The code of the error that other conditions of a recipe hold than when its plan was begun."""

OF_TRUST = frozenset({"host-mount"})
"""Codes of errors about trust in the recipe, which the user may override."""


@dataclass(frozen=True, slots=True)
class LaunchPlan:
    """What a launch will do. Problems with severity error stop it."""

    launch_id: str
    rendered: Rendered
    cluster: Cluster
    hosts: tuple[HostView, ...]
    serve: ServePlan
    steps: tuple[PlanStep, ...]
    host_reason: str
    """Why it uses this many hosts."""
    problems: tuple[Problem, ...] = ()
    env: PlanEnv = field(default_factory=PlanEnv)
    attachments: Attachments = field(default_factory=Attachments)
    """The files of this machine that are copied into the containers."""
    attention_heads: int | None = None
    """The model's attention heads, which its ranks divide among them; None when unknown."""
    ray: ImageRay = UNKNOWN_RAY
    """What is known of Ray in the image."""
    broken: bool = False
    """Whether the recipe has errors that cannot be overridden: its commands may be read, but not run."""

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that stop the launch."""
        return tuple(problem for problem in self.problems if problem.severity is Severity.ERROR)

    @property
    def host_names(self) -> tuple[str, ...]:
        """The hosts in rank order, as the cluster names them."""
        return tuple(host.name for host in self.hosts)


def planning(rendered: Rendered) -> AbstractContextManager[None]:
    """A context in which an unexpected exception becomes a `LaunchError` that names the recipe."""
    return explained(f"planning the launch of {rendered.recipe.name}")


def build_plan(
    rendered: Rendered,
    cluster: Cluster,
    hosts: Sequence[HostView],
    *,
    launch_id: str,
    solo: bool = False,
    env: PlanEnv | None = None,
    attachments: Attachments | None = None,
    model_path: str = "",
    model_commit: str = "",
    gguf_path: str = "",
    gguf_projector: str = "",
    attention_heads: int | None = None,
    ray: ImageRay | None = None,
) -> LaunchPlan:
    """The plan of a launch of `rendered` on as many of `hosts` as its engine wants; the first is the head node.

    Pure: the same arguments give the same plan, and no host is asked. Commands, labels and files of the plan contain
    none of the recipe's secrets; those are in the secret part of the plan's `env`.
    Raises `LaunchError` when the recipe cannot run on these hosts.
    """
    engine = engine_for(rendered.recipe.runtime)
    before = rendered.decisions
    rendered = in_force(rendered, cluster, hosts, solo=solo)
    env, attachments = env or PlanEnv(), attachments or Attachments()
    hidden = concealed(rendered)
    env = replace(env, secret={**env.secret, **hidden.secrets})
    chosen, reason = _choose(engine, rendered, hosts[:1] if solo else hosts, cluster.gpus_per_host)
    request = PlanRequest(
        rendered=hidden.rendered,
        hosts=chosen,
        launch_id=launch_id,
        env=env.plain,
        secret_env=env.secret,
        privileged=cluster.privileged,
        model_path=model_path,
        model_commit=model_commit,
        gguf_path=gguf_path,
        gguf_projector=gguf_projector,
        attachments=attachments,
        ray=ray or UNKNOWN_RAY,
    )
    serve = _serve(engine, request)
    problems = _unique(
        redactor(rendered=rendered, known=env.secret.values()),
        _problems_of_recipe(rendered, cluster, attention_heads),
        serve.problems,
        engine.check(hidden.rendered),
        env.problems,
        attachments.problems,
        _conditions_changed(rendered, before),
        _unknown_hosts(rendered.recipe, cluster),
    )
    errors = [problem for problem in problems if problem.severity is Severity.ERROR]
    notes = [*map(str, rendered.decisions), *serve.notes, *_of_this_launch(rendered)]
    if names := reads_text(rendered.recipe):
        notes.append(f"reads variables of this machine: {names}")
    serve = replace(serve, notes=tuple(notes))
    return LaunchPlan(
        launch_id=launch_id,
        rendered=rendered,
        cluster=cluster,
        hosts=chosen,
        serve=serve,
        steps=plan_steps(serve, chosen, cluster),
        host_reason=reason,
        problems=problems,
        env=env,
        attachments=attachments,
        attention_heads=attention_heads,
        ray=request.ray,
        broken=any(problem.code not in OF_TRUST for problem in errors),
    )


def in_force(rendered: Rendered, cluster: Cluster, hosts: Sequence[HostView], *, solo: bool = False) -> Rendered:
    """The recipe with the conditional values that hold on the hosts that a launch would choose."""
    views = hosts[:1] if solo else hosts
    return settled(rendered, [of_view(host) for host in views], cluster.gpus_per_host)


def _conditions_changed(rendered: Rendered, before: Sequence[Decision]) -> tuple[Problem, ...]:
    """An error where other conditions hold than when the recipe's environment was made for this plan."""
    changed = []
    for decision, earlier in zip(rendered.decisions, before, strict=False):
        if decision.holds is not earlier.holds:
            changed.append(f"overrides[{decision.layer.number}]")
    if not changed:
        return ()
    what = "the hosts are not what they were taken for, and other conditions of the recipe hold"
    return (Problem(Severity.ERROR, CONDITIONS, f"{what}: {', '.join(changed)}", remedy="launch it again"),)


def _unknown_hosts(recipe: Recipe, cluster: Cluster) -> tuple[Problem, ...]:
    """An error for each image of `containers` whose host a saved cluster does not have: its name may be mistyped."""
    if cluster.source not in ("config", "sparkrun"):
        return ()
    problems = []
    for image in recipe.images:
        if any(same_host(name, image.host) for name in cluster.hosts):
            continue
        message = f"`containers` names the host `{image.host[:80]}`, which the cluster {cluster.name} does not have"
        remedy = did_you_mean(image.host, cluster.hosts) or f"its hosts are {', '.join(cluster.hosts[:20])}"
        problems.append(Problem(Severity.ERROR, "containers-host", message, image.spot, remedy))
    return tuple(problems)


def _of_this_launch(rendered: Rendered) -> list[str]:
    """What is other in this launch than in the recipe, beside the values of the command; without secrets."""
    shown = shown_settings(rendered.overrides)
    given = launch_keys.divided(rendered.original, {key: str(text) for key, text in shown.items()})
    notes = []
    if given.image:
        own = rendered.original.container or "the engine's own"
        notes.append(f"image of this launch: {given.image}, in place of {own}")
    if given.env:
        notes.append(f"variables of this launch: {', '.join(given.env)}")
    if given.flags:
        notes.append(f"flags of this launch, behind those of the command: {given.flags}")
    return notes


def _choose(
    engine: Engine, rendered: Rendered, hosts: Sequence[HostView], gpus_per_host: int
) -> tuple[tuple[HostView, ...], str]:
    """The first hosts, as many as the engine wants, and why it wants that many."""
    if not hosts:
        raise LaunchError("there is no host to launch on", remedy="Name hosts with -H, or set up a cluster.")
    count, reason = engine.host_count(rendered, len(hosts), gpus_per_host)
    if count > len(hosts):
        raise LaunchError(
            f"{rendered.recipe.name} needs {count} hosts ({reason}), and there {_are(len(hosts))}",
            remedy="Add hosts to the cluster, or lower tensor_parallel.",
        )
    return tuple(hosts[:count]), reason


def _problems_of_recipe(rendered: Rendered, cluster: Cluster, heads: int | None) -> list[Problem]:
    """The errors and warnings of the recipe, except those about unset variables, which `plan_env` reports."""
    found = recipe_problems(rendered, heads, cluster.gpus_per_host, cluster.privileged)
    return [item for item in found if item.severity is not Severity.NOTE and item.code != "env-unset"]


def _serve(engine: Engine, request: PlanRequest) -> ServePlan:
    try:
        return engine.plan(request)
    except LaunchError:
        # An error of the rendering is the cause, the engine's error its consequence.
        if request.rendered.errors:
            raise stopped_by(request.rendered.errors[0]) from None
        raise


def stopped_by(problem: Problem) -> LaunchError:
    """A problem as the error that stops a launch."""
    return LaunchError(problem.message, spot=problem.spot, remedy=problem.remedy)


def _are(count: int) -> str:
    return "is 1" if count == 1 else f"are {count}"


def _unique(redact: Redactor, *groups: Sequence[Problem]) -> tuple[Problem, ...]:
    return tuple(dict.fromkeys(problem_shown(problem, redact) for problem in itertools.chain(*groups)))
