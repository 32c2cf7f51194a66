"""Why a launch failed: the first cause, the log line that shows it, and repairs to choose from."""

from __future__ import annotations

from collections.abc import Sequence

from textual.geometry import Size
from textual.message import Message

from sparkrun_tui.base.text import clean_line, visible_line
from sparkrun_tui.engines.logs.causes import Repair
from sparkrun_tui.launch.record.events import Diagnosed
from sparkrun_tui.ui.actions import Scope, bindings
from sparkrun_tui.ui.ink import Line, Span, clip, width_of, wrap, wrap_line
from sparkrun_tui.ui.widgets.list_pane import ListPane


class RepairList(ListPane):
    """The cause as header lines, the repairs as rows; `enter` applies the current one."""

    BINDINGS = [*bindings(Scope.LIST), *bindings(Scope.REPAIR)]

    class Applied(Message):
        """A repair was chosen."""

        def __init__(self, repair: Repair) -> None:
            super().__init__()
            self.repair = repair

    class Left(Message):
        """The user wants to keep reading."""

    def __init__(self) -> None:
        super().__init__(id="repairs")
        self.diagnosis: Diagnosed | None = None
        self.values: dict[str, str] = {}
        self._head_lines: Sequence[Line] | None = None
        self._head_width = 0
        """The cells that the header lines were laid out for."""

    def show(self, diagnosis: Diagnosed, values: dict[str, str]) -> None:
        """Show a diagnosis; `values` are the current values of the keys that repairs change."""
        self.diagnosis, self.values = diagnosis, values
        self._head_lines = None
        self.cursor = 0
        self.refresh(layout=True)

    @property
    def repairs(self) -> tuple[Repair, ...]:
        """The repairs that are offered."""
        return self.diagnosis.repairs if self.diagnosis else ()

    @property
    def current(self) -> Repair | None:
        """The repair under the cursor."""
        return self.repairs[self.cursor] if self.cursor < len(self.repairs) else None

    def _heads(self, width: int) -> Sequence[Line]:
        if self.diagnosis is None:
            return ()
        lines: list[Line] = []
        if self.diagnosis.explanation:
            lines += [[(row, "")] for row in wrap(clean_line(self.diagnosis.explanation), width)]
        if self.diagnosis.evidence:
            lines += [[(row, "dim")] for row in wrap(clean_line(self.diagnosis.evidence), width)[:3]]
        return [*lines, []] if lines else ()

    @property
    def head(self) -> int:
        """The lines above the repairs."""
        if self._head_lines is None or self._head_width != self.text_width:
            self._head_width = self.text_width
            self._head_lines = self._heads(self._head_width)
        return len(self._head_lines)

    @property
    def row_count(self) -> int:
        """The repairs; without any, the line that says so."""
        return max(len(self.repairs), 1)

    @property
    def line_count(self) -> int:
        """Cause, repairs, and the current one in full where one is cut."""
        return self.head + self.row_count + self._foot_height(self.text_width)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """All of it, as far as there is room."""
        return len(self._heads(width - 1)) + self.row_count + self._foot_height(width - 1)

    def line(self, number: int) -> Line:
        """A line of the cause, a repair, or a line of the current repair in full."""
        if number < self.head:
            assert self._head_lines is not None
            return self._head_lines[number]
        if not self.repairs:
            return [("no repair is known for this: see the logs below", "dim")]
        index = number - self.head
        if index >= len(self.repairs):
            foot = self._foot(self.repairs[self.cursor], self.text_width)
            below = index - len(self.repairs)
            return foot[below] if below < len(foot) else []
        return clip(self._repair(index), self.text_width)

    def _repair(self, index: int) -> list[Span]:
        repair = self.repairs[index]
        spans: list[Span] = [(f"{index + 1}  ", "key")]
        if repair.key:
            before = self.values.get(repair.key, "") or "unset"
            spans.append((f"{visible_line(repair.key)} {visible_line(before)} → {visible_line(repair.value)}", "bold"))
        else:
            spans.append((clean_line(repair.title), "bold"))
        spans.append((f"   {clean_line(repair.why)}", "dim"))
        return spans

    def _foot(self, repair: Repair, width: int) -> list[Line]:
        """A repair in full, on as many lines as it takes."""
        number = self.repairs.index(repair)
        return [[], *wrap_line(self._repair(number), width, indent=3)]

    def _foot_height(self, width: int) -> int:
        """The lines for the current repair in full: the same for each, so that nothing moves; 0 where none is cut."""
        if all(width_of(self._repair(number)) <= width for number in range(len(self.repairs))):
            return 0
        return max(len(self._foot(repair, width)) for repair in self.repairs)

    def move_to(self, row: int, step: int = 1) -> None:
        """The repair in full changes with the cursor."""
        super().move_to(row, step)
        self.refresh()

    def why_not(self, name: str) -> str:
        """Only repairs that set a value can be applied by the app."""
        if name == "apply":
            if self.current is None:
                return "No repair is known for this."
            if not self.current.key:
                return f"This repair has to be done by hand: {self.current.title}"
        return ""

    def do_apply(self) -> None:
        """Apply the current repair."""
        if self.current is not None:
            self.post_message(self.Applied(self.current))

    def do_pick(self, key: str) -> None:
        """Choose by number."""
        if int(key) <= len(self.repairs):
            self.move_to(int(key) - 1)

    def do_read(self) -> None:
        """Keep reading."""
        self.post_message(self.Left())
