"""A secret in the encodings that programs print: of JavaScript, HTML, JSON with escaped slashes, bytes and digits."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Callable
from urllib.parse import quote

import pytest

from sparkrun_tui.base.secrets import Redactor

KEYS = ["sk!ver(y)*~secret/+value=", "hunter2-päss-wört-日本", 'key with spaces & <tags> "q"', "it's/a-key\\with-signs"]
WAYS: dict[str, Callable[[str], str]] = {
    "encodeURIComponent": lambda key: quote(key, safe="!~*'()"),
    "html": html.escape,
    "json": lambda key: json.dumps(key).replace("/", "\\/"),
    "bytes": lambda key: repr(key.encode()),
    "digits": lambda key: key.encode().hex(),
    "json in json": lambda key: json.dumps(json.dumps(key))[3:-3],
    "json in python": lambda key: repr(json.dumps(key))[2:-2],
    "python in json": lambda key: json.dumps(repr(key))[2:-2],
    "capital digits": lambda key: key.encode().hex().upper(),
}


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("way", WAYS)
def test_an_encoded_secret_is_hidden(way: str, key: str) -> None:
    written = WAYS[way](key)
    shown = Redactor([key])(f"it was {written} there")
    assert written.strip("b'\"") not in shown
    assert shown.startswith("it was ") and shown.endswith(" there") and "•••" in shown


@pytest.mark.parametrize("width", [76, 64])
@pytest.mark.parametrize("end", ["", "\n"])
@pytest.mark.parametrize("length", [60, 100, 150, 400])
def test_a_secret_is_hidden_in_base64_of_several_lines(width: int, end: str, length: int) -> None:
    key = "".join(chr(33 + (number * 7 + number // 9) % 90) for number in range(length))
    letters = base64.b64encode((key + end).encode()).decode()
    hide = Redactor([key])
    for at in range(0, len(letters), width):
        line = letters[at : at + width]
        if len(line) >= 12:
            left = hide(line).replace("•", "")
            # The last letters hold the line end, too.
            assert len(left) <= 4
