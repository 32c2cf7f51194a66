"""A failure of a step that comes with its repairs."""

from __future__ import annotations

from sparkrun_tui.base import shell
from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.engines.logs.causes import Repair


class Repairable(LaunchError):
    """A launch cannot go on, and a change of its settings mends that."""

    def __init__(self, what: str, *, host: str = "", explanation: str = "", repairs: tuple[Repair, ...]) -> None:
        first = repairs[0]
        super().__init__(what, host=host, remedy=f"{first.title}: {shell.override(first.key, first.value)}")
        self.explanation = explanation
        self.repairs = repairs
