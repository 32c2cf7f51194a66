"""Carries out a launch: check, image and model in parallel, start, wait until it serves, then watch it."""

from __future__ import annotations

import asyncio

from sparkrun_tui.engines.plan import Phase
from sparkrun_tui.launch.record.events import LaunchBegan, LaunchStatus, StatusChanged
from sparkrun_tui.launch.run.parts.given import Given
from sparkrun_tui.launch.run.parts.host_work import drop, on_all
from sparkrun_tui.launch.run.parts.reporter import Reporter
from sparkrun_tui.launch.run.parts.running import Running
from sparkrun_tui.launch.run.post_hooks import run_after
from sparkrun_tui.launch.run.readiness import until_ready
from sparkrun_tui.launch.run.remembering import remember_figures
from sparkrun_tui.launch.run.silence import watching_silence
from sparkrun_tui.launch.run.steps.check import check
from sparkrun_tui.launch.run.steps.image import bring_image
from sparkrun_tui.launch.run.steps.model import bring_models
from sparkrun_tui.launch.run.steps.ray import settle_ray
from sparkrun_tui.launch.run.steps.start import start_all, start_early
from sparkrun_tui.launch.run.watch import MEMORY_POLL, read_all_memory, report_links, unless_ended, watch
from sparkrun_tui.recipe.search.sources import lasting_reference
from sparkrun_tui.recipe.values.masking import shown_settings


def announce(given: Given, report: Reporter) -> None:
    """Emit the first event of a launch."""
    plan = given.plan
    recipe = plan.rendered.recipe
    report.bus.emit(
        LaunchBegan(
            launch_id=plan.launch_id,
            recipe=recipe.name,
            engine=plan.serve.engine,
            model=recipe.model,
            cluster=plan.cluster.name,
            hosts=plan.host_names,
            port=plan.serve.ready.port,
            settings=shown_settings(plan.rendered.overrides),
            reference=lasting_reference(recipe),
        )
    )


async def execute(given: Given, running: Running, report: Reporter) -> None:
    """Carry out a launch from its checks to the end of its service. Raises `SparkrunError` when it fails."""
    await check(given, running, report)
    await running.leases.acquire()
    readings = [
        asyncio.create_task(_readings(given, running, report)),
        asyncio.create_task(report_links(given, report)),
    ]
    try:
        await start_early(given, running, report)
        await _prepare(given, running, report)
        async with watching_silence(given, running, report):
            await start_all(given, running, report)
            given.sent = {}
            await unless_ended(given, running, report, until_ready(given, running, report))
        await remember_figures(given, running, report)
        succeeded = await unless_ended(given, running, report, run_after(given, running, report))
    finally:
        await drop(readings)
    await running.leases.release()
    if succeeded and given.plan.serve.stop_after:
        running.done = "all commands have succeeded (stop_after_post)"
        report.bus.emit(StatusChanged(status=LaunchStatus.STOPPING, detail=running.done))
        return
    report.bus.emit(StatusChanged(status=LaunchStatus.READY, detail=running.note))
    await watch(given, running, report)


async def _prepare(given: Given, running: Running, report: Reporter) -> None:
    """Provide images and models in parallel; when one fails, the transfers of the other are finished first.

    Where the launch may go over Ray, the image is asked for it before the model is sent.
    """

    head = given.plan.serve.ready.host
    settled: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    async def image(host: str) -> None:
        try:
            await bring_image(given, running, report, host)
            if host == head:
                await settle_ray(given, running, report)
                settled.set_result(True)
        finally:
            if host == head and not settled.done():
                settled.set_result(False)

    async def model() -> None:
        # Without Ray in the image, the launch may have to stop before the weights move.
        if not given.plan.serve.asks_ray or await settled:
            await bring_models(given, running, report)

    images = asyncio.create_task(on_all(report, Phase.IMAGE, given.hosts, image))
    models = asyncio.create_task(model())
    try:
        await asyncio.wait({images, models})
    except asyncio.CancelledError:
        await drop([images, models])
        raise
    for task in (images, models):
        task.result()


async def _readings(given: Given, running: Running, report: Reporter) -> None:
    while True:
        await asyncio.sleep(MEMORY_POLL)
        await read_all_memory(given, running, report)
