"""Numbers and JSON from outside: what is read, and what is refused without an exception of another kind."""

from __future__ import annotations

import pytest

from sparkrun_tui.base.reading.json_text import JsonError, parse_json
from sparkrun_tui.base.reading.numbers import MOST, decimal, decimal_of, major_minor, whole, whole_of


@pytest.mark.parametrize(("text", "number"), [("0", 0), (" 42\n", 42), ("007", 7), (str(MOST), MOST)])
def test_whole_numbers_are_read(text: str, number: int) -> None:
    assert whole(text) == number


@pytest.mark.parametrize("text", ["", "-1", "+1", "1_000", "²", "٣", "1.0", "0x10", "9" * 19, "9" * 5000, "1 2"])
def test_what_is_no_whole_number_is_none(text: str) -> None:
    assert whole(text) is None


@pytest.mark.parametrize(
    ("version", "numbers"),
    [("13.0", (13, 0)), ("2.52.1", (2, 52)), ("1.47.0rc1", (1, 47)), ("0.9", (0, 9))],
)
def test_the_beginning_of_a_version_is_read(version: str, numbers: tuple[int, int]) -> None:
    assert major_minor(version) == numbers


@pytest.mark.parametrize("version", ["", "13", "13.", ".5", "2.52rc1", "v2.1", "2.-1", "2.x.1", "1" * 30 + ".0"])
def test_what_does_not_begin_with_two_numbers_is_no_version(version: str) -> None:
    assert major_minor(version) is None
    assert major_minor("9.10", most=9) is None


def test_bounds_of_a_whole_number() -> None:
    assert whole("-5", least=-5) == -5
    assert whole("65536", most=65535) is None


@pytest.mark.parametrize(("text", "number"), [("0.9", 0.9), ("-1e3", -1000.0), (".5", 0.5), ("5.", 5.0), ("+2", 2.0)])
def test_decimals_are_read(text: str, number: float) -> None:
    assert decimal(text) == number


@pytest.mark.parametrize("text", ["", "nan", "inf", "-Infinity", "1e999", "1.2.3", "²", "1_0", "1" * 500])
def test_what_is_no_decimal_is_none(text: str) -> None:
    assert decimal(text) is None


@pytest.mark.parametrize("data", [True, None, "5", 1.0, -1, 10**400, [], float("nan")])
def test_data_that_is_no_whole_number_is_none(data: object) -> None:
    assert whole_of(data) is None


@pytest.mark.parametrize("data", [True, None, "5", 10**400, float("nan"), float("inf")])
def test_data_that_is_no_decimal_is_none(data: object) -> None:
    assert decimal_of(data) is None


def test_data_that_is_a_number_is_kept() -> None:
    assert whole_of(7) == 7
    assert decimal_of(7) == 7.0


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "9" * 5000, b"\xff\xfe\xfa", '{"a": ' + "1" * 41 + "}"])
def test_bad_json_raises_one_error(text: str | bytes) -> None:
    with pytest.raises(JsonError):
        parse_json(text)


def test_json_that_published_models_hold_is_read() -> None:
    found = parse_json('{"model_max_length": 1000000000000000019884624838656, "time_step_limit": [0.0, Infinity]}')
    assert found["model_max_length"] == 10**30 + 19884624838656
    assert found["time_step_limit"][1] == float("inf")
