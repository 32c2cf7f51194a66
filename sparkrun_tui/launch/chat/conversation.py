"""A conversation with one served model: its turns, its settings, and the answer that is arriving.

It lives in memory only. Whoever shows it looks at `revision`; the answer arrives in a task of its own, so that a screen
can be left meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from enum import StrEnum

from sparkrun_tui.base.defects import defect
from sparkrun_tui.base.errors import SparkrunError, UsageError
from sparkrun_tui.base.reading.numbers import decimal, whole
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.text import answer_text, clean_line
from sparkrun_tui.launch.chat.pieces import CUT, CUT_OFF, LENGTH, STOP, Asked, Figures, Message, Piece
from sparkrun_tui.remote.aio import Turns, closing

MOST_TURNS = 200
MOST_QUESTION = 200_000
"""Characters of one question, and of the system prompt."""
MOST_ANSWER = 400_000
"""Characters that are kept of one answer with its reasoning; more is not read."""
MOST_KEPT = 4_000_000
"""Characters of a whole conversation."""
HOTTEST = 2.0
MOST_TOKENS = 1_000_000

Source = Callable[[Asked], AsyncIterator[Piece]]
"""Asks the server, and gives the pieces of its answer. Raises `SparkrunError`."""


class TurnStatus(StrEnum):
    """How far the answer of a turn is."""

    WAITING = "waiting"
    ARRIVING = "arriving"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"


class Turn:
    """One question and its answer. Texts are safe to show; the answer keeps what came before it was stopped or failed.

    `began` is when it was asked, in seconds of the event loop's clock.
    """

    def __init__(self, question: str, began: float) -> None:
        self.question = question
        self.began = began
        self.status = TurnStatus.WAITING
        self.figures = Figures()
        self.problem = ""
        """What failed; empty where nothing did."""
        self.remedy = ""
        self.end = ""
        """Why the answer ended, see `Piece.end`."""
        self.offer = ""
        """The way of asking that was answered, a name of `engines.offers`."""
        self.received = 0
        """The characters of answer and reasoning."""
        self._answer: list[str] = []
        self._reasoning: list[str] = []

    @property
    def answer(self) -> str:
        """The answer so far."""
        return _whole(self._answer)

    @property
    def reasoning(self) -> str:
        """What the model has thought so far, where the server sends it apart."""
        return _whole(self._reasoning)

    def take(self, piece: Piece) -> None:
        """Add a piece of the answer."""
        self.figures = piece.figures
        self.offer = piece.offer or self.offer
        self.end = piece.end or self.end
        if piece.text:
            self.status = TurnStatus.ARRIVING
            self.received += len(piece.text)
            parts = self._reasoning if piece.is_reasoning else self._answer
            parts.append(piece.text)

    @property
    def is_open(self) -> bool:
        """Whether its answer is awaited or arriving."""
        return self.status in (TurnStatus.WAITING, TurnStatus.ARRIVING)

    @property
    def note(self) -> str:
        """What a reader should know of how the answer ended; empty for one that is complete."""
        if self.status is TurnStatus.STOPPED:
            return "stopped"
        if self.status is not TurnStatus.DONE:
            return ""
        if self.end == LENGTH:
            return CUT_OFF
        if self.end == CUT:
            return "the server ended the answer without saying that it is complete"
        if self.end not in ("", STOP):
            return f"ended with: {self.end}"
        if not self.answer:
            return "the answer is empty"
        return ""


def _whole(parts: list[str]) -> str:
    """The text in pieces; they are joined when it is read, not for each piece."""
    if len(parts) > 1:
        parts[:] = ["".join(parts)]
    return parts[0] if parts else ""


@dataclass(frozen=True, slots=True)
class ChatSettings:
    """What is sent with every question; None leaves it to the server."""

    system: str = ""
    temperature: float | None = None
    max_tokens: int | None = None

    @property
    def words(self) -> str:
        """What differs from the server's own, in a few words; empty where nothing does."""
        words = []
        if self.system:
            words.append("system prompt")
        if self.temperature is not None:
            words.append(f"temperature {self.temperature:g}")
        if self.max_tokens is not None:
            words.append(f"at most {self.max_tokens:,} tokens")
        return ", ".join(words)


def settings_of(system: str, temperature: str, max_tokens: str) -> ChatSettings:
    """Settings from what a person has typed; empty texts leave them to the server. Raises `UsageError`."""
    if len(system) > MOST_QUESTION:
        raise UsageError(f"The system prompt is longer than {MOST_QUESTION:,} characters.")
    heat = tokens = None
    if temperature.strip():
        heat = decimal(temperature, least=0, most=HOTTEST)
        if heat is None:
            raise UsageError(f"The temperature is a number from 0 to {HOTTEST:g}, or empty.")
    if max_tokens.strip():
        tokens = whole(max_tokens.replace(",", ""), least=1, most=MOST_TOKENS)
        if tokens is None:
            raise UsageError(f"The most tokens are a whole number from 1 to {MOST_TOKENS:,}, or empty.")
    return ChatSettings(answer_text(system), heat, tokens)


class Conversation:
    """Turns with one model, of which the last may be open."""

    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self.settings = ChatSettings()
        self.draft = ""
        """The message that is being written."""
        self.revision = 0
        """A number that grows with every change."""
        self._task: asyncio.Task[None] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether an answer is awaited or arriving."""
        return bool(self.turns) and self.turns[-1].is_open

    @property
    def _size(self) -> int:
        return sum(len(turn.question) + turn.received for turn in self.turns)

    @property
    def last_answer(self) -> str:
        """The newest answer that is not empty; empty without one."""
        for turn in reversed(self.turns):
            if turn.answer:
                return turn.answer
        return ""

    def why_not_ask(self) -> str:
        """Why nothing can be asked now, in one sentence; empty when something can."""
        if self.is_busy:
            return "An answer is arriving: stop it first, or wait for its end."
        if len(self.turns) >= MOST_TURNS or self._size >= MOST_KEPT:
            return "The conversation has become too long: begin a new one."
        return ""

    def why_not_retry(self) -> str:
        """Why the last question cannot be asked again, in one sentence; empty when it can."""
        if not self.turns:
            return "Nothing was asked yet."
        if self.is_busy:
            return "An answer is arriving: stop it first, or wait for its end."
        return ""

    def ask(self, text: str, source: Source) -> None:
        """Ask a question; its answer arrives in the background. Raises `UsageError` for one that cannot be asked."""
        question = answer_text(text).strip("\n")
        if not question.strip():
            raise UsageError("Write a message first.")
        if len(question) > MOST_QUESTION:
            raise UsageError(f"The message is longer than {MOST_QUESTION:,} characters.")
        reason = self.why_not_ask()
        if reason:
            raise UsageError(reason)
        self._begin(question, source)

    def retry(self, source: Source) -> None:
        """Ask the last question again, in place of its answer. Raises `UsageError` without one."""
        reason = self.why_not_retry()
        if reason:
            raise UsageError(reason)
        self._begin(self.turns.pop().question, source)

    def _begin(self, question: str, source: Source) -> None:
        asked = self._asked(question)
        turn = Turn(question, asyncio.get_running_loop().time())
        self.turns.append(turn)
        self.revision += 1
        self._task = asyncio.create_task(self._answer(turn, source(asked)), name="chat")

    def stop(self) -> None:
        """End the answer that is arriving: its connection is closed, and what came is kept."""
        if self._task is not None and self.is_busy:
            self._task.cancel()
            self._close(self.turns[-1], TurnStatus.STOPPED)

    async def stopped(self) -> None:
        """Wait until nothing is read any more."""
        if self._task is not None:
            await asyncio.wait([self._task])

    def clear(self) -> None:
        """Begin anew, with the same settings."""
        self.stop()
        self.turns.clear()
        self.revision += 1

    def set_up(self, settings: ChatSettings) -> None:
        """Use these settings from the next question on."""
        self.settings = settings
        self.revision += 1

    def _asked(self, question: str) -> Asked:
        """The question with all that was said before it. A question without an answer is left out.

        Reasoning is not sent back, as the templates of models that reason want it.
        """
        messages = []
        if self.settings.system:
            messages.append(Message("system", self.settings.system))
        for turn in self.turns:
            if turn.answer:
                messages += [Message("user", turn.question), Message("assistant", turn.answer)]
        messages.append(Message("user", question))
        return Asked(tuple(messages), self.settings.max_tokens, self.settings.temperature)

    async def _answer(self, turn: Turn, pieces: AsyncIterator[Piece]) -> None:
        try:
            await self._take(turn, pieces)
        except SparkrunError as error:
            turn.problem, turn.remedy = error.first, error.remedy
            self._close(turn, TurnStatus.FAILED)
        except Exception as error:
            turn.problem = defect("the chat", error)
            turn.remedy = "This is a defect of sparkrun-tui: please report it."
            self._close(turn, TurnStatus.FAILED)

    async def _take(self, turn: Turn, pieces: AsyncIterator[Piece]) -> None:
        turns = Turns()
        async with closing(pieces):
            async for piece in pieces:
                if not turn.is_open:
                    return
                turn.take(piece)
                if turn.received > MOST_ANSWER:
                    turn.problem = f"no more was read: the answer is longer than {MOST_ANSWER:,} characters"
                    self._close(turn, TurnStatus.FAILED)
                    return
                self.revision += 1
                await turns.rest()
        self._close(turn, TurnStatus.DONE)

    def _close(self, turn: Turn, status: TurnStatus) -> None:
        if turn.is_open:
            turn.status = status
        self.revision += 1


def as_markdown(conversation: Conversation, model: str) -> str:
    """The whole conversation to be copied; reasoning is left out."""
    parts = []
    if conversation.settings.system:
        parts += ["## System", conversation.settings.system]
    for turn in conversation.turns:
        parts += ["## User", turn.question]
        if turn.answer:
            parts += [f"## {clean_line(model) or 'Assistant'}", turn.answer]
        if turn.problem:
            parts.append(f"({turn.problem})")
    return "\n\n".join(parts) + "\n"
