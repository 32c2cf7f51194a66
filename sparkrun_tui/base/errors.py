"""The one family of errors that a person at the keyboard is shown: what failed, where, and what to do next."""

from __future__ import annotations

from dataclasses import dataclass

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
    """A failure told in full: `what` failed, on which `host`, at which `spot` of a file, and the `remedy`."""

    def __init__(self, what: str, *, host: str = "", spot: Spot | None = None, remedy: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.host = host
        self.spot = spot
        self.remedy = remedy

    def __str__(self) -> str:
        where = f"{self.spot}: " if self.spot else ""
        host = f"{self.host}: " if self.host else ""
        remedy = f"\n  {self.remedy}" if self.remedy else ""
        return f"{where}{host}{self.what}{remedy}"


class RecipeError(SparkrunError):
    """A recipe cannot be read, found or rendered."""


class SettingsError(SparkrunError):
    """The user's configuration is wrong."""


class UsageError(SparkrunError):
    """The command line or a form was given something it cannot take."""


class HostError(SparkrunError):
    """A host refused, failed or could not be reached. What failed is one line, since the host may have worded it."""

    def __init__(self, what: str, *, host: str = "", spot: Spot | None = None, remedy: str = "") -> None:
        super().__init__(clean_line(what), host=host, spot=spot, remedy=clean_text(remedy))


class LaunchError(SparkrunError):
    """A launch cannot be planned or has failed."""
