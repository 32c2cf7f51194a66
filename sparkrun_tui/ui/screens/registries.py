"""Registries: git repositories of recipes, how old each is here, and asking them for what is new."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual import on
from textual.widget import Widget

from sparkrun_tui.base.errors import SparkrunError
from sparkrun_tui.recipe.registry.config import NAME, check_url
from sparkrun_tui.recipe.registry.registries import RegistryStatus
from sparkrun_tui.ui.actions import Scope, bindings
from sparkrun_tui.ui.ink import Line, wrap
from sparkrun_tui.ui.model.registries import Registries
from sparkrun_tui.ui.paint import registry_lines as paint
from sparkrun_tui.ui.screens.base import PageScreen
from sparkrun_tui.ui.screens.dialogs.ask import AskScreen, Blank
from sparkrun_tui.ui.screens.dialogs.dialog import Confirm
from sparkrun_tui.ui.widgets.list_pane import ListPane
from sparkrun_tui.ui.widgets.panel import Panel
from sparkrun_tui.ui.widgets.text_pane import TextPane


class RegistryList(ListPane):
    """A row a registry."""

    def __init__(self, registries: Registries) -> None:
        super().__init__(id="registries")
        self._registries = registries

    @property
    def head(self) -> int:
        """One line names the columns."""
        return 1

    @property
    def row_count(self) -> int:
        """How many registries there are."""
        return len(self._registries.rows)

    @property
    def line_count(self) -> int:
        """Rows, the line above, and below what is being added."""
        return 1 + max(len(self._registries.rows), 1) + len(self._adding)

    @property
    def _adding(self) -> list[str]:
        names = {row.registry.name for row in self._registries.rows}
        return [name for name in self._registries.busy if name not in names]

    @property
    def current(self) -> RegistryStatus | None:
        """The registry under the cursor."""
        rows = self._registries.rows
        return rows[min(self.cursor, len(rows) - 1)] if rows else None

    def line(self, number: int) -> Line:
        """Header, a registry, or one that is being added."""
        registries, width = self._registries, self.text_width
        if number == 0:
            return paint.head_line(width)
        if number <= len(registries.rows):
            row = registries.rows[number - 1]
            name = row.registry.name
            return paint.registry_line(row, registries.busy.get(name), registries.failed.get(name, ""), width)
        if number - 1 < max(len(registries.rows), 1):
            return [("no registry is configured: a adds one" if registries.known else "reading …", "dim")]
        name = self._adding[number - 1 - max(len(registries.rows), 1)]
        phase, share = registries.busy[name]
        return [("▶ ", "accent"), (name, "bold"), (f"  {phase}{f' {share:.0%}' if share is not None else ' …'}", "dim")]


class RegistriesScreen(PageScreen):
    """Everything is done beside the screen; the recipes are read again after."""

    BINDINGS = bindings(Scope.REGISTRIES)
    AUTO_FOCUS = "RegistryList"
    WHERE = "registries"

    def body(self) -> Iterable[Widget]:
        """The list, and what is known of the one under the cursor."""
        self.list = RegistryList(self.sparkrun.registries)
        self.about = TextPane(self._about, id="registry-about")
        self.about.can_focus = False
        yield Panel(self.list, title="Registries", id="registries-panel")
        yield Panel(self.about, id="registry-panel")

    def on_mount(self) -> None:
        """Read beside the screen."""
        self.background(self.sparkrun.registries.read(), "read")

    def registries_changed(self) -> None:
        """Something was read, begun or done."""
        if not self.whole:
            return
        self.list.cursor = min(self.list.cursor, max(self.list.row_count - 1, 0))
        notes = self.sparkrun.registries.notes
        self.query_one("#registries-panel", Panel).entitle("Registries", notes[0] if notes else "")
        self.list.refresh()
        self._show()

    @on(ListPane.Highlighted, "#registries")
    def _show(self) -> None:
        current = self.list.current
        self.query_one("#registry-panel", Panel).entitle(current.registry.name if current else "")
        self.about.show(self._about)
        self.refresh_bindings()

    def _about(self, width: int) -> Sequence[Line]:
        current = self.list.current
        if current is None:
            return ()
        lines: list[Line] = []
        for label, value in paint.about_lines(current, self.sparkrun.registries.failed.get(current.registry.name, "")):
            rows = wrap(value, width - 9)
            lines.append([(f"{label:<9}", "dim"), (rows[0], "bad" if label == "failed" else "")])
            lines += [[(" " * 9 + row, "")] for row in rows[1:]]
        return lines

    # Actions.

    def why_not(self, name: str) -> str:
        """Most need a registry under the cursor that nothing is being done with."""
        if name in ("add", "back"):
            return ""
        current = self.list.current
        if current is None:
            return "There is no registry."
        if name != "update_all" and current.registry.name in self.sparkrun.registries.busy:
            return "It is being asked right now."
        if name == "recipes" and current.snapshot is None:
            return "It was never fetched: u asks it for its recipes."
        if name == "update_all" and not any(row.registry.enabled for row in self.sparkrun.registries.rows):
            return "All registries are switched off."
        return ""

    async def do_add(self) -> None:
        """Ask for an address, fetch it, add it."""
        blanks = (
            Blank("Address of the git repository", "", "https://host/path, git@host:path, OWNER/NAME, or a folder"),
            Blank("Name (empty: by its address)", "", "my-recipes"),
        )
        about = "Its recipes are fetched and listed; nothing of it runs before you launch one and agree to it."
        answer = await self.sparkrun.answer(AskScreen("Add a registry", blanks, about, _wrong))
        if answer:
            self.sparkrun.background(self._add(answer[0], answer[1]), "add")

    async def _add(self, url: str, name: str) -> None:
        added = await self.sparkrun.registries.add(url, name)
        self.sparkrun.say(f"added {added.registry.name}: {added.recipes} recipe{'s' if added.recipes != 1 else ''}")
        self.sparkrun.read_recipes()

    async def do_remove(self) -> None:
        """Remove it, after one question."""
        current = self.list.current
        if current is None:
            return
        name = current.registry.name
        lines = [
            f"{name}: {current.recipes} recipes from {current.registry.url}",
            "",
            "Its recipes leave the list, and what was fetched of it is deleted. What runs goes on.",
        ]
        if await self.sparkrun.ask(Confirm("Remove this registry?", lines, "Remove", "Keep")):
            await self.sparkrun.registries.remove(name)
            self.sparkrun.say(f"removed {name}")
            self.sparkrun.read_recipes()

    async def do_toggle(self) -> None:
        """Switch it on or off."""
        current = self.list.current
        if current is not None:
            await self.sparkrun.registries.set_enabled(current.registry.name, not current.registry.enabled)
            self.sparkrun.read_recipes()

    def do_update(self) -> None:
        """Ask this one."""
        current = self.list.current
        if current is not None:
            self.sparkrun.background(self._update([current.registry.name]), "update")

    def do_update_all(self) -> None:
        """Ask all that are switched on."""
        names = [row.registry.name for row in self.sparkrun.registries.rows if row.registry.enabled]
        self.sparkrun.background(self._update(names), "update")

    async def _update(self, names: Sequence[str]) -> None:
        results = await self.sparkrun.registries.update(names)
        for result in results:
            self.sparkrun.say(paint.changes(result), "warning" if result.error else "note")
        self.sparkrun.read_recipes()

    @on(ListPane.Chosen, "#registries")
    def _chosen(self) -> None:
        self.action_do("update")

    def do_recipes(self) -> None:
        """Show this registry's recipes in the list."""
        current = self.list.current
        if current is not None:
            names = dict.fromkeys(folder.registry for folder in current.folders if folder.visible)
            self.sparkrun.search(f"registry:{','.join(names) or current.registry.name}")


def _wrong(answers: Sequence[str]) -> str:
    url, name = answers
    try:
        check_url(url)
    except SparkrunError as error:
        return f"{error.what}: {error.remedy}" if error.remedy else error.what
    if name and NAME.fullmatch(name) is None:
        return f"`{name[:40]}` is not a name: use letters, digits, dots, hyphens."
    return ""
