"""The editor of the override form: a line of text with completions while typing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import on
from textual.message import Message
from textual.widgets import Input

from sparkrun_tui.ui.actions import Scope, bindings
from sparkrun_tui.ui.actor import Actor
from sparkrun_tui.ui.model.completing import Completing, begin, offer, take, turn

if TYPE_CHECKING:
    from sparkrun_tui.recipe.search.completion import Completer


class FieldEditor(Input, Actor):
    """A value, or `key=value` while a key is added."""

    BINDINGS = bindings(Scope.EDITOR)

    class Left(Message):
        """Typing ended; `keep` is whether to keep the value, `step` where to move next (0: stay)."""

        def __init__(self, keep: bool, step: int = 0) -> None:
            super().__init__()
            self.keep = keep
            self.step = step

    class Offered(Message):
        """The choices for what is being typed; None when there are none any more."""

        def __init__(self, completing: Completing | None) -> None:
            super().__init__()
            self.completing = completing

        def can_replace(self, message: Message) -> bool:
            """Only the newest choices count."""
            return isinstance(message, FieldEditor.Offered)

    def __init__(self, *, id: str) -> None:
        super().__init__(compact=True, id=id, select_on_focus=True)
        self.adding = False
        self._completer: Completer | None = None
        self._now: Completing | None = None

    def open(self, text: str, completer: Completer | None, *, adding: bool, secret: bool) -> None:
        """Start editing this text; a secret is shown as dots."""
        self.adding, self._completer = adding, completer
        self.password = secret
        with self.prevent(Input.Changed):
            self.value = text
        self.placeholder = "key=value" if adding else ""
        self.display = True
        self.focus()
        self._offer()

    # Choices.

    def _offer(self) -> None:
        """Show the completions of the line, or hide the list when there are none."""
        now = offer(self._completer, self.value, len(self.value)) if self._completer else None
        before, self._now = self._now, now if now is not None and now.choices else None
        if before is not None or self._now is not None:
            self.post_message(self.Offered(self._now))

    def on_input_changed(self) -> None:
        """New text has new choices; inserting a choice keeps the list."""
        if self._now is None or self.value != self._now.line:
            self._offer()

    def _put(self, now: Completing) -> None:
        self._now = now
        self.value = now.line
        self.cursor_position = now.cursor
        if len(now.choices) > 1:
            self.post_message(self.Offered(now))
        else:
            self._offer()  # the word is complete: what follows may have choices of its own

    def take(self, number: int) -> None:
        """Insert the choice `number`, which was clicked."""
        if self._now is not None and number < len(self._now.choices):
            self._put(take(self._now, number))
            self._offer()

    def _turn(self, steps: int, step_out: int) -> None:
        now = self._now
        if now is None or self._completer is None:
            self.post_message(self.Left(True, step_out))
            return
        if now.at is None and steps > 0:
            first = begin(self._completer, self.value, len(self.value))
            if first is not None and first.line != self.value:
                self._put(first if first.choices else Completing(first.line, first.cursor, now.choices[:1], 0))
                return
        self._put(turn(now, steps))

    # Keys.

    def do_complete(self) -> None:
        """Complete, then take the next choice; without any choice, keep the value and go to the next field."""
        self._turn(1, 1)

    def do_complete_back(self) -> None:
        """Take the previous choice; without any choice, keep the value and go to the previous field."""
        self._turn(-1, -1)

    def do_accept(self) -> None:
        """Keep the value; a new key without a value is completed with `=`, and its value is typed next."""
        word = self.value.strip()
        if not self.adding or not word:
            self.post_message(self.Left(True))
            return
        choice_taken = self._now is not None and self._now.at is not None
        if "=" not in word:
            word += "="
        elif not (choice_taken and word.endswith("=")):
            self.post_message(self.Left(True))
            return
        self.value = word
        self.cursor_position = len(word)
        self._offer()

    def do_cancel(self) -> None:
        """Discard what was typed."""
        self.post_message(self.Left(False))

    def on_blur(self) -> None:
        """Moving the focus away keeps the value."""
        self.post_message(self.Left(True))

    def close(self) -> None:
        """Hide the editor and its choices."""
        self.display = False
        self._completer = None
        self._offer()

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
