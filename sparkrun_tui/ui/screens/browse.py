"""The first screen: search box and recipe list, with the selected recipe's detail beside or below."""

from __future__ import annotations

import asyncio
import os
import shlex
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from textual import events, on
from textual.containers import Container
from textual.geometry import Size
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Input

from sparkrun_tui.ui.actions import Scope, bindings
from sparkrun_tui.ui.model.catalog import is_recipe
from sparkrun_tui.ui.model.first_rows import FirstRows, read_first_rows
from sparkrun_tui.ui.model.layout import natural_share
from sparkrun_tui.ui.model.rows import RecipeRow
from sparkrun_tui.ui.paint.recipe.list_rows import ago, judged_cells, recipe_row
from sparkrun_tui.ui.screens.base import PageScreen
from sparkrun_tui.ui.widgets.filter_chips import FilterChips
from sparkrun_tui.ui.widgets.form.choices import Choices
from sparkrun_tui.ui.widgets.list_pane import ListPane
from sparkrun_tui.ui.widgets.panel import Panel
from sparkrun_tui.ui.widgets.recipe_list import NO_ROWS, RecipeList, Rows
from sparkrun_tui.ui.widgets.search_box import SearchBox

if TYPE_CHECKING:
    from sparkrun_tui.recipe.search.entry import Entry
    from sparkrun_tui.recipe.search.query import Query
    from sparkrun_tui.ui.screens.detail import Detail

_SLICE = 0.006
"""Seconds of estimating recipes at a time, so that keys are handled in between."""
_REST = 0.02
_SETTLED = 0.4
"""Seconds for which the cursor rests before files of the shown recipe's model are read."""


WIDE_FROM = 100
"""From this width on, in cells, list and detail stand side by side."""
_FIRST_LOOK = 60
"""Rows of a first look: those of a high screen."""
_AT_ANY_TIME = frozenset({"search", "reload", "back", "columns"})
"""What can be done before recipes are read and the detail is there; everything else waits for both."""


def _detail_class() -> type[Detail]:
    """The detail, with all that it needs to show a recipe: call it in a thread, since the import takes a while."""
    import sparkrun_tui.engines.fields.filled
    import sparkrun_tui.launch.sizing.evaluation
    import sparkrun_tui.recipe.format.loader  # noqa: F401  (as the two above: used with the first recipe)
    from sparkrun_tui.ui.screens.detail import Detail

    return Detail


class BrowseScreen(PageScreen):
    """Find a recipe, see whether it fits, change it."""

    BINDINGS = bindings(Scope.BROWSE)
    AUTO_FOCUS = "RecipeList"

    def __init__(self) -> None:
        super().__init__()
        self._query: Query | None = None
        self._detail: Detail | None = None
        self._side: Widget = Panel(id="detail-soon")
        """What stands beside the list: the detail, and before it is there an empty panel."""
        self._waiting: Callable[[], None] | None = None
        self._title = "Recipes"
        self._judging = False
        self._searched = 0.0
        self._showing: Timer | None = None
        self._reading: Timer | None = None
        self._looking_up: set[str] = set()

    def body(self) -> Iterable[Widget]:
        """List and detail."""
        state = self.sparkrun.state
        hint = "/ to search: qwen fp8 runtime:vllm nodes:2, tab: filters"
        search = SearchBox(hint, value=state.query, id="search", completer=lambda: state.catalog.completer)
        self.list = RecipeList(state.sign, lambda key: judged_cells(state.figures(key)), id="recipes")
        self.list.message = "reading recipes …"
        self.list.hidden, self.list.sorting = state.order.hidden, state.order.sorting
        first = read_first_rows(state.listed)
        if first is not None:
            self.list.show_kept(first.rows, first.cursor, first.below, first.longest)
        chips = FilterChips(id="chips")
        self.list_panel = Panel(search, chips, self.list, Choices(id="choices"), title="Recipes", id="list-panel")
        layout = state.layout
        self.list_panel.display, self._side.display = not layout.list_hidden, not layout.detail_hidden
        self._lay_out(self.app.size)
        yield Container(self.list_panel, self._side, id="browse")

    async def show_first_look(self) -> None:
        """Without rows of the last session, show the first recipes before all are read, if they will be the first."""
        state, order = self.sparkrun.state, self.sparkrun.state.order
        if self.list.rows or state.query or state.wanted or order.sorting.key or order.favourites:
            return
        entries = await asyncio.to_thread(state.catalog.first_entries, _FIRST_LOOK)
        if not entries or state.query or not self.is_attached:
            return
        rows = [recipe_row(entry, entry.name, None, False) for entry in entries]
        self.list.show_kept(rows, 0, False, max(len(row.name) for row in rows))
        self._lay_out(self.size)

    async def complete(self) -> None:
        """Put the detail in the place of the empty panel: it takes too long for the first frame."""
        make = await asyncio.to_thread(_detail_class)
        if not self.is_attached:
            return
        detail = make()
        with self.app.batch_update():
            await self.query_one("#browse").mount(detail)
            await self._side.remove()
            self._side = self._detail = detail
            detail.display = not self.sparkrun.state.layout.detail_hidden
            self._lay_out(self.size)
        self.show_selected(keep_place=True)
        if not self.list_panel.display:
            self.detail.focus_part()
        self.do_what_waits()

    @property
    def detail(self) -> Detail:
        """The detail; not before `ready`."""
        assert self._detail is not None
        return self._detail

    @property
    def ready(self) -> bool:
        """Whether recipes are read and the detail is there: only then anything is done with a recipe."""
        return self.sparkrun.loaded and self._detail is not None

    def do_what_waits(self) -> None:
        """Do what was asked for before it could be done, if it can be now."""
        if self._waiting is None or not self.ready:
            return
        waiting, self._waiting = self._waiting, None
        self.show_selected(keep_place=True)
        waiting()

    def _when_ready(self, act: Callable[[], None]) -> None:
        """Do this now, or as soon as it can be done; of several only the last one is."""
        if self.ready:
            act()
        else:
            self._waiting = act

    def first_rows(self) -> FirstRows | None:
        """The rows in sight, for the first frame of the next start; None before recipes are read."""
        view = self.list
        if not self.sparkrun.loaded or not view.rows or view.size.height == 0:
            return None
        first = max(view.top - view.head, 0)
        cursor = min(max(view.cursor - first, 0), len(view.visible_rows) - 1)
        return FirstRows(tuple(view.visible_rows), cursor, view.top > 0, view.longest)

    def on_mount(self) -> None:
        """Read when each recipe was launched last."""
        self.background(self._read_launched(), "launched")

    def on_screen_resume(self) -> None:
        """Something may have been launched since the screen was left."""
        self.background(self._read_launched(), "launched")

    async def _read_launched(self) -> None:
        await self.sparkrun.opened.wait()
        past = await asyncio.to_thread(self.sparkrun.backend.history)
        newest: dict[str, float] = {}
        for launch in past:
            if launch.started:
                newest[launch.recipe] = max(launch.started, newest.get(launch.recipe, 0.0))
        order = self.sparkrun.state.order
        if newest != order.launched:
            order.launched = newest
            if self.whole:
                self.search_again()

    def on_resize(self, event: events.Resize) -> None:
        """Share the room between list and detail."""
        self._lay_out(event.size)

    # The list.

    def state_changed(self) -> None:
        """Recipes, cluster or hosts changed: search and estimate again."""
        if not self.sparkrun.loaded:
            return
        self.search_again()
        self._lay_out(self.size)
        row = self.list.current
        if row is not None and row.key == self.sparkrun.state.selected:
            self.show_selected(keep_place=True)  # otherwise the list is painted first and the detail later

    def world_changed(self) -> None:
        """The hosts were asked: the verdicts are as old as their answers."""
        if self._detail is not None:
            self._detail.show_around()

    def search_again(self, keep: bool = True) -> None:
        """Run the query over all recipes and show the matches."""
        state = self.sparkrun.state
        if not self.sparkrun.loaded:
            return
        self._searched = time.monotonic()
        asked = self._asked
        notes = [*asked.notes, *asked.hints] if asked is not None else []
        found = self._found(state.query)
        if not found and state.query:
            found = self._found_without_half_typed_key(notes)
        found = state.order.sorted(found, state.catalog.title, state.figures, state.verdict, bool(state.query))
        rows = Rows([entry.source.path for entry in found], lambda place: self._row(found[place]))
        self.list.longest, self.list.hidden = state.catalog.longest, state.order.hidden
        self.list.sorting = state.order.sorting
        total = state.catalog.count
        title = f"Recipes {len(rows)} of {total}"
        left = len(state.unjudged(entry.source.path for entry in state.catalog.entries)) if self._needs_all else 0
        if left:
            title += ", so far"
            what = "fits:" if self._filters_by_verdict else "the order"
            notes.append(f"{what} is being worked out, {total - left} of {total} recipes are judged")
        self._title = title
        self._entitle()
        self._show_chips(notes)
        message = "nothing matches: esc clears the search" if total else "no recipes found"
        if left:
            message = "nothing so far: recipes are still judged"
        self.list.show(rows, message, keep)
        if state.selected and not self._selected_is_current():
            self.list.select(state.selected)
        if not self._selected_is_current():
            self._show_soon()
        self._judge_later()

    def _found_without_half_typed_key(self, notes: list[str]) -> list[Entry]:
        """A key that is being typed does not empty the list: what is found without it, with a note."""
        from sparkrun_tui.recipe.search.query import half_typed_key, parse_query, without_word

        query = self.sparkrun.state.query
        word = half_typed_key(query)
        if not word:
            return []
        without = without_word(query, word)
        found = self._found(without)
        if found:
            self._query = parse_query(without)
            notes.append(f"{word} is in no recipe; if it is to be a filter, tab completes it")
        return found

    def _show_chips(self, notes: list[str]) -> None:
        """Show the filters in force, what the last one means, and what was not understood."""
        asked = self._asked
        chips: list[str] = []
        help_text = ""
        if asked is not None and asked.filters:
            from sparkrun_tui.recipe.search.query import KEYS

            chips = [condition.shown for condition in asked.filters]
            help_text = KEYS.get(asked.filters[-1].key, "")
        self.query_one(FilterChips).show(chips, help_text, notes, asked is not None)

    @property
    def _asked(self) -> Query | None:
        """The query as it is understood; None for an empty one."""
        text = self.sparkrun.state.query
        if not text:
            return None
        if self._query is None:
            from sparkrun_tui.recipe.search.query import parse_query

            self._query = parse_query(text)
        return self._query

    def _found(self, query: str) -> list[Entry]:
        """The entries that match; those without a verdict yet match no `fits:`."""
        state = self.sparkrun.state
        return state.catalog.search(query, lambda entry: state.verdict(entry.source.path))

    @property
    def _filters_by_verdict(self) -> bool:
        asked = self._asked
        return asked is not None and any(condition.key == "fits" for condition in asked.filters)

    @property
    def _needs_all(self) -> bool:
        """Whether what is listed, or its order, depends on the estimate of every recipe."""
        return self._filters_by_verdict or self.sparkrun.state.order.needs_all

    def _selected_is_current(self) -> bool:
        """Whether the cursor of the list is on the selected recipe."""
        row = self.list.current
        return row is not None and row.key == self.sparkrun.state.selected

    def _show_soon(self) -> None:
        """Show the detail once typing has stopped for a moment: each keystroke paints only the list."""
        if self._showing is not None:
            self._showing.stop()
        self._showing = self.set_timer(_REST * 2, self.show_selected)

    def _row(self, entry: Entry) -> RecipeRow:
        state = self.sparkrun.state
        order = state.order
        last = ago(order.launched.get(entry.name), time.time())
        overrides = state.has_overrides(entry.source.path)
        return recipe_row(entry, state.catalog.title(entry), self._asked, overrides, order.is_favourite(entry), last)

    @on(Input.Changed, "#search")
    def _search_typed(self, event: Input.Changed) -> None:
        state = self.sparkrun.state
        if event.value and event.value == state.query:
            return  # the initial text: the recipe of the last session is still to be selected
        state.query = event.value
        self._query = None
        if self.list.kept:
            # The rows of the last session were found by another query.
            self.list.show(NO_ROWS, "reading recipes …")
        if event.value:
            state.selected = ""  # the best match is the first one
        self.search_again(keep=not event.value)

    @on(SearchBox.Offered, "#search")
    def _choices_offered(self, event: SearchBox.Offered) -> None:
        choices, now = self.query_one("#choices", Choices), event.completing
        if now is None or not now.choices:
            choices.withdraw()
        else:
            below = self.query_one(FilterChips).rows
            choices.offer(now.shown, now.at, min(now.start + 1, max(self.list.size.width - 30, 0)), below)

    @on(Choices.Taken, "#choices")
    def _choice_taken(self, event: Choices.Taken) -> None:
        self.query_one(SearchBox).take(event.number)

    @on(FilterChips.Removed)
    def _chip_removed(self, event: FilterChips.Removed) -> None:
        from sparkrun_tui.recipe.search.query import without_word

        asked = self._asked
        if asked is None:
            return
        word = asked.filters[event.number].text
        self.query_one(SearchBox).value = without_word(self.sparkrun.state.query, word)

    @on(SearchBox.Left, "#search")
    def _search_left(self) -> None:
        self.set_focus(self.list)

    @on(RecipeList.HeaderClicked)
    def _header_clicked(self, event: RecipeList.HeaderClicked) -> None:
        order = self.sparkrun.state.order
        order.sorting = order.sorting.chosen(event.key)
        self._order_changed()

    @on(RecipeList.MarksChanged)
    def _entitle(self) -> None:
        """How many recipes are listed, and how many are marked."""
        marked = f", {len(self.list.marked)} marked" if self.list.marked else ""
        self.list_panel.entitle(self._title + marked)

    def _order_changed(self) -> None:
        """The list is sorted or laid out in another way: show it so, and remember it."""
        self.search_again()
        self.list.refresh()
        self.sparkrun.keep_soon()

    @on(ListPane.Highlighted, "#recipes")
    def _highlighted(self) -> None:
        self.sparkrun.state.wanted = ""  # the user has gone to another recipe
        self.show_selected()

    @on(RecipeList.Scrolled)
    def _scrolled(self) -> None:
        self._judge_later()

    @on(ListPane.Chosen, "#recipes")
    def _chosen(self) -> None:
        self.action_do("open")

    @property
    def keys_in_sight(self) -> list[str]:
        """The files of the visible recipes."""
        return [row.key for row in self.list.visible_rows] if self.whole else []

    def show_selected(self, keep_place: bool = False) -> None:
        """Show the recipe under the cursor in the detail."""
        row = self.list.current
        state = self.sparkrun.state
        if row is not None or self.sparkrun.loaded:
            state.selected = row.key if row else ""
        if self._detail is None:
            return
        self.detail.show(state.recipe, keep_place)
        self.refresh_bindings()
        self._judge_later()
        self._read_here_soon()

    def _read_here_soon(self) -> None:
        """Read the headers of the shown recipe's models in this machine's cache once the cursor rests."""
        if self._reading is not None:
            self._reading.stop()
        self._reading = self.set_timer(_SETTLED, lambda: self.sparkrun.background(self._read_here(), "headers"))

    async def _read_here(self) -> None:
        evaluation = self.detail.evaluation
        if evaluation is None or not self.sparkrun.opened.is_set():
            return
        if await self.sparkrun.backend.read_here(evaluation.rendered):
            self.sparkrun.state.forget_verdicts()
            self.sparkrun.state_changed()

    def go_to(self, key: str, field: str = "") -> None:
        """Show this recipe, and its form at `field`."""
        self.query_one(SearchBox).value = ""
        self.state_changed()
        self.list.select(key)
        self.show_selected()
        self._when_ready(lambda: self.detail.focus_form(field))

    def search_for(self, query: str) -> None:
        """Put another query in the search box."""
        self.query_one(SearchBox).value = query
        self.list.focus()

    def on_detail_edited(self) -> None:
        """The overrides of the shown recipe changed."""
        row = self.list.current
        if row is not None:
            has_overrides = self.sparkrun.state.has_overrides(row.key)
            if row.has_overrides != has_overrides:
                self.search_again()
        self._read_here_soon()
        self.list.refresh_rows((self.list.cursor,))
        self.sparkrun.keep_soon()

    # Verdicts, a few at a time.

    def _judge_later(self) -> None:
        if self.ready and not self._judging and self.is_current:
            self._judging = True
            self.set_timer(_REST, self._judge_some)

    def _judge_some(self) -> None:
        state = self.sparkrun.state
        self._judging = False
        if not self.ready:
            return
        wanted = state.unjudged([row.key for row in self.list.visible_rows])
        needs_all = self._needs_all
        if not wanted and needs_all:
            wanted = state.unjudged([entry.source.path for entry in state.catalog.entries])
        if not wanted:
            return
        end = time.perf_counter() + _SLICE
        judged: set[str] = set()
        for key in wanted:
            state.judge(key)
            judged.add(key)
            if time.perf_counter() > end:
                break
        if needs_all:
            # The filter depends on verdicts: search again when all are there, and now and then before.
            complete = len(judged) == len(wanted)
            if complete or time.monotonic() - self._searched > 0.3:
                self.search_again()
        self.list.refresh_keys(judged)
        self._judge_later()

    # Actions.

    def action_do(self, name: str, *arguments: str) -> None:
        """Run an action. What needs a recipe waits until it is read, and is not done if another one is there then."""
        row = self.list.current
        if self.ready or name in _AT_ANY_TIME or row is None:
            super().action_do(name, *arguments)
            return

        def later() -> None:
            now = self.list.current
            if now is not None and now.key == row.key:
                super(BrowseScreen, self).action_do(name, *arguments)
            else:
                self.sparkrun.say("The list has changed meanwhile: nothing was done.", "warning")

        self._when_ready(later)

    def why_not(self, name: str) -> str:
        """Most actions need a recipe that can be read."""
        if not self.ready:
            return "" if name in _AT_ANY_TIME else "Recipes are still being read."
        recipe = self.sparkrun.state.recipe
        if name in ("launch", "plan", "overrides", "open", "copy", "changes", "edit_file") and recipe is None:
            return "No recipe is selected."
        if name in ("launch", "plan", "overrides", "open", "copy", "changes") and not is_recipe(recipe):
            return "This recipe cannot be read: see its problems."
        if name in ("overrides", "open") and self.detail.form.has_focus:
            return "You are already there."
        if name in ("launch", "plan"):
            return self._why_no_launch()
        if name == "look_up":
            return self._why_no_look_up()
        if name == "form" and not self.detail.has_room_for_form:
            return "There is no room for a form of its own: it is a tab already."
        if name == "favourite" and not self._chosen_keys:
            return "No recipe is selected."
        if name == "compare" and not self.list.marked and not is_recipe(recipe):
            return "This recipe cannot be read: see its problems."
        if name == "suggest" and not self.detail.may_help:
            return "The memory estimate has no suggestions."
        return ""

    def _why_no_launch(self) -> str:
        if self.sparkrun.state.cluster is None:
            return "No cluster is chosen: press c."
        evaluation = self.detail.evaluation
        if evaluation is not None and evaluation.errors:
            return f"It cannot be launched: {evaluation.errors[0].message}"
        return ""

    def _why_no_look_up(self) -> str:
        recipe = self.sparkrun.state.recipe
        if not is_recipe(recipe) or not recipe.model:
            return "No model is named here."
        if recipe.model in self._looking_up:
            return "The model is already being looked up."
        return ""

    def do_launch(self) -> None:
        """Launch, through the plan."""
        self.do_plan()

    def do_plan(self) -> None:
        """Show the plan."""
        evaluation = self.detail.evaluation
        if evaluation is not None:
            self.sparkrun.open_plan(evaluation.rendered)

    def do_open(self) -> None:
        """Go to the form."""
        self.detail.focus_form()

    def do_overrides(self) -> None:
        """Go to the form."""
        self.detail.focus_form()

    async def do_look_up(self) -> None:
        """Read the headers of the model, then estimate again."""
        recipe = self.sparkrun.state.recipe
        if not is_recipe(recipe):
            return
        self.sparkrun.say(f"reading the headers of {recipe.model} …")
        self._looking_up.add(recipe.model)
        try:
            await self.sparkrun.backend.look_up(recipe.model, recipe.model_revision)
        finally:
            self._looking_up.discard(recipe.model)
        self.sparkrun.state.forget_verdicts()
        self.sparkrun.state_changed()
        self.sparkrun.say(f"{recipe.model}: estimate updated from the model's headers")

    def do_suggest(self, key: str = "s") -> None:
        """Apply a proposal of the estimate; undo reverts it."""
        number = int(key) if key.isdigit() else 1
        if number > len(self.detail.suggestions):
            self.sparkrun.say(f"There is no suggestion {number}.", "warning")
        else:
            self.detail.apply_suggestion(number)

    def do_memory(self) -> None:
        """Show the memory in figures."""
        self.detail.choose_tab("memory")

    def do_changes(self) -> None:
        """Show what is overridden."""
        from sparkrun_tui.ui.screens.dialogs.changes import ChangesScreen

        recipe = self.sparkrun.state.recipe
        if is_recipe(recipe):
            self.app.push_screen(ChangesScreen(recipe))

    def do_zoom(self) -> None:
        """Show the detail on the full screen, or the list again."""
        self._show_panes(in_list=not self.list_panel.display, in_detail=True)
        if self.list_panel.display:
            self.list.focus()
        elif self.list.has_focus or self.query_one(SearchBox).has_focus:
            self.detail.focus_part()

    def do_list_only(self) -> None:
        """Show the list on the full screen, or the detail again."""
        self._show_panes(in_list=True, in_detail=not self.detail.display)
        self.list.focus()

    def _show_panes(self, in_list: bool, in_detail: bool) -> None:
        """Show or hide list and detail, and remember it."""
        layout = self.sparkrun.state.layout
        layout.list_hidden, layout.detail_hidden = not in_list, not in_detail
        self.list_panel.display, self.detail.display = in_list, in_detail
        self._lay_out(self.size)
        self.sparkrun.keep_soon()

    def do_form(self) -> None:
        """Make the form a tab of the detail, or a pane of its own again."""
        layout = self.sparkrun.state.layout
        layout.form_hidden = not layout.form_hidden
        self._lay_out(self.size)
        self.sparkrun.keep_soon()

    @on(Panel.Dragged, "#list-panel")
    def _dragged(self, event: Panel.Dragged) -> None:
        whole = self.query_one("#browse").region
        wide = self.size.width >= WIDE_FROM
        share = (event.x + 1 - whole.x) * 100 // whole.width
        if not wide:
            share = (event.y + 1 - whole.y) * 100 // whole.height
        self.sparkrun.state.order.set_share(wide, share)
        self._lay_out(self.size)
        self.sparkrun.keep_soon()

    def do_wider(self) -> None:
        """Give the list more room."""
        self._resize(1)

    def do_narrower(self) -> None:
        """Give the list less room."""
        self._resize(-1)

    def _resize(self, steps: int) -> None:
        order = self.sparkrun.state.order
        if order.resize(self.detail.wide, steps, self._share(self.size)):
            self._lay_out(self.size)
            self.sparkrun.keep_soon()
        else:
            self.sparkrun.say("The list is as large or as small as it gets.", "warning")

    def _share(self, size: Size) -> int:
        """The list's share of the screen in percent: as chosen, else what names and columns need."""
        order = self.sparkrun.state.order
        if size.width < WIDE_FROM:
            return order.narrow_share
        if order.wide_share:
            return order.wide_share
        return natural_share(self.list.longest, size.width)

    def _lay_out(self, size: Size) -> None:
        """Share the screen between list and detail: side by side where it is wide, else one above the other."""
        wide, share = size.width >= WIDE_FROM, self._share(size)
        one, other = f"{share}fr", f"{100 - share}fr"
        across = (self.list_panel, one), (self._side, other)
        for pane, part in across:
            pane.styles.width = part if wide else "1fr"
            pane.styles.height = "1fr" if wide else part
        self.list_panel.edge = ""
        if self._side.display:
            self.list_panel.edge = "right" if wide else "bottom"
        detail_width = size.width
        if wide and self.list_panel.display:
            detail_width = size.width * (100 - share) // 100
        if self._detail is not None:
            form_hidden = self.sparkrun.state.layout.form_hidden
            self._detail.arrange_for(wide, detail_width, size.height, form_hidden)

    def do_compare(self) -> None:
        """Compare the marked recipes, or the values of the current one."""
        from sparkrun_tui.ui.model.sides import sides_of
        from sparkrun_tui.ui.screens.compare import CompareScreen

        found = [self.sparkrun.state.catalog.recipe(key) for key in self._chosen_keys]
        sides = sides_of(self.sparkrun.state, [recipe for recipe in found if is_recipe(recipe)])
        if sides:
            self.app.push_screen(CompareScreen(sides))

    def do_columns(self) -> None:
        """Choose columns and order."""
        from sparkrun_tui.ui.screens.dialogs.columns import ColumnsScreen

        self.app.push_screen(ColumnsScreen(self.sparkrun.state.order, self._order_changed))

    def do_favourite(self) -> None:
        """Make the marked recipes, or the current one, favourites, or no longer."""
        state = self.sparkrun.state
        found = [state.catalog.entry(key) for key in self._chosen_keys]
        entries = [entry for entry in found if entry is not None]
        try:
            favourite = state.order.toggle_favourites(entries)
        except OSError as error:
            self.sparkrun.say(f"favourites cannot be saved: {error}", "error")
            return
        self.list.unmark()
        self._order_changed()
        what = entries[0].name if len(entries) == 1 else f"{len(entries)} recipes"
        self.sparkrun.say(f"{what}: {'favourite' if favourite else 'no longer a favourite'}")

    @property
    def _chosen_keys(self) -> list[str]:
        """The marked recipes, else the one under the cursor."""
        if self.list.marked:
            return list(self.list.marked)
        row = self.list.current
        return [row.key] if row is not None else []

    def do_argv(self) -> None:
        """Switch between the command as written and one argument per line."""
        self.detail.toggle_argv()

    def do_search(self) -> None:
        """Go to the search box."""
        if not self.list_panel.display:
            if self._detail is None:
                return
            self._show_panes(in_list=True, in_detail=True)
        self.set_focus(self.query_one(SearchBox))  # immediately: the next key is text

    def do_next_tab(self) -> None:
        """Show the next tab of the detail."""
        self.detail.turn(1)

    def do_previous_tab(self) -> None:
        """Show the previous tab of the detail."""
        self.detail.turn(-1)

    def do_copy(self) -> None:
        """Copy the selection, or the command."""
        evaluation = self.detail.evaluation
        selected = self.get_selected_text()
        if selected:
            self.sparkrun.copy(selected, "selection")
        elif evaluation is not None:
            self.sparkrun.copy(evaluation.command, "command")

    def do_reload(self) -> None:
        """Read all recipes again."""
        self.sparkrun.read_recipes()

    def do_back(self) -> None:
        """From the detail to the list; from the list, clear the marks, then the search."""
        if not self.list_panel.display:
            self.do_zoom()
        elif not self._side.display:
            self.do_list_only()
        elif self.list.has_focus and self.list.marked:
            self.list.unmark()
        elif not self.list.has_focus:
            self.list.focus()
        elif self.sparkrun.state.query:
            self.query_one(SearchBox).value = ""

    async def do_edit_file(self) -> None:
        """Open the recipe's file in the editor. The event loop keeps running, so that connections stay up."""
        recipe = self.sparkrun.state.recipe
        if recipe is None:
            return
        editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
        path = recipe.source.path
        try:
            with self.app.suspend():
                process = await asyncio.create_subprocess_exec(*shlex.split(editor), path)
                await process.wait()
        except OSError as error:
            self.sparkrun.say(
                f"the editor `{editor}` could not be started: {error}. Set $EDITOR to another one.", "error"
            )
        self.app.refresh()
        self.sparkrun.state.catalog.reread(path)
        self.sparkrun.state.forget_verdict(path)
        self.state_changed()
