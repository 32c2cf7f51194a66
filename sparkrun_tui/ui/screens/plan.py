"""The plan: what will run where, before anything does."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from textual import events, on
from textual.message import Message
from textual.widget import Widget

from sparkrun_tui.base.errors import SparkrunError
from sparkrun_tui.base.text import clean_line
from sparkrun_tui.base.user.settings import Cluster
from sparkrun_tui.fleet.world import Holding
from sparkrun_tui.launch.plan.consent import consent_needed, give, question
from sparkrun_tui.launch.plan.plan import OF_TRUST, LaunchPlan
from sparkrun_tui.launch.sizing.memory_problems import memory_problems
from sparkrun_tui.launch.sizing.sizing import needed_bytes
from sparkrun_tui.memory.result import Estimate
from sparkrun_tui.recipe.bundled_files.attachments import find_attachments
from sparkrun_tui.recipe.trust import demand_shown
from sparkrun_tui.recipe.values.masking import redactor
from sparkrun_tui.recipe.values.rendered import Rendered
from sparkrun_tui.ui.actions import Scope, bindings
from sparkrun_tui.ui.ink import Line, wrap
from sparkrun_tui.ui.model.launch_status import COMING, SERVING
from sparkrun_tui.ui.paint.hosts.fleet_lines import ranks_of
from sparkrun_tui.ui.paint.hosts.world_lines import age_words, holding_words
from sparkrun_tui.ui.paint.launch.change_lines import change_words
from sparkrun_tui.ui.paint.launch.plan_head import Choice, PlanHead, plan_head
from sparkrun_tui.ui.paint.launch.plan_lines import consent_lines, plan_lines
from sparkrun_tui.ui.paint.recipe.command_view import shell_lines
from sparkrun_tui.ui.screens.base import PageScreen
from sparkrun_tui.ui.screens.dialogs.dialog import Confirm
from sparkrun_tui.ui.widgets.list_pane import ListPane
from sparkrun_tui.ui.widgets.panel import Panel
from sparkrun_tui.ui.widgets.text_pane import TextPane

_TRIANGLE = 2
"""Cells that the triangle of a step takes."""


class PlanList(ListPane):
    """The hosts and the steps; open steps show their commands."""

    class Picked(Message):
        """A host was chosen or dropped."""

        def __init__(self, host: str) -> None:
            super().__init__()
            self.host = host

    def __init__(self) -> None:
        super().__init__(id="steps")
        self.plan: LaunchPlan | None = None
        self.opened: set[int] = set()
        self.message = "checking the hosts …"
        self.estimate: Estimate | None = None
        self.hint = ""
        self._head: Callable[[int], PlanHead] = _no_head
        self._lines: list[Line] = []
        self._steps: dict[int, int] = {}
        self._hosts: dict[int, str] = {}
        self._width = 0
        self._begun: int | str | None = None
        """Where the cursor was put at first."""

    def show(
        self,
        plan: LaunchPlan | None,
        head: Callable[[int], PlanHead],
        message: str = "",
        estimate: Estimate | None = None,
        hint: str = "",
    ) -> None:
        """Show a plan with its memory picture, or a message when there is none, below the `head` for a width.

        The cursor stays on the step or the host that it is on.
        """
        self.plan, self.message, self.estimate, self.hint, self._head = plan, message, estimate, hint, head
        self._width = 0
        self._lay_out()
        self.refresh()

    def _under_cursor(self) -> int | str | None:
        """What the cursor is on: a step by its number, a host by its name, None for another line."""
        return self._hosts.get(self.cursor, self._steps.get(self.cursor))

    def _first_place(self) -> int | str | None:
        """Where the cursor begins: on the first step, else on the first host when hosts and errors fill the screen."""
        if not self._steps:
            return None
        first = min(self._steps)
        if first < self.page or not self._hosts:
            return self._steps[first]
        return self._hosts[min(self._hosts)]

    def _follow(self, what: int | str | None) -> None:
        """Put the cursor on this step or host again, wherever it is now."""
        places: Mapping[int, int | str] = {**self._steps, **self._hosts}
        if self._begun is None or what == self._begun:
            # The user has not moved yet: what is above stays in sight.
            what = self._begun = self._first_place()
            self.top = 0
        found = next((line for line, place in places.items() if place == what), None)
        if found is not None and found != self.cursor:
            self.cursor = found
            self.reveal(found)

    def _lay_out(self) -> None:
        if self._width == self.text_width or not self.size.width:
            return
        self._width, before = self.text_width, self._under_cursor()
        head = self._head(self.text_width)
        self._hosts = dict(head.hosts)
        if self.plan is None:
            rows: list[Line] = [[(row, "")] for row in wrap(self.message, self.text_width)]
            self._lines, self._steps = [*head.lines, *rows], {}
        else:
            self._lines, self._steps = plan_lines(
                self.plan, self.opened, self.text_width, self.estimate, head.lines, self.hint
            )
        self._follow(before)

    @property
    def line_count(self) -> int:
        """Hosts, steps, their open commands, notes."""
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
        """A click on a host chooses it; one on a step's triangle shows or hides its commands."""
        number = self.top + event.y
        is_mark = event.x < _TRIANGLE and number in self._steps
        if is_mark or number in self._hosts:
            self.move_to(number)
            self.toggle()

    def toggle(self) -> None:
        """Choose or drop the host under the cursor, or show or hide the commands of the step."""
        self._lay_out()
        host = self._hosts.get(self.cursor)
        if host is not None:
            self.post_message(self.Picked(host))
            return
        step = self.step
        if step is None:
            return
        self.opened ^= {step}
        self._width = 0
        self._lay_out()
        self.move_to(next(line for line, index in self._steps.items() if index == step))
        self.refresh()


def _no_head(width: int) -> PlanHead:
    return PlanHead()


class PlanScreen(PageScreen):
    """Shows the plan; nothing is done until the user launches it.

    `picked` are hosts to use in place of those that are proposed. With `go` it is launched as soon as the hosts were
    checked and nothing is wrong: the user has agreed already.
    """

    BINDINGS = bindings(Scope.PLAN)
    AUTO_FOCUS = "PlanList"
    WHERE = "plan"
    WATCHES_HOSTS = True

    def __init__(self, rendered: Rendered, cluster: Cluster, picked: tuple[str, ...] = (), *, go: bool = False) -> None:
        super().__init__()
        self._rendered = rendered
        self._cluster = cluster
        self._picked = picked
        self._go = go
        self._pure: LaunchPlan | None = None
        self._plan: LaunchPlan | None = None
        self._failed = ""
        self._corner = "checking the hosts …"
        self._checked = False
        self._turn = 0
        self._as_text = False
        self._launching = False

    def body(self) -> Iterable[Widget]:
        """Steps, or the whole dry run as text."""
        self.list = PlanList()
        self.text = TextPane(self._dry_run, id="dry-run")
        yield Panel(self.list, self.text, title=f"Plan: {self._rendered.recipe.name} on {self._cluster.name}")

    def on_mount(self) -> None:
        """Make the plan in the background, and ask all hosts what they have now."""
        self.text.display = False
        self._turn = 1
        self._judge()
        self._show()
        self.background(self._make(), "plan")
        self.background(self._ask_hosts(), "hosts")

    # The plan.

    async def _ask_hosts(self) -> None:
        await self.sparkrun.opened.wait()
        await self.sparkrun.refresh_hosts()

    def _judge(self) -> None:
        """Judge the recipe on the hosts as they are known now: how many it takes, which, and whether it fits."""
        state = self.sparkrun.state
        recipe, overrides = self._rendered.original, self._rendered.overrides
        self._whole = state.catalog.evaluate(recipe, overrides, state.view)
        self._evaluation = self._whole
        if self._picked:
            self._evaluation = state.catalog.evaluate(recipe, overrides, state.view_of(self._picked))

    @property
    def _choice(self) -> Choice:
        whole = self._whole
        return Choice(self._picked or whole.places, whole.hosts, whole.host_reason)

    async def _make(self) -> None:
        """Show the plan first, then what the hosts already have."""
        self._turn += 1
        turn = self._turn
        self._checked = False
        await self.sparkrun.opened.wait()
        if self._choice.wrong:
            self._pure = self._plan = None
            self._failed, self._corner = self._choice.wrong, ""
            self._show()
            return
        pure: LaunchPlan | None = None
        plan: LaunchPlan | None = None
        failed, corner = "", "checking the hosts …"
        try:
            pure = await self.sparkrun.backend.plan(self._rendered, self._cluster, self._choice.chosen)
            if turn != self._turn:
                return
            self._pure = self._plan = pure
            self._failed, self._corner = failed, corner
            self._show()
            plan = await self.sparkrun.backend.inspect(pure)
            corner = "checked on the hosts"
        except SparkrunError as error:
            plan = pure
            failed, corner = f"✗ {error}", f"✗ {error.what}"
        if turn != self._turn:
            return
        self._pure, self._plan, self._failed, self._corner = pure, plan, failed, corner
        self._checked = pure is not None
        self._show()
        await self._go_on()

    async def _go_on(self) -> None:
        """Launch if the user has agreed already and nothing is wrong."""
        wanted, self._go = self._go, False
        if not wanted or not self._checked:
            return
        reason = self.why_not("launch")
        if reason:
            self.sparkrun.say(reason, "warning")
        else:
            await self._launch(frozenset())

    def world_changed(self) -> None:
        """The hosts have other memory: judge again, and propose other hosts unless the user has chosen."""
        if self._launching or not self._turn:
            return
        self._judge()
        proposed = self._choice.chosen
        if not self._picked and self._pure is not None and proposed != self._pure.host_names and not self._choice.wrong:
            self.background(self._make(), "plan")
        self._show()

    def state_changed(self) -> None:
        """The same, when the screen is shown again."""
        self.world_changed()

    @property
    def _shown(self) -> LaunchPlan | None:
        """The plan with what the estimate says of the memory, which is what the picture below the steps says."""
        plan = self._plan
        if plan is None:
            return None
        return replace(plan, problems=(*plan.problems, *memory_problems(self._evaluation.estimate)))

    def _show(self) -> None:
        if not self.whole:
            return
        state = self.sparkrun.state
        words = change_words(self._rendered.original, self._rendered.overrides, state.settings.defaults)
        world, choice = state.world, self._choice

        def head(width: int) -> PlanHead:
            return plan_head(world, choice, words, width)

        message = self._failed or "checking the hosts …"
        plan = self._shown
        self.list.show(plan, head, message, self._evaluation.estimate, self._hint(plan))
        self.text.repaint()
        panel = self.query_one(Panel)
        age = age_words(world, choice.chosen, time.time())
        panel.entitle(panel.title_text, ", ".join(part for part in (self._corner, age) if part))
        self.refresh_bindings()

    def _hint(self, plan: LaunchPlan | None) -> str:
        """What to press when something is wrong."""
        if plan is None or not plan.errors:
            return ""
        hints = []
        names = [clean_line(holding.name) for holding in self._stoppable]
        if names:
            hints.append(f"x stops {' and '.join(names)} first, then launches")
        if self._ignorable:
            hints.append("L launches anyway")
        return "; ".join(hints)

    @property
    def _ignorable(self) -> frozenset[str]:
        """The codes of errors that the user may ignore: failed checks of the hosts, and matters of trust.

        It is empty when something is wrong with the recipe itself.
        """
        plan = self._shown
        if plan is None or self._pure is None:
            return frozenset()
        if any(found.code not in OF_TRUST for found in self._pure.errors):
            return frozenset()
        return frozenset(problem.code for problem in plan.errors)

    @property
    def _stoppable(self) -> Sequence[Holding]:
        """What runs or starts on the chosen hosts and was launched by this program."""
        found = self.sparkrun.state.world.holdings(self._choice.chosen)
        return [holding for holding in found if holding.launch_id]

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
        if name == "back" or (name == "commands" and not self._as_text):
            return ""
        if name == "stop_first":
            return "" if self._stoppable else "Nothing of this program runs on the chosen hosts."
        plan = self._shown
        if plan is None:
            return self._choice.wrong.capitalize() or self._failed or "There is no plan yet."
        if name == "commands":
            return "The dry run shows all commands."
        if name in ("launch", "anyway"):
            return self._why_no_launch(plan, anyway=name == "anyway")
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

    # Hosts.

    @on(PlanList.Picked)
    def _host_picked(self, event: PlanList.Picked) -> None:
        choice = self._choice
        chosen = set(choice.chosen)
        if event.host not in chosen and choice.count == 1:
            chosen = {event.host}
        elif event.host not in chosen:
            chosen.add(event.host)
        elif len(chosen) > 1:
            chosen.remove(event.host)
        self._picked = tuple(name for name in self._cluster.hosts if name in chosen)
        self._go = False
        self._judge()
        self._show()
        self.background(self._make(), "plan")

    async def do_stop_first(self) -> None:
        """Stop what holds the memory of the chosen hosts, then check again and launch, after one confirmation."""
        found = list(self._stoppable)
        chosen = self._choice.chosen
        lines: list[str] = []
        for holding in found:
            lines.append(f"{holding.name} {holding_words(holding)}")
            if holding.workload is not None:
                lines += [f"  {rank}" for rank in ranks_of(holding.workload)]
        lines += ["", f"It is stopped, and {self._rendered.recipe.name} is launched on {', '.join(chosen)}."]
        if not await self.sparkrun.ask(Confirm("Stop first?", lines, "Stop, then launch", "Cancel")):
            return
        for holding in found:
            if not await self._stop(holding):
                return
        # The hosts stay those on which something was stopped.
        self._picked, self._go = chosen, True
        await self.sparkrun.refresh_hosts()
        self._judge()
        await self._make()

    async def _stop(self, holding: Holding) -> bool:
        """Whether a workload was seen to stop; otherwise the user is shown why not."""
        world = self.sparkrun.state.world
        view, workload = world.view, holding.workload
        launch = self.sparkrun.followed(holding.launch_id)
        complete = False
        if launch is not None and launch.state.status in COMING | SERVING:
            text = await self.sparkrun.backend.stop(launch)
            complete = not text
        elif view is not None and workload is not None:
            report = await self.sparkrun.backend.stop_workload(workload, view, self._cluster)
            text, complete = report.text, report.complete
        else:
            text = "it is not known what to stop; press f to see what runs"
        self.sparkrun.say(f"{holding.name}: {text or 'stopped'}", "note" if complete else "error")
        if complete:
            world.stopped(holding.launch_id)
            self.sparkrun.world_changed()
        return complete

    # Launching.

    async def do_launch(self) -> None:
        """Start the launch; while the hosts are being checked, as soon as they were."""
        if self._checked:
            await self._launch(frozenset())
        else:
            self._go = True
            self.sparkrun.say("it is launched once the hosts are checked")

    async def do_anyway(self) -> None:
        """Start the launch although checks failed, after a confirmation."""
        plan = self._shown
        if plan is not None:
            lines = [f"✗ {problem.message}" for problem in plan.errors]
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
        needed = needed_bytes(self._evaluation.estimate)
        world = self.sparkrun.state.world
        world.launched(launch.launch_id, self._rendered.recipe.name, self._plan.host_names, needed)
        if self.is_current:
            self.app.pop_screen()
        self.sparkrun.open_launch(launch)
        self.sparkrun.world_changed()

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
        self._plan = await self.sparkrun.backend.plan(self._rendered, self._cluster, self._choice.chosen)
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
