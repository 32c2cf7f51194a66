"""The start step: for each stage, starts containers on all hosts in parallel, then execs, then waits for a state."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence

from sparkrun_tui.base import shell
from sparkrun_tui.base.errors import HostError, LaunchError
from sparkrun_tui.base.reading.numbers import whole
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.base.text import clean_line
from sparkrun_tui.engines.plan import LABEL, ContainerExec, Phase, PortWait, RankPlan, RayNodesWait, Stage
from sparkrun_tui.launch.plan.archive import container_files, exec_files, exec_paths
from sparkrun_tui.launch.plan.containers import create_body, mount_folders
from sparkrun_tui.launch.record.events import StepState
from sparkrun_tui.launch.run.guarding import start_guard
from sparkrun_tui.launch.run.host_script import run_host_script
from sparkrun_tui.launch.run.parts.given import Given
from sparkrun_tui.launch.run.parts.host_work import drop, insist, on_all
from sparkrun_tui.launch.run.parts.reporter import Reporter
from sparkrun_tui.launch.run.parts.running import Running
from sparkrun_tui.launch.run.watch import unless_ended
from sparkrun_tui.remote.docker.types import ContainerInfo, DockerError
from sparkrun_tui.remote.failures import LinkLost
from sparkrun_tui.remote.ports.docker import Docker

_POLL = 0.5
_RAY_POLL = 3.0
_RAY_STATUS = 60.0
"""Seconds that `ray status` may take: it imports Ray first."""

_MADE = 20.0
"""Seconds that a daemon may take to create a container: on a slow disk it unpacks first."""

_LEFT = 5.0
"""Seconds that a cancelled launch waits for a container that is being created."""

RAY_STATUS = """\
for place in /proc/[0-9]*/environ; do
    token=$(tr '\\0' '\\n' 2>/dev/null <"$place" | sed -n 's/^RAY_AUTH_TOKEN=//p' | head -n 1)
    [ -z "$token" ] || break
done
export RAY_AUTH_TOKEN="$token"
exec ray status --address "$1"
"""
"""Asks Ray with the password that its own processes have: it must not be an argument."""

_RAY_NODE = late_regex(r"^[ \t]*([0-9]{1,6})[ \t]+\S*node\S*", re.MULTILINE)


async def start_all(given: Given, running: Running, report: Reporter) -> None:
    """Start the stages of the plan. Raises `LaunchError` for what failed; nothing is undone here."""
    number = 0
    scripts = sum(len(stage.scripts) for stage in given.plan.serve.stages if stage.early)
    for stage in (stage for stage in given.plan.serve.stages if not stage.early):
        ranks = [rank for rank in given.plan.serve.ranks if rank.rank in stage.start]
        await _start_ranks(given, running, report, ranks)
        for script in stage.scripts:
            report.step(script.host, Phase.START, StepState.RUNNING, stage.title)
            running.touched.update(given.hosts)
            await run_host_script(given, running, report, script, scripts)
            scripts += 1
        for execution in stage.execs:
            await _execute(given, running, report, number, execution)
            number += 1
        if stage.wait is not None:
            await unless_ended(given, running, report, _wait(given, running, report, stage))
    if given.plan.serve.delegated:
        await _find_delegated(given, running, report)
    for host in given.hosts:
        report.step(host, Phase.START, StepState.OK)


async def start_early(given: Given, running: Running, report: Reporter) -> None:
    """Run the scripts of stages that come before image and model. Raises `LaunchError`."""
    number = 0
    for stage in (stage for stage in given.plan.serve.stages if stage.early):
        for script in stage.scripts:
            report.step(script.host, Phase.START, StepState.RUNNING, stage.title)
            running.touched.add(script.host)
            await run_host_script(given, running, report, script, number)
            report.step(script.host, Phase.START, StepState.PENDING)
            number += 1


async def _start_ranks(given: Given, running: Running, report: Reporter, ranks: Sequence[RankPlan]) -> None:
    by_host = {rank.host: rank for rank in ranks}

    async def one(host: str) -> None:
        rank = by_host[host]
        report.step(host, Phase.START, StepState.RUNNING)
        running.touched.add(host)
        identity = await insist(given, report, host, Phase.START, lambda: start_rank(given, running, rank))
        running.containers[rank.rank] = identity
        running.followers.follow(rank.rank, host, identity)
        await start_guard(given, running, report, host, identity)

    await on_all(report, Phase.START, tuple(by_host), one)


async def _find_delegated(given: Given, running: Running, report: Reporter) -> None:
    """Find the container that foreign scripts made on every host, and follow its log, which is gone once it ends."""

    async def one(host: str) -> None:
        seen = await insist(given, report, host, Phase.START, given.docker(host).containers)
        found = [item for item in seen if item.name == name]
        if not found:
            raise LaunchError(
                "the scripts succeeded, but started no container", host=host, remedy="See the log of that host."
            )
        rank = given.rank_of(host)
        running.containers[rank] = found[0].id
        running.followers.follow(rank, host, found[0].id)
        await start_guard(given, running, report, host, found[0].id)

    name = given.plan.serve.delegated
    await on_all(report, Phase.START, given.hosts, one)


async def start_rank(given: Given, running: Running, rank: RankPlan) -> str:
    """Create and start the container of a rank unless it exists; its id.

    Raises `LaunchError` when another container has its name.
    """
    docker = given.docker(rank.host)
    spec = rank.container
    found = await docker.inspect(spec.name) or await _create(given, docker, rank)
    if isinstance(found, str):
        identity, created = found, True
    else:
        identity, created = found.id, found.state == "created"
        if found.labels.get(f"{LABEL}launch") != given.plan.launch_id:
            raise LaunchError(
                f"there is another container called {spec.name}",
                host=rank.host,
                remedy=f"On {rank.host}: {shell.words(['docker', 'rm', '-f', spec.name])}",
            )
    running.containers[rank.rank] = identity
    if created:
        await docker.put_archive(identity, "/", container_files(spec, given.sent))
        await docker.start(identity)
    return identity


async def _create(given: Given, docker: Docker, rank: RankPlan) -> str | ContainerInfo:
    """Create the container of a rank; its id, or the container that took its name in the meantime."""
    spec = rank.container
    folders = mount_folders(spec)
    if folders:
        made = await given.transport(rank.host).run(shell.script("mkdir -p -- {folders}", folders=folders))
        if not made.ok and made.code is not None:
            raise HostError(f"cannot make the cache folders: {clean_line(made.stderr)}", host=rank.host)
    creating = asyncio.ensure_future(docker.create(spec.name, create_body(spec)))
    try:
        return await asyncio.shield(creating)
    except asyncio.CancelledError:
        # The daemon creates it nevertheless: the cleanup only finds and removes it once it exists.
        await asyncio.wait({creating}, timeout=_LEFT)
        await drop([creating])
        raise
    except DockerError as error:
        if error.status != 409:
            raise
        # An earlier request, whose reply was lost, may still be in progress: the name is taken, but not listed yet.
        found = await _appeared(docker, spec.name)
        if found is None:
            raise
        return found


async def _appeared(docker: Docker, name: str) -> ContainerInfo | None:
    """The container with a name that is taken, as soon as the daemon lists it; None when it does not in time."""
    deadline = asyncio.get_running_loop().time() + _MADE
    while True:
        found = await docker.inspect(name)
        if found is not None or asyncio.get_running_loop().time() > deadline:
            return found
        await asyncio.sleep(_POLL)


async def _execute(given: Given, running: Running, report: Reporter, number: int, execution: ContainerExec) -> None:
    rank = next(rank for rank in given.plan.serve.ranks if rank.rank == execution.rank)
    running.executions[number] = await insist(
        given, report, rank.host, Phase.START, lambda: exec_once(given, running, number, execution, rank)
    )


async def exec_once(given: Given, running: Running, number: int | str, execution: ContainerExec, rank: RankPlan) -> str:
    """Start an exec in a container unless it has begun already; its id, empty when the id was lost with the link."""
    docker = given.docker(rank.host)
    container = running.containers[rank.rank]
    folder = exec_paths(number)[0]
    lost_before = running.executions.get(number) == ""
    if lost_before and (await docker.run_exec(container, ("test", "-d", folder))).ok:
        return ""
    # If the link is lost from here on, the folder shows whether the exec has begun.
    running.executions[number] = ""
    await docker.put_archive(container, "/", exec_files(number, execution, rank.container))
    identity = await docker.exec_create(container, ("bash", f"{folder}.sh"))
    await docker.exec_detach(identity)
    return identity


async def _wait(given: Given, running: Running, report: Reporter, stage: Stage) -> None:
    wait = stage.wait
    head = given.plan.serve.ready.host
    if isinstance(wait, PortWait):
        what = f"{wait.address}:{wait.port} did not open within {wait.timeout:.0f} s"
        await _until(given, report, head, what, wait.timeout, _POLL, lambda: _port_open(given, head, wait))
    elif isinstance(wait, RayNodesWait):
        host = next(rank.host for rank in given.plan.serve.ranks if rank.rank == wait.rank)
        what = f"the Ray cluster did not reach {wait.nodes} nodes within {wait.timeout:.0f} s"
        await _until(
            given, report, host, what, wait.timeout, _RAY_POLL, lambda: _ray_complete(given, running, host, wait)
        )


async def _until(
    given: Given,
    report: Reporter,
    host: str,
    what: str,
    timeout: float,
    pause: float,
    met: Callable[[], Awaitable[bool]],
) -> None:
    deadline = asyncio.get_running_loop().time() + timeout
    while not await insist(given, report, host, Phase.START, met):
        if asyncio.get_running_loop().time() > deadline:
            raise LaunchError(
                what, host=host, remedy="See the log of that host, and check that no firewall blocks the hosts."
            )
        await asyncio.sleep(pause)


async def _port_open(given: Given, host: str, wait: PortWait) -> bool:
    try:
        stream = await given.transport(host).open_tcp(wait.address, wait.port)
    except LinkLost:
        raise
    except HostError:
        return False
    await stream.close()
    return True


async def _ray_complete(given: Given, running: Running, host: str, wait: RayNodesWait) -> bool:
    argv: tuple[str, ...] = ("ray", "status", "--address", wait.address)
    if wait.token:
        argv = ("sh", "-c", RAY_STATUS, "ray", wait.address)
    status = await given.docker(host).run_exec(running.containers[wait.rank], argv, timeout=_RAY_STATUS)
    return status.ok and ray_nodes(status.stdout) >= wait.nodes


def ray_nodes(text: str) -> int:
    """How many nodes have joined by `ray status`, including those that Ray's newer autoscaler lists as idle."""
    _, _, active = text.partition("Active:")
    active = re.split(r"^(?:Pending|Recent)\b.*$", active, maxsplit=1, flags=re.MULTILINE)[0]
    return sum(whole(match[1]) or 0 for match in _RAY_NODE.finditer(active))
