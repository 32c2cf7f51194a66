"""The box for typing a search; letters are always text here, never keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from textual import on
from textual.message import Message
from textual.widgets import Input

from sparkrun_tui.ui.actions import Scope, bindings
from sparkrun_tui.ui.actor import Actor
from sparkrun_tui.ui.model.completing import Completing, begin, offer, take, turn

if TYPE_CHECKING:
    from sparkrun_tui.recipe.search.completion import Completer


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

    class Offered(Message):
        """The choices for the word being typed; None when there are none any more."""

        def __init__(self, box: SearchBox, completing: Completing | None) -> None:
            super().__init__()
            self.box = box
            self.completing = completing

        @property
        def control(self) -> SearchBox:
            """The box."""
            return self.box

    def __init__(
        self,
        placeholder: str,
        *,
        value: str = "",
        id: str | None = None,
        completer: Callable[[], Completer] | None = None,
    ) -> None:
        super().__init__(value, placeholder=placeholder, compact=True, select_on_focus=False, id=id)
        self._completer = completer
        self._completing: Completing | None = None
        self._by_itself = False
        """Whether the choices were offered because of what was typed, not because of a key."""

    def do_complete(self) -> None:
        """Complete the word, then take the next choice; without any choice, go to the next pane."""
        self._complete(1)

    def do_complete_back(self) -> None:
        """Take the previous choice."""
        self._complete(-1)

    def _complete(self, steps: int) -> None:
        now = self._completing
        if self._by_itself:
            # The first key completes as far as all choices agree.
            now, self._by_itself = None, False
        if now is not None and now.choices and (now.line, now.cursor) == (self.value, self.cursor_position):
            self._put(turn(now, steps))
            return
        if steps < 0:
            self.screen.focus_previous()
            return
        found = None
        if self._completer is not None:
            found = begin(self._completer(), self.value, self.cursor_position)
        if found is None:
            self.post_message(self.Left(self))
        else:
            self._put(found)

    def take(self, number: int) -> None:
        """Put the choice `number` in place: it was clicked."""
        if self._completing is not None and number < len(self._completing.choices):
            self._by_itself = False
            self._put(take(self._completing, number))

    def _put(self, completing: Completing) -> None:
        self._completing = completing
        self.value = completing.line
        self.cursor_position = completing.cursor
        self.post_message(self.Offered(self, completing))

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        now = self._completing
        if now is not None and event.value == now.line and now.choices:
            return
        self._withdraw()
        self._offer()

    def _offer(self) -> None:
        """Offer the keys and values that the word being typed may become."""
        if self._completer is None or not self.has_focus or self.cursor_position != len(self.value):
            return
        if not self.value or self.value.endswith(" "):
            return
        found = offer(self._completer(), self.value, self.cursor_position)
        if found.choices:
            self._completing, self._by_itself = found, True
            self.post_message(self.Offered(self, found))

    def on_blur(self) -> None:
        """Choices are shown only while typing."""
        self._withdraw()

    def _withdraw(self) -> None:
        self._by_itself = False
        if self._completing is not None:
            self._completing = None
            self.post_message(self.Offered(self, None))

    def do_leave(self) -> None:
        """Go to what is searched."""
        self.post_message(self.Left(self))

    async def action_submit(self) -> None:
        """Enter means the same."""
        self.do_leave()

    def do_clear(self) -> None:
        """Clear; when there is nothing to clear, leave."""
        if self._completing is not None and self._completing.choices and not self._by_itself:
            self._withdraw()
        elif self.value:
            self.value = ""
        else:
            self.do_leave()
