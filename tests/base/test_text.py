"""Foreign text cannot steer the terminal, whatever it holds."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkrun_tui.base.text import MAX_LINE, cell_width, clean_line, clean_text, decode, shorten

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
    assert clean_line(attack) == shown


def test_towers_of_combining_marks_are_cut() -> None:
    assert len(clean_line("a" + "\u0301" * 500)) <= 6


def test_long_lines_are_cut_and_say_so() -> None:
    shown = clean_line("x" * (MAX_LINE + 1234))
    assert len(shown) < MAX_LINE + 60
    assert "1,234 more characters" in shown


@given(st.text(alphabet=st.characters(codec=None), max_size=300))
def test_no_control_survives(text: str) -> None:
    assert not CONTROL.search(clean_line(text))


@given(st.binary(max_size=400))
def test_any_bytes_become_safe_lines(data: bytes) -> None:
    for line in clean_text(decode(data)).split("\n"):
        assert not CONTROL.search(line)


@given(st.text(max_size=80), st.integers(0, 40))
def test_shortened_text_fits(text: str, width: int) -> None:
    assert cell_width(shorten(clean_line(text), width)) <= max(width, 0)


def test_wide_characters_count_twice() -> None:
    assert cell_width("日本") == 4
    assert shorten("日本語", 5) == "日本…"
