"""Lines that engines print again and again while they wait: they are no news, and they say what is waited for."""

from __future__ import annotations

from sparkrun_tui.base.reading.patterns import LinePattern
from sparkrun_tui.base.records import dataclass

_MOST_READ = 2000


@dataclass(frozen=True, slots=True)
class Wait:
    """Words for a wait; `hopeless` when what is waited for does not come by itself."""

    words: str
    hopeless: bool = False


# Sources: ray 2.60, autoscaler/_private/event_summarizer.py; vLLM 0.33, v1/executor/ray_utils.py, v1/engine/utils.py,
# distributed/device_communicators/shm_broadcast.py; PyTorch 2.11, csrc/distributed/c10d/TCPStore.cpp and socket.cpp;
# SGLang 0.5.23, srt/managers/data_parallel_controller.py.
_WAITS: tuple[tuple[LinePattern, Wait], ...] = (
    (
        LinePattern(r"No available node types can fulfill resource request|[Nn]o node .{0,80}can fulfill"),
        Wait("Ray has no host with the GPUs that are asked for", hopeless=True),
    ),
    (
        LinePattern(r"number of required GPUs exceeds the total number of available GPUs"),
        Wait("Ray has fewer GPUs than are asked for", hopeless=True),
    ),
    (LinePattern(r"Waiting for creating a placement group"), Wait("Ray has not placed the ranks yet")),
    (LinePattern(r"Waiting for \d+ local, \d+ remote core engine"), Wait("the API server waits for the engine")),
    (LinePattern(r"No available shared memory broadcast block found"), Wait("a rank waits for another's next step")),
    (
        LinePattern(
            r"client socket has (?:timed out|failed to connect)|Connection refused.{0,80}(?:will retry|retrying)"
        ),
        Wait("the port of the first rank does not answer"),
    ),
    (LinePattern(r"Waiting for (?:the )?(?:other|all) (?:ranks|nodes|workers)"), Wait("it waits for the other ranks")),
)


def wait_in(line: str) -> Wait | None:
    """What a line says is waited for; None when it is another line."""
    text = line[:_MOST_READ]
    for pattern, wait in _WAITS:
        if pattern.search(text):
            return wait
    return None
