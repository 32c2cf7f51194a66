"""A log on the line API: paints only visible rows, follows, pauses, searches, filters, and draws its own thumb."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.cells import cell_len
from rich.segment import Segment
from textual import events
from textual.geometry import Region
from textual.selection import Selection
from textual.strip import Strip

from sparkrun_tui.base.text import clean_line
from sparkrun_tui.engines.logs.levels import LineLevel, level_of
from sparkrun_tui.launch.record.logs import LogLine
from sparkrun_tui.ui.actions import Scope, bindings
from sparkrun_tui.ui.actor import Actor
from sparkrun_tui.ui.ink import Span, clip, fit, text_of
from sparkrun_tui.ui.model.layout import Layout
from sparkrun_tui.ui.paint.launch.log_rows import LogRow, wrapped
from sparkrun_tui.ui.paint.launch.log_text import trimmed
from sparkrun_tui.ui.widgets.line_pane import LinePane
from sparkrun_tui.ui.widgets.log.source import FilteredLog, Finder, LineFilter, LogSource

_STYLES = {LineLevel.ERROR: "bad", LineLevel.WARNING: "tight", LineLevel.ALL: ""}
_LEVEL_WORDS = {LineLevel.WARNING: "warnings and errors", LineLevel.ERROR: "errors"}
_STEP = 12
"""Cells moved sideways by one key."""
_SLICE = 0.01
"""Seconds for which warnings are looked for at a time."""
_FEW = 50
"""Lines that are taken apart between two looks at the clock."""


class LogView(LinePane, Actor, can_focus=True):
    """One log with a title row above and a status row below. `top` is the number of the first line shown."""

    BINDINGS = bindings(Scope.LOG)

    def __init__(
        self, source: LogSource, title: str, layout: Layout, *, over: bool = False, id: str | None = None
    ) -> None:
        """`over` is for a log that gets no more lines."""
        super().__init__(id=id)
        self._over = over
        self._whole_log = source
        self.source: LogSource = source
        """The lines that are shown: all, or those that pass the filter."""
        self.filter = LineFilter()
        self.title = title
        self._kept = layout
        self.following = True
        self.trimming = True
        self.finder: Finder | None = None
        self.at_line: int | None = None
        """The line that a key went to: a match, a warning."""
        self._range: tuple[int, int] | None = None
        """The line where a range to copy begins, and the one where it ends now."""
        self._place: int | None = None
        """The line of the whole log that is to be shown once the filter has come so far."""
        self._seeking = 0
        self._tags: dict[str, str] = {}
        self._tag_width = 0
        self._left = 0
        self._seen = 0
        self._pulled = 0
        self._rows: list[LogRow] = []

    @property
    def wrapping(self) -> bool:
        """Whether long lines take several rows."""
        return not self._kept.cut_lines

    def tag(self, hosts: Sequence[str]) -> None:
        """Show in front of each line which of `hosts` it is from."""
        self._tags = {host: f"host{number % 4 + 1}" for number, host in enumerate(hosts)}
        self._tag_width = max((cell_len(clean_line(host)) for host in hosts), default=0)
        self.refresh()

    # New lines.

    @property
    def has_news(self) -> bool:
        """Whether lines have arrived since `pull`."""
        return self._whole_log.end != self._pulled

    def pull(self) -> None:
        """New lines have arrived: repaint only what changes."""
        end = self._whole_log.end
        if not isinstance(self.source, FilteredLog) or not self.source.advance():
            self._pulled = end
        if self.finder is not None:
            self.finder.advance(self.source)
        if self.following:
            self.refresh()
        elif self.top < self.source.first:
            self.top = self.source.first
            self.refresh()
        else:
            width, height = self.size
            self.refresh(Region(0, 0, width, 1), Region(0, height - 1, width, 1))

    @property
    def page(self) -> int:
        """Rows of the log, without title and status."""
        return max(self.size.height - 2, 1)

    @property
    def pending(self) -> int:
        """Lines that arrived since following stopped."""
        return 0 if self.following else max(self.source.end - self._seen, 0)

    # Painting.

    def render_lines(self, crop: Region) -> list[Strip]:
        """Lay out the visible rows once, then render."""
        self._rows = self._layout()
        return super().render_lines(crop)

    def _clamp(self) -> None:
        last = self.source.end - (1 if self.wrapping else self.page)
        self.top = max(min(self.top, last), self.source.first)

    def _layout(self) -> list[LogRow]:
        source, page = self.source, self.page
        if self.following:
            newest: list[list[LogRow]] = []
            number, count = source.end, 0
            while number > source.first and count < page:
                number -= 1
                newest.append(self._rows_of(number))
                count += len(newest[-1])
            self.top = number
            return [row for rows in reversed(newest) for row in rows][-page:]
        self._clamp()
        rows: list[LogRow] = []
        for number in range(self.top, min(self.top + page, source.end)):
            rows += self._rows_of(number)
            if len(rows) >= page:
                break
        return rows[:page]

    def _rows_of(self, number: int) -> list[LogRow]:
        host, line = self.source.get(number)
        spans = self._spans(host, line)
        if not self.wrapping:
            return [LogRow(number, 0, 0, spans)]
        return wrapped(number, spans, self.text_width, hanging=2 if self._kept.no_times else 9)

    def _above(self, number: int, rows: int) -> int:
        """The line from which `number` is shown `rows` rows below the first one, or fewer."""
        if not self.wrapping:
            return max(number - rows, self.source.first)
        while number > self.source.first:
            rows -= len(self._rows_of(number - 1))
            if rows < 0:
                break
            number -= 1
        return number

    def _spans(self, host: str, line: LogLine) -> list[Span]:
        text = trimmed(line.text) if self.trimming else line.text
        style = "accent" if line.stream == "app" else _STYLES[level_of(line.text)]
        spans: list[Span] = []
        if not self._kept.no_times:
            spans.append((time.strftime("%H:%M:%S ", time.localtime(line.time)), "dim"))
        if self._tags:
            spans.append((f"{fit(clean_line(host), self._tag_width)} ", self._tags.get(host, "")))
        end = 0
        for start, stop in self._marks(text):
            spans += [(text[end:start], style), (text[start:stop], "found")]
            end = stop
        return [*spans, (text[end:], style)]

    def _marks(self, text: str) -> list[tuple[int, int]]:
        """The places in a line that a search or a filter has found."""
        if self.finder is not None:
            return self.finder.spans(text)
        if self.filter.pattern is not None:
            return self.filter.pattern.spans(text)
        return []

    def _line_style(self, number: int) -> str:
        """The look of a whole line: in the range to copy, or gone to by a key."""
        if self._range is not None:
            return "picked" if min(self._range) <= number <= max(self._range) else ""
        return "cursor-blur" if number == self.at_line else ""

    def render_line(self, y: int) -> Strip:
        """The title, a row of the log, or the status."""
        width, height = self.size
        if y == 0:
            return self._whole_width(self._title(width))
        if y == height - 1 and height > 2:
            return self._whole_width(self._status(width))
        if y - 1 >= len(self._rows):
            return Strip([Segment(" " * width, self._base)], width)
        row = self._rows[y - 1]
        over = self._line_style(row.number)
        strip = Strip([Segment(text, self.ink(f"{names} {over}")) for text, names in row.spans if text])
        selection = self.text_selection
        if selection is not None:
            strip = self._selected_part(strip, selection, row)
        left = 0 if self.wrapping else self._left
        width = self.text_width - row.indent
        strip = strip.crop_extend(left, left + width, self.ink(over)).apply_offsets(left + row.start, row.number)
        indent = Strip([Segment(" " * row.indent, self.ink(over))], row.indent)
        return Strip.join([indent, strip, Strip([self._thumb(y - 1)], 1)])

    def _selected_part(self, strip: Strip, selection: Selection, row: LogRow) -> Strip:
        """A row with what is selected of it."""
        span = selection.get_span(row.number)
        if span is None:
            return strip
        start, end = span
        if end == -1:
            end = row.end
        start, end = max(start - row.start, 0), min(end - row.start, strip.cell_length)
        if start >= end:
            return strip
        style = self.screen.get_component_rich_style("screen--selection")
        before, middle, after = strip.crop(0, start), strip.crop(start, end), strip.crop(end)
        return Strip.join([before, middle.apply_style(style), after])

    def _whole_width(self, spans: Sequence[Span]) -> Strip:
        strip = Strip([Segment(text, self.ink(names)) for text, names in spans])
        return strip.adjust_cell_length(self.size.width, self._base)

    def _thumb(self, y: int) -> Segment:
        source, page = self.source, self.page
        count = source.end - source.first
        if count <= page:
            return Segment(" ", self._base)
        size = max(page * page // count, 1)
        start = round((page - size) * (self.top - source.first) / max(count - page, 1))
        return Segment("▐" if start <= y < start + size else " ", self.ink("thumb"))

    def _title(self, width: int) -> list[Span]:
        bar = "━" if self.has_focus else "─"  # the focus can be seen without colour, too
        name = f"{bar} {clean_line(self.title)} "
        count = f" {self._count_words()} {bar}"
        style = "accent" if self.has_focus else "dim"
        rule = bar * max(width - cell_len(name) - len(count), 0)
        return clip([(name, f"{style} bold" if self.has_focus else "bold"), (rule, style), (count, style)], width)

    def _count_words(self) -> str:
        """How many lines there are, and how many of them are shown."""
        total = self._whole_log.end
        lines = "line" if total == 1 else "lines"
        if self.source is self._whole_log:
            return f"{total:,} {lines}"
        return f"{self.source.end - self.source.first:,} of {total:,} {lines}"

    def _status(self, width: int) -> list[Span]:
        spans: list[Span]
        if self._range is not None:
            count = max(self._range) - min(self._range) + 1
            words = "line" if count == 1 else "lines"
            spans = [(f"▏{count:,} {words} chosen", "tight"), ("  y copies, esc ends", "dim")]
        elif self._over:
            spans = [("▏as it was recorded", "dim")]
        elif self.following:
            spans = [("▏following", "dim")]
        elif self.pending:
            spans = [("▏paused ", "tight"), (f" {self.pending:,} new ↓ G ", "demo")]
        else:
            spans = [("▏paused", "tight"), ("  press space or G to follow", "dim")]
        gone = self._whole_log.first
        if not self.following and gone and self.top == self.source.first:
            spans.append((f"   {gone:,} earlier lines are not in memory: save the logs to read them", "tight"))
        if self.filter.least is not LineLevel.ALL:
            spans.append((f"   {_LEVEL_WORDS[self.filter.least]} only", "accent"))
        if self.filter.pattern is not None:
            spans.append((f"   &{clean_line(self.filter.pattern.text)}", "accent"))
        if self.finder is not None:
            found = len(self.finder.matches)
            place = ""
            if self.at_line is not None and self.at_line in self.finder.matches:
                place = f"{self.finder.place(self.at_line)} of "
            spans.append((f"   /{clean_line(self.finder.text)}  {place}{found:,} found", "accent"))
        return clip(spans, width)

    # Moving.

    def pause(self) -> None:
        """Stop following; what is shown stays."""
        if self.following:
            self.following = False
            self._seen = self.source.end
            self.refresh()

    def follow(self) -> None:
        """Show the newest lines from now on."""
        self.following = True
        self.refresh()

    def scroll_lines(self, lines: int) -> None:
        """Move; going up stops following, arriving at the end begins it again."""
        if self._range is not None:
            self._move_range(self._range[1] + lines)
            return
        if lines < 0:
            self.pause()
        elif self.following:
            return
        self.top += lines
        self._clamp()
        if lines > 0 and self._shows_end:
            self.follow()
        self.refresh()

    @property
    def _shows_end(self) -> bool:
        """Whether the newest line is in sight."""
        if not self.wrapping:
            return self.top >= self.source.end - self.page
        return self.top >= self._above(self.source.end - 1, self.page - 1)

    def show_line(self, number: int) -> None:
        """Show a line in the middle of the pane."""
        self.pause()
        self.top = self._above(number, self.page // 2)
        self._clamp()
        self.refresh()

    def on_focus(self) -> None:
        """The title looks different with the focus."""
        self.refresh()

    def on_blur(self) -> None:
        """The title looks different with the focus."""
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        """A click on the status row resumes following."""
        if event.y == self.size.height - 1:
            self.follow()

    # Searching.

    def find(self, text: str) -> None:
        """Search for `text`; empty ends it."""
        self.finder = Finder(text) if text else None
        self.at_line = None
        if self.finder is not None:
            self._scan(self.finder)
        self.refresh()

    def _scan(self, finder: Finder) -> None:
        """Search all lines a slice at a time, so that the app stays responsive."""
        if finder is self.finder and self.is_attached:
            if finder.advance(self.source):
                self.set_timer(0.001, lambda: self._scan(finder))
            self.refresh()

    def why_not(self, name: str) -> str:
        """Going to a match needs a search."""
        if name in ("next_match", "previous_match") and self.finder is None:
            return "There is no search: press / to start one."
        if name == "range" and self.source.end == self.source.first:
            return "There are no lines."
        return ""

    def do_next_match(self) -> None:
        """Go to the next match."""
        if self.finder is not None:
            here = self.at_line if self.at_line is not None else self.top - 1
            self._go(self.finder.after(here))

    def do_previous_match(self) -> None:
        """Go to the previous match."""
        if self.finder is not None:
            here = self.at_line if self.at_line is not None else self.top + self.page
            self._go(self.finder.before(here))

    def _go(self, number: int | None) -> None:
        if number is None:
            self.sparkrun.say("no match in this log", "warning")
            return
        self._go_to(number)

    def _go_to(self, number: int) -> None:
        """Show a line and mark it as the one that was gone to."""
        self.at_line = number
        if self._range is not None:
            self._move_range(number)
        self.show_line(number)

    # Filtering.

    def sift(self, wanted: LineFilter) -> None:
        """Show only the lines that pass a filter; what was in sight stays in sight as far as it passes."""
        if wanted == self.filter:
            return
        self._place = None
        if not self.following and self.source.first <= self.top < self.source.end:
            self._place = self.top
            if isinstance(self.source, FilteredLog):
                self._place = self.source.number_in_whole(self.top)
        self.filter = wanted
        self._range = self.at_line = None
        self._seeking += 1
        self.source = self._whole_log
        if not wanted.shows_all:
            self.source = FilteredLog(self._whole_log, wanted)
        if self.finder is not None:
            self.finder = Finder(self.finder.text)
        self._sift_more(self.source)

    def _sift_more(self, source: LogSource) -> None:
        """Look at all lines a slice at a time."""
        if source is not self.source or not self.is_attached:
            return
        more = isinstance(source, FilteredLog) and source.advance()
        if self._place is not None:
            nearest = source.nearest(self._place) if isinstance(source, FilteredLog) else self._place
            self.top = nearest
            self._clamp()
        if more:
            self.set_timer(0.001, lambda: self._sift_more(source))
        else:
            self._place = None
            if self.finder is not None:
                self._scan(self.finder)
        self.refresh()

    def do_next_trouble(self) -> None:
        """Go to the next warning or error."""
        start = self.source.first if self.following else self.top
        if self.at_line is not None:
            start = self.at_line + 1
        self._seek(start, 1)

    def do_previous_trouble(self) -> None:
        """Go to the previous warning or error."""
        start = self.source.end if self.following else self.top
        if self.at_line is not None:
            start = self.at_line
        self._seek(start - 1, -1)

    def _seek(self, start: int, step: int) -> None:
        """Go to the first warning or error from a line on, going round at the end."""
        first, count = self.source.first, self.source.end - self.source.first
        self._seeking += 1
        self._seek_more([first + (start - first + step * place) % count for place in range(count)], 0, self._seeking)

    def _seek_more(self, numbers: Sequence[int], at: int, seeking: int) -> None:
        """Look at the lines from the place `at` on, a slice at a time."""
        if seeking != self._seeking or not self.is_attached:
            return
        until = time.perf_counter() + _SLICE
        while at < len(numbers) and time.perf_counter() < until:
            for number in numbers[at : at + _FEW]:
                if number >= self.source.first and level_of(self.source.get(number)[1].text) is not LineLevel.ALL:
                    self._go_to(number)
                    return
            at += _FEW
        if at < len(numbers):
            self.set_timer(0.001, lambda: self._seek_more(numbers, at, seeking))
        else:
            self.sparkrun.say("There is no warning or error in this log.")

    # A range of lines to copy.

    def do_range(self) -> None:
        """Begin a range at the line that was gone to, else at the newest line or the first one in sight."""
        if self._range is not None:
            self.end_range()
            return
        begin = self.source.end - 1 if self.following else self.top
        if self.at_line is not None and self.top <= self.at_line < self.top + self.page:
            begin = self.at_line
        self.pause()
        self._range = (begin, begin)
        self.refresh()

    @property
    def has_range(self) -> bool:
        """Whether a range is being chosen."""
        return self._range is not None

    def end_range(self) -> None:
        """Forget the range."""
        self._range = None
        self.refresh()

    def _move_range(self, number: int) -> None:
        assert self._range is not None
        number = min(max(number, self.source.first), self.source.end - 1)
        self._range = (self._range[0], number)
        if number < self.top:
            self.top = number
        else:
            self.top = max(self.top, self._above(number, self.page - 1))
        self.refresh()

    @property
    def range_text(self) -> str:
        """The lines of the range, as they are shown but not wrapped."""
        if self._range is None:
            return ""
        first, last = max(min(self._range), self.source.first), max(self._range)
        return "\n".join(text_of(self._spans(*self.source.get(number))) for number in range(first, last + 1))

    # Keys.

    def do_down(self) -> None:
        """Move down a line."""
        self.scroll_lines(1)

    def do_up(self) -> None:
        """Move up a line."""
        self.scroll_lines(-1)

    def do_page_down(self) -> None:
        """Move down by a page."""
        self.scroll_lines(self.page - 1)

    def do_page_up(self) -> None:
        """Move up by a page."""
        self.scroll_lines(1 - self.page)

    def do_first(self) -> None:
        """Go to the oldest line kept."""
        if self._range is not None:
            self._move_range(self.source.first)
            return
        self.pause()
        self.top = self.source.first
        self.refresh()

    def do_last(self) -> None:
        """Go to the newest line and follow."""
        if self._range is not None:
            self._move_range(self.source.end - 1)
            return
        self.follow()

    def do_left(self) -> None:
        """Move left along long lines."""
        self._left = max(self._left - _STEP, 0)
        self.refresh()

    def do_right(self) -> None:
        """Move right along long lines."""
        self._left += _STEP
        self.refresh()

    def do_pause(self) -> None:
        """Stop following, or follow."""
        if self.following:
            self.pause()
        else:
            self.follow()

    def do_wrap(self) -> None:
        """Wrap long lines, or cut them."""
        self._kept.cut_lines = not self._kept.cut_lines
        self._left = 0
        self._kept_changed()

    def do_times(self) -> None:
        """Show the time of each line, or not."""
        self._kept.no_times = not self._kept.no_times
        self._kept_changed()

    def _kept_changed(self) -> None:
        """What holds for every log has changed."""
        self.sparkrun.keep_soon()
        for view in self.screen.query(LogView):
            view.refresh()

    def do_raw(self) -> None:
        """Lines as they were printed, or without the engine's own prefix."""
        self.trimming = not self.trimming
        self.refresh()

    # Selecting.

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """The text selected in the log."""
        first = max(selection.start.y if selection.start else self.source.first, self.source.first)
        last = min(selection.end.y if selection.end else self.source.end - 1, self.source.end - 1)
        lines = []
        for number in range(first, last + 1):
            host, line = self.source.get(number)
            lines.append(text_of(self._spans(host, line)))
        moved = Selection(
            selection.start and selection.start - (0, first), selection.end and selection.end - (0, first)
        )
        return moved.extract("\n".join(lines)), "\n"
