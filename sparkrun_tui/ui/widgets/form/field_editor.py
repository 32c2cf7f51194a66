"""The one editor of the override form: a line of text that offers what it can become while it is typed."""

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
        """Typing ended; `keep` is whether the value counts, `step` which way to go on (0: stay)."""

        def __init__(self, keep: bool, step: int = 0) -> None:
            super().__init__()
            self.keep = keep
            self.step = step

    class Offered(Message):
        """There are choices for what is being typed; None: not any more."""

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
        """Begin with this text; a secret one is typed as dots."""
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
        """Show what the line can become, or nothing when there is nothing."""
        now = offer(self._completer, self.value, len(self.value)) if self._completer else None
        before, self._now = self._now, now if now is not None and now.choices else None
        if before is not None or self._now is not None:
            self.post_message(self.Offered(self._now))

    def on_input_changed(self) -> None:
        """Other text, other choices; a choice that was put in place keeps them."""
        if self._now is None or self.value != self._now.line:
            self._offer()

    def _put(self, now: Completing) -> None:
        self._now = now
        self.value = now.line
        self.cursor_position = now.cursor
        if len(now.choices) > 1:
            self.post_message(self.Offered(now))
        else:
            self._offer()  # it is decided: what comes next may have choices of its own

    def take(self, number: int) -> None:
        """Put the choice `number` in place: it was clicked."""
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
        """Complete, then take the next choice; where nothing completes it, keep the value and go on."""
        self._turn(1, 1)

    def do_complete_back(self) -> None:
        """Take the choice before; where there is none, keep the value and go back."""
        self._turn(-1, -1)

    def do_accept(self) -> None:
        """Keep the value; a key that was only just named asks for its value first."""
        word = self.value.strip()
        taken = self._now is not None and self._now.at is not None
        if self.adding and word and ("=" not in word or (taken and word.endswith("="))):
            self.value = word if word.endswith("=") else f"{word}="
            self.cursor_position = len(self.value)
            self._offer()
        else:
            self.post_message(self.Left(True))

    def do_cancel(self) -> None:
        """Leave the value as it was."""
        self.post_message(self.Left(False))

    def on_blur(self) -> None:
        """Going elsewhere keeps the value."""
        self.post_message(self.Left(True))

    def close(self) -> None:
        """Be gone, and the choices with it."""
        self.display = False
        self._completer = None
        self._offer()

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
