"""The box one types a search into; letters are always text here."""

from __future__ import annotations

from textual.message import Message
from textual.widgets import Input

from sparkrun_tui.ui.actions import Scope, bindings
from sparkrun_tui.ui.actor import Actor


class SearchBox(Input, Actor):
    """A line of text; `enter` and `down` go to what it searches, `escape` clears it first."""

    BINDINGS = bindings(Scope.SEARCH)

    class Left(Message):
        """The user is done typing."""

        def __init__(self, box: SearchBox) -> None:
            super().__init__()
            self.box = box

        @property
        def control(self) -> SearchBox:
            """The box."""
            return self.box

    def __init__(self, placeholder: str, *, value: str = "", id: str | None = None) -> None:
        super().__init__(value, placeholder=placeholder, compact=True, select_on_focus=False, id=id)

    def do_leave(self) -> None:
        """Go to what is searched."""
        self.post_message(self.Left(self))

    async def action_submit(self) -> None:
        """Enter means the same."""
        self.do_leave()

    def do_clear(self) -> None:
        """Clear; when there is nothing to clear, leave."""
        if self.value:
            self.value = ""
        else:
            self.do_leave()
