"""The box in which a message of several lines is written; letters are always text here, never keys."""

from __future__ import annotations

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import TextArea

from sparkrun_tui.ui.actions import ACTIONS, Scope, bindings
from sparkrun_tui.ui.actor import Actor

_MOST_ROWS = 6


def _taken() -> set[str]:
    """The keys that mean something else in a chat than in Textual's editor."""
    keys: set[str] = set()
    for action in ACTIONS:
        if action.scope in (Scope.CHAT, Scope.MESSAGE):
            keys.update(action.keys.split(","))
    return keys


def _editing() -> list[BindingType]:
    """The keys of Textual's editor, without those that a chat uses."""
    taken = _taken()
    found: list[BindingType] = []
    for binding in TextArea.BINDINGS:
        if isinstance(binding, Binding):
            keys = [key for key in binding.key.split(",") if key not in taken]
            found += [Binding(key, binding.action, binding.description, show=False) for key in keys]
    return found


class MessageBox(TextArea, Actor, inherit_bindings=False):
    """A few lines of text; `enter` sends them. It grows with its text."""

    BINDINGS = [*bindings(Scope.MESSAGE), *_editing()]

    class Sent(Message):
        """The message is to be sent."""

    class Paged(Message):
        """The conversation is to be moved by pages, down when positive."""

        def __init__(self, pages: int) -> None:
            super().__init__()
            self.pages = pages

    def __init__(self, text: str, placeholder: str, *, id: str | None = None) -> None:
        super().__init__(
            text, id=id, compact=True, placeholder=placeholder, highlight_cursor_line=False, soft_wrap=True
        )

    async def _on_key(self, event: events.Key) -> None:
        """Keys of the table come before those that Textual's editor takes as text, such as enter."""
        active = self.screen.active_bindings.get(event.key)
        if active is not None and (active.binding.id or "").startswith("message."):
            event.prevent_default()

    def rows_for(self, height: int) -> int:
        """The rows that it should have on a screen of this height: those of its text, within bounds."""
        return max(min(self.wrapped_document.height, _MOST_ROWS, height // 4), 1)

    def show_all(self) -> None:
        """Show the text from its beginning where all of it has room, else the cursor."""
        if self.wrapped_document.height <= self.size.height:
            self.scroll_home(animate=False, immediate=True)
        else:
            self.scroll_cursor_visible()

    def do_send(self) -> None:
        """Send the message."""
        self.post_message(self.Sent())

    def do_new_line(self) -> None:
        """Begin a new line."""
        self.insert("\n")

    def do_page_down(self) -> None:
        """Move down in the conversation."""
        self.post_message(self.Paged(1))

    def do_page_up(self) -> None:
        """Move up in the conversation."""
        self.post_message(self.Paged(-1))
