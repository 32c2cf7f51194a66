"""What is asked of a served model, and what comes back: pieces of text with the figures so far."""

from __future__ import annotations

from dataclasses import field

from sparkrun_tui.base.records import dataclass

STOP = "stop"
"""An answer that is complete."""
LENGTH = "length"
"""An answer that was cut at the most tokens that were asked for, or at the end of the context."""
CUT_OFF = "cut off: the most tokens, or the end of the context, are reached"
"""What `LENGTH` means, for people."""
CUT = "cut"
"""An answer whose stream ended without the server saying that it is complete."""

_ONE_BY_ONE = 0.2
"""Seconds: when all pieces arrive within this time, they arrived together and give no rate."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation; `role` is `system`, `user` or `assistant`."""

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What a model is asked: the messages, oldest first, the last one of the user.

    Without `max_tokens` and `temperature` the server takes its own.
    """

    messages: tuple[Message, ...]
    max_tokens: int | None = None
    temperature: float | None = None

    @staticmethod
    def once(text: str, *, system: str = "", max_tokens: int | None = None, temperature: float | None = None) -> Asked:
        """One question without anything before it but a system prompt."""
        messages = [Message("user", text)]
        if system:
            messages.insert(0, Message("system", system))
        return Asked(tuple(messages), max_tokens, temperature)

    @property
    def question(self) -> str:
        """The last message."""
        return self.messages[-1].text if self.messages else ""

    @property
    def transcript(self) -> str:
        """All messages as one text, for models without a chat template; a lone question stays as it is."""
        if len(self.messages) == 1:
            return self.question
        lines = [f"{message.role.capitalize()}: {message.text}" for message in self.messages]
        return "\n\n".join([*lines, "Assistant:"])


@dataclass(frozen=True, slots=True)
class Figures:
    """How fast an answer comes. `tokens` are counted pieces until the server reports the number (`exact`)."""

    tokens: int = 0
    exact: bool = False
    first_after: float | None = None
    """Seconds until the first piece; None before it."""
    seconds: float = 0.0
    """Seconds from the first piece to the last."""
    prompt_tokens: int | None = None
    """Tokens of the question with all before it, as the server reports them."""

    @property
    def rate(self) -> float | None:
        """Tokens per second, None before the second token.

        Where tokens arrive one by one, the time to the first one does not count; else the whole time counts.
        """
        if self.tokens < 2 or self.first_after is None:
            return None
        if self.seconds >= _ONE_BY_ONE:
            return (self.tokens - 1) / self.seconds
        whole = self.first_after + self.seconds
        return self.tokens / whole if whole > 0 else None

    @property
    def words(self) -> str:
        """The figures for people; counted ones begin with `~`. Empty before the first piece."""
        if self.first_after is None:
            return ""
        about = "" if self.exact else "~"
        words = [f"first token after {self.first_after:.2f} s"]
        if self.rate is not None:
            words.append(f"{about}{self.rate:.1f} tokens/s")
        if self.tokens:
            words.append(f"{about}{self.tokens:,} tokens")
        if self.prompt_tokens is not None:
            words.append(f"{self.prompt_tokens:,} in the prompt")
        return ", ".join(words)

    @property
    def final_words(self) -> str:
        """`words` for an answer that is over: they say where the figures are only counted."""
        if self.words and not self.exact:
            return f"{self.words} (approximate: pieces were counted)"
        return self.words


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of an answer, safe to show, with the figures so far. The last one has an `end`, and no text."""

    text: str = ""
    is_reasoning: bool = False
    """Whether the model only thinks here, and does not answer yet."""
    figures: Figures = field(default_factory=Figures)
    end: str = ""
    """Why the answer ended: `STOP`, `LENGTH`, `CUT`, or the server's word; empty while it goes on."""
    offer: str = ""
    """The way of asking that was answered, a name of `engines.offers`."""
