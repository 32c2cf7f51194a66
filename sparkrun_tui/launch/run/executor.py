"""Carries a launch out: check, image and model side by side, start, wait until it serves, then watch over it."""

from __future__ import annotations

import asyncio

from sparkrun_tui.engines.plan import Phase
from sparkrun_tui.launch.record.events import LaunchBegan, LaunchStatus, StatusChanged
from sparkrun_tui.launch.run.parts import leases as locks
from sparkrun_tui.launch.run.parts.context import Context
from sparkrun_tui.launch.run.parts.follow import Followers
from sparkrun_tui.launch.run.parts.host_work import drop, on_all
from sparkrun_tui.launch.run.post_hooks import run_after
from sparkrun_tui.launch.run.readiness import until_ready
from sparkrun_tui.launch.run.remembering import remember_figures
from sparkrun_tui.launch.run.steps.check import check
from sparkrun_tui.launch.run.steps.image import bring_image
from sparkrun_tui.launch.run.steps.model import bring_models
from sparkrun_tui.launch.run.steps.start import start_all, start_early
from sparkrun_tui.launch.run.watch import MEMORY_POLL, read_memory, tell_links, unless_ended, watch
from sparkrun_tui.recipe.values.masking import shown_settings


def announce(context: Context) -> None:
    """The first event of a launch."""
    plan = context.plan
    recipe = plan.rendered.recipe
    context.bus.emit(
        LaunchBegan(
            launch_id=plan.launch_id,
            recipe=recipe.name,
            engine=plan.serve.engine,
            model=recipe.model,
            cluster=plan.cluster.name,
            hosts=plan.host_names,
            port=plan.serve.ready.port,
            settings=shown_settings(plan.rendered.overrides),
        )
    )


async def execute(context: Context) -> None:
    """From the first look at the hosts to the end of what it serves. Raises `SparkrunError` when it fails."""
    followers = Followers(context)
    context.followers = followers
    await check(context)
    await locks.acquire(context)
    readings = [asyncio.create_task(_readings(context)), asyncio.create_task(tell_links(context))]
    try:
        await start_early(context)
        await _prepare(context)
        await start_all(context, followers)
        context.sent = {}
        await unless_ended(context, until_ready(context))
        await remember_figures(context)
        well = await unless_ended(context, run_after(context))
    finally:
        await drop(readings)
    await locks.release(context)
    if well and context.plan.serve.stop_after:
        context.done = "all that was to be done has ended well (stop_after_post)"
        context.bus.emit(StatusChanged(status=LaunchStatus.STOPPING, detail=context.done))
        return
    context.bus.emit(StatusChanged(status=LaunchStatus.READY))
    await watch(context)


async def _prepare(context: Context) -> None:
    """Images and models side by side; when one fails, what the other moves is finished first."""

    async def image(host: str) -> None:
        await bring_image(context, host)

    images = asyncio.create_task(on_all(context, Phase.IMAGE, context.hosts, image))
    models = asyncio.create_task(bring_models(context))
    try:
        await asyncio.wait({images, models})
    except asyncio.CancelledError:
        await drop([images, models])
        raise
    for task in (images, models):
        task.result()


async def _readings(context: Context) -> None:
    while True:
        await asyncio.sleep(MEMORY_POLL)
        await asyncio.gather(*(read_memory(context, host) for host in context.hosts))
