"""The override form: a virtual list of fields, with one editor drawn over the field being edited."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.segment import Segment
from textual import events, on
from textual.app import ComposeResult
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widgets import Input

from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.base.text import clean_line
from sparkrun_tui.ui.actions import Scope, bindings
from sparkrun_tui.ui.ink import Line, Span, clip, fit, text_of, width_of, wrap
from sparkrun_tui.ui.model.rows import FieldRow
from sparkrun_tui.ui.widgets.form.field_editor import FieldEditor
from sparkrun_tui.ui.widgets.list_pane import ListPane

if TYPE_CHECKING:
    from sparkrun_tui.recipe.search.completion import Completer
    from sparkrun_tui.ui.model.completing import Completing

_NARROWEST = 4
"""The least cells for a value."""

_KEY = late_regex(r"[A-Za-z_][A-Za-z0-9_-]*+(?:\.[A-Za-z0-9_-]++)*")


class FieldList(ListPane):
    """The fields of one recipe. It posts the user's changes; the owner of the values answers with `show`."""

    BINDINGS = [*bindings(Scope.LIST), *bindings(Scope.FORM)]

    class Drafted(Message):
        """A value is being typed."""

        def __init__(self, key: str, text: str) -> None:
            super().__init__()
            self.key = key
            self.text = text

        def can_replace(self, message: Message) -> bool:
            """Only the newest text counts."""
            return isinstance(message, FieldList.Drafted)

    class Typed(Message):
        """A value was typed (`keep`), or typing was cancelled."""

        def __init__(self, key: str, text: str, keep: bool) -> None:
            super().__init__()
            self.key = key
            self.text = text
            self.keep = keep

    class Stepped(Message):
        """A value was stepped up (1) or down (-1)."""

        def __init__(self, key: str, steps: int) -> None:
            super().__init__()
            self.key = key
            self.steps = steps

    class Asked(Message):
        """Another change was requested: `undo`, `redo`, `reset`, `reset_all`."""

        def __init__(self, what: str, key: str) -> None:
            super().__init__()
            self.what = what
            self.key = key

    class Offered(Message):
        """The choices for what is being typed, to be shown at `column` of the row `row`; None when there are none."""

        def __init__(self, completing: Completing | None, column: int, row: int) -> None:
            super().__init__()
            self.completing = completing
            self.column = column
            self.row = row

    def __init__(self, *, id: str | None = None, completer: Callable[[str], Completer | None] | None = None) -> None:
        super().__init__(id=id)
        self._completer = completer or (lambda key: None)
        self.rows: Sequence[FieldRow] = ()
        self.can_undo = False
        self.can_redo = False
        self.editing = ""
        self.adding = False
        self.error = ""
        """What is wrong with the key being added; empty when nothing is."""
        self._editor = FieldEditor(id="field-editor")

    def compose(self) -> ComposeResult:
        """The editor exists from the start and is only moved."""
        self._editor.display = False
        yield self._editor

    # Rows.

    @property
    def line_count(self) -> int:
        """The fields, and the row that adds one."""
        return len(self.rows) + 1

    @property
    def current(self) -> FieldRow | None:
        """The field under the cursor; None on the row that adds one."""
        return self.rows[self.cursor] if 0 <= self.cursor < len(self.rows) else None

    def show(self, rows: Sequence[FieldRow], can_undo: bool = False, can_redo: bool = False) -> None:
        """Show these rows."""
        self.rows = rows
        self.can_undo, self.can_redo = can_undo, can_redo
        self.cursor = min(self.cursor, len(rows))
        self.reveal(self.cursor)
        self.refresh()
        self.refresh_bindings()

    def select(self, key: str) -> None:
        """Put the cursor on the field `key`."""
        for number, row in enumerate(self.rows):
            if row.key == key:
                self.move_to(number)

    @property
    def key_width(self) -> int:
        """The cells for names of keys."""
        longest = max((len(row.key) for row in self.rows), default=8)
        return max(min(longest, self.text_width - 13, 28), 6)

    def line(self, number: int) -> Line:
        """One field."""
        if number >= len(self.rows):
            return [("  + add a key", "accent" if number == self.cursor else "dim")]
        row = self.rows[number]
        width = self.key_width
        tail = self._tail_of(row)
        room = max(self.text_width - width - 3 - width_of(tail), _NARROWEST)
        mark, style = "  ", ""
        if row.changed:
            mark, style = "• ", "changed"
        if row.error:
            style = "invalid"
        return [
            (mark, "changed"),
            (fit(row.key, width), "" if row.used else "dim"),
            (" ", ""),
            (fit(row.shown, room), style),
            *tail,
        ]

    def _tail_of(self, row: FieldRow) -> list[Span]:
        """What is shown at the right of a field, if there is room for it beside the value."""
        tail = _tail(row)
        room = self.text_width - self.key_width - 3 - max(min(cell_len(row.shown), 8), _NARROWEST)
        if width_of(tail) > room:
            tail = [(text.replace("◂ ", "◂"), style) for text, style in tail]
        if width_of(tail) <= room:
            return tail
        return [(" ✗", "bad")] if row.error else []

    # The lines below: the help of the current field, or what is wrong with it.

    def move_to(self, row: int, step: int = 1) -> None:
        """Move, and describe the field below."""
        super().move_to(row, step)
        below = self._lines_below
        if below:
            self.refresh(Region(0, self.size.height - below, self.size.width, below))

    @property
    def _lines_below(self) -> int:
        """How many lines below the fields describe the current one."""
        if self.size.height >= 16:
            return 3
        if self.size.height > 6:
            return 1
        # What is wrong is shown in the smallest form, too.
        return 1 if self.size.height > 2 and self._is_wrong else 0

    @property
    def _is_wrong(self) -> bool:
        """Whether the current field, or the key being added, has an error."""
        row = self.current
        return bool(self.error) or (row is not None and bool(row.error))

    @property
    def page(self) -> int:
        """The rows of fields."""
        return max(self.size.height - self._lines_below, 1)

    def render_line(self, y: int) -> Strip:
        """A field, or one of the lines below the fields."""
        width, height = self.size
        place = y - (height - self._lines_below)
        if place < 0:
            return super().render_line(y)
        row = self.current
        text, style, sign = "", "dim", "  "
        if self.error:
            text, style, sign = self.error, "bad", "✗ "
        elif row is not None and row.error:
            text, style, sign = f"{row.key} {clean_line(row.error)}", "bad", "✗ "
        elif row is not None:
            text = row.help
        rows = wrap(text, width - 3)
        shown = clip([(sign + rows[place], style)], width) if place < len(rows) else []
        strip = Strip([Segment(text, self.ink(names)) for text, names in shown])
        return strip.adjust_cell_length(width, self._base)

    # The editor.

    def why_not(self, name: str) -> str:
        """Undo and redo need a change; the other keys need a field that they work on."""
        row = self.current
        reasons = {
            "undo": (self.can_undo, "There is nothing to undo."),
            "redo": (self.can_redo, "There is nothing to redo."),
            "reset": (row is not None and row.changed, "This field is not overridden."),
            "reset_all": (self._any_changed, "Nothing is overridden."),
        }
        if name in ("more", "less"):
            has_steps = row is not None and (row.steps or bool(row.values))
            if has_steps and row is not None and not row.used:
                return "The command does not use this value: press enter to type one and append its flag."
            return "" if has_steps else "This field has no steps: press enter to type a value."
        possible, reason = reasons.get(name, (True, ""))
        return "" if possible else reason

    @property
    def _any_changed(self) -> bool:
        return any(row.changed for row in self.rows)

    def do_edit(self) -> None:
        """Type a value for the current field."""
        row = self.current
        if row is None:
            self.do_add()
        else:
            self._open(row.key, row.value, secret=row.secret)

    def do_add(self) -> None:
        """Type `key=value` on the last row."""
        self.move_to(len(self.rows))
        self._open("", "", adding=True)

    def _open(self, key: str, text: str, *, adding: bool = False, secret: bool = False) -> None:
        self.reveal(self.cursor)
        self.editing, self.adding = key, adding
        left = self._editor_left
        editor = self._editor
        editor.styles.offset = (left, self.cursor - self.top)
        editor.styles.width = max(self.size.width - left - 1, 6)
        editor.open(text, self._completer(key), adding=adding, secret=secret)

    @property
    def _editor_left(self) -> int:
        """The column where typing begins."""
        return 2 if self.adding else self.key_width + 3

    def take_choice(self, number: int) -> None:
        """A choice of the editor was clicked."""
        self._editor.take(number)

    @on(FieldEditor.Offered)
    def _offered(self, event: FieldEditor.Offered) -> None:
        event.stop()
        self.post_message(self.Offered(event.completing, self._editor_left, self.cursor - self.top))

    @on(Input.Changed, "#field-editor")
    def _typing(self, event: Input.Changed) -> None:
        event.stop()
        if self.editing and not self.adding:
            self.post_message(self.Drafted(self.editing, event.value))

    @on(FieldEditor.Left)
    def _left(self, event: FieldEditor.Left) -> None:
        event.stop()
        editor = self._editor
        if not editor.display:
            return
        key, text, keep = self.editing, editor.value, event.keep
        if self.adding:
            from sparkrun_tui.engines.fields.completion import plain_key  # not before the first paint

            key, _, text = text.partition("=")
            key = plain_key(key)
            keep = keep and bool(key)
            if keep and not _KEY.fullmatch(key) and editor.has_focus:
                self.app.bell()
                self.error = f"{key} is not a valid key: use letters, digits, _ and -, with dots between parts"
                self.refresh()
                return
        had_focus = editor.has_focus
        editor.close()
        self.editing, self.adding, self.error = "", False, ""
        if had_focus:
            self.focus()
        if key and (keep or _KEY.fullmatch(key)):
            self.post_message(self.Typed(key, text.strip(), keep))
        if event.step:
            self.move_to(self.cursor + event.step, event.step)
        self.refresh()

    # Keys.

    def on_click(self, event: events.Click) -> None:
        """A click on the signs at the right of a field uses them; a double click on a field edits it."""
        number = self.top + event.y
        if number > len(self.rows) or event.y >= self.size.height - self._lines_below:
            return
        self.move_to(number)
        if number == len(self.rows):
            self.do_add()
            return
        row = self.rows[number]
        sign = self._sign_at(row, event.x)
        if sign and row.changed and not row.error:
            self.do_reset()
        elif sign == "▸":
            self._step(1)
        elif sign == "◂":
            self._step(-1)
        elif sign == "▾" or event.chain == 2:
            self.do_edit()

    def _sign_at(self, row: FieldRow, column: int) -> str:
        """The character at a column within what is shown at the right of a field; empty outside of it."""
        tail = self._tail_of(row)
        place = column - self.text_width + width_of(tail)
        if place < 0:
            return ""
        return text_of(tail)[place : place + 1]

    def do_more(self) -> None:
        """Step up."""
        self._step(1)

    def do_less(self) -> None:
        """Step down."""
        self._step(-1)

    def _step(self, steps: int) -> None:
        row = self.current
        if row is not None:
            self.post_message(self.Stepped(row.key, steps))

    def do_undo(self) -> None:
        """Undo the last change."""
        self.post_message(self.Asked("undo", ""))

    def do_redo(self) -> None:
        """Redo the last change that was undone."""
        self.post_message(self.Asked("redo", ""))

    def do_reset(self) -> None:
        """Remove the override of the current field."""
        row = self.current
        if row is not None:
            self.post_message(self.Asked("reset", row.key))

    def do_reset_all(self) -> None:
        """Remove every override."""
        self.post_message(self.Asked("reset_all", ""))


def _tail(row: FieldRow) -> list[Span]:
    """What is shown at the right of a field: its error, its own value, or signs for steps and choices."""
    if row.error:
        return [(f" ✗ {clean_line(row.error)}", "bad")]
    if row.changed:
        own = row.own_shown
        if len(own) > 14:
            own = own[:13] + "…"
        return [(f" ◂ {own}", "dim")]
    if not row.used:
        return [(" not used", "dim")]
    if row.values:
        return [(" ▾", "dim")]
    return [(" ◂▸", "dim")] if row.steps else []
