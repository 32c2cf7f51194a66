"""How the list of recipes is ordered and laid out: sorting, columns, favourites, sizes of panes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING

from sparkrun_tui.base.reading.numbers import whole
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.recipe.values.favourites import change_favourites, favourites
from sparkrun_tui.ui.model.columns import BY_KEY, VERDICT, Sorting
from sparkrun_tui.ui.model.rows import Figures

if TYPE_CHECKING:
    from sparkrun_tui.recipe.search.entry import Entry

SMALLEST, LARGEST, STEP = 25, 75, 5
"""Limits and steps of the list's share of the screen, in percent."""
_NARROW = 45
_BY_NAMES = 0
"""The share that follows from the longest name, until the user changes it."""
_HIDDEN = ("context", "last")
"""Columns that are not shown until they are chosen."""

Value = str | float | None


@dataclass(slots=True)
class ListOrder:
    """What is kept of the list from one session to the next."""

    sorting: Sorting = field(default_factory=Sorting)
    hidden: tuple[str, ...] = _HIDDEN
    wide_share: int = _BY_NAMES
    narrow_share: int = _NARROW
    favourites: frozenset[str] = field(default_factory=favourites)
    launched: Mapping[str, float] = field(default_factory=dict)
    """When each recipe was launched last, by its name; Unix time."""

    @property
    def columns_text(self) -> str:
        """The hidden columns, as they are kept."""
        return ",".join(self.hidden) or "none"

    @property
    def sizes_text(self) -> str:
        """The sizes of the panes, as they are kept."""
        return f"{self.wide_share},{self.narrow_share}"

    def read(self, sorting: str, columns: str, sizes: str) -> None:
        """Take what was kept; what is damaged or missing stays as it is at first."""
        self.sorting = Sorting.read(sorting)
        if columns:
            self.hidden = tuple(key for key in columns.split(",") if key in BY_KEY)
        wide, _, narrow = sizes.partition(",")
        self.wide_share, self.narrow_share = _share(wide) or _BY_NAMES, _share(narrow) or _NARROW

    def resize(self, wide: bool, steps: int, before: int) -> bool:
        """Give the list more room than its share `before`, or less; false where it is at its limit."""
        return self.set_share(wide, before + steps * STEP) != before

    def set_share(self, wide: bool, share: int) -> int:
        """Give the list a share, within its limits; the share that it has now."""
        share = min(max(share, SMALLEST), LARGEST)
        if wide:
            self.wide_share = share
        else:
            self.narrow_share = share
        return share

    def toggle_column(self, key: str) -> None:
        """Show a column, or no longer."""
        if key in self.hidden:
            self.hidden = tuple(name for name in self.hidden if name != key)
        elif key in BY_KEY:
            self.hidden = (*self.hidden, key)

    def is_favourite(self, entry: Entry) -> bool:
        """Whether a recipe is a favourite."""
        if not self.favourites:
            return False
        from sparkrun_tui.recipe.values.saved_overrides import lasting_place  # not before the first paint

        return lasting_place(entry.source) in self.favourites

    def toggle_favourites(self, entries: Sequence[Entry]) -> bool:
        """Make recipes favourites, or no longer when all of them are; whether they are now. Raises `OSError`."""
        from sparkrun_tui.recipe.values.saved_overrides import lasting_place  # not before the first paint

        places = [lasting_place(entry.source) for entry in entries]
        favourite = not all(place in self.favourites for place in places)
        change_favourites(places, favourite)
        self.favourites = self.favourites | set(places) if favourite else self.favourites - set(places)
        return favourite

    @property
    def needs_all(self) -> bool:
        """Whether the order depends on the estimate of every recipe."""
        column = BY_KEY.get(self.sorting.key)
        return self.sorting.key == VERDICT or (column is not None and column.judged)

    def sorted(
        self,
        entries: Sequence[Entry],
        title: Callable[[Entry], str],
        figures: Callable[[str], Figures | None],
        verdict: Callable[[str], str],
        searched: bool,
    ) -> list[Entry]:
        """The entries in the chosen order; what is not known comes last, and equals keep their order.

        Without a chosen order the best match is first, and without a search the favourites are.
        """
        if not self.sorting.key:
            if searched or not self.favourites:
                return list(entries)
            return sorted(entries, key=lambda entry: not self.is_favourite(entry))

        def value(entry: Entry) -> Value:
            return self._value(entry, title, figures, verdict)

        known = [(found, entry) for entry in entries if (found := value(entry)) is not None]
        unknown = [entry for entry in entries if value(entry) is None]
        known.sort(key=lambda pair: pair[0], reverse=self.sorting.downwards)
        return [*(entry for _, entry in known), *unknown]

    def _value(
        self,
        entry: Entry,
        title: Callable[[Entry], str],
        figures: Callable[[str], Figures | None],
        verdict: Callable[[str], str],
    ) -> Value:
        """What an entry is sorted by; None when it is not known."""
        key = entry.source.path
        judged = figures(key)
        match self.sorting.key:
            case "name":
                return title(entry).lower()
            case "engine":
                return entry.runtime or None
            case "size":
                return entry.params
            case "hosts":
                return None if entry.error else entry.nodes
            case "dtype":
                return entry.dtype or None
            case "context":
                return entry.context
            case "left":
                return judged.left if judged is not None else None
            case "once":
                return judged.at_once if judged is not None else None
            case "decode":
                return judged.decode if judged is not None else None
            case "prefill":
                return judged.prefill if judged is not None else None
            case "last":
                return self.launched.get(entry.name)
            case "origin":
                return f"{entry.source.kind.value} {entry.source.registry}"
        level = verdict(key)
        if not level:
            return None
        from sparkrun_tui.memory.result import Level, badness  # not before the first paint

        return badness(Level(level))


def _share(text: str) -> int | None:
    """A share in percent as it is kept; None where it is damaged."""
    return whole(text, least=SMALLEST, most=LARGEST)
