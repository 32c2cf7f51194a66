"""Asks the image for Ray once it is on the head node, and makes the plan again with the answer."""

from __future__ import annotations

from sparkrun_tui.engines.plan import ImageRay, Phase
from sparkrun_tui.engines.vllm.executor import GO_WITHOUT, NO_RAY
from sparkrun_tui.launch.image_ray import PROGRAM, answered, keep, kept_of, key_of
from sparkrun_tui.launch.run.parts.given import Given
from sparkrun_tui.launch.run.parts.host_work import insist
from sparkrun_tui.launch.run.parts.repairable import Repairable
from sparkrun_tui.launch.run.parts.reporter import Reporter
from sparkrun_tui.launch.run.parts.running import Running
from sparkrun_tui.launch.run.steps.check import replan


async def settle_ray(given: Given, running: Running, report: Reporter) -> None:
    """Decide whether the launch goes over Ray. Raises `Repairable` when the recipe asks for it and the image has none.

    Each image is asked once on each host; what it has is kept by its digest.
    """
    before = given.plan.serve
    if not before.asks_ray:
        return
    host = before.ready.host
    found = await insist(given, report, host, Phase.IMAGE, lambda: _look(given, host))
    known = given.plan.ray
    if found.has is not None and (found.has, found.version) != (known.has, known.version):
        # What the plan knew may be of an earlier image of that name.
        if found.token is not None:
            report.bus.hide([found.token])
        replan(given, running, ray=found)
    _stop_without_ray(given)
    if found.has is False and not given.plan.serve.asks_ray:
        text = f"{given.plan.serve.image} has no Ray: the hosts connect without it (--nnodes)"
        report.notice("note", text, host)


def _stop_without_ray(given: Given) -> None:
    """Raises `Repairable` when the plan asks for Ray and its image is known to have none."""
    serve = given.plan.serve
    if all(problem.code != NO_RAY for problem in serve.problems):
        return
    raise Repairable(
        f"{serve.image} has no Ray, and the recipe asks for it",
        host=serve.ready.host,
        explanation="Stock vLLM images have had no Ray since release 0.19. Nothing of the model was sent yet.",
        repairs=(GO_WITHOUT,),
    )


async def _look(given: Given, host: str) -> ImageRay:
    """What the image on a host has, from what was kept of it where possible. Raises `LinkLost`."""
    reference = given.plan.serve.image_on(host)
    image = await given.docker(host).image(reference)
    if image is None:
        return ImageRay()
    kept = kept_of(host, key_of(image))
    if kept.has is not None:
        return kept
    found = await given.services.images.program(given.transport(host), reference, PROGRAM)
    if found is not None:
        keep(host, key_of(image), found)
    return answered(found)
