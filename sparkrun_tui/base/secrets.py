"""Secrets that cannot be printed by accident, and the filter that keeps known ones out of any text."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from urllib.parse import quote

MASK = "•••"
_MIN_LITERAL = 8
_PATTERNS = re.compile(
    r"hf_[A-Za-z0-9]{20,}|sk-[A-Za-z0-9_-]{16,}|gh[pousr]_[A-Za-z0-9]{20,}|AKIA[0-9A-Z]{16}|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"
)
_HINTS = ("hf_", "sk-", "://", "AKIA", "ghp_", "gho_", "ghu_", "ghs_", "ghr_")
"""What a text must hold for `_PATTERNS` to find anything in it."""

_SECRET_NAME = re.compile(r"(?i)(^|_)(token|secret|password|passwd|key|apikey|credentials?)($|_)")


class Secret:
    """A value that shows as dots everywhere; `reveal` is the only way to it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself, for the one place that must send it."""
        return self._value

    def __repr__(self) -> str:
        return MASK

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return MASK

    def __reduce__(self) -> tuple[type[Secret], tuple[str]]:
        return (Secret, (MASK,))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


def looks_secret(name: str) -> bool:
    """Whether an environment variable called `name` is treated as a secret (`HF_TOKEN`, `OPENAI_API_KEY`, ...)."""
    return bool(_SECRET_NAME.search(name))


class Redactor:
    """Replaces secrets by dots in any text: literal values (also base64 and URL-quoted) and well-known token forms."""

    def __init__(self, secrets: Iterable[Secret | str] = ()) -> None:
        literals: set[str] = set()
        for secret in secrets:
            value = secret.reveal() if isinstance(secret, Secret) else secret
            if len(value) >= _MIN_LITERAL:
                literals |= {value, quote(value, safe=""), base64.b64encode(value.encode()).decode()}
        self._words = tuple(sorted(literals, key=len, reverse=True))
        self._literals = re.compile("|".join(map(re.escape, self._words)))

    def __call__(self, text: str) -> str:
        """`text` without secrets."""
        # Every line of every log comes through here: plain searches rule nearly all of them out.
        for word in self._words:
            if word in text:
                text = self._literals.sub(MASK, text)
                break
        for hint in _HINTS:
            if hint in text:
                return _PATTERNS.sub(MASK, text)
        return text
