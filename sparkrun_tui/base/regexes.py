"""`re.compile` for patterns of modules: one is compiled when it is first used.

To compile one takes 0.1 ms. The program has some 300, and a command uses a few of them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

__all__ = ("late_regex",)

_OFTEN_USED = ("finditer", "findall", "fullmatch", "match", "pattern", "search", "split", "sub", "subn")
_SELDOM_USED = ("flags", "groupindex", "groups", "scanner")


class _LateRegex:
    """What a compiled pattern offers; its methods are taken over from the compiled one at the first use of any."""

    __slots__ = ("_compiled", "_flags", "_text", *_OFTEN_USED)

    def __init__(self, text: str | bytes, flags: int) -> None:
        self._text = text
        self._flags = flags
        self._compiled: re.Pattern[Any] | None = None

    def __getattr__(self, name: str) -> Any:
        """Called for what is not there yet."""
        if name not in _OFTEN_USED and name not in _SELDOM_USED:
            raise AttributeError(f"a pattern has no attribute {name!r}")
        if self._compiled is None:
            compiled = re.compile(self._text, self._flags)
            for often in _OFTEN_USED:
                setattr(self, often, getattr(compiled, often))
            self._compiled = compiled
        return getattr(self._compiled, name)

    def __repr__(self) -> str:
        return f"late_regex({self._text!r}, {self._flags})"


if TYPE_CHECKING:
    from re import compile as late_regex
else:

    def late_regex(text, flags=0):
        """The same as `re.compile`; a pattern that cannot be compiled is found at its first use."""
        return _LateRegex(text, int(flags))
