"""What a wrapped script printed: banners dropped, both streams bounded, and what to say when it failed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.text import clean_line, decode, shorten
from sparkrun_tui.remote.failures import CommandFailed
from sparkrun_tui.remote.script.output import HALF, AfterMark, Kept
from sparkrun_tui.remote.transport import Outcome, Result

Read = Callable[[], Awaitable[tuple[str, bytes] | None]]


class Capture:
    """Collects both streams of a script wrapped with `mark`; of each, `2 * keep` bytes are kept."""

    def __init__(self, mark: bytes, keep: int = HALF) -> None:
        self._marks = {"stdout": AfterMark(mark), "stderr": AfterMark(mark)}
        self._kept = {"stdout": Kept(keep), "stderr": Kept(keep)}

    def add(self, stream: str, data: bytes) -> bytes:
        """Take a piece; gives back the part of it that is the script's own."""
        own = self._marks[stream].feed(data)
        if own:
            self._kept[stream].add(own)
        return own

    async def all_of(self, read: Read) -> None:
        """Take everything that `read` gives until it gives None."""
        while (piece := await read()) is not None:
            self.add(*piece)

    def result(self, outcome: Outcome, code: int | None = None) -> Result:
        """The result with what was kept."""
        return Result(outcome, code, self._kept["stdout"].text(), self._kept["stderr"].text())

    @property
    def shell_says(self) -> str:
        """What the login shell printed before the script, as one safe line; empty when it printed nothing."""
        said = self._marks["stdout"].banner.strip() or self._marks["stderr"].banner.strip()
        return shorten(clean_line(decode(said)), 200)

    def check_marked(self, host: str) -> None:
        """Raises `HostError` when the script never began: the login shell did not run it."""
        if self._marks["stdout"].found:
            return
        said = self._marks["stdout"].banner.strip() or self._marks["stderr"].banner.strip()
        last = shorten(clean_line(decode(said).rpartition("\n")[2]), 200)
        raise HostError(
            f"the login shell did not run our script{f'; it said: {last}' if last else ''}",
            host=host,
            remedy="The account needs a shell that runs `sh -s`; look at its ~/.bashrc, ~/.zshenv or ForceCommand.",
        )

    def failure(self, host: str, code: int | None) -> CommandFailed:
        """The error for a script that ended with `code`, with its last words."""
        said = clean_line(self._kept["stderr"].text().strip().rpartition("\n")[2])
        return CommandFailed(
            said or f"a command ended with exit code {code}", host=host, code=-1 if code is None else code
        )
