"""Parts without a terminal: lines, the memory picture, phases, edits, merged logs, search, the tick."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from sparkrun_tui.base.units import GIB
from sparkrun_tui.launch.record.events import LaunchStatus, StatusChanged, StepState
from sparkrun_tui.launch.record.logs import LogBuffer, LogLine
from sparkrun_tui.launch.record.state import Cell
from sparkrun_tui.memory.result import HostMemory, HostPicture, Part
from sparkrun_tui.recipe.model import Source, SourceKind
from sparkrun_tui.recipe.search.entry import Entry
from sparkrun_tui.ui.app.launch_poll import LaunchPoll
from sparkrun_tui.ui.ink import clip, fit, spread, text_of, width_of, wrap, wrap_line
from sparkrun_tui.ui.model.edits import Edits
from sparkrun_tui.ui.paint.launch.log_text import trimmed
from sparkrun_tui.ui.paint.launch.phases import cell_text, progress_bar, spark
from sparkrun_tui.ui.paint.recipe.command_view import shell_lines, yaml_lines
from sparkrun_tui.ui.paint.recipe.list_rows import hosts_word, short_count
from sparkrun_tui.ui.paint.recipe.memory_bar import bar, host_line, numbers
from sparkrun_tui.ui.widgets.log.source import Finder, HostLog, MergedLog

from .fakes import FakeLaunch


@given(st.text(), st.integers(1, 60))
def test_fit_takes_exactly_its_width(text: str, width: int) -> None:
    assert cell_len(fit(text.replace("\n", " "), width)) <= width


@given(
    st.lists(st.tuples(st.text(st.characters(codec="ascii", categories=["L", "N"])), st.just("dim"))),
    st.integers(1, 40),
)
def test_clip_never_exceeds_its_width(line: list[tuple[str, str]], width: int) -> None:
    assert width_of(clip(line, width)) <= width


@given(st.text(st.sampled_from("ab -\\"), max_size=80), st.integers(8, 40))
def test_wrapping_loses_no_word(text: str, width: int) -> None:
    rows = wrap_line([(text, "")], width, indent=4)
    assert "".join("".join(part for part, _ in row) for row in rows).split() == text.split() or len(rows) > 1
    joined = "".join(text_of(row).strip() for row in rows).replace(" ", "")
    assert joined == text.replace(" ", "")


def test_paragraphs_break_at_blanks() -> None:
    assert wrap("one two three", 7) == ["one two", "three"]
    assert wrap("abcdefghij", 4) == ["abcd", "efgh", "ij"]


def test_the_right_side_keeps_its_place() -> None:
    assert text_of(spread([("a long left side", "")], [("right", "")], 12)) == "a long…right"


def picture(free: int | None = 24 * GIB, budget: int | None = 90 * GIB) -> HostPicture:
    host = HostMemory("spark-1", 120 * GIB, 110 * GIB, False, "probed")
    parts = [Part(kind, size * GIB, size * GIB, size * GIB, "") for kind, size in (("weights", 40), ("kv", 40))]
    parts.append(Part("graphs", 10 * GIB, 10 * GIB, 10 * GIB, ""))
    return HostPicture(host, tuple(parts), budget, free, 4 * GIB, 8 * GIB)


def test_the_bar_is_to_scale() -> None:
    text = text_of(bar(picture(), 120))
    assert len(text) == 120
    assert text.count("█") == 40
    assert text.count("▓") == 40
    assert text.index("│") == 90
    assert text.index("┊") == 112


def test_a_bar_says_how_much_is_left_or_that_it_is_not_known() -> None:
    assert "24 of 120.0 GiB left" in text_of(host_line(picture(), 8, 60, short=True))
    assert "? of 120.0 GiB left" in text_of(host_line(picture(free=None), 8, 60, short=True))
    assert any("weights 40.0" in text_of(part) for part in numbers(picture()))


@pytest.mark.parametrize(
    ("count", "text"), [(122_000_000_000, "122B"), (1_700_000_000, "1.7B"), (350_000_000, "350M"), (None, "")]
)
def test_counts_are_short(count: int | None, text: str) -> None:
    assert short_count(count) == text


@pytest.mark.parametrize(
    ("low", "high", "nodes", "word"), [(1, 1, 1, "1"), (1, None, 1, "1+"), (2, 4, 2, "2-4"), (1, None, 2, "1-2+")]
)
def test_hosts_are_told_as_a_range(low: int, high: int | None, nodes: int, word: str) -> None:
    entry = Entry("x", Source(SourceKind.USER, "x"), min_nodes=low, max_nodes=high, nodes=nodes)
    assert hosts_word(entry) == word


def test_cells_say_how_far_or_how_long() -> None:
    running = Cell(StepState.RUNNING, done=71.0, total=100.0, rate=212.0 * (1 << 20), started=0.0)
    assert cell_text(running, 10.0, 20) == "71 % 212M/s"
    assert cell_text(Cell(StepState.RUNNING, started=0.0), 247.0, 20) == "4:07"
    assert cell_text(Cell(StepState.OK, started=0.0, ended=72.0), 100.0, 20) == "1:12"
    assert cell_text(Cell(StepState.SKIPPED, detail="cached"), 100.0, 20) == "cached"


def test_progress_bars_are_to_scale() -> None:
    assert text_of(progress_bar(0.5, 10)) == "█████░░░░░"
    assert text_of(progress_bar(2.0, 4)) == "████"
    assert spark([0, 50, 100], 100, 4) == " ▁▅█"


def test_flags_strings_and_comments_are_told_apart() -> None:
    styles = {
        text.strip(): style for line in shell_lines("vllm serve --port 8000 'a b' # why", 80) for text, style in line
    }
    assert styles["--port"] == "flag"
    assert styles["8000"] == "number"
    assert styles["'a b'"] == "string"
    assert styles["# why"] == "comment"


def test_source_lines_have_numbers_and_marks() -> None:
    lines = [text_of(line) for line in yaml_lines("name: x\nmodel: y\n", 40, {2: "bad"})]
    assert lines == ["1  name: x", "2▶ model: y"]


def test_edits_undo_redo_and_drafts() -> None:
    edits = Edits()
    edits.set("port", "1")
    edits.update({"port": "2", "tp": "2"})
    edits.draft("port", "3")
    assert edits.overrides["port"] == "3" and edits.kept["port"] == "2"
    edits.drop_draft()
    edits.undo()
    assert edits.kept == {"port": "1"}
    edits.redo()
    assert edits.kept == {"port": "2", "tp": "2"}
    edits.reset("tp")
    edits.reset_all()
    assert edits.kept == {}
    edits.undo()
    assert edits.kept == {"port": "2"} and edits.can_redo


def lines(*texts: str, time: float = 0.0) -> list[LogLine]:
    return [LogLine(time + number, "stdout", text) for number, text in enumerate(texts)]


def test_merged_logs_are_in_order_of_time_and_keep_their_place() -> None:
    one, two = LogBuffer(), LogBuffer()
    merged = MergedLog({"a": one, "b": two})
    one.extend(lines("a0", time=5.0))
    two.extend(lines("b0", time=1.0))
    merged.pull()
    one.extend(lines("late", time=0.0))
    merged.pull()
    assert [merged.get(number)[1].text for number in range(merged.end)] == ["b0", "a0", "late"]


def test_merged_logs_are_bounded() -> None:
    buffer = LogBuffer(100)
    merged = MergedLog({"a": buffer}, capacity=50)
    for number in range(40):
        buffer.extend(lines(*(f"{number}.{index}" for index in range(10))))
        merged.pull()
    assert merged.end == 400
    assert merged.end - merged.first <= 63
    assert merged.get(399)[1].text == "39.9"


def test_a_search_goes_on_in_new_lines_and_forgets_old_ones() -> None:
    buffer = LogBuffer(100)
    source = HostLog({"a": buffer}, "a")
    buffer.extend(lines(*(f"line {number}" for number in range(100))))
    finder = Finder("LINE 7")
    assert not finder.advance(source) and finder.matches == []
    finder = Finder("line 7")
    finder.advance(source)
    assert finder.matches == [7, *range(70, 80)]
    assert finder.after(7) == 70 and finder.before(7) == 79 and finder.after(79) == 7
    buffer.extend(lines(*(f"other {number}" for number in range(50))))
    finder.advance(source)
    assert finder.matches[0] >= source.first


class Clock:
    """Counts the timers that run."""

    def __init__(self) -> None:
        self.running = 0

    def set_interval(self, interval: float, callback: Callable[[], None]) -> Any:
        self.running += 1
        return SimpleNamespace(stop=self._stop)

    def _stop(self) -> None:
        self.running -= 1


def test_the_tick_tells_changes_once_and_stops_when_all_is_over() -> None:
    clock = Clock()
    launch_poll = LaunchPoll(clock)
    assert clock.running == 0, "nothing is watched, nothing ticks"
    launch = FakeLaunch("x", ["a"])
    told: list[tuple[bool, bool]] = []
    launch_poll.watch(launch, lambda state, logs: told.append((state, logs)))
    assert told == [(True, True)] and clock.running == 1
    launch_poll.tick()
    assert len(told) == 1
    launch.print("a", "line")
    launch_poll.tick()
    assert told[-1] == (False, True)
    launch.send(StatusChanged(status=LaunchStatus.STOPPED))
    launch_poll.tick()
    assert told[-1] == (True, False)
    for _ in range(30):
        launch_poll.tick()
    assert clock.running == 0


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        ("(EngineCore pid=248) INFO 11-24 16:08:41 [core.py:97] Initializing", "(EngineCore) Initializing"),
        (
            "(RayWorkerProc pid=278) (Worker_TP0 pid=278) WARNING 11-24 16:08:42 [ray.py:1] odd",
            "(Worker_TP0) WARNING odd",
        ),
        ("(RayWorkerProc pid=278) Loading safetensors", "(RayWorkerProc) Loading safetensors"),
        ("INFO 11-24 16:08:39 [api_utils.py:273] vLLM", "vLLM"),
        ("[2026-11-24 16:06:11 TP0] server_args", "(TP0) server_args"),
        ("[2026-11-24 16:06:21] INFO:     Started", "INFO:     Started"),
        ("2026-11-24 16:08:32,956 INFO usage_lib.py:448 -- Usage", "Usage"),
        ("0.00.500.613 W srv  llama_server: odd", "WARN srv  llama_server: odd"),
        ("plain words (pid=3) stay", "plain words (pid=3) stay"),
        ("", ""),
    ],
)
def test_prefixes_of_engines_are_left_out(printed: str, shown: str) -> None:
    assert trimmed(printed) == shown
