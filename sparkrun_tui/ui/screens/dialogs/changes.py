"""The summary of a recipe's overrides: what differs from its defaults, to save as a file or copy as a command."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from textual.app import ComposeResult
from textual.screen import ModalScreen

from sparkrun_tui.base.disk import paths
from sparkrun_tui.base.user.settings import Settings
from sparkrun_tui.launch.plan.consent import about_a_copy, unasked_as_a_copy
from sparkrun_tui.recipe.format.export import command_line, exported, keeps_secrets, left_as_variables, write_new_recipe
from sparkrun_tui.recipe.model import Recipe
from sparkrun_tui.recipe.trust import demand_shown
from sparkrun_tui.recipe.values.masking import redactor
from sparkrun_tui.recipe.values.overrides import render
from sparkrun_tui.ui.actions import Scope, bindings
from sparkrun_tui.ui.actor import Actor
from sparkrun_tui.ui.ink import Line
from sparkrun_tui.ui.paint.launch.change_lines import change_lines
from sparkrun_tui.ui.paint.launch.plan_lines import consent_lines
from sparkrun_tui.ui.screens.dialogs.ask import AskScreen, Blank
from sparkrun_tui.ui.screens.dialogs.dialog import Confirm
from sparkrun_tui.ui.widgets.footer_keys import FooterKeys
from sparkrun_tui.ui.widgets.panel import Panel
from sparkrun_tui.ui.widgets.text_pane import TextPane

_ENDINGS = (".yaml", ".yml")


class ChangesScreen(ModalScreen[None], Actor):
    """Nothing here changes a host or the recipe's own file."""

    BINDINGS = bindings(Scope.CHANGES)
    AUTO_FOCUS = "#changes"

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self._recipe = recipe

    def compose(self) -> ComposeResult:
        """The differences, and the command line that makes them."""
        with Panel(title=f"Overrides of {self._recipe.name}", classes="dialog wide"):
            yield TextPane(self._paint, id="changes")
        yield FooterKeys()

    @property
    def _overrides(self) -> dict[str, str]:
        return dict(self.sparkrun.state.edits_of(self._recipe.source.path).kept)

    def _paint(self, width: int) -> Sequence[Line]:
        return change_lines(self._recipe, self._overrides, self.sparkrun.state.settings.defaults, width)

    def why_not(self, name: str) -> str:
        """Resetting needs an override."""
        return "Nothing is overridden." if name == "reset_all" and not self._overrides else ""

    def do_copy(self) -> None:
        """Copy the selection, or the command line."""
        selected = self.get_selected_text()
        line = command_line(self._recipe, self._overrides)
        self.sparkrun.copy(selected or line, "selection" if selected else "command line")

    async def do_export(self) -> None:
        """Ask for a file name and write the new recipe there; then read the list again."""
        text = exported(self._recipe, self._overrides)
        variables = left_as_variables(self._recipe, self._overrides)
        blanks = (Blank("File of the new recipe", str(self._proposed()), "~/recipes/name.yaml"),)
        about = "The recipe with these values as its defaults; comments and order are kept."
        if variables:
            names = ", ".join(f"${name}" for name in variables.values())
            about += f" Secrets are not written: the recipe reads them from {names}."
        answer = await self.sparkrun.answer(AskScreen("Write a recipe file", blanks, about, self._wrong))
        if not answer:
            return
        if not await self._agreed(Path(answer[0])):
            return
        private = keeps_secrets(self._recipe, text)
        result = await asyncio.to_thread(_write, answer[0], text, self.sparkrun.state.settings, private)
        self.sparkrun.say(result)
        self.sparkrun.read_recipes()
        if self.is_current:
            self.dismiss(None)

    def do_forms(self) -> None:
        """Show the launch as other tools take it."""
        # It imports what writes them, which the list does not need.
        from sparkrun_tui.ui.screens.dialogs.export import ExportScreen

        state = self.sparkrun.state
        rendered = render(self._recipe, self._overrides, state.settings.defaults)
        hosts = state.cluster.hosts if state.cluster is not None else ()
        self.app.push_screen(ExportScreen(rendered, hosts))

    async def _agreed(self, path: Path) -> bool:
        """Whether the user agrees to what a third-party recipe does, before its copy becomes one of the user's own."""
        settings = self.sparkrun.state.settings
        rendered = render(self._recipe, self._overrides, settings.defaults)
        wanted = unasked_as_a_copy(rendered, os.environ, path, settings)
        if not wanted:
            return True
        redact = redactor(rendered=rendered)
        lines = consent_lines(about_a_copy(rendered), [demand_shown(demand, redact) for demand in wanted])
        return await self.sparkrun.ask(Confirm("Your own copy", lines, "Trust it", "Cancel"))

    def _proposed(self) -> Path:
        """A free file name in the user's first recipe folder."""
        stem = Path(self._recipe.source.path).stem
        folder = next(iter(self.sparkrun.state.settings.recipe_dirs), paths.user_recipes())
        path = folder / f"{stem}-mine.yaml"
        number = 2
        while path.exists():
            path = folder / f"{stem}-mine-{number}.yaml"
            number += 1
        return path

    def _wrong(self, answers: Sequence[str]) -> str:
        path = Path(answers[0]).expanduser()
        if not answers[0] or path.suffix not in _ENDINGS:
            return "The file name must end in .yaml."
        if not path.is_absolute():
            return "Write the full path, starting with / or ~."
        return f"{path} exists already: choose another name." if path.exists() else ""

    def do_reset_all(self) -> None:
        """Remove every override; undo in the form restores them."""
        self.sparkrun.state.edits_of(self._recipe.source.path).reset_all()
        self.query_one("#changes", TextPane).show(self._paint)
        self.sparkrun.keep_soon()
        self.sparkrun.state_changed()
        self.refresh_bindings()

    def do_back(self) -> None:
        """Go back."""
        self.dismiss(None)


def _write(name: str, text: str, settings: Settings, private: bool) -> str:
    """Write the file; a message that says where, and whether it will be in the list."""
    path = Path(name).expanduser()
    write_new_recipe(path, text, private=private)
    folders = (*settings.recipe_dirs, paths.user_recipes())
    listed = any(path.resolve().is_relative_to(folder.resolve()) for folder in folders)
    message = f"wrote {path}"
    if private:
        message += ", which only you can read because it contains secrets"
    if not listed:
        message += "; add its folder to `recipe_dirs` in config.yaml to see it in the list"
    return message
