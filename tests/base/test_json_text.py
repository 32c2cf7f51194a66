"""JSON from outside: whatever is wrong with it is one error, and its nesting has a bound."""

from __future__ import annotations

import pytest

from sparkrun_tui.base.reading.json_text import JsonError, parse_json


@pytest.mark.parametrize(
    "text", ["[" * 101 + "]" * 101, '{"a":' * 101 + "1" + "}" * 101, '[{"a":' * 60 + "1" + "}]" * 60]
)
def test_nesting_that_no_file_has_is_refused(text: str) -> None:
    with pytest.raises(JsonError, match="nested too deeply"):
        parse_json(text)
    with pytest.raises(JsonError, match="nested too deeply"):
        parse_json(text.encode())


def test_brackets_in_texts_and_side_by_side_are_no_nesting() -> None:
    assert parse_json("[" * 100 + "]" * 100)
    assert parse_json('["' + "[" * 500 + '"]') == ["[" * 500]
    assert parse_json('["\\"' + "{" * 500 + '", 1]')[1] == 1
    assert len(parse_json("[" + ",".join(["[]"] * 500) + "]")) == 500


@pytest.mark.parametrize("text", ["", "{", "[1,]", b"\xff\xfe\xff", '"\x01"', "1" * 41, '"' + "[" * 200])
def test_what_is_no_json_is_the_same_error(text: str | bytes) -> None:
    with pytest.raises(JsonError):
        parse_json(text)


def test_a_long_text_without_end_is_read_once() -> None:
    # Each escaped quote was tried as the beginning of a text: this took hours.
    with pytest.raises(JsonError, match="nested too deeply"):
        parse_json("[" * 101 + '"' + '\\"' * 400_000)
