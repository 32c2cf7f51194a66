"""What a terminal sends, made safe before Textual reads it: any bytes, and pasted text that is never taken for keys.

Textual decodes its input strictly: a byte of another encoding, such as one of a pasted text in Latin-1 or a key with
Meta in an older xterm, ended the app. It takes what follows an escape character in a pasted text for keys. Many
terminals leave such characters out of what is pasted, tmux and the console do not: the words of a log with colours were
pressed one by one.
"""

from __future__ import annotations

import codecs

from textual.drivers import linux_driver

_ESCAPE = "\x1b"
_BEGIN, _END = "\x1b[200~", "\x1b[201~"
"""What a terminal sends before and behind a pasted text."""
_SIGN = "␛"


class TerminalDecoder:
    """The bytes that a terminal sends as text: what is not UTF-8 becomes U+FFFD, an escape in a pasted text a sign."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._is_pasting = False
        self._before = ""
        """The last characters of what was passed on, with which the beginning of a paste may have come."""
        self._held = ""
        """The last characters of a pasted text, which may be the first ones of its end."""

    def decode(self, data: bytes, final: bool = False) -> str:
        """The text of the next bytes, as far as it is known what it is."""
        rest = self._held + self._decoder.decode(data, final)
        self._held = ""
        found = []
        while rest:
            piece, rest = self._pasted(rest) if self._is_pasting else self._typed(rest)
            found.append(piece)
        return "".join(found)

    def _typed(self, text: str) -> tuple[str, str]:
        """The text up to the beginning of a paste, and the rest."""
        whole = self._before + text
        at = whole.find(_BEGIN)
        if at < 0:
            self._before = whole[-len(_BEGIN) + 1 :]
            return text, ""
        self._is_pasting, self._before = True, ""
        end = at + len(_BEGIN) - (len(whole) - len(text))
        return text[:end], text[end:]

    def _pasted(self, text: str) -> tuple[str, str]:
        """The text up to the end of a paste, and the rest. Where several ends came at once, the last one counts."""
        at = text.rfind(_END)
        if at >= 0:
            self._is_pasting = False
            return self._plain(text[:at]) + _END, text[at + len(_END) :]
        for length in range(min(len(_END) - 1, len(text)), 0, -1):
            if _END.startswith(text[-length:]):
                text, self._held = text[:-length], text[-length:]
                break
        return self._plain(text), ""

    @staticmethod
    def _plain(text: str) -> str:
        return text.replace(_END, "").replace(_ESCAPE, _SIGN)


_NAME = "getincrementaldecoder"


def read_safely() -> None:
    """Let Textual's driver for terminals read by `TerminalDecoder`. To be called before the app runs."""
    # The driver has no way to choose its decoder.
    if hasattr(linux_driver, _NAME):
        setattr(linux_driver, _NAME, lambda _encoding: TerminalDecoder)
