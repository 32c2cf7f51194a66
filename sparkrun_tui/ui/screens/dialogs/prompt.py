"""A test prompt to an endpoint, with the answer as it arrives."""

from __future__ import annotations

import time
from collections.abc import Sequence

from textual import on
from textual.app import ComposeResult
from textual.screen import ModalScreen
from textual.widgets import Input

from sparkrun_tui.base.text import clean_text
from sparkrun_tui.engines.offers import BETWEEN, BY_NAME, TEXT
from sparkrun_tui.ui.actions import Scope, bindings
from sparkrun_tui.ui.actor import Actor
from sparkrun_tui.ui.ink import Line, wrap
from sparkrun_tui.ui.model.ports import LaunchPort
from sparkrun_tui.ui.widgets.panel import Panel
from sparkrun_tui.ui.widgets.text_pane import TextPane

_FIRST = "Say hello and describe yourself in one sentence."
_FIRST_TEXT = "Hello from the launch screen."
_FIRST_PAIR = f"What is a Spark? {BETWEEN} A small computer that serves models. {BETWEEN} A kind of bread."
_PAINT = 0.08
"""The least seconds between two paints of an arriving answer."""
_SHARE = 4
"""The pause after a paint, as a multiple of the time it took: a long answer is laid out again each time."""


class PromptScreen(ModalScreen[None], Actor):
    """Ask, read, ask again."""

    BINDINGS = bindings(Scope.DIALOG, ("close",))
    AUTO_FOCUS = "Input"

    def __init__(self, launch: LaunchPort) -> None:
        super().__init__()
        self._launch = launch
        endpoint = launch.state.endpoint
        self._offer = BY_NAME.get(endpoint.offers) if endpoint else None
        self._answer = ""
        self._asking = 0

    def compose(self) -> ComposeResult:
        """A line for the prompt, a pane for the answer."""
        with Panel(classes="sheet short"):
            yield Input(self._first(), compact=True, id="prompt")
            yield TextPane(self._paint, id="answer")

    def on_mount(self) -> None:
        """The title shows the endpoint."""
        endpoint = self._launch.state.endpoint
        url = endpoint.url if endpoint else ""
        title = f"Test prompt to {url}"
        if self._offer is not None and self._offer.name not in TEXT:
            title += f": {self._offer.question}"
        self.query_one(Panel).entitle(title, "enter sends  esc closes")

    def _first(self) -> str:
        """A prompt to begin with that fits what the server offers."""
        if self._offer is None or self._offer.name in TEXT:
            return _FIRST
        if BETWEEN in self._offer.question:
            return _FIRST_PAIR
        return _FIRST_TEXT

    def _paint(self, width: int) -> Sequence[Line]:
        return [[(row, "")] for row in wrap(self._answer, width)]

    @on(Input.Submitted, "#prompt")
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if event.value.strip():
            self._asking += 1
            self.background(self._ask(event.value, self._asking), "ask")

    async def _ask(self, prompt: str, number: int) -> None:
        pane = self.query_one("#answer", TextPane)
        panel = self.query_one(Panel)
        title = panel.title_text
        self._answer = ""
        began = time.monotonic()
        first = due = 0.0
        try:
            async for piece in self.sparkrun.backend.ask_endpoint(self._launch, prompt):
                if number != self._asking or not self.is_attached:
                    return
                now = time.monotonic()
                first = first or now
                self._answer += clean_text(piece)
                if now > due:
                    pane.repaint()
                    pane.do_last()
                    took = time.monotonic() - now
                    due = now + took + max(_PAINT, _SHARE * took)
        finally:
            if self.is_attached:
                pane.repaint()
                pane.do_last()
        if first:
            total = time.monotonic() - began
            panel.entitle(title, f"first word after {first - began:.1f} s, {total:.1f} s in total   esc closes")

    def do_close(self) -> None:
        """Close."""
        self.dismiss(None)
