"""A secret in the encodings that programs print: of JavaScript, HTML, JSON with escaped slashes, bytes and digits."""

from __future__ import annotations

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
    "capital digits": lambda key: key.encode().hex().upper(),
}


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("way", WAYS)
def test_an_encoded_secret_is_hidden(way: str, key: str) -> None:
    written = WAYS[way](key)
    shown = Redactor([key])(f"it was {written} there")
    assert written.strip("b'\"") not in shown
    assert shown.startswith("it was ") and shown.endswith(" there") and "•••" in shown
