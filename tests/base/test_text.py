"""Foreign text cannot steer the terminal, whatever it holds."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkrun_tui.base.text import (
    MAX_LINE,
    clean_line,
    clean_text,
    decode,
    escape_hidden,
    log_line,
    shorten,
    visible,
    visible_line,
    visible_text,
)

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200b\u2028\u2029\ufeff]")


@pytest.mark.parametrize(
    ("attack", "shown"),
    [
        ("\x1b]0;owned\x07title", "title"),
        ("\x1b]52;c;ZXZpbA==\x1b\\clip", "clip"),
        ("\x1b]52;c;unterminated", ""),
        ("a\x1b[31mred\x1b[0m", "ared"),
        ("\x9b31mC1", "C1"),
        ("\x1bPdevice\x1b\\after", "after"),
        ("\x1b[2J\x1b[Hclear", "clear"),
        ("\x1bcreset", "reset"),
        ("back\x08\x08space", "backspace"),
        ("null\x00byte", "nullbyte"),
        ("e\u202evil", "evil"),
        ("zero\u200bwidth", "zerowidth"),
        ("10%\r20%\r", "20%"),
        ("real line\r\n", "real line"),
        ("\x1b\x1b[31mtwice", "twice"),
        ("日本語 stays", "日本語 stays"),
        ("a\tb", "a       b"),
    ],
)
def test_attacks_are_taken_out(attack: str, shown: str) -> None:
    assert log_line(attack) == shown


@pytest.mark.parametrize(
    ("attack", "shown"),
    [
        ("\x1b]0;owned\x07title", "␛]0;owned␇title"),
        ("a #\rb", "a #␍b"),
        ("ok\x9d; x\x9c", "ok\\x9d; x\\x9c"),
        ("null\x00 del\x7f", "null␀ del␡"),
        ("e\u202evil zero\u200bwidth", "e\\u202evil zero\\u200bwidth"),
        ("\x9d\ufe0f\u200d behind a hidden one", "\\x9d\\ufe0f\\u200d behind a hidden one"),
        ("\u2764\ufe0f\u200d\U0001f525", "\u2764\ufe0f\u200d\U0001f525"),
        ("join\u200ded tag\U000e0041", "join\\u200ded tag\\U000e0041"),
        ("lone \ud800", "lone \\ud800"),
        ("👩\u200d💻 ⚠\ufe0f 日本語 stays", "👩\u200d💻 ⚠\ufe0f 日本語 stays"),
        ("a" + "\u0301" * 5, "a" + "\u0301" * 4 + "\\u0301"),
    ],
)
def test_nothing_is_dropped_from_what_will_run(attack: str, shown: str) -> None:
    assert visible(attack) == visible_text(attack) == visible_line(attack) == clean_line(attack) == shown


def test_lines_of_a_command_stay_lines_and_none_is_cut() -> None:
    assert visible("a\n\tb") == "a\n\tb"
    assert visible_text("a\n\tb") == "a\n        b"
    assert visible_line("a\nb") == "a⏎b" and clean_line("a\nb") == "a b"
    long = "x" * (3 * MAX_LINE)
    assert visible_line(long) == visible_text(long) == long


@given(st.text(alphabet=st.characters(codec=None), max_size=200))
def test_json_holds_the_same_and_nothing_hidden(text: str) -> None:
    written = escape_hidden(json.dumps(text, ensure_ascii=False))
    assert json.loads(written) == text
    assert not CONTROL.search(written)


def test_towers_of_combining_marks_are_cut() -> None:
    assert len(log_line("a" + "\u0301" * 500)) <= 6


def test_long_lines_are_cut_and_say_so() -> None:
    shown = clean_line("x" * (MAX_LINE + 1234))
    assert len(shown) < MAX_LINE + 60
    assert "1,234 more characters" in shown


@given(st.text(alphabet=st.characters(codec=None), max_size=300))
def test_no_control_survives(text: str) -> None:
    for rule in (clean_line, log_line, visible_line):
        assert not CONTROL.search(rule(text))


@given(st.binary(max_size=400))
def test_any_bytes_become_safe_lines(data: bytes) -> None:
    for line in clean_text(decode(data)).split("\n"):
        assert not CONTROL.search(line)


@given(st.text(max_size=80), st.integers(0, 40))
def test_shortened_text_fits(text: str, width: int) -> None:
    short = shorten(text, width)
    assert len(short) <= width
    assert short == text or (width == 0 or short.endswith("…"))


def test_characters_that_logs_lose_are_not_printable() -> None:
    """A line that is printable without its colours is not searched for other escapes."""
    lost = [code for code in range(0x110000) if not 0xD800 <= code < 0xE000 and log_line(f"a{chr(code)}b") == "ab"]
    assert len(lost) > 70
    assert [code for code in lost if chr(code).isprintable()] == []


@given(st.text(), st.lists(st.sampled_from(["\x1b[1;36m", "\x9b0m", "\x1b[K", "\x1b[?25l"]), max_size=5))
def test_colours_change_nothing_else(text: str, colours: list[str]) -> None:
    kept = "".join(letter for letter in text if letter.isprintable())
    assert log_line("".join(f"{colour}{kept}" for colour in colours)) == log_line(kept * len(colours))
