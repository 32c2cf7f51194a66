"""A script that an engine wants run on a host itself; its output is part of that host's log."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, cast

from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.launch.context import Context
from sparkrun_tui.launch.logs import LogLine
from sparkrun_tui.remote.failures import CommandFailed
from sparkrun_tui.remote.lines import LineSplitter
from sparkrun_tui.runtimes.plan import HostScript

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


async def run_host_script(context: Context, script: HostScript) -> None:
    """Write the script's files, run it, and follow what it prints. Raises `LaunchError` when it fails."""
    transport = context.transport(script.host)
    for path, content in script.files.items():
        await transport.write_file(path, content.encode(), 0o600)
    for path, values in script.secret_files.items():
        text = "".join(f"{name}={value.reveal()}\n" for name, value in values.items())
        await transport.write_file(path, text.encode(), 0o600)
    splitters = {"stdout": LineSplitter(), "stderr": LineSplitter()}
    output = cast("AsyncGenerator[tuple[str, bytes], None]", transport.stream(script.script))
    try:
        async with aclosing(output):
            async for stream, data in output:
                _log(context, script.host, stream, splitters[stream].feed(data))
    except CommandFailed as error:
        raise LaunchError(
            f"{script.title} ended with exit code {error.code}", host=script.host, remedy="Its last lines say why."
        ) from error
    finally:
        for stream, splitter in splitters.items():
            _log(context, script.host, stream, splitter.flush())


def _log(context: Context, host: str, stream: str, texts: list[str]) -> None:
    now = context.services.clock()
    context.bus.log(host, [LogLine(now, stream, text) for text in texts])
