"""Completes a line word by word: first what all choices have in common, then one choice after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field, replace
from typing import TYPE_CHECKING

from sparkrun_tui.base.records import dataclass

if TYPE_CHECKING:
    from sparkrun_tui.recipe.search.completion import Completer, Completion


@dataclass(frozen=True, slots=True)
class Completing:
    """A line, its cursor, and the choices for the word there; `at` is the choice inserted, None before the first."""

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
        """The choices with their help; values have none, since it would be that of their key."""
        return [(choice.text, choice.help if choice.text.endswith((":", "=")) else "") for choice in self.choices]


def offer(completer: Completer, line: str, cursor: int) -> Completing:
    """The choices for a line that is being typed; the line is not changed."""
    return Completing(line, cursor, completer.complete(line, cursor))


def begin(completer: Completer, line: str, cursor: int) -> Completing | None:
    """The line after the first `tab`; None when nothing completes it."""
    choices = completer.complete(line, cursor)
    if not choices:
        return None
    first = choices[0]
    if len(choices) == 1:
        after = "" if line[cursor : cursor + len(first.after)] == first.after else first.after
        return _put(line, first.start, first.end, first.text + after)
    shared = _shared([choice.text for choice in choices])
    word = line[first.start : cursor]
    longer = len(shared) > len(word) and shared.startswith(word)
    put = _put(line, first.start, first.end, shared) if longer else Completing(line, cursor)
    return replace(put, choices=choices)


def turn(now: Completing, steps: int) -> Completing:
    """The next choice in place of the one before."""
    if now.at is not None:
        at = now.at + steps
    elif steps > 0:
        at = 0
    else:
        at = -1
    at %= len(now.choices)
    return replace(_put(now.line, now.start, now.cursor, now.choices[at].text), choices=now.choices, at=at)


def take(now: Completing, number: int) -> Completing:
    """The choice `number`, from 0, in place of the word."""
    return turn(replace(now, at=None if number == 0 else number - 1), 1)


def _shared(texts: Sequence[str]) -> str:
    """The longest common beginning of all texts."""
    # In sorted order, all texts between the first and the last begin with what these two share.
    first, last = min(texts), max(texts)
    for place, (one, other) in enumerate(zip(first, last, strict=False)):
        if one != other:
            return first[:place]
    return first[: len(last)]


def _put(line: str, start: int, end: int, text: str) -> Completing:
    return Completing(line[:start] + text + line[end:], start + len(text))
