"""Makes the plan of a launch: at first from what is known, and again with what its hosts have said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sparkrun_tui.base.user.settings import Cluster
from sparkrun_tui.engines.plan import HostView, ImageRay
from sparkrun_tui.launch.image_ray import known_ray
from sparkrun_tui.launch.plan.environment import plan_env
from sparkrun_tui.launch.plan.host_views import view_of
from sparkrun_tui.launch.plan.plan import LaunchPlan, build_plan, in_force
from sparkrun_tui.launch.sizing.sizing import attention_heads
from sparkrun_tui.recipe.bundled_files.attachments import find_attachments
from sparkrun_tui.recipe.values.rendered import Rendered

if TYPE_CHECKING:
    from sparkrun_tui.remote.probe.facts import HostFacts


def make_plan(
    rendered: Rendered,
    cluster: Cluster,
    hosts: Sequence[HostView],
    environ: Mapping[str, str],
    *,
    launch_id: str,
    solo: bool = False,
    consented: frozenset[str] | None = None,
) -> LaunchPlan:
    """The plan of a launch from what this machine knows; no host is asked.

    Reads the files that the recipe copies into its containers, and what is kept of its model and its image.
    `consented` names variables of `environ` that a recipe from elsewhere may read (None: only those that every recipe
    may read). Raises `LaunchError` when the recipe cannot run on these hosts.
    """
    rendered = in_force(rendered, cluster, hosts, solo=solo)
    return build_plan(
        rendered,
        cluster,
        hosts,
        launch_id=launch_id,
        solo=solo,
        env=plan_env(rendered, environ, consented),
        attachments=find_attachments(rendered),
        attention_heads=attention_heads(rendered),
        ray=known_ray(rendered, [host.name for host in hosts]),
    )


def plan_again(
    plan: LaunchPlan, facts: Mapping[str, HostFacts], *, ray: ImageRay | None = None, **found: str
) -> LaunchPlan:
    """The same launch with what its hosts have said: real paths, addresses, free ports.

    `facts` are those of hosts that have answered; the others stay as they were taken for. `ray` is what the image says
    of Ray, None where that is not known anew; `found` are the paths of the model, as `build_plan` takes them. Raises
    `LaunchError` when the recipe cannot run on these hosts.
    """
    views = []
    for view in plan.hosts:
        known = facts.get(view.name)
        views.append(view if known is None else view_of(known, plan.cluster, view.name))
    return build_plan(
        plan.rendered,
        plan.cluster,
        views,
        launch_id=plan.launch_id,
        solo=len(views) == 1,
        env=plan.env,
        attachments=plan.attachments,
        attention_heads=plan.attention_heads,
        ray=ray or plan.ray,
        **found,
    )
