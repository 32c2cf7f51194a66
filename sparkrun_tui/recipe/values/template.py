"""Substitution of `{key}` in commands: one scan from left to right, values expanded in turn, cycles refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.recipe.format.yamltree import MAX_TEXT, is_too_long

MAX_ROUNDS = 32
"""The most levels of values that refer to other values."""
MAX_LENGTH = MAX_TEXT
"""The most bytes of a rendered command, in UTF-8."""
_CACHED = 1 << 13
"""The most characters of a template that is cached: long ones would fill the memory."""

_BRACE = late_regex(r"[{}]")
_SLOT = late_regex(r"\{([A-Za-z0-9_-]+)\}")
_IDENTIFIER = late_regex(r"[A-Za-z_][A-Za-z0-9_-]*")
_ESCAPE_V2 = late_regex(r"\{\{\\?[\"']")


@dataclass(frozen=True, slots=True)
class Slot:
    """The place of a `{key}`, at `offset` of the template's text."""

    key: str
    offset: int


@dataclass(frozen=True, slots=True)
class Template:
    """A text cut into literal pieces and slots; `escapes` are the offsets of doubled braces taken as escapes."""

    pieces: tuple[str | Slot, ...]
    escapes: tuple[int, ...]

    @property
    def slots(self) -> tuple[Slot, ...]:
        """The slots in order."""
        return tuple(piece for piece in self.pieces if isinstance(piece, Slot))


class TemplateError(ValueError):
    """A cycle, too deep a chain or too long a result; `keys` is the chain of keys that leads there."""

    def __init__(self, message: str, keys: tuple[str, ...]) -> None:
        super().__init__(message)
        self.keys = keys


def scan(text: str, doubled: bool) -> Template:
    """Cut a template. `doubled` says that doubled braces are escapes everywhere (the version-1 format).

    Without it only a balanced `{{"...}}` is one. `${NAME}` belongs to the shell and is never a slot.
    """
    return _kept_scan(text, doubled) if len(text) <= _CACHED else _Scanner(text, doubled).run()


def keys_in(text: str) -> set[str]:
    """The keys that a text may refer to, escaped braces included: much faster than `scan` for long texts."""
    return set(_SLOT.findall(text))


@lru_cache(maxsize=2048)
def _kept_scan(text: str, doubled: bool) -> Template:
    return _Scanner(text, doubled).run()


class _Scanner:
    """One pass over a template; `stack` holds the open braces, `D` doubled and `S` single."""

    def __init__(self, text: str, doubled: bool) -> None:
        self.text = text
        self.doubled = doubled
        self.pieces: list[str | Slot] = []
        self.literal: list[str] = []
        self.escapes: list[int] = []
        self.stack: list[str] = []
        self.region_end = -1
        self.ends: dict[int, int] | None = None

    def run(self) -> Template:
        text, at = self.text, 0
        while True:
            match = _BRACE.search(text, at)
            if match is None:
                break
            start = match.start()
            self.literal.append(text[at:start])
            at = self._open(start) if text[start] == "{" else self._close(start)
        self.literal.append(text[at:])
        self._flush()
        return Template(tuple(self.pieces), tuple(self.escapes))

    def _flush(self) -> None:
        joined = "".join(self.literal)
        self.literal.clear()
        if joined:
            self.pieces.append(joined)

    def _escaping(self, at: int) -> bool:
        return self.doubled or at < self.region_end

    def _open(self, start: int) -> int:
        text = self.text
        if text.startswith("{{", start) and self._opens_escape(start):
            self.escapes.append(start)
            self.stack.append("D")
            self.literal.append("{")
            return start + 2
        slot = _SLOT.match(text, start)
        if slot is not None and text[start - 1 : start] != "$":
            self._flush()
            self.pieces.append(Slot(slot[1], start))
            return slot.end()
        self.stack.append("S")
        self.literal.append("{")
        return start + 1

    def _opens_escape(self, start: int) -> bool:
        if self._escaping(start):
            return True
        if _ESCAPE_V2.match(self.text, start) is None:
            return False
        if self.ends is None:
            self.ends = _balanced(self.text)
        end = self.ends.get(start, -1)
        self.region_end = max(self.region_end, end)
        return end > 0

    def _close(self, start: int) -> int:
        top = self.stack[-1] if self.stack else ""
        if top == "S":
            self.stack.pop()
        elif self._escaping(start) and self.text.startswith("}}", start):
            if top:
                self.stack.pop()
            self.escapes.append(start)
            self.literal.append("}")
            return start + 2
        self.literal.append("}")
        return start + 1


def _balanced(text: str) -> dict[int, int]:
    """Where each doubled brace before a quote is closed by a doubled one: start to end, in one pass."""
    ends: dict[int, int] = {}
    stack: list[int] = []
    doubled = 0
    at = 0
    while (match := _BRACE.search(text, at)) is not None:
        at = match.start()
        if text[at] == "{":
            slot = _SLOT.match(text, at)
            if text.startswith("{{", at) and (doubled or _ESCAPE_V2.match(text, at)):
                stack.append(at)
                doubled += 1
                at += 2
            elif slot is not None:
                at = slot.end()
            else:
                stack.append(-1)
                at += 1
        elif stack and stack[-1] < 0:
            stack.pop()
            at += 1
        elif stack and text.startswith("}}", at):
            at += 2
            ends[stack.pop()] = at
            doubled -= 1
        else:
            stack.clear()
            doubled = 0
            at += 1
    return ends


@dataclass(frozen=True, slots=True)
class Expansion:
    """A filled template: its text, the keys it used, and the slots of the template itself that have no value."""

    text: str
    used: frozenset[str]
    unknown: tuple[Slot, ...]
    unknown_in: Mapping[str, tuple[str, ...]]
    """Keys without a value that stand inside the value of another key: key to the keys they were found in."""


def expand(
    text: str, values: Mapping[str, str], *, doubled: bool, fill: Callable[[Slot, str], str] | None = None
) -> Expansion:
    """Fill the slots of `text` from `values`, and the slots inside those values in turn.

    `fill` may change the text of a slot of the template itself (to quote it). Slots without a value stay as they
    are. Raises `TemplateError`.
    """
    too_long = TemplateError(f"the rendered command is longer than {MAX_LENGTH:,} bytes", ())
    if is_too_long(text):
        raise too_long
    template = scan(text, doubled)
    resolver = _Resolver(values, doubled)
    parts = _Parts(too_long)
    unknown: list[Slot] = []
    for piece in template.pieces:
        if isinstance(piece, str):
            parts.add(piece)
        elif piece.key in values:
            value = resolver.value(piece.key, ())
            parts.add(fill(piece, value) if fill is not None else value)
        else:
            parts.add("{" + piece.key + "}")
            if is_identifier(piece.key):
                unknown.append(piece)
    return Expansion(parts.joined(), frozenset(resolver.done), tuple(unknown), resolver.unknown)


class _Parts:
    """Pieces of a text that is being put together; `error` is raised before it grows too long."""

    def __init__(self, error: TemplateError) -> None:
        self._error = error
        self._parts: list[str] = []
        self._length = 0

    def add(self, text: str) -> None:
        self._length += len(text)
        if self._length > MAX_LENGTH:
            raise self._error
        self._parts.append(text)

    def joined(self) -> str:
        text = "".join(self._parts)
        if is_too_long(text):
            raise self._error
        return text


class _Resolver:
    """Expands values of keys, each once."""

    def __init__(self, values: Mapping[str, str], doubled: bool) -> None:
        self.values = values
        self.doubled = doubled
        self.done: dict[str, str] = {}
        self.unknown: dict[str, tuple[str, ...]] = {}

    def value(self, key: str, chain: tuple[str, ...]) -> str:
        if key in self.done:
            return self.done[key]
        path = (*chain, key)
        if key in chain:
            loop = path[path.index(key) :]
            raise TemplateError(f"values refer to each other in a circle: {' -> '.join(loop)}", loop)
        if len(path) > MAX_ROUNDS:
            raise TemplateError(f"values refer to each other more than {MAX_ROUNDS} deep", path)
        text = self.values[key]
        if "{" in text:
            too_long = TemplateError(f"the value of `{key}` grows beyond {MAX_LENGTH:,} bytes", path)
            if is_too_long(text):
                raise too_long
            parts = _Parts(too_long)
            # Doubled braces mean in a value what they mean in the command.
            for piece in scan(text, self.doubled).pieces:
                parts.add(self._piece(piece, path))
            text = parts.joined()
        self.done[key] = text
        return text

    def _piece(self, piece: str | Slot, path: tuple[str, ...]) -> str:
        if isinstance(piece, str):
            return piece
        if piece.key in self.values:
            return self.value(piece.key, path)
        holders = self.unknown.get(piece.key, ())
        if is_identifier(piece.key) and path[-1] not in holders:
            self.unknown[piece.key] = (*holders, path[-1])
        return "{" + piece.key + "}"


def is_identifier(key: str) -> bool:
    """Whether a key without a value looks like a forgotten key rather than like `{3}` of a pattern."""
    return _IDENTIFIER.fullmatch(key) is not None
