"""The recipes of the list and the earlier launches that name models and images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sparkrun_tui.launch.record.journal import past_launches
from sparkrun_tui.launch.stores.model import NamedBy, User
from sparkrun_tui.recipe.search.entry import Entry, reference


def named_by(entries: Iterable[Entry]) -> Sequence[NamedBy]:
    """What recipes and the launches that this machine remembers name. Reads journals: call it in a thread."""
    found = [NamedBy(User.RECIPE, reference(entry), entry.model, entry.container) for entry in entries if entry.model]
    for past in past_launches():
        state = past.state
        if state.model:
            found.append(NamedBy(User.LAUNCH, state.launch_id, state.model, when=state.ended or state.started))
    return found
