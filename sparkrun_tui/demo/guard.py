"""The memory guard of a simulated host: it samples the simulated memory, and ends its container as the script would."""

from __future__ import annotations

import re
import shlex
from collections import deque
from dataclasses import field

from sparkrun_tui.base.reading.numbers import whole
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.demo.host import Host
from sparkrun_tui.demo.jobs import Print
from sparkrun_tui.remote.guard import script

MARK = "# sparkrun-tui: guard\n"
_AWAKE = 90_000.0
"""How long the simulated hosts have been running when the first guard begins, in seconds."""


@dataclass(slots=True)
class DemoGuard:
    """A guard of one container: its samples as lines of its record, bounded as the files of the script are."""

    host: Host
    container: str
    floor: int
    """KiB."""
    began: float
    past: deque[str] = field(default_factory=lambda: deque(maxlen=2 * script.PAST))
    recent: deque[str] = field(default_factory=lambda: deque(maxlen=2 * script.RECENT))
    verdict: list[str] = field(default_factory=list)

    async def run(self, _say: Print) -> int:
        """Sample until the container has ended."""
        low = 0
        least: list[int] = []
        while True:
            free = self.host.memory_available // 1024
            now = self._uptime()
            self.recent.append(f"{now:.2f} {free} 0.00")
            least.append(free)
            if len(least) >= script.TURNS:
                self.past.append(f"{now:.2f} {min(least)} 0.00")
                least.clear()
            low = low + 1 if free < self.floor else 0
            container = self.host.find(self.container)
            if container is None or container.state in ("exited", "dead"):
                self.verdict.append(f"end {now:.2f} exited")
                return 0
            if low >= script.ENOUGH and container.running:
                self.verdict.append(f"stop {now:.2f} {free}")
                container.kill()
            await self.host.clock.sleep(float(script.PAUSE))

    def answer(self, past: int, recent: int) -> str:
        """Its record as the reading script prints it."""
        lines = ["[host]", self.host.boot_id, f"{self._uptime():.2f} 1.00", "[about]", f"boot {self.host.boot_id}"]
        lines += [f"epoch {int(self.began)}", f"began {_AWAKE:.2f}", f"floor {self.floor}", "score -1000"]
        lines += ["[verdict]", *self.verdict]
        lines += ["[past]", *_newest(self.past, past), "[now]", *_newest(self.recent, recent), "[end]"]
        return "\n".join(lines) + "\n"

    def _uptime(self) -> float:
        return _AWAKE + self.host.clock.now() - self.began


def guard_in(host: Host, text: str) -> DemoGuard | None:
    """The guard that a script would be; None for another script."""
    if not text.startswith(MARK):
        return None
    line = next((line for line in text.splitlines() if line.startswith("folder=")), "")
    words = dict(word.split("=", 1) for word in shlex.split(line) if "=" in word)
    floor = whole(words.get("floor", ""))
    if floor is None or "container" not in words:
        return None
    return DemoGuard(host, words["container"], floor, host.clock.now())


def answer(host: Host, key: str, text: str) -> str:
    """What the reading script prints for the guard that is the job `key`."""
    guard = host.guards.get(key)
    if guard is None:
        return "missing\n"
    past, recent = (int(count) for count in re.findall(r"tail -q -n (\d{1,6})", text))
    return guard.answer(past, recent)


def _newest(lines: deque[str], count: int) -> list[str]:
    """As many lines as `tail` prints of two files."""
    return list(lines)[-2 * count :] if count else []
