"""Opens and closes launches in the app and prints what stays: `python -m benchmarks.ui_leak_child COUNT`."""

from __future__ import annotations

import asyncio
import gc
import os
import sys

from benchmarks.made_app import finished_launch, made_app, made_recipes, ready
from sparkrun_tui.launch.record.logs import LogBuffer, LogLine
from sparkrun_tui.ui.screens.launch import LaunchScreen

_WARM_UP = 20
_LINES = 1000
_A_WHILE = 10
_REST = 1.2
"""Seconds that a person looks at the recipes, every so many launches."""

_HOSTS = ("spark-1", "spark-2")


def _rss() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _logs(number: int) -> dict[str, LogBuffer]:
    logs = {}
    for host in _HOSTS:
        logs[host] = LogBuffer()
        texts = (f"{host} of launch {number} printed line {line}" for line in range(_LINES))
        logs[host].extend(LogLine(1e9 + line, "stdout", text) for line, text in enumerate(texts))
    return logs


async def _measure(count: int) -> tuple[float, int, int]:
    app = made_app(made_recipes(10))
    before = 0
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(app, pilot)
        for number in range(_WARM_UP + count):
            if number % _A_WHILE == 0:
                await pilot.pause(_REST)
            if number == _WARM_UP:
                gc.collect()
                before = _rss()
            app.open_launch(finished_launch(f"launch-{number}", _logs(number)))
            await pilot.pause()
            app.pop_screen()
            await pilot.pause()
        await pilot.pause(_REST)
        grown = (_rss() - before) / (1 << 20)
        held = gc.get_objects()
        screens = sum(isinstance(item, LaunchScreen) for item in held)
        logs = sum(isinstance(item, LogBuffer) for item in held)
    return grown, screens, logs


if __name__ == "__main__":
    print(*asyncio.run(_measure(int(sys.argv[1]))))
