"""What lists, the form and the top bar show, as values: one row each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.text import visible_line


@dataclass(frozen=True, slots=True)
class RecipeRow:
    """One recipe as the list shows it. `matched` are positions in `name` that the query found.

    `cells` are the texts of its columns by their keys, as far as they do not depend on the hosts.
    """

    key: str
    name: str
    cells: Mapping[str, str] = field(default_factory=dict)
    broken: bool = False
    matched: frozenset[int] = frozenset()
    has_overrides: bool = False
    favourite: bool = False


@dataclass(frozen=True, slots=True)
class Figures:
    """What the list shows of a recipe's estimate: bytes left on the fullest host, requests of full length at once.

    `decode` and `prefill` are tokens a second of one request alone.
    """

    left: int | None = None
    at_once: float | None = None
    decode: float | None = None
    prefill: float | None = None


@dataclass(frozen=True, slots=True)
class FieldRow:
    """One field as the form shows it. `own` is the value without an override, `error` what is wrong with it."""

    key: str
    title: str
    value: str
    own: str
    help: str = ""
    origin: str = ""
    values: tuple[str, ...] = ()
    steps: bool = False
    changed: bool = False
    used: bool = True
    error: str = ""
    secret: bool = False
    """Whether its value is shown as dots."""

    @property
    def shown(self) -> str:
        """The value as the form shows it."""
        return self._mask(self.value) or visible_line(self.value) or "(empty)"

    @property
    def own_shown(self) -> str:
        """The value without an override, as the form shows it."""
        return self._mask(self.own) or visible_line(self.own) or "unset"

    def _mask(self, text: str) -> str:
        """What is shown of a secret text; empty for any other."""
        from sparkrun_tui.base.secrets import MASK  # not before the first paint

        return MASK if self.secret and text else ""


@dataclass(frozen=True, slots=True)
class Status:
    """What the bar shows: the cluster's name, (host, state) pairs, what serves by name, and whether it is the demo."""

    cluster: str = ""
    hosts: tuple[tuple[str, str], ...] = ()
    running: tuple[str, ...] = ()
    launching: int = 0
    demo: bool = False
