"""The image step on one host: skipped when the image is present, else pulled there, else sent from the workstation."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

from sparkrun_tui.base import shell
from sparkrun_tui.base.errors import HostError, LaunchError
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.engines.plan import Phase
from sparkrun_tui.launch.record.events import StepState
from sparkrun_tui.launch.run.parts.given import Given
from sparkrun_tui.launch.run.parts.host_work import insist
from sparkrun_tui.launch.run.parts.reporter import Reporter
from sparkrun_tui.launch.run.parts.running import Running
from sparkrun_tui.remote.aio import closing
from sparkrun_tui.remote.docker.types import docker_arch
from sparkrun_tui.remote.failures import DaemonSilent, LinkLost, NoDocker
from sparkrun_tui.remote.ports.models import Transfer

PULL_TRIES = 5
DAEMON_WAIT = 60.0
"""Seconds to wait for a daemon that stopped answering during a pull."""
_DAEMON_POLL = 2.0
_PASSING = late_regex(r"toomanyrequests|too many requests|\b(429|50[0234])\b|EOF|timeout|reset by peer", re.I)


async def bring_image(given: Given, running: Running, report: Reporter, host: str) -> None:
    """Make sure that `host` has the plan's image for its CPU architecture. Raises `HostError` when that fails."""
    if not given.plan.serve.pull_image:
        report.step(host, Phase.IMAGE, StepState.SKIPPED, "built at the start")
        return
    report.step(host, Phase.IMAGE, StepState.RUNNING)
    await insist(given, report, host, Phase.IMAGE, lambda: _bring(given, running, report, host))


async def _bring(given: Given, running: Running, report: Reporter, host: str) -> None:
    reference = given.plan.serve.image_on(host)
    docker = given.docker(host)
    found = await docker.image(reference)
    if found is not None:
        _same_arch(given, running, host, found.arch)
        report.step(host, Phase.IMAGE, StepState.SKIPPED, "present")
        return
    detail = "pulled"
    try:
        await _pull(given, running, report, host, reference)
    except LinkLost:
        raise
    except HostError as refused:
        arch = running.facts[host].arch if host in running.facts else ""
        if not await given.services.images.local(reference, arch):
            raise
        report.notice("warning", f"cannot pull {reference} ({refused.what}); sending this machine's copy", host)
        await _move(report, host, given.services.images.stream(given.transport(host), reference))
        detail = "sent from here"
    found = await docker.image(reference)
    if found is None:
        raise LaunchError(
            f"{reference} is missing after the transfer", host=host, remedy=shell.words(["docker", "pull", reference])
        )
    _same_arch(given, running, host, found.arch)
    report.step(host, Phase.IMAGE, StepState.OK, detail)


async def _pull(given: Given, running: Running, report: Reporter, host: str, reference: str) -> None:
    """Have the host pull the image. Whoever lets the launch go leaves it to the host; giving it up ends it."""
    job = (host, given.services.images.pull_job(reference))
    running.touched.add(host)
    running.jobs.append(job)
    await _pull_again(given, report, host, reference)
    running.jobs.remove(job)


async def _pull_again(given: Given, report: Reporter, host: str, reference: str) -> None:
    pause = 5.0
    for attempt in range(1, PULL_TRIES + 1):
        try:
            await _move(report, host, given.services.images.pull(given.transport(host), reference))
            return
        except LinkLost:
            raise
        except (DaemonSilent, NoDocker) as silent:
            await _until_it_answers(given, report, host, silent)
        except HostError as error:
            if attempt == PULL_TRIES or not _PASSING.search(error.what):
                raise
            report.notice("warning", f"pull failed ({error.what}), next try in {pause:.0f} s", host)
            await asyncio.sleep(pause)
            pause = min(pause * 2, 60.0)


async def _until_it_answers(given: Given, report: Reporter, host: str, silent: HostError) -> None:
    """Wait for a daemon that does not answer, as it does while it is restarted. Raises `silent` after a minute."""
    if isinstance(silent, NoDocker) and not silent.installed:
        raise silent
    report.notice("warning", f"{silent.what}; waiting for it up to {DAEMON_WAIT:.0f} s", host)
    deadline = asyncio.get_running_loop().time() + DAEMON_WAIT
    while True:
        await asyncio.sleep(_DAEMON_POLL)
        try:
            await given.docker(host).image(given.plan.serve.image_on(host))
            return
        except (DaemonSilent, NoDocker):
            if asyncio.get_running_loop().time() > deadline:
                raise silent from None


async def _move(report: Reporter, host: str, transfers: AsyncIterator[Transfer]) -> None:
    async with closing(transfers) as moving:
        async for moved in moving:
            report.progress(host, Phase.IMAGE, moved)


def _same_arch(given: Given, running: Running, host: str, image_arch: str) -> None:
    """Check that an image is for the host's CPU architecture, as far as both are known. Raises `LaunchError`."""
    facts = running.facts.get(host)
    if facts is None or not facts.arch or not image_arch:
        return
    have = docker_arch(image_arch)
    want = docker_arch(facts.arch)
    if have != want:
        raise LaunchError(
            f"the image is for {have}, the host is {want}",
            host=host,
            remedy=f"Choose an image for {want}: {given.plan.serve.image_on(host)} does not run on this host.",
        )
