"""The conversations of this session, one for each launch. They are in memory only, and end with the app."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sparkrun_tui.launch.chat.conversation import Conversation

_KEPT = 8
"""How many conversations are kept; those used longest ago go first."""


class Chats:
    """Finds the conversation of a launch again, whatever screens were left meanwhile."""

    def __init__(self) -> None:
        self._by_launch: dict[str, Conversation] = {}

    def of(self, launch_id: str) -> Conversation:
        """The conversation with the model of a launch, a new one the first time."""
        # The launch layer is imported with the first launch, not with the app.
        from sparkrun_tui.launch.chat.conversation import Conversation

        found = self._by_launch.pop(launch_id, None)
        if found is None:
            found = Conversation()
        self._by_launch[launch_id] = found
        for old in list(self._by_launch)[:-_KEPT]:
            self._by_launch.pop(old).stop()
        return found

    def end(self) -> None:
        """Stop all answers."""
        for conversation in self._by_launch.values():
            conversation.stop()
