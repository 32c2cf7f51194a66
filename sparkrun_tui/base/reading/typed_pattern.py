"""Regular expressions that the user types, searched in time that is proportional to the text, whatever was typed.

Python's own expressions may take years for `(a+)+$`, and cannot be interrupted meanwhile; RE2 never goes back in the
text. It has no references to groups and no looking ahead or behind.
"""

from __future__ import annotations

from typing import Any

from sparkrun_tui.base.regexes import late_regex

LONGEST = 500
"""The most characters of a pattern."""

_MEMORY = 8 << 20
"""The most bytes that a compiled pattern and its search may take."""

_ESCAPE = late_regex(r"\\.")


class TypedPattern:
    """A pattern as it was typed. Case matters if it has a capital letter.

    Raises `ValueError` with the reason when it is not a regular expression that RE2 knows.
    """

    def __init__(self, text: str) -> None:
        import re2  # not before somebody types a pattern

        if len(text) > LONGEST:
            raise ValueError(f"a pattern has at most {LONGEST} characters")
        options = re2.Options()
        options.max_mem = _MEMORY
        options.log_errors = False
        # In `\S` the capital letter is no letter of the text.
        options.case_sensitive = any(letter.isupper() for letter in _ESCAPE.sub("", text))
        try:
            self._compiled: Any = re2.compile(text, options)
        except re2.error as error:
            raise ValueError(_reason(error)) from None
        self.text = text

    def matches(self, line: str) -> bool:
        """Whether it is found in a line."""
        return self._compiled.search(line) is not None

    def spans(self, line: str) -> list[tuple[int, int]]:
        """The places where it is found, as pairs of start and end; empty matches are left out."""
        return [match.span() for match in self._compiled.finditer(line) if match.start() < match.end()]


def _reason(error: Exception) -> str:
    """What RE2 says of a pattern, as text."""
    said = error.args[0] if error.args else ""
    if isinstance(said, bytes):
        return said.decode("utf-8", "replace")
    return str(said)
