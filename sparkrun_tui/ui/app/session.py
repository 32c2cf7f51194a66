"""What the app is opened with."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.user.settings import Settings

if TYPE_CHECKING:
    from sparkrun_tui.ui.model.ports import Backend


@dataclass(frozen=True, slots=True)
class Session:
    """The user's settings, the cluster to open with, the first query, and whether to use the demo cluster.

    `backend` talks to hosts; None means the real one.
    """

    settings: Settings = field(default_factory=Settings)
    cluster: str = ""
    query: str = ""
    demo: bool = False
    backend: Backend | None = None
