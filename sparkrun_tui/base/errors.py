"""The one family of errors that are shown to the user: what failed, where, and what to do next."""

from __future__ import annotations

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.text import clean_line, clean_text


@dataclass(frozen=True, slots=True)
class Spot:
    """A place in a file; lines and columns count from 1."""

    path: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}"


class SparkrunError(Exception):
    """A failure with all that the user needs: `what` failed, the `host`, the `spot` in a file, the `remedy`."""

    def __init__(self, what: str, *, host: str = "", spot: Spot | None = None, remedy: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.host = host
        self.spot = spot
        self.remedy = remedy

    @property
    def first(self) -> str:
        """Where and what, without the remedy."""
        text = self.what
        if self.host:
            text = f"{self.host}: {text}"
        if self.spot:
            text = f"{self.spot}: {text}"
        return text

    def __str__(self) -> str:
        return f"{self.first}\n  {self.remedy}" if self.remedy else self.first


class RecipeError(SparkrunError):
    """A recipe cannot be read, found or rendered."""


class SettingsError(SparkrunError):
    """The user's configuration is wrong."""


class UsageError(SparkrunError):
    """The command line or a form was given a value that it cannot accept."""


class HostError(SparkrunError):
    """A host refused, failed or could not be reached. `what` becomes one line, since the host may have worded it."""

    def __init__(self, what: str, *, host: str = "", spot: Spot | None = None, remedy: str = "") -> None:
        super().__init__(clean_line(what), host=host, spot=spot, remedy=clean_text(remedy))


class LaunchError(SparkrunError):
    """A launch cannot be planned or has failed."""
