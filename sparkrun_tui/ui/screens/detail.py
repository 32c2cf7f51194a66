"""The detail of the selected recipe: headline, override form, and tabs beside it (or around it, when narrow)."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.containers import Container, Horizontal
from textual.message import Message
from textual.timer import Timer

from sparkrun_tui.base.defects import explained
from sparkrun_tui.base.errors import SparkrunError
from sparkrun_tui.base.secrets import MASK, Redactor, looks_secret
from sparkrun_tui.base.text import visible_line
from sparkrun_tui.recipe.model import BrokenRecipe, Problem, Recipe, Severity
from sparkrun_tui.recipe.values import launch_keys
from sparkrun_tui.recipe.values.masking import dotted, redactor, shown_source
from sparkrun_tui.recipe.values.shellwords import serve_argv
from sparkrun_tui.ui.actor import Actor
from sparkrun_tui.ui.ink import Line
from sparkrun_tui.ui.model.edits import Edits
from sparkrun_tui.ui.paint.recipe import detail as paint
from sparkrun_tui.ui.paint.recipe.command_view import argv_lines, shell_lines, yaml_lines
from sparkrun_tui.ui.paint.recipe.memory_tab import memory_lines
from sparkrun_tui.ui.paint.recipe.recipe_rows import field_rows
from sparkrun_tui.ui.screens.dialogs.dialog import Confirm
from sparkrun_tui.ui.widgets.form.choices import Choices
from sparkrun_tui.ui.widgets.form.field_list import FieldList
from sparkrun_tui.ui.widgets.panel import Panel
from sparkrun_tui.ui.widgets.tab_line import TabLine
from sparkrun_tui.ui.widgets.text_pane import TextPane

if TYPE_CHECKING:
    from sparkrun_tui.fleet.world import HostNow
    from sparkrun_tui.launch.sizing.evaluation import Evaluation
    from sparkrun_tui.launch.sizing.suggestions import Suggestion
    from sparkrun_tui.recipe.search.completion import Completer
    from sparkrun_tui.ui.model.catalog import AnyRecipe
from sparkrun_tui.ui.model.layout import BESIDE_FROM

_REST = 0.12
"""Seconds after the last change before suggestions are tried."""
_SLICE, _BETWEEN = 0.008, 0.01
"""Seconds of trying at a time, and between two times."""
ABOVE_FROM = 36
"""From this height of the screen on, in rows, they stand one above the other where they have no room side by side."""
WIDE_TABS = ("command", "memory", "source", "problems")
_COMPACT = 7
"""The rows of the compact headline beside the list, with its border."""
NARROW_TABS = ("overview", "overrides", "memory", "command", "source", "problems")


class Detail(Container, Actor):
    """Shows one recipe; `Edited` is posted when its overrides changed."""

    class Edited(Message):
        """The overrides of the shown recipe changed, or one is being typed."""

        def can_replace(self, message: Message) -> bool:
            """Only the newest state counts."""
            return isinstance(message, Detail.Edited)

    def __init__(self) -> None:
        super().__init__(id="detail")
        self.tab = "command"
        self.wide = True
        self.split = True
        self.beside = True
        self.as_argv = False
        self.has_room_for_form = True
        self._recipe: AnyRecipe | None = None
        self._evaluation: Evaluation | None = None
        self._trying: Timer | None = None

    def compose(self) -> ComposeResult:
        """All widgets exist from the start; narrow screens show one tab at a time."""
        headline = TextPane(id="headline")
        headline.can_focus = False
        with Panel(id="headline-panel"):
            yield headline
        yield TabLine(id="narrow-tabs")
        with Horizontal(id="parts"):
            with Panel(title="Overrides", id="form-panel"):
                yield FieldList(id="form", completer=self._completer)
            with Panel(id="part-panel"):
                yield TabLine(id="wide-tabs")
                yield TextPane(id="part")
        yield Choices(id="form-choices")

    def on_mount(self) -> None:
        """Arrange the parts for the width."""
        self._arrange()

    # What is shown.

    @property
    def form(self) -> FieldList:
        """The override form."""
        return self.query_one(FieldList)

    @property
    def evaluation(self) -> Evaluation | None:
        """The shown recipe as it would run."""
        return self._evaluation

    def show(self, recipe: AnyRecipe | None, keep_place: bool = False) -> None:
        """Show a recipe with its overrides on the current cluster."""
        other = recipe is None or self._recipe is None or recipe.source.path != self._recipe.source.path
        self._recipe = recipe
        self._evaluation = self.sparkrun.state.evaluation(recipe) if isinstance(recipe, Recipe) else None
        form = self.form
        if other:
            form.cursor = form.top = 0
        if self._evaluation is None:
            form.show(())
        else:
            edits = self._edits()
            rows = field_rows(self._evaluation.rendered, edits, dict(self.sparkrun.state.settings.defaults))
            form.show(rows, edits.can_undo, edits.can_redo)
        self._paint(keep_place and not other)
        self._try_suggestions()

    def _paint(self, keep_place: bool) -> None:
        self.show_around()
        headline = self.query_one("#headline", TextPane)
        headline.show(self._headline, keep_place=True)
        count = sum(row.changed for row in self.form.rows)
        self.query_one("#form-panel", Panel).entitle("Overrides", f"{count} changed" if count else "")
        self.query_one("#part", TextPane).show(self._part, keep_place)
        self._arrange()

    def _headline(self, width: int) -> Sequence[Line]:
        if isinstance(self._recipe, BrokenRecipe):
            return paint.broken_lines(self._recipe, width)
        if self._evaluation is None:
            return ()
        offered = self.sparkrun.state.suggested(self._evaluation)
        around = self._around(self._evaluation, width)
        return paint.headline(self._evaluation, width, not self.split, offered, around)

    def _around(self, evaluation: Evaluation, width: int) -> Sequence[Line]:
        """What runs on its hosts, and which of them do not answer."""
        world = self.sparkrun.state.known_world
        if world is None:
            return ()
        from sparkrun_tui.ui.paint.hosts.world_lines import world_lines  # not before the first paint

        return world_lines(world, evaluation.places, width)

    def show_around(self) -> None:
        """Show how old the verdicts are, who holds memory, and which hosts do not answer."""
        self._show_age()
        world = self.sparkrun.state.known_world
        needs_room = world is not None and (bool(world.holdings()) or any(map(_has_problem, world.hosts.values())))
        self.set_class(needs_room, "-around")
        self.query_one("#headline", TextPane).repaint()

    def _show_age(self) -> None:
        """The border of the headline says how old the verdicts are: its lower one where there is one."""
        world = self.sparkrun.state.known_world
        words = ""
        if world is not None and self._evaluation is not None:
            from sparkrun_tui.ui.paint.hosts.world_lines import age_words  # not before the first paint

            words = age_words(world, self._evaluation.places, time.time())
        name = self._recipe.name if self._recipe is not None else "no recipe"
        panel = self.query_one("#headline-panel", Panel)
        if self.wide or not words:
            panel.entitle(name, words)
        else:
            panel.entitle(f"{name} · {words}")

    def _part(self, width: int) -> Sequence[Line]:
        recipe = self._recipe
        if recipe is None:
            return ()
        try:
            with explained(f"showing {recipe.name}"):
                return self._part_of(recipe, width)
        except SparkrunError as error:
            # An exception raised while painting would end the app.
            problem = Problem(Severity.ERROR, "internal-error", error.what, error.spot, error.remedy)
            return paint.problem_lines([problem], width)

    def _part_of(self, recipe: Recipe | BrokenRecipe, width: int) -> Sequence[Line]:
        evaluation = self._evaluation
        tab = self._part_tab()
        problems: Sequence[Problem] = ()
        if evaluation is not None:
            problems = evaluation.worst_first
        elif isinstance(recipe, BrokenRecipe):
            problems = (recipe.error,)
        if tab == "source" or evaluation is None:
            return self._source(recipe, problems, width)
        if tab == "problems":
            return [*paint.problem_lines(problems, width, recipe.source.path), *self._demands(evaluation, width)]
        if tab == "overview":
            return paint.about(evaluation, width, self.sparkrun.state.suggested(evaluation) or ())
        if tab == "memory":
            return self._memory(evaluation, width)
        redact = self._redactor()
        if self.as_argv:
            lines = argv_lines([dotted(redact(word)) for word in serve_argv(evaluation.command)], width)
        else:
            lines = shell_lines(dotted(redact(evaluation.command)), width)
        more = paint.launching(evaluation, width)
        return [*lines, [], *more] if more else lines

    def _source(self, recipe: Recipe | BrokenRecipe, problems: Sequence[Problem], width: int) -> Sequence[Line]:
        """The text of the recipe's file, and of the files that it includes, each below its path."""
        redact = self._redactor()
        marks = paint.problem_marks(problems, recipe.source.path)
        lines = [*yaml_lines(shown_source(recipe.text, redact), width, marks)]
        if isinstance(recipe, BrokenRecipe):
            return lines
        for file in recipe.included:
            lines += yaml_lines(f"\n# ---- included: {visible_line(file.path)}", width, {})
            lines += yaml_lines(shown_source(file.text, redact), width, paint.problem_marks(problems, file.path))
        return lines

    def _redactor(self) -> Redactor:
        """The filter that masks the secrets of the shown recipe."""
        evaluation = self._evaluation
        return redactor(rendered=evaluation.rendered if evaluation else None)

    def _demands(self, evaluation: Evaluation, width: int) -> Sequence[Line]:
        """What a third-party recipe would do beyond serving; nothing for one of the user's own."""
        if not evaluation.recipe.source.foreign:
            return ()
        from sparkrun_tui.recipe.trust import demand_shown, demands  # not before the first paint

        found = demands(evaluation.rendered, os.environ, data_dirs=self.sparkrun.state.settings.data_dirs)
        redact = self._redactor()
        wanted = [demand_shown(demand, redact) for demand in found]
        return paint.demand_lines(wanted, width)

    def _memory(self, evaluation: Evaluation, width: int) -> Sequence[Line]:
        from sparkrun_tui.ui.model.context_curve import context_plot  # not before the first paint

        plot = context_plot(evaluation, self.sparkrun.state.catalog.store)
        offered = self.sparkrun.state.suggested(evaluation) or ()
        return [*memory_lines(evaluation.estimate, offered, plot, width), [], *paint.origins(evaluation.recipe, width)]

    # Tabs.

    def _part_tab(self) -> str:
        return "command" if self.tab == "overrides" else self.tab

    def _labels(self, names: Sequence[str]) -> list[tuple[str, str]]:
        changed = sum(row.changed for row in self.form.rows)
        problems = len(self._evaluation.problems) if self._evaluation else 0
        labels = {"overview": "Overview", "command": "Command", "memory": "Memory", "source": "Source"}
        labels["overrides"] = f"Overrides {changed}•" if changed else "Overrides"
        labels["problems"] = f"Problems {problems}" if problems else "Problems"
        return [(name, labels[name]) for name in names]

    def _short_labels(self) -> dict[str, str]:
        """Shorter words for the labels, those that are missed least first."""
        changed = sum(row.changed for row in self.form.rows)
        problems = len(self._evaluation.problems) if self._evaluation else 0
        return {
            "overrides": f"Values {changed}•" if changed else "Values",
            "problems": f"Issues {problems}" if problems else "Issues",
            "overview": "Info",
            "command": "Run",
        }

    def _arrange(self) -> None:
        """Show the widgets for the width and the chosen tab."""
        self.query_one("#narrow-tabs", TabLine).show(self._labels(self._tabs), self.tab, self._short_labels())
        self.query_one("#wide-tabs", TabLine).show(self._labels(WIDE_TABS), self._part_tab())
        on_form = self.tab == "overrides"
        self.query_one("#form-panel").display = self.split or on_form
        self.query_one("#part-panel").display = self.split or not on_form
        self.query_one("#narrow-tabs").display = not self.split
        self.query_one("#wide-tabs").display = self.split
        self.query_one("#parts").styles.layout = "horizontal" if self.beside or not self.split else "vertical"

    @property
    def _tabs(self) -> Sequence[str]:
        """The tabs of the present layout."""
        if self.split:
            return WIDE_TABS
        return NARROW_TABS

    def arrange_for(self, wide: bool, width: int, height: int, form_hidden: bool) -> None:
        """Lay out beside the list (`wide`) or below it, with `width` cells on a screen of `height` rows.

        Form and command stand side by side where both have room, else one above the other on a high screen, else they
        are tabs; with `form_hidden` they always are.
        """
        beside = wide and width >= BESIDE_FROM
        self.has_room_for_form = beside or (wide and height >= ABOVE_FROM)
        split = self.has_room_for_form and not form_hidden
        if (wide, split, beside) == (self.wide, self.split, self.beside):
            return
        self.wide, self.split, self.beside = wide, split, beside
        if not split and self.query_one("#form-panel").has_focus_within:
            self.tab = "overrides"
        elif not split and self.tab == "command" and not self.has_focus_within:
            self.tab = "overview"
        elif split and self.tab in ("overview", "overrides"):
            self.tab = "command"
        # Beside the list, a low screen has no room for the whole picture: it is in the overview.
        self.query_one("#headline-panel").styles.height = _COMPACT if wide and not self.has_room_for_form else None
        self._paint(True)

    def choose_tab(self, name: str) -> None:
        """Show the tab `name`."""
        self.tab = name
        self.query_one("#part", TextPane).show(self._part)
        self._arrange()

    def turn(self, steps: int) -> None:
        """Show the next tab (1) or the previous one (-1); the focus follows."""
        names = self._tabs
        now = self._part_tab() if self.split else self.tab
        self.choose_tab(names[(names.index(now) + steps) % len(names)])
        if not self.split and self.has_focus_within:
            self.focus_part()

    @on(TabLine.Clicked)
    def _tab_clicked(self, event: TabLine.Clicked) -> None:
        self.choose_tab(event.name)

    def focus_part(self) -> None:
        """Focus what the current tab shows."""
        if self.tab == "overrides" and not self.split:
            self.form.focus()
        else:
            self.query_one("#part").focus()

    def focus_form(self, key: str = "") -> None:
        """Focus the form, on the field `key` if given."""
        if not self.split:
            self.choose_tab("overrides")
        if key:
            self.form.select(key)
        self.form.focus()

    # Completion.

    def _completer(self, key: str) -> Completer | None:
        """What completes the value of `key`, or `key=value` when it is empty."""
        from sparkrun_tui.engines.fields.completion import KeyCompleter, ValueCompleter  # not before the first paint

        recipe = self._recipe
        if not isinstance(recipe, Recipe):
            return None
        before = next((row.value for row in self.form.rows if row.key == key), "")
        return ValueCompleter(recipe, key, before) if key else KeyCompleter(recipe)

    @on(FieldList.Offered)
    def _offered(self, event: FieldList.Offered) -> None:
        choices, now = self.query_one("#form-choices", Choices), event.completing
        if now is None:
            choices.withdraw()
        else:
            left, top = self.form.content_region.offset - self.content_region.offset
            choices.offer(now.shown, now.at, left + event.column, top + event.row)

    @on(Choices.Taken, "#form-choices")
    def _choice_taken(self, event: Choices.Taken) -> None:
        self.form.take_choice(event.number)

    # Edits.

    @property
    def may_help(self) -> bool:
        """Whether something may make the recipe fit; trying it takes a moment."""
        evaluation = self._evaluation
        if evaluation is None:
            return False
        tried = self.sparkrun.state.suggested(evaluation)
        return bool(evaluation.estimate.proposals) if tried is None else bool(tried)

    @property
    def suggestions(self) -> Sequence[Suggestion]:
        """The changes that would help, the most helpful first; they are tried now if they have not been."""
        return self.sparkrun.state.suggestions(self._evaluation) if self._evaluation else ()

    def apply_suggestion(self, number: int) -> None:
        """Set the values of suggestion `number`, from 1, as one step that undo in the form reverts."""
        suggestion = self.suggestions[number - 1]
        self._edits().use(suggestion.overrides)
        self._edited()
        first = suggestion.changes[0]
        self.form.select(launch_keys.FLAGS if first.flag else first.key)

    def _try_suggestions(self) -> None:
        """Try what would help once typing rests, since every candidate is an estimate of its own."""
        if self._trying is not None:
            self._trying.stop()
            self._trying = None
        evaluation = self._evaluation
        if evaluation is None or not evaluation.estimate.proposals:
            return
        if self.sparkrun.state.suggested(evaluation) is None:
            self._trying = self.set_timer(_REST, self._show_suggestions)

    def _show_suggestions(self) -> None:
        self._trying = None
        if self._evaluation is None:
            return
        if not self.sparkrun.state.try_suggestions(self._evaluation, _SLICE):
            self._trying = self.set_timer(_BETWEEN, self._show_suggestions)
            return
        self._paint(True)
        self.screen.refresh_bindings()

    def toggle_argv(self) -> None:
        """Switch between the command as the author wrote it and one argument per line."""
        self.as_argv = not self.as_argv
        self.choose_tab("command")

    def _edits(self) -> Edits:
        assert self._recipe is not None
        return self.sparkrun.state.edits_of(self._recipe.source.path)

    def _edited(self) -> None:
        self.show(self._recipe, keep_place=True)
        self.post_message(self.Edited())

    @on(FieldList.Drafted)
    def _drafted(self, event: FieldList.Drafted) -> None:
        self._edits().draft(event.key, event.text)
        self._edited()

    @on(FieldList.Typed)
    def _typed(self, event: FieldList.Typed) -> None:
        edits = self._edits()
        row = next((row for row in self.form.rows if row.key == event.key), None)
        if not event.keep:
            edits.drop_draft()
        elif row is not None and event.text == row.own:
            edits.reset(event.key)
        elif self._offer_flag(event.key, event.text):
            return
        else:
            edits.set(event.key, event.text)
        self._edited()
        if row is None and event.keep:
            self.form.select(event.key)

    def _offer_flag(self, key: str, text: str) -> bool:
        """Ask whether to pass a value for which the command has no place as a flag; false where no flag does."""
        from sparkrun_tui.engines.command.added import added_text, has_place  # not before the first paint

        evaluation = self._evaluation
        if evaluation is None or not text or has_place(evaluation.rendered, key):
            return False
        flag = added_text(evaluation.rendered, key, MASK if looks_secret(key) else text)
        if not flag:
            return False
        self._edits().drop_draft()
        self._edited()
        lines = [
            f"The command of this recipe has no place for {key}.",
            f"Append {flag} to it?",
            "The recipe's file is not changed: the flag is kept as an override (extra_flags).",
        ]
        question = Confirm("Not in the command", lines, "Append", "Leave it")
        self.app.push_screen(question, lambda agreed: self._append(key, text) if agreed else None)
        return True

    def _append(self, key: str, text: str) -> None:
        """Pass a value as a flag behind the command's own."""
        from sparkrun_tui.engines.command.added import with_value

        evaluation = self._evaluation
        if evaluation is None:
            return
        changed = with_value(evaluation.rendered, self._edits().kept, key, text)
        if changed is not None:
            self._edits().use(changed)
            self._edited()
            self.form.select(launch_keys.FLAGS)

    @on(FieldList.Stepped)
    def _stepped(self, event: FieldList.Stepped) -> None:
        from sparkrun_tui.launch.sizing.stepping import stepped  # not before the first paint

        row = next((row for row in self.form.rows if row.key == event.key), None)
        if row is None or not isinstance(self._recipe, Recipe):
            return
        if self._evaluation is None:
            return
        store = self.sparkrun.state.catalog.store
        text = stepped(self._evaluation.rendered, event.key, row.value, event.steps, store)
        if text == row.own:
            self._edits().reset(event.key)
        else:
            self._edits().set(event.key, text)
        self._edited()

    @on(FieldList.Asked)
    def _asked(self, event: FieldList.Asked) -> None:
        edits = self._edits()
        if event.what == "reset":
            edits.reset(event.key)
        else:
            {"undo": edits.undo, "redo": edits.redo, "reset_all": edits.reset_all}[event.what]()
        self._edited()


def _has_problem(host: HostNow) -> bool:
    return bool(host.problem)
