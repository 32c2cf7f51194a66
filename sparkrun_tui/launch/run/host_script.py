"""A script that an engine wants run on a host itself; its output is part of that host's log.

It runs detached on the host, so a link that breaks costs neither the script nor a line of what it prints.
"""

from __future__ import annotations

from contextlib import aclosing

from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.engines.plan import HostScript, Phase
from sparkrun_tui.launch.record.logs import LogLine
from sparkrun_tui.launch.run.parts.context import Context
from sparkrun_tui.launch.run.parts.host_work import insist
from sparkrun_tui.remote.failures import CommandFailed
from sparkrun_tui.remote.script.jobs import Jobs
from sparkrun_tui.remote.script.lines import LineSplitter


async def run_host_script(context: Context, script: HostScript, number: int) -> None:
    """Write the script's files, run it, and follow what it prints. Raises `LaunchError` when it fails.

    Being cancelled leaves it running: whether it goes on is for the launch's ending to decide (`end_jobs`).
    """
    host = script.host
    await insist(context, host, Phase.START, lambda: _write_files(context, script))
    job = (host, f"{context.plan.launch_id}/script-{number}")
    context.jobs.append(job)
    splitter = LineSplitter()
    output = Jobs(context.transport(host)).run(job[1], script.script, keep=True)
    try:
        async with aclosing(output):
            async for stream, data in output:
                _log(context, host, stream, splitter.feed(data))
    except CommandFailed as error:
        what = f"{script.title} ended with exit code {error.code}: {error.what}"
        raise LaunchError(what, host=host, remedy="Its log has the whole story.") from error
    finally:
        _log(context, host, "stdout", splitter.flush())
    context.jobs.remove(job)


async def end_jobs(context: Context, host: str) -> None:
    """End what a given-up launch still has running detached on a host. Raises `LinkLost`, `HostError`."""
    for job in [job for job in context.jobs if job[0] == host]:
        await Jobs(context.transport(host)).end(job[1])
        context.jobs.remove(job)


async def _write_files(context: Context, script: HostScript) -> None:
    transport = context.transport(script.host)
    for path, content in script.files.items():
        await transport.write_file(path, content.encode(), 0o600)
    for folder, bundle in script.sent.items():
        for name, file in bundle.names.items():
            await transport.write_file(f"{folder}/{name}", context.sent[file.digest], 0o700 if file.program else 0o600)
    for path, values in script.secret_files.items():
        text = "".join(f"{name}={value.reveal()}\n" for name, value in values.items())
        await transport.write_file(path, text.encode(), 0o600)


def _log(context: Context, host: str, stream: str, texts: list[str]) -> None:
    now = context.services.clock()
    context.bus.log(host, [LogLine(now, stream, text) for text in texts])
