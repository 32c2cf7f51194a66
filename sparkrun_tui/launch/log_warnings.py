"""The newest warnings and errors in the log of a running workload."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.secrets import Redactor
from sparkrun_tui.base.text import clean_line, shorten
from sparkrun_tui.base.user.settings import Settings
from sparkrun_tui.engines.logs.lines import strip_prefixes
from sparkrun_tui.launch.record.logs import LogLine, safe_line
from sparkrun_tui.launch.run.attach import AttachableRank
from sparkrun_tui.launch.run.given_secrets import secrets_of_container, secrets_of_recipe_called
from sparkrun_tui.launch.services import Services
from sparkrun_tui.remote.aio import closing, in_turns

LAST_LINES = 2_000
"""How many lines of the log are looked at."""

MOST = 4
"""How many warnings are kept."""

_TIME = 15.0
_LONGEST = 400


@dataclass(frozen=True, slots=True)
class LogWarning:
    """A line of a log that warns: when it came last (Unix seconds), its text without prefixes, and how often it came.

    `grave` ones are errors.
    """

    time: float
    text: str
    grave: bool
    times: int = 1

    @property
    def clock(self) -> str:
        """The time of day."""
        return time.strftime("%H:%M:%S", time.localtime(self.time))

    @property
    def words(self) -> str:
        """The text, with how often it came."""
        return self.text if self.times == 1 else f"({self.times} times) {self.text}"


async def recent_warnings(
    rank: AttachableRank, recipe: str, services: Services, settings: Settings
) -> Sequence[LogWarning]:
    """The newest warnings in the log of one container, oldest first; secrets of the container and `recipe` are hidden.

    Raises `HostError` when its host cannot be asked, or is too slow.
    """
    known = await asyncio.to_thread(secrets_of_recipe_called, recipe, settings)
    transport = services.connector(rank.host)
    lines: list[LogLine] = []
    try:
        async with asyncio.timeout(_TIME):
            await transport.connect()
            docker = services.docker(transport)
            info = await docker.inspect(rank.container_id)
            of_container = () if info is None else await secrets_of_container(docker, info)
            redact = Redactor([*known, *of_container])
            source = services.logs.follow(transport, rank.container_id, tail=LAST_LINES, keep=False)
            async with closing(in_turns(source)) as batches:
                async for batch in batches:
                    for record in batch:
                        line = LogLine(record.time, record.stream, record.text)
                        lines.append(safe_line(line, redact))
    except TimeoutError as error:
        raise HostError(f"its log did not come within {_TIME:.0f} s", host=rank.host) from error
    return newest_warnings(lines)


def newest_warnings(lines: Iterable[LogLine]) -> tuple[LogWarning, ...]:
    """The warnings among these lines that came last, oldest first; equal ones are counted together."""
    found: dict[str, LogWarning] = {}
    for line in lines:
        parts = strip_prefixes(line.text)
        level = parts.level.upper()
        grave = level.startswith(("E", "C", "F"))
        text = shorten(clean_line(parts.text).strip(), _LONGEST)
        if not text or not (grave or level.startswith("W") or level.endswith("WARNING")):
            continue
        before = found.pop(text, None)
        times = 1 if before is None else before.times + 1
        found[text] = LogWarning(line.time, text, grave, times)
    return tuple(found.values())[-MOST:]
