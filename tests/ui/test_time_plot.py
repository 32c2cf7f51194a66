"""Figures over time as text: a line with its axis, rows of bars, gaps that stay empty, and plain ASCII."""

from __future__ import annotations

import pytest

from sparkrun_tui.fleet.samples import Series
from sparkrun_tui.ui.glyphs import ASCII, DOTS, glyphs_of
from sparkrun_tui.ui.ink import text_of, width_of
from sparkrun_tui.ui.paint.hosts.time_plot import Plot, bar_row, nice, plot_lines, row_of, time_axis


def plot(*points: tuple[float, float | None], top: float | None = 100.0, factor: float = 1.0) -> Plot:
    series = Series()
    for when, value in points:
        series.add(when, value)
    return Plot("GPU load", series, "61 %", "%", "accent", factor, top=top)


def texts(given: Plot, width: int = 30, height: int = 3, glyphs: object = DOTS) -> list[str]:
    return [text_of(line) for line in plot_lines(given, 0.0, 60.0, width, height, glyphs)]  # type: ignore[arg-type]


def test_a_plot_has_title_value_and_the_ends_of_its_axis() -> None:
    shown = texts(plot((0.0, 0.0), (60.0, 100.0)))
    assert shown[0] == "GPU load" + " " * 18 + "61 %"
    assert [line[:6] for line in shown[1:]] == ["  100│", "    %│", "    0│"]
    assert all(width_of(line) == 30 for line in plot_lines(plot((0.0, 0.0)), 0.0, 60.0, 30, 3, DOTS))


def test_a_rising_line_rises_and_is_joined() -> None:
    rows = [line[6:] for line in texts(plot((0.0, 0.0), (60.0, 100.0)))[1:]]
    assert rows[0].strip() and rows[2].strip()
    assert len(rows[0]) - len(rows[0].lstrip()) > len(rows[1]) - len(rows[1].lstrip()) > 0
    assert rows[2][0] != " "
    steep = [line[6:] for line in texts(plot((0.0, 0.0), (30.0, 0.0), (30.5, 100.0), (60.0, 100.0)))[1:]]
    assert all(row[12] != " " or row[11] != " " for row in steep), "a step is drawn through all rows"


def test_a_gap_in_time_is_a_gap_in_the_line_and_in_the_bars() -> None:
    given = plot((0.0, 50.0), (20.0, 50.0), (21.0, None), (40.0, 50.0), (60.0, 50.0))
    (row,) = [line[6:] for line in texts(given)[1:] if line[6:].strip()]
    assert row.strip() and "  " in row.strip()
    bars = bar_row(given, 0.0, 60.0, 12, DOTS)
    assert bars == "▅▅▅▅▅   ▅▅▅▅"
    assert bar_row(plot(), 0.0, 60.0, 5, DOTS) == "     "


def test_the_axis_fits_the_values_where_it_has_no_end_of_its_own() -> None:
    assert texts(plot((10.0, 41.0), top=None))[1].startswith("   50│")
    assert texts(plot((10.0, 0.0), top=None))[1].startswith("    1│")
    assert texts(plot(top=None))[1].startswith("    1│")
    assert [nice(value) for value in (0.2, 1, 7, 41, 2600, 10)] == [1, 1, 8, 50, 3000, 10]


def test_ascii_plots_have_no_other_signs() -> None:
    given = plot((0.0, 0.0), (20.0, 100.0), (30.0, None), (40.0, 10.0), (60.0, 55.0))
    shown = texts(given, glyphs=ASCII)
    assert all(line.isascii() for line in shown)
    assert any("|" in line[6:] for line in shown[1:]), "steep lines are drawn"
    assert bar_row(given, 0.0, 60.0, 20, ASCII).isascii()
    assert text_of(time_axis("5 min", 30, ASCII)).isascii()


def test_one_line_has_name_value_bars_and_the_end_of_the_axis() -> None:
    line = row_of(plot((0.0, 100.0), (60.0, 100.0)), 0.0, 60.0, 70, 12, DOTS)
    assert text_of(line).split() == ["GPU", "load", "61", "%", "█" * 24, "100", "%"]
    assert width_of(line) == 70
    assert text_of(row_of(plot(), 0.0, 60.0, 30, 12, DOTS)).split() == ["GPU", "load", "61", "%"]


@pytest.mark.parametrize(
    ("term", "encoding", "braille"),
    [("xterm-256color", "UTF-8", True), ("linux", "UTF-8", False), ("vt100", "utf8", False), ("xterm", "ascii", False)],
)
def test_braille_is_for_terminals_that_have_it(term: str, encoding: str, braille: bool) -> None:
    assert glyphs_of({"TERM": term}, encoding).braille is braille
