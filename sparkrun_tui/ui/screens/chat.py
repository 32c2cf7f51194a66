"""A conversation with a served model: questions, answers as they arrive, and how fast they come."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence

from textual import on
from textual.widget import Widget
from textual.widgets import TextArea

from sparkrun_tui.base.errors import UsageError
from sparkrun_tui.engines.offers import BETWEEN, BY_NAME, TEXT
from sparkrun_tui.launch.chat.conversation import Source, as_markdown, settings_of
from sparkrun_tui.launch.chat.pieces import Asked, Piece
from sparkrun_tui.ui.actions import Scope, bindings
from sparkrun_tui.ui.ink import Line
from sparkrun_tui.ui.model.launch_status import OVER
from sparkrun_tui.ui.model.ports import Backend, LaunchPort
from sparkrun_tui.ui.paint.launch.chat_lines import ChatLines
from sparkrun_tui.ui.screens.base import PageScreen
from sparkrun_tui.ui.screens.dialogs.ask import AskScreen, Blank
from sparkrun_tui.ui.screens.dialogs.dialog import Confirm
from sparkrun_tui.ui.widgets.message_box import MessageBox
from sparkrun_tui.ui.widgets.panel import Panel
from sparkrun_tui.ui.widgets.text_pane import TextPane

_LOOK = 0.1
"""Seconds between two looks at an answer that is arriving."""
_SHARE = 4
"""The pause after a paint, as a multiple of the time it took."""

_FIRST = "Say hello and describe yourself in one sentence."
_NEXT = "Write a message."
_FIRST_TEXT = "Hello from the launch screen."
_FIRST_PAIR = f"What is a Spark? {BETWEEN} A small computer that serves models. {BETWEEN} A kind of bread."

_HINTS = (
    "Write a message below. Enter sends it, ctrl+j begins a new line; with nothing written, enter sends the example.",
    "",
    "ctrl+o sets the system prompt, the temperature and the most tokens of an answer. tab leads here: y copies the "
    "answer, r asks again. The conversation is kept while the app runs, and written nowhere.",
)


class ChatView(TextPane):
    """The conversation; it follows its end until the user moves up."""

    def __init__(self) -> None:
        super().__init__(id="chat")
        self.follows = True

    def scrolled(self) -> None:
        """The end is followed again once it is in sight."""
        self.follows = self.top >= self.line_count - self.page

    def update(self) -> None:
        """Paint again, at the end where that is followed."""
        self.repaint()
        if self.follows:
            self.top = self.line_count

    def on_resize(self) -> None:
        """Another width has other lines."""
        if self.follows:
            self.top = self.line_count


class ChatScreen(PageScreen):
    """Talks to the model of a launch. The conversation belongs to the app: leaving this screen ends nothing."""

    BINDINGS = bindings(Scope.CHAT)
    AUTO_FOCUS = "MessageBox"
    WHERE = "chat"

    def __init__(self, launch: LaunchPort) -> None:
        super().__init__()
        self._launch = launch
        self._forget: Callable[[], None] = _nothing
        self._shown: tuple[int, int] = (-1, 0)
        self._due = 0.0
        self._was_busy = False

    def body(self) -> Iterable[Widget]:
        """The conversation, and below it the message that is written."""
        self.conversation = self.sparkrun.conversation(self._launch)
        self._lines = ChatLines(self.conversation, self._model, _HINTS)
        self.view = ChatView()
        self.box = MessageBox(self.conversation.draft, self._prompt(), id="message")
        yield Panel(self.view, id="chat-panel")
        yield Panel(self.box, id="message-panel")

    def on_mount(self) -> None:
        """Show what was said before; look at the conversation while an answer arrives."""
        self.view.show(self._paint)
        self.query_one("#message-panel", Panel).entitle("Message", "enter sends  ^j new line")
        self._timer = self.set_interval(_LOOK, self._look)
        self._fit_box()
        self._entitle()
        self._look()

    def on_screen_resume(self) -> None:
        """Follow the launch while the screen is visible."""
        self._forget()
        self._forget = self.sparkrun.watch_launch(self._launch, self._launch_changed)
        self._watch()

    def on_screen_suspend(self) -> None:
        """Another screen covers this one; the answer keeps arriving."""
        self._forget()

    def on_unmount(self) -> None:
        """The conversation stays with the app."""
        self._forget()

    # What is shown.

    @property
    def _model(self) -> str:
        state = self._launch.state
        return state.endpoint.model if state.endpoint is not None else state.recipe

    @property
    def _example(self) -> str:
        """A message to begin with that fits what the server offers."""
        endpoint = self._launch.state.endpoint
        offer = BY_NAME.get(endpoint.offers) if endpoint is not None else None
        if offer is None or offer.name in TEXT:
            return _FIRST
        if BETWEEN in offer.question:
            return _FIRST_PAIR
        return _FIRST_TEXT

    def _launch_changed(self, state_changed: bool, logs_changed: bool) -> None:
        if state_changed and self.whole:
            self._lines.model = self._model
            self._entitle()
            self.update_bar()
            self.view.update()

    def _entitle(self) -> None:
        state = self._launch.state
        endpoint = state.endpoint
        title = f"Chat with {self._model}"
        if state.status in OVER:
            title += f", which {state.status}: it does not serve any more"
        elif endpoint is not None and endpoint.offers and endpoint.offers not in TEXT:
            title += f": {BY_NAME[endpoint.offers].question}"
        corner = self.conversation.settings.words
        if not corner and endpoint is not None:
            corner = endpoint.url
        self.query_one("#chat-panel", Panel).entitle(title, corner)

    def _prompt(self) -> str:
        """What the empty box says: the example, as long as enter alone sends it."""
        return _NEXT if self.conversation.turns else self._example

    def _paint(self, width: int) -> Sequence[Line]:
        return self._lines.lines(width, asyncio.get_running_loop().time())

    def _watch(self) -> None:
        """Look at the conversation from now on, until it rests."""
        self._timer.resume()
        self._due = 0.0
        self._look()

    def _look(self) -> None:
        """Paint what is new, at most as often as painting is quick."""
        now = time.monotonic()
        if not self.whole or not self.is_current or now < self._due:
            return
        busy = self.conversation.is_busy
        # Seconds are counted while the first token is awaited.
        shown = (self.conversation.revision, int(now) if busy else 0)
        if shown != self._shown:
            self._shown = shown
            self.box.placeholder = self._prompt()
            self.view.update()
            self._due = now + _SHARE * (time.monotonic() - now)
        if busy != self._was_busy:
            self._was_busy = busy
            self.refresh_bindings()
        if not busy:
            self._timer.pause()

    def _fit_box(self) -> None:
        rows = self.box.rows_for(self.size.height)
        if self.box.styles.height is None or self.box.styles.height.value != rows:
            self.box.styles.height = rows
            # The editor has moved its text to show the cursor in the rows that it had.
            self.call_after_refresh(self.box.show_all)

    def on_resize(self) -> None:
        """The message wraps anew."""
        self.call_after_refresh(self._fit_box)

    # The message.

    @on(TextArea.Changed, "#message")
    def _written(self) -> None:
        self.conversation.draft = self.box.text
        self._fit_box()

    @on(MessageBox.Sent)
    def _sent(self) -> None:
        text = self.box.text
        if not text.strip() and not self.conversation.turns:
            text = self._example
        if self._begin(lambda: self.conversation.ask(text, self._source())):
            self.box.text = ""

    @on(MessageBox.Paged)
    def _paged(self, event: MessageBox.Paged) -> None:
        self.view.scroll_lines(event.pages * max(self.view.page - 1, 1))

    def _source(self) -> Source:
        return _asking(self.sparkrun.backend, self._launch)

    def _begin(self, begin: Callable[[], None]) -> bool:
        """Begin an answer, or say why not."""
        try:
            begin()
        except UsageError as error:
            self.sparkrun.say(error.what, "warning")
            return False
        self.view.follows = True
        self._watch()
        return True

    # Actions.

    def why_not(self, name: str) -> str:
        """What can be done depends on the conversation."""
        conversation = self.conversation
        if name == "stop" and not conversation.is_busy:
            return "No answer is arriving: esc goes back, ctrl+q quits."
        if name == "retry":
            return conversation.why_not_retry()
        if name == "copy" and not conversation.last_answer and not self.get_selected_text():
            return "There is no answer yet."
        if name in ("copy_all", "clear") and not conversation.turns:
            return "Nothing was asked yet."
        if name == "write" and self.box.has_focus:
            return "You are writing already."
        if name == "snippets" and self._launch.state.endpoint is None:
            return "It does not serve yet."
        return ""

    def do_stop(self) -> None:
        """Stop the answer."""
        self.conversation.stop()
        self._watch()

    def do_write(self) -> None:
        """Go to the message."""
        self.box.focus()

    def do_retry(self) -> None:
        """Ask the last question again."""
        self._begin(lambda: self.conversation.retry(self._source()))

    def do_copy(self) -> None:
        """Copy the selection, or the last answer."""
        selected = self.get_selected_text()
        if selected:
            self.sparkrun.copy(selected, "selection")
        else:
            self.sparkrun.copy(self.conversation.last_answer, "answer")

    def do_copy_all(self) -> None:
        """Copy the whole conversation."""
        self.sparkrun.copy(as_markdown(self.conversation, self._model), "conversation")

    def do_snippets(self) -> None:
        """Show code that calls the endpoint."""
        self.sparkrun.open_snippets(self._launch)

    async def do_options(self) -> None:
        """Set the system prompt, the temperature and the most tokens."""
        now = self.conversation.settings
        heat = "" if now.temperature is None else f"{now.temperature:g}"
        most = "" if now.max_tokens is None else str(now.max_tokens)
        blanks = (
            Blank("System prompt", now.system, "You are a helpful assistant."),
            Blank("Temperature", heat, "the server's own"),
            Blank("Most tokens of an answer", most, "the server's own"),
        )
        about = "They hold from the next question on; r asks the last one again."
        answers = await self.sparkrun.answer(AskScreen("Options of the chat", blanks, about, _wrong))
        if answers is None:
            return
        self.conversation.set_up(settings_of(*answers))
        if self.whole:
            self._entitle()
            self._watch()

    async def do_clear(self) -> None:
        """Begin a new conversation."""
        lines = ["Forget this conversation?", "Its options are kept. It is written nowhere, so it cannot be had again."]
        if await self.sparkrun.ask(Confirm("New chat", lines, "Forget it", "Keep it")):
            self.conversation.clear()
            if self.whole:
                self._watch()

    def do_back(self) -> None:
        """Stop the answer that arrives; else leave."""
        if self.conversation.is_busy:
            self.do_stop()
        else:
            self.app.pop_screen()


def _nothing() -> None:
    """Does nothing: no launch is watched yet."""


def _asking(backend: Backend, launch: LaunchPort) -> Source:
    """What asks the model of a launch; it does not hold the screen, which may be left."""

    def ask(asked: Asked) -> AsyncIterator[Piece]:
        return backend.ask_endpoint(launch, asked)

    return ask


def _wrong(answers: Sequence[str]) -> str:
    try:
        settings_of(*answers)
    except UsageError as error:
        return error.what
    return ""
