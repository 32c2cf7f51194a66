"""Prints the logs of a launch as they come, each line once, with its host before it where there are several."""

from __future__ import annotations

import asyncio

from sparkrun_tui.cli import output
from sparkrun_tui.launch.record.logs import LogLine
from sparkrun_tui.launch.run.launch import Launch

_PAUSE = 0.1


class LogPrinter:
    """Reads the buffers of a launch ten times a second; a flood is printed in batches, so nothing is held up by it."""

    def __init__(self, launch: Launch, *, as_json: bool = False, only: str = "", tail: int | None = None) -> None:
        self._launch = launch
        self._as_json = as_json
        self._only = only
        self._tail = tail
        self._read: dict[str, int] = {}
        self._task = asyncio.create_task(self._run())

    async def finish(self) -> None:
        """Print what is left. Raises what printing raised."""
        self._task.cancel()
        await asyncio.wait([self._task])
        if not self._task.cancelled():
            self._task.result()
        self._print()

    def close(self) -> None:
        """Print no more."""
        self._task.cancel()

    async def _run(self) -> None:
        while True:
            self._print()
            await asyncio.sleep(_PAUSE)

    def _print(self) -> None:
        names = list(self._launch.logs)
        wide = len(self._launch.plan.host_names) > 1 and not self._only
        for host in names:
            if self._only and host != self._only:
                continue
            buffer = self._launch.logs[host]
            start = self._read.get(host)
            if start is None:
                start = buffer.first if self._tail is None else max(buffer.end - self._tail, buffer.first)
            elif start < buffer.first:
                output.line(f"... {buffer.first - start} lines of {host} were too fast to print; they are in its log")
            for line in buffer.since(start):
                print_line(host, line, prefixed=wide, as_json=self._as_json)
            self._read[host] = buffer.end


def print_line(host: str, line: LogLine, *, prefixed: bool, as_json: bool = False) -> None:
    """One line of a log on stdout."""
    if as_json:
        body = {"kind": "log", "host": host, "time": line.time, "stream": line.stream, "text": line.text}
        output.as_json_line(body)
    else:
        output.line(f"{host}: {line.text}" if prefixed else line.text)
