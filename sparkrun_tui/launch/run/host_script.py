"""Runs a script of an engine on a host itself; its output is part of that host's log.

It runs detached on the host, so a broken link neither ends the script nor loses a line of its output.
"""

from __future__ import annotations

from contextlib import aclosing

from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.engines.plan import HostScript, Phase
from sparkrun_tui.launch.record.logs import LogLine
from sparkrun_tui.launch.run.parts.given import Given
from sparkrun_tui.launch.run.parts.host_work import insist
from sparkrun_tui.launch.run.parts.reporter import Reporter
from sparkrun_tui.launch.run.parts.running import Running
from sparkrun_tui.remote.aio import Turns
from sparkrun_tui.remote.failures import CommandFailed
from sparkrun_tui.remote.script.jobs import Jobs
from sparkrun_tui.remote.script.lines import LineSplitter

_SLICE = 50
"""Lines that are kept in one go."""


async def run_host_script(given: Given, running: Running, report: Reporter, script: HostScript, number: int) -> None:
    """Write the script's files, run it, and log its output. Raises `LaunchError` when it fails.

    Cancelling leaves the script running; `end_jobs` ends it when the launch is given up.
    """
    host = script.host
    await insist(given, report, host, Phase.START, lambda: _write_files(given, script))
    job = (host, f"{given.plan.launch_id}/script-{number}")
    running.jobs.append(job)
    splitter = LineSplitter()
    turns = Turns()
    output = Jobs(given.transport(host)).run(job[1], script.script, keep=True)
    try:
        async with aclosing(output):
            async for stream, data in output:
                lines = splitter.feed(data)
                # One piece of output may hold tens of thousands of lines.
                for start in range(0, len(lines), _SLICE):
                    _log(given, report, host, stream, lines[start : start + _SLICE])
                    await turns.rest()
    except CommandFailed as error:
        what = f"{script.title} ended with exit code {error.code}: {error.what}"
        raise LaunchError(what, host=host, remedy="See the log of that host for the reason.") from error
    finally:
        _log(given, report, host, "stdout", splitter.flush())
    running.jobs.remove(job)


async def end_jobs(given: Given, running: Running, host: str) -> None:
    """End the detached scripts of a launch on a host. Raises `LinkLost`, `HostError`."""
    for job in [job for job in running.jobs if job[0] == host]:
        await Jobs(given.transport(host)).end(job[1])
        running.jobs.remove(job)


async def _write_files(given: Given, script: HostScript) -> None:
    transport = given.transport(script.host)
    for path, content in script.files.items():
        await transport.write_file(path, content.encode("utf-8", "surrogateescape"), 0o600)
    for folder, bundle in script.sent.items():
        for name, file in bundle.names.items():
            await transport.write_file(f"{folder}/{name}", given.sent[file.digest], 0o700 if file.program else 0o600)
    for path, values in script.secret_files.items():
        text = "".join(f"{name}={value.reveal()}\n" for name, value in values.items())
        await transport.write_file(path, text.encode("utf-8", "surrogateescape"), 0o600)


def _log(given: Given, report: Reporter, host: str, stream: str, texts: list[str]) -> None:
    now = given.services.clock()
    report.bus.log(host, [LogLine(now, stream, text) for text in texts])
