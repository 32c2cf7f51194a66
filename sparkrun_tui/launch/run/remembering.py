"""Keeps what the engine of a launch printed, once it serves, for later estimates of the same recipe."""

from __future__ import annotations

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.launch.run.parts.given import Given
from sparkrun_tui.launch.run.parts.reporter import Reporter
from sparkrun_tui.launch.run.parts.running import Running
from sparkrun_tui.launch.sizing.calibration import record_of, remember_image
from sparkrun_tui.launch.sizing.measured_store import image_facts, remember
from sparkrun_tui.launch.sizing.sizing import engine_settings, host_memory


async def remember_figures(given: Given, running: Running, report: Reporter) -> None:
    """Keep the figures of every host that printed some. Failures are only reported as notices.

    Figures of the demo's hosts are invented, and are not kept.
    """
    plan = given.plan
    if plan.cluster.is_demo or not running.followers.figures:
        return
    head, image = plan.serve.ready.host, plan.serve.image
    try:
        remember_image(plan.serve.engine, image, await given.docker(head).image(image))
        settings = engine_settings(plan.rendered, image)
        now = given.services.clock()
        digest = image_facts(image).digest
        made = []
        for host, printed in running.followers.figures.items():
            if host not in running.facts:
                continue
            record = record_of(settings, host_memory(running.facts[host]), image, digest, printed, now)
            if record is not None:
                made.append(record)
        remember(plan.rendered.recipe.digest, made)
    except HostError as error:
        report.notice("note", f"the engine's figures were not kept for later estimates: {error.what}", head)
    except OSError as error:
        report.notice("note", f"the engine's figures were not kept for later estimates: {error.strerror}")
