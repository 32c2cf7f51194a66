"""What a terminal sends, read without an end of the app: bytes that are not UTF-8 become U+FFFD.

Textual decodes its input strictly. A byte of another encoding, such as one of a pasted text in Latin-1 or a key with
Meta in an older xterm, ended the app with a traceback.
"""

from __future__ import annotations

import codecs
from functools import partial

from textual.drivers import linux_driver

_DECODER = "getincrementaldecoder"


def _lenient(encoding: str) -> partial[codecs.IncrementalDecoder]:
    return partial(codecs.getincrementaldecoder(encoding), "replace")


def read_leniently() -> None:
    """Let Textual's driver for terminals replace what it cannot decode. To be called before the app runs."""
    # The driver has no way to choose its decoder. Catching the error would lose the beginning of a paste, and the rest
    # of it would be taken for keys.
    if hasattr(linux_driver, _DECODER):
        setattr(linux_driver, _DECODER, _lenient)
