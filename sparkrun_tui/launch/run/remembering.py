"""At the end of a launch that serves, what its engine printed is kept for the next estimate of the same recipe."""

from __future__ import annotations

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.launch.run.parts.context import Context
from sparkrun_tui.launch.sizing.calibration import learn, record_of
from sparkrun_tui.launch.sizing.measured_store import image_facts, remember
from sparkrun_tui.launch.sizing.sizing import engine_settings, host_memory


async def remember_figures(context: Context) -> None:
    """Keep the figures of every host that printed some; that it cannot be done is only told.

    What the demo's hosts print is made up, and is not kept.
    """
    plan = context.plan
    if plan.cluster.is_demo or not context.figures:
        return
    head, image = plan.serve.ready.host, plan.serve.image
    try:
        learn(plan.serve.engine, image, await context.docker(head).image(image))
        settings, now = engine_settings(plan.rendered, image), context.services.clock()
        hosts = [host_memory(context.facts[host]) for host in context.figures if host in context.facts]
        digest = image_facts(image).digest
        made = [record_of(settings, host, image, digest, context.figures[host.name], now) for host in hosts]
        remember(plan.rendered.recipe.digest, [record for record in made if record is not None])
    except HostError as error:
        context.notice("note", f"what the engine printed is not kept for estimates: {error.what}", head)
    except OSError as error:
        context.notice("note", f"what the engine printed cannot be kept for estimates: {error.strerror}")
