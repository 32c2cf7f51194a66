"""The app's gate to the terminal: whatever a widget draws, no control character of it arrives there."""

from __future__ import annotations

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from sparkrun_tui.base.text import visible_line


class Gate(LineFilter):
    """Shows every invisible character of a drawn line as a sign.

    Foreign text is made visible before it is measured and laid out. This is for where that was forgotten, and for
    widgets that draw what they are given, such as a line that is edited. The line keeps its width, which is cut where
    the signs take more.
    """

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The segments of one line with signs for invisible characters; the same list where there are none."""
        shown = [_shown(segment) for segment in segments]
        if all(after is before for after, before in zip(shown, segments, strict=True)):
            return segments
        return Segment.adjust_line_length(shown, Segment.get_line_length(segments))


def _shown(segment: Segment) -> Segment:
    if segment.control:
        # It has no text of its own.
        return segment
    text = visible_line(segment.text)
    if text == segment.text:
        return segment
    return Segment(text, segment.style)
