"""Prints the logs of a launch as they arrive, each line once, with the host in front when there are several."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from sparkrun_tui.cli import output
from sparkrun_tui.launch.record.logs import LogLine
from sparkrun_tui.launch.run.launch import Launch

_PAUSE = 0.1


class LogPrinter:
    """Reads the log buffers of a launch ten times a second and prints what is new in batches."""

    def __init__(self, launch: Launch, *, as_json: bool = False, only: str = "", tail: int | None = None) -> None:
        self._launch = launch
        self._as_json = as_json
        self._only = only
        self._tail = tail
        self._read: dict[str, int] = {}
        self._task = asyncio.create_task(self._run())

    async def finish(self) -> None:
        """Print the remaining lines. An exception of the printing task is raised here."""
        self._task.cancel()
        await asyncio.wait([self._task])
        if not self._task.cancelled():
            self._task.result()
        self._print()

    def close(self) -> None:
        """Stop printing."""
        self._task.cancel()

    async def _run(self) -> None:
        while True:
            self._print()
            await asyncio.sleep(_PAUSE)

    def _print(self) -> None:
        if self._only:
            if self._only in self._launch.logs:
                self._print_host(self._only, prefixed=False)
            return
        prefixed = len(self._launch.plan.host_names) > 1
        for host in list(self._launch.logs):
            self._print_host(host, prefixed)

    def _print_host(self, host: str, prefixed: bool) -> None:
        buffer = self._launch.logs[host]
        start = self._read.get(host)
        if start is None:
            start = buffer.first
            if self._tail is not None:
                start = max(buffer.end - self._tail, buffer.first)
        elif start < buffer.first:
            output.line(f"... {buffer.first - start} lines of {host} came too fast to print; its log has them")
        print_lines(host, buffer.since(start), prefixed=prefixed, as_json=self._as_json)
        self._read[host] = buffer.end


def print_line(host: str, line: LogLine, *, prefixed: bool, as_json: bool = False) -> None:
    """Print one line of a log on stdout."""
    print_lines(host, [line], prefixed=prefixed, as_json=as_json)


def print_lines(host: str, lines: Iterable[LogLine], *, prefixed: bool, as_json: bool = False) -> None:
    """Print lines of a log on stdout."""
    if not as_json:
        before = f"{host}: " if prefixed else ""
        output.lines(f"{before}{line.text}" for line in lines)
        return
    for line in lines:
        body = {"kind": "log", "host": host, "time": line.time, "stream": line.stream, "text": line.text}
        output.as_json_line(body)
