"""A log on the line API: paints only visible rows, follows, pauses, searches, and draws its own thumb."""

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
from sparkrun_tui.launch.record.logs import LogLine
from sparkrun_tui.ui.actions import Scope, bindings
from sparkrun_tui.ui.actor import Actor
from sparkrun_tui.ui.ink import Span, clip, fit, wrap_line
from sparkrun_tui.ui.paint.launch.log_text import trimmed
from sparkrun_tui.ui.widgets.line_pane import LinePane
from sparkrun_tui.ui.widgets.log.source import Finder, LogSource

_BAD = ("ERROR", "Error:", "Traceback", "CRITICAL", "FATAL", "panic:")
_TIGHT = ("WARN",)
_STEP = 12
"""Cells moved sideways by one key."""


class LogView(LinePane, Actor, can_focus=True):
    """One log with a title row above and a status row below. `top` is the number of the first line shown."""

    BINDINGS = bindings(Scope.LOG)

    def __init__(self, source: LogSource, title: str, *, over: bool = False, id: str | None = None) -> None:
        """`over` is for a log that gets no more lines."""
        super().__init__(id=id)
        self._over = over
        self.source = source
        self.title = title
        self.following = True
        self.wrapping = False
        self.trimming = True
        self.finder: Finder | None = None
        self.at_match: int | None = None
        self._tags: dict[str, str] = {}
        self._tag_width = 0
        self._left = 0
        self._seen = 0
        self._pulled = 0
        self._rows: list[tuple[int, int, list[Span]]] = []

    def tag(self, hosts: Sequence[str]) -> None:
        """Show in front of each line which of `hosts` it is from."""
        self._tags = {host: f"host{number % 4 + 1}" for number, host in enumerate(hosts)}
        self._tag_width = max((cell_len(clean_line(host)) for host in hosts), default=0)
        self.refresh()

    # New lines.

    @property
    def has_news(self) -> bool:
        """Whether lines have arrived since `pull`."""
        return self.source.end != self._pulled

    def pull(self) -> None:
        """New lines have arrived: repaint only what changes."""
        self._pulled = self.source.end
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

    def _layout(self) -> list[tuple[int, int, list[Span]]]:
        source, page = self.source, self.page
        if self.following:
            rows: list[tuple[int, int, list[Span]]] = []
            number = source.end
            while number > source.first and len(rows) < page:
                number -= 1
                rows = self._rows_of(number) + rows
            self.top = number
            return rows[-page:]
        self._clamp()
        rows = []
        for number in range(self.top, min(self.top + page, source.end)):
            rows += self._rows_of(number)
            if len(rows) >= page:
                break
        return rows[:page]

    def _rows_of(self, number: int) -> list[tuple[int, int, list[Span]]]:
        host, line = self.source.get(number)
        spans = self._spans(host, line, number)
        if not self.wrapping:
            return [(number, 0, spans)]
        rows, offset = [], 0
        for row in wrap_line(spans, self.text_width, indent=9):
            rows.append((number, offset, row))
            offset += sum(len(text) for text, _ in row)
        return rows

    def _spans(self, host: str, line: LogLine, number: int) -> list[Span]:
        text = trimmed(line.text) if self.trimming else line.text
        style = "accent" if line.stream == "app" else ""
        if any(word in text for word in _BAD):
            style = "bad"
        elif any(word in text for word in _TIGHT):
            style = "tight"
        spans: list[Span] = [(time.strftime("%H:%M:%S ", time.localtime(line.time)), "dim")]
        if self._tags:
            spans.append((f"{fit(clean_line(host), self._tag_width)} ", self._tags.get(host, "")))
        if self.finder is None:
            return [*spans, (text, style)]
        end = 0
        for start, stop in self.finder.spans(text):
            spans += [
                (text[end:start], style),
                (text[start:stop], "found bold" if number == self.at_match else "found"),
            ]
            end = stop
        return [*spans, (text[end:], style)]

    def render_line(self, y: int) -> Strip:
        """The title, a row of the log, or the status."""
        width, height = self.size
        if y == 0:
            return self._whole_width(self._title(width))
        if y == height - 1 and height > 2:
            return self._whole_width(self._status(width))
        if y - 1 >= len(self._rows):
            return Strip([Segment(" " * width, self._base)], width)
        number, offset, spans = self._rows[y - 1]
        strip = Strip([Segment(text, self.ink(names)) for text, names in spans if text])
        selection = self.text_selection
        if selection is not None:
            strip = self._selected(strip, selection, number)
        left = 0 if self.wrapping else self._left
        strip = strip.crop_extend(left, left + self.text_width, self._base).apply_offsets(left + offset, number)
        return Strip.join([strip, Strip([self._thumb(y - 1)], 1)])

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
        count = f" {self.source.end:,} lines {bar}"
        style = "accent" if self.has_focus else "dim"
        rule = bar * max(width - cell_len(name) - len(count), 0)
        return clip([(name, f"{style} bold" if self.has_focus else "bold"), (rule, style), (count, style)], width)

    def _status(self, width: int) -> list[Span]:
        spans: list[Span]
        if self._over:
            spans = [("▏as it was recorded", "dim")]
        elif self.following:
            spans = [("▏following", "dim")]
        elif self.pending:
            spans = [("▏paused ", "tight"), (f" {self.pending:,} new ↓ G ", "demo")]
        else:
            spans = [("▏paused", "tight"), ("  press space or G to follow", "dim")]
        if not self.following and self.source.first and self.top == self.source.first:
            spans.append(
                (f"   {self.source.first:,} earlier lines are not in memory: save the logs to read them", "tight")
            )
        if self.finder is not None:
            found = len(self.finder.matches)
            place = f"{self.finder.place(self.at_match)} of " if self.at_match is not None and found else ""
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
        if lines < 0:
            self.pause()
        elif self.following:
            return
        self.top += lines
        self._clamp()
        if lines > 0 and self.top >= self.source.end - self.page:
            self.follow()
        self.refresh()

    def show_line(self, number: int) -> None:
        """Show a line in the middle of the pane."""
        self.pause()
        self.top = number - self.page // 2
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
        self.at_match = None
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
        return ""

    def do_next_match(self) -> None:
        """Go to the next match."""
        if self.finder is not None:
            here = self.at_match if self.at_match is not None else self.top - 1
            self._go(self.finder.after(here))

    def do_previous_match(self) -> None:
        """Go to the previous match."""
        if self.finder is not None:
            here = self.at_match if self.at_match is not None else self.top + self.page
            self._go(self.finder.before(here))

    def _go(self, number: int | None) -> None:
        if number is None:
            self.sparkrun.say("no match in this log", "warning")
            return
        self.at_match = number
        self.show_line(number)

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
        self.pause()
        self.top = self.source.first
        self.refresh()

    def do_last(self) -> None:
        """Go to the newest line and follow."""
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
        self.wrapping = not self.wrapping
        self.refresh()

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
            lines.append("".join(text for text, _ in self._spans(host, line, number)))
        moved = Selection(
            selection.start and selection.start - (0, first), selection.end and selection.end - (0, first)
        )
        return moved.extract("\n".join(lines)), "\n"
