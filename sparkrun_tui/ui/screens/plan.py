"""The plan: what will run where, before anything does."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from textual import events, on
from textual.widget import Widget

from sparkrun_tui.base.errors import SparkrunError
from sparkrun_tui.base.settings import Cluster
from sparkrun_tui.launch.plan.consent import consent_needed, give, question
from sparkrun_tui.launch.plan.plan import OF_TRUST, LaunchPlan
from sparkrun_tui.memory.result import Estimate
from sparkrun_tui.recipe.bundled_files.attachments import find_attachments
from sparkrun_tui.recipe.trust import demand_shown
from sparkrun_tui.recipe.values.masking import redactor
from sparkrun_tui.recipe.values.rendered import Rendered
from sparkrun_tui.ui.actions import Scope, bindings
from sparkrun_tui.ui.ink import Line, wrap
from sparkrun_tui.ui.paint.command_view import shell_lines
from sparkrun_tui.ui.paint.plan_lines import consent_lines, plan_lines
from sparkrun_tui.ui.screens.base import PageScreen
from sparkrun_tui.ui.screens.dialogs.dialog import Confirm
from sparkrun_tui.ui.widgets.list_pane import ListPane
from sparkrun_tui.ui.widgets.panel import Panel
from sparkrun_tui.ui.widgets.text_pane import TextPane

_TRIANGLE = 2
"""Cells that the triangle of a step takes."""


class PlanList(ListPane):
    """The steps; open ones show their commands."""

    def __init__(self) -> None:
        super().__init__(id="steps")
        self.plan: LaunchPlan | None = None
        self.opened: set[int] = set()
        self.message = "checking the hosts …"
        self.estimate: Estimate | None = None
        self._lines: list[Line] = []
        self._steps: dict[int, int] = {}
        self._width = 0

    def show(self, plan: LaunchPlan | None, message: str = "", estimate: Estimate | None = None) -> None:
        """Show a plan with its memory picture, or a message when there is none."""
        self.plan, self.message, self.estimate = plan, message, estimate
        self._width = 0
        self.refresh()

    def _lay_out(self) -> None:
        if self._width != self.text_width:
            self._width = self.text_width
            if self.plan is None:
                self._lines = [[(row, "")] for row in wrap(self.message, self.text_width)]
                self._steps = {}
            else:
                self._lines, self._steps = plan_lines(self.plan, self.opened, self.text_width, self.estimate)

    @property
    def line_count(self) -> int:
        """Steps, their open commands, notes."""
        self._lay_out()
        return len(self._lines)

    def selectable(self, row: int) -> bool:
        """The cursor may be on every line, so that long commands can be read."""
        return True

    @property
    def step(self) -> int | None:
        """The step that the cursor is on or below."""
        self._lay_out()
        found = None
        for line, index in self._steps.items():
            if line > self.cursor:
                break
            found = line, index
        if found is None:
            return None
        line, index = found
        is_last = line == max(self._steps)
        if is_last and line < self.cursor and index not in self.opened:
            return None  # the notes below the steps
        return index

    def line(self, number: int) -> Line:
        """One line."""
        self._lay_out()
        return self._lines[number]

    def on_click(self, event: events.Click) -> None:
        """A click on a step's triangle shows or hides its commands."""
        number = self.top + event.y
        if event.x < _TRIANGLE and number in self._steps:
            self.move_to(number)
            self.toggle()

    def toggle(self) -> None:
        """Show or hide the commands of the step under the cursor."""
        step = self.step
        if step is None:
            return
        self.opened ^= {step}
        self._width = 0
        self._lay_out()
        self.move_to(next(line for line, index in self._steps.items() if index == step))
        self.refresh()


class PlanScreen(PageScreen):
    """Shows the plan; nothing is done until the user launches it."""

    BINDINGS = bindings(Scope.PLAN)
    AUTO_FOCUS = "PlanList"
    WHERE = "plan"

    def __init__(self, rendered: Rendered, cluster: Cluster) -> None:
        super().__init__()
        self._rendered = rendered
        self._cluster = cluster
        self._pure: LaunchPlan | None = None
        self._plan: LaunchPlan | None = None
        self._as_text = False
        self._launching = False

    def body(self) -> Iterable[Widget]:
        """Steps, or the whole dry run as text."""
        self.list = PlanList()
        self.text = TextPane(self._dry_run, id="dry-run")
        yield Panel(self.list, self.text, title=f"Plan: {self._rendered.recipe.name} on {self._cluster.name}")

    def on_mount(self) -> None:
        """Make the plan in the background."""
        self.text.display = False
        self.background(self._make(), "plan")

    async def _make(self) -> None:
        """Show the plan first, then what the hosts already have."""
        await self.sparkrun.opened.wait()
        try:
            self._pure = self._plan = await self.sparkrun.backend.plan(self._rendered, self._cluster)
            self._show("checking the hosts …")
            self._plan = await self.sparkrun.backend.inspect(self._plan)
            self._show("checked on the hosts")
        except SparkrunError as error:
            if self._plan is None:
                self.list.show(None, f"✗ {error}")
            else:
                self._show(f"✗ {error.what}")

    def _show(self, corner: str) -> None:
        state = self.sparkrun.state
        evaluation = state.catalog.evaluate(self._rendered.recipe, self._rendered.overrides, state.view)
        self.list.show(self._plan, estimate=evaluation.estimate)
        self.text.repaint()
        panel = self.query_one(Panel)
        panel.entitle(panel.title_text, corner)
        self.refresh_bindings()

    @property
    def _ignorable(self) -> frozenset[str]:
        """The codes of errors that the user may ignore: failed checks of the hosts, and matters of trust.

        It is empty when something is wrong with the recipe itself.
        """
        if self._plan is None or self._pure is None:
            return frozenset()
        if any(found.code not in OF_TRUST for found in self._pure.errors):
            return frozenset()
        return frozenset(problem.code for problem in self._plan.errors)

    def _lines(self) -> Sequence[str]:
        if self._plan is None:
            return ()
        try:
            return self.sparkrun.backend.dry_run(self._plan)
        except SparkrunError as error:
            # This is called while painting, where an exception would end the app.
            return [f"# {line}" for line in str(error).split("\n")]

    def _dry_run(self, width: int) -> Sequence[Line]:
        return shell_lines("\n".join(self._lines()), width)

    def why_not(self, name: str) -> str:
        """A plan with errors cannot be launched."""
        if name == "back":
            return ""
        if self._plan is None:
            return "There is no plan yet."
        if name == "commands" and self._as_text:
            return "The dry run shows all commands."
        if name in ("launch", "anyway"):
            return self._why_no_launch(self._plan, anyway=name == "anyway")
        return ""

    def _why_no_launch(self, plan: LaunchPlan, anyway: bool) -> str:
        if self._launching:
            return "The launch is already starting."
        if not plan.errors:
            return "No check failed." if anyway else ""
        if anyway:
            return "" if self._ignorable else "The recipe itself has errors."
        hint = "  (press L to launch anyway)" if self._ignorable else ""
        return f"It cannot be launched: {plan.errors[0].message}{hint}"

    @on(ListPane.Chosen, "#steps")
    def _step_chosen(self) -> None:
        self.action_do("commands")

    async def do_launch(self) -> None:
        """Start the launch."""
        await self._launch(frozenset())

    async def do_anyway(self) -> None:
        """Start the launch although checks failed, after a confirmation."""
        if self._plan is not None:
            lines = [f"✗ {problem.message}" for problem in self._plan.errors]
            if await self.sparkrun.ask(Confirm("Launch anyway?", lines, "Launch", "Cancel")):
                await self._launch(self._ignorable)

    async def _launch(self, ignored: frozenset[str]) -> None:
        if self._plan is None or self._launching or not await self._agreed():
            return
        self._launching = True
        try:
            launch = await self.sparkrun.backend.launch(self._plan, ignored)
        finally:
            self._launching = False
        if self.is_current:
            self.app.pop_screen()
        self.sparkrun.open_launch(launch)

    async def _agreed(self) -> bool:
        """Whether the user agrees to what a third-party recipe does beyond serving, before its first launch."""
        attached = find_attachments(self._rendered)
        data_dirs = self.sparkrun.state.settings.data_dirs
        wanted = consent_needed(self._rendered, os.environ, attached, data_dirs=data_dirs)
        if not wanted:
            return True
        redact = redactor(rendered=self._rendered)
        lines = consent_lines(question(self._rendered, attached), [demand_shown(demand, redact) for demand in wanted])
        if not await self.sparkrun.ask(Confirm(_title(self._rendered), lines, "Trust it", "Cancel")):
            return False
        give(self._rendered, attachments=attached)
        self._plan = await self.sparkrun.backend.plan(self._rendered, self._cluster)
        return True

    def do_dry_run(self) -> None:
        """The whole plan as text, or the steps again."""
        self._as_text = not self._as_text
        self.text.repaint()
        self.text.display, self.list.display = self._as_text, not self._as_text
        (self.text if self._as_text else self.list).focus()

    def do_commands(self) -> None:
        """Show or hide this step's commands."""
        self.list.toggle()

    def do_copy(self) -> None:
        """Copy the selection, or all commands."""
        selected = self.get_selected_text()
        self.sparkrun.copy(selected or "\n".join(self._lines()), "selection" if selected else "commands")

    def do_back(self) -> None:
        """Go back to the steps, then to the previous screen."""
        if self._as_text:
            self.do_dry_run()
        else:
            self.app.pop_screen()


def _title(rendered: Rendered) -> str:
    source = rendered.recipe.source
    if not source.foreign:
        return "Files from a registry"
    return "A file from elsewhere" if source.stranger else "A recipe from a registry"
