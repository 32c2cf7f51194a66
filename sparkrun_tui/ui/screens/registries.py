"""Registries: git repositories of recipes, how old the copy of each is, and updating them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual import on
from textual.widget import Widget

from sparkrun_tui.base.errors import SparkrunError
from sparkrun_tui.base.units import format_count
from sparkrun_tui.recipe.registry.config import NAME, check_url
from sparkrun_tui.recipe.registry.registries import RegistryStatus
from sparkrun_tui.ui.actions import Scope, bindings
from sparkrun_tui.ui.ink import Line, wrap
from sparkrun_tui.ui.model.registries import Registries
from sparkrun_tui.ui.paint.recipe import registry_lines as paint
from sparkrun_tui.ui.screens.base import PageScreen
from sparkrun_tui.ui.screens.dialogs.ask import AskScreen, Blank
from sparkrun_tui.ui.screens.dialogs.dialog import Confirm
from sparkrun_tui.ui.widgets.list_pane import ListPane
from sparkrun_tui.ui.widgets.panel import Panel
from sparkrun_tui.ui.widgets.text_pane import TextPane


class RegistryList(ListPane):
    """One row per registry."""

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
        """The header, the registries, and the ones being added."""
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
        before = 1 + max(len(registries.rows), 1)
        if number < before:
            message = "no registry is configured: press a to add one" if registries.known else "reading …"
            return [(message, "dim")]
        name = self._adding[number - before]
        phase, share = registries.busy[name]
        progress = "…" if share is None else f"{share:.0%}"
        return [("▶ ", "accent"), (name, "bold"), (f"  {phase} {progress}", "dim")]


class RegistriesScreen(PageScreen):
    """Everything is done in the background; the recipes are read again afterwards."""

    BINDINGS = bindings(Scope.REGISTRIES)
    AUTO_FOCUS = "RegistryList"
    WHERE = "registries"

    def body(self) -> Iterable[Widget]:
        """The list, and what is known about the registry under the cursor."""
        self.list = RegistryList(self.sparkrun.registries)
        self.about = TextPane(self._about, id="registry-about")
        self.about.can_focus = False
        yield Panel(self.list, title="Registries", id="registries-panel")
        yield Panel(self.about, id="registry-panel")

    def on_mount(self) -> None:
        """Read the registries in the background."""
        self.background(self.sparkrun.registries.read(), "read")

    def registries_changed(self) -> None:
        """Show the registries and their progress again."""
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
        """Most actions need a registry under the cursor that is not busy."""
        if name in ("add", "back"):
            return ""
        current = self.list.current
        if current is None:
            return "There is no registry."
        if name != "update_all" and current.registry.name in self.sparkrun.registries.busy:
            return "It is being updated right now."
        if name == "recipes" and current.snapshot is None:
            return "It has not been fetched yet: press u to update it."
        if name == "update_all" and not any(row.registry.enabled for row in self.sparkrun.registries.rows):
            return "All registries are switched off."
        return ""

    async def do_add(self) -> None:
        """Ask for an address, fetch it, add it."""
        blanks = (
            Blank("Address of the git repository", "", "https://host/path, git@host:path, OWNER/NAME, or a folder"),
            Blank("Name (leave empty to use its address)", "", "my-recipes"),
        )
        about = "Its recipes are fetched and listed; nothing in them runs until you launch one and agree to it."
        answer = await self.sparkrun.answer(AskScreen("Add a registry", blanks, about, _wrong))
        if answer:
            self.sparkrun.background(self._add(answer[0], answer[1]), "add")

    async def _add(self, url: str, name: str) -> None:
        added = await self.sparkrun.registries.add(url, name)
        self.sparkrun.say(f"added {added.registry.name}: {format_count(added.recipes, 'recipe')}")
        self.sparkrun.read_recipes()

    async def do_remove(self) -> None:
        """Remove it, after a confirmation."""
        current = self.list.current
        if current is None:
            return
        name = current.registry.name
        lines = [
            f"{name}: {current.recipes} recipes from {current.registry.url}",
            "",
            "Its recipes are removed from the list and its local copy is deleted. Workloads keep running.",
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
        """Update this registry."""
        current = self.list.current
        if current is not None:
            self.sparkrun.background(self._update([current.registry.name]), "update")

    def do_update_all(self) -> None:
        """Update all enabled registries."""
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
    if not url:
        return "Enter the address of a git repository."
    try:
        check_url(url)
    except SparkrunError as error:
        return f"{error.what}: {error.remedy}" if error.remedy else error.what
    if name and NAME.fullmatch(name) is None:
        return f"`{name[:40]}` is not a valid name: use letters, digits, dots and hyphens."
    return ""
