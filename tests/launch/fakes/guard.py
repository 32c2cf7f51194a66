"""The memory guard of a host in memory: what its script would have written, computed when it is read."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sparkrun_tui.base.units import GIB

if TYPE_CHECKING:
    from tests.launch.fakes.host import FakeHost

KIB_IN_GIB = GIB // 1024


@dataclass(slots=True)
class FakeGuard:
    """A guard that was started. A test puts what it saw into its lists, memory in GiB by time since its start."""

    script: str
    began: float
    past: list[tuple[float, float]] = field(default_factory=list)
    recent: list[tuple[float, float]] = field(default_factory=list)
    verdict: list[str] = field(default_factory=list)
    boot: str = "b"

    @property
    def floor(self) -> int:
        """The floor in its script, KiB."""
        found = re.search(r"floor=(\d+)", self.script)
        assert found is not None
        return int(found[1])

    @property
    def container(self) -> str:
        """The container that it guards."""
        found = re.search(r"container=(\S+)", self.script)
        assert found is not None
        return found[1]

    def fire(self, host: FakeHost, left: float) -> None:
        """Stop the container, as the guard does when `left` GiB are available."""
        now = host.cluster.now() - self.began
        self.recent += [(now - 1, left + 2), (now - 0.5, left + 1), (now, left)]
        self.verdict.append(f"stop {now:.2f} {int(left * KIB_IN_GIB)}")
        item = next(item for item in host.containers.values() if item.info.id == self.container)
        host.end(item, 137)
        self.verdict.append(f"end {now + 0.5:.2f} exited")

    def answer(self, host: FakeHost) -> str:
        """Its record as the reading script prints it."""
        now = host.cluster.now() - self.began
        recent = self.recent or [(now, host.available / GIB)]
        lines = ["[host]", host.facts.boot_id, f"{now:.2f} 0.00"]
        lines += ["[about]", f"boot {self.boot}", f"epoch {int(self.began)}", "began 0.00", f"floor {self.floor}"]
        lines += ["[verdict]", *self.verdict]
        lines += ["[past]", *(_line(*sample) for sample in self.past)]
        lines += ["[now]", *(_line(*sample) for sample in recent), "[end]"]
        return "\n".join(lines) + "\n"


def _line(time: float, gib: float) -> str:
    return f"{time:.2f} {int(gib * KIB_IN_GIB)} 0.00"
