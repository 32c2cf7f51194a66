"""Completing a line word by word: what all choices share first, then one choice after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sparkrun_tui.recipe.completion import Completion, QueryCompleter


@dataclass(frozen=True, slots=True)
class Completing:
    """A line, its cursor, and the choices for the word there; `at` is the one in place, None before one is taken."""

    line: str
    cursor: int
    choices: tuple[Completion, ...] = field(default=())
    at: int | None = None

    @property
    def start(self) -> int:
        """Where the word begins."""
        return self.choices[0].start if self.choices else self.cursor

    @property
    def shown(self) -> Sequence[tuple[str, str]]:
        """The choices with what they mean; values of one key mean the same and say nothing."""
        return [(choice.text, choice.help if choice.text.endswith(":") else "") for choice in self.choices]


def begin(completer: QueryCompleter, line: str, cursor: int) -> Completing | None:
    """The line after the first `tab`; None when nothing completes it."""
    choices = completer.complete(line, cursor)
    if not choices:
        return None
    if len(choices) == 1:
        text = choices[0].text
        # A key wants its value next; a value is done.
        done = "" if text.endswith(":") or line[cursor : cursor + 1] == " " else " "
        return _put(line, choices[0].start, cursor, text + done)
    shared = _shared([choice.text for choice in choices])
    word = line[choices[0].start : cursor]
    put = _put(line, choices[0].start, cursor, shared if len(shared) > len(word) else word)
    return replace(put, choices=choices)


def turn(now: Completing, steps: int) -> Completing:
    """The next choice in place of the one before."""
    at = (0 if steps > 0 else -1) if now.at is None else now.at + steps
    at %= len(now.choices)
    return replace(_put(now.line, now.start, now.cursor, now.choices[at].text), choices=now.choices, at=at)


def _shared(texts: Sequence[str]) -> str:
    """What all texts begin with."""
    first, last = min(texts), max(texts)
    same = next((place for place, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), None)
    return first[: min(len(first), len(last)) if same is None else same]


def _put(line: str, start: int, end: int, text: str) -> Completing:
    return Completing(line[:start] + text + line[end:], start + len(text))
