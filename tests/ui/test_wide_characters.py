"""Names in wide and combined characters: columns stay where they are, since widths are those that Rich paints."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from sparkrun_tui.base.text import clean_line
from sparkrun_tui.cli import output
from sparkrun_tui.ui.ink import clip, fit, shorten, text_of, width_of, wrap, wrap_line

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
WIDE = [
    "日本語",
    "스파크",
    "e\u0301cole",
    f"{FAMILY} lab",
    "❤\ufe0f",
    "🇩🇪 node",
    "\u0928\u093f",
    "ｆｕｌｌ",
    "plain",
    "𖿤x",
]
TEXTS = st.lists(st.sampled_from([*WIDE, " ", "a", "-"]), max_size=12).map("".join)


@given(st.one_of(st.text(max_size=40), TEXTS), st.integers(1, 40))
def test_fit_takes_exactly_its_width(text: str, width: int) -> None:
    assert cell_len(fit(clean_line(text), width)) == width
    assert cell_len(shorten(clean_line(text), width)) <= width


@given(TEXTS, TEXTS, st.integers(0, 40))
def test_clipped_lines_fit(one: str, other: str, width: int) -> None:
    assert width_of(clip([(one, ""), (other, "dim")], width)) <= width


@given(TEXTS, st.integers(8, 40))
def test_broken_lines_fit_and_lose_nothing(text: str, width: int) -> None:
    rows = [text_of(row) for row in wrap_line([(text, "")], width, indent=2)]
    assert all(cell_len(row.rstrip()) <= width for row in rows)
    assert "".join(rows).replace(" ", "") == text.replace(" ", "")
    lines = wrap(text, width)
    assert all(cell_len(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_shorter_by_cells() -> None:
    assert shorten("日本語", 5) == "日本…"
    assert shorten("日本語", 4) == "日…"
    assert shorten("日本語", 6) == "日本語"
    assert [shorten("日本", width) for width in (0, 1, 2)] == ["", "…", "…"]
    assert shorten(f"{FAMILY}abc", 4) == f"{FAMILY}a…"


@pytest.mark.parametrize("name", WIDE)
def test_columns_of_a_table_stand_below_each_other(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    output.table(("NAME", "HOSTS"), [(name, "|"), ("other", "|")])
    head, first, second = capsys.readouterr().out.splitlines()
    before = [head.partition("HOSTS")[0], first.partition("|")[0], second.partition("|")[0]]
    assert len(set(map(cell_len, before))) == 1
    output.table(("NAME", "HOSTS"), [(name * 9, "x")], width=12)
    assert all(cell_len(line) <= 12 for line in capsys.readouterr().out.splitlines())
