"""Secrets in other encodings, cut in the middle, of several lines, and of bytes that are no text."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.secrets import MASK, Redactor
from sparkrun_tui.base.text import clean_line, log_line, visible
from sparkrun_tui.launch.record.logs import LogLine, safe_line
from sparkrun_tui.remote.docker.types import DockerError
from sparkrun_tui.remote.http.client import HttpCall, TransportHttp
from tests.security.test_a9_docker import hostile
from tests.security.test_a11_engine import engine
from tests.support.scripted import ScriptedTransport

SECRET = "p4ss/w0rd+x y&'q\"é$(id).*[z]"
PLAIN = "canary-Zq8vT3-0123456789"


def encoded(value: str) -> dict[str, str]:
    data = value.encode()
    return {
        "address": quote(value),
        "address, all": quote(value, safe=""),
        "form": quote_plus(value),
        "small letters": re.sub("%..", lambda found: found.group().lower(), quote(value, safe="")),
        "json": json.dumps(value),
        "json, not ascii": json.dumps(value, ensure_ascii=False),
        "python": repr(value),
        "base64": base64.b64encode(data).decode(),
        "base64 without its end": base64.b64encode(data).decode().rstrip("="),
        "base64 for addresses": base64.urlsafe_b64encode(data).decode(),
        "basic": "Authorization: Basic " + base64.b64encode(b"user:" + data).decode(),
        "shifted by 1": base64.b64encode(b"a" + data + b"bc").decode(),
        "shifted by 2": base64.b64encode(b"ab" + data + b"b").decode(),
        "not shifted": base64.b64encode(b"abc" + data + b"bcd").decode(),
    }


@pytest.mark.parametrize("many", [0, 200], ids=["few", "many"])
@pytest.mark.parametrize("value", [SECRET, PLAIN, "tenletters"])
def test_a_secret_is_hidden_however_it_is_written(value: str, many: int) -> None:
    redact = Redactor([value, *(f"another-secret-{number:04}" for number in range(many))])
    for name, text in encoded(value).items():
        shown = redact(f"x {text} y")
        assert MASK in shown, name
        # At most the letters that a byte beside the secret has a part in remain.
        left = shown.replace(MASK, "")
        assert len(left) <= len(f"x {text} y") - len(value) + 4, name


@pytest.mark.parametrize(
    "value", ["first-line-key\nsecond-line-key\n", "trailing-blanks-key\r\n", "  leading-blanks-key"]
)
def test_lines_and_ends_of_a_secret_are_hidden(value: str) -> None:
    redact = Redactor([value])
    for line in value.splitlines():
        assert line.strip() not in redact(f"key is {line.strip()}")


@pytest.mark.parametrize("value", ["key\x1b[31mwith-colour", "key\u200bwith-nothing", "two-lines\nof-a-key"])
@pytest.mark.parametrize("gate", [clean_line, visible, log_line])
def test_a_secret_that_the_gate_changes_is_hidden(value: str, gate: Callable[[str], str]) -> None:
    shown = Redactor([value])(gate(f"it is {value}."))
    assert shown.replace("\n", " ") in (f"it is {MASK}.", f"it is {MASK} {MASK}.")


def test_bytes_that_are_no_text_can_be_a_secret() -> None:
    redact = Redactor(["\udc80\udcff-secret-bytes"])
    assert redact("x \udc80\udcff-secret-bytes") == f"x {MASK}"


def test_a_secret_that_a_line_is_cut_in_is_hidden() -> None:
    redact = Redactor([PLAIN])
    for shift in range(len(PLAIN) + 2):
        line = LogLine(0.0, "stdout", "x" * (8192 - shift) + PLAIN + "y")
        shown = safe_line(LogLine(0.0, "stdout", log_line(line.text)), redact).text
        assert PLAIN[:6] not in shown, shift


def test_other_words_before_a_cut_stay() -> None:
    redact = Redactor([PLAIN])
    for text in ("loading the model …", "canary … (5 more characters)" * 2, "a… b… c…"):
        assert redact(text).replace(MASK, "canary") == text


async def test_what_an_engine_or_a_daemon_refuses_with_is_marked_where_it_is_cut(tmp_path: Path) -> None:
    redact = Redactor([PLAIN])
    words = b"x" * 1980 + PLAIN.encode() + b"y" * 100
    async with engine(b"HTTP/1.1 500 X\r\n\r\n" + words) as port:
        with pytest.raises(HostError) as refused:
            await drained(TransportHttp(), port)
    assert PLAIN[:6] not in redact(str(refused.value))
    body = b'{"error": "%s"}\n' % words
    async with hostile(tmp_path / "d.sock", {"/images/create": body}) as client:
        with pytest.raises(DockerError) as failed:
            async for _ in client.pull("a/b:1"):
                pass
    assert PLAIN[:6] not in redact(str(failed.value))


async def drained(http: TransportHttp, port: int) -> None:
    async for _ in http.stream(ScriptedTransport(), HttpCall(port, "/", key=None)):
        pass
