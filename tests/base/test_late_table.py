"""A table whose values are made late: who asks for one value makes no other."""

from __future__ import annotations

import pytest

from sparkrun_tui.base.late_table import LateTable


def test_a_value_is_made_when_it_is_asked_for_and_once() -> None:
    made: list[str] = []

    def maker(name: str) -> str:
        made.append(name)
        return name.upper()

    table = LateTable({"a": lambda: maker("a"), "b": lambda: maker("b")})
    assert list(table) == ["a", "b"] and len(table) == 2 and "b" in table and "c" not in table
    assert made == []
    assert table["b"] == "B" and table.get("b") == "B"
    assert made == ["b"]
    assert list(table.values()) == ["A", "B"]
    assert made == ["b", "a"]


def test_a_key_that_is_not_there_is_said() -> None:
    table = LateTable({"a": lambda: 1})
    assert table.get("b") is None
    with pytest.raises(KeyError):
        table["b"]


def test_a_value_can_be_put_in_and_taken_out() -> None:
    table = LateTable({"a": lambda: 1})
    table["b"] = 2
    assert list(table.items()) == [("a", 1), ("b", 2)]
    del table["a"], table["b"]
    assert dict(table) == {}
