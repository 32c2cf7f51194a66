"""The overrides of a recipe in sum: what differs from its defaults, to keep as a file or to copy as a command."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from textual.app import ComposeResult
from textual.screen import ModalScreen

from sparkrun_tui.base import paths
from sparkrun_tui.base.settings import Settings
from sparkrun_tui.launch.plan.consent import about_a_copy, unasked_as_a_copy
from sparkrun_tui.recipe.format.export import command_line, exported, keeps_secrets, left_as_variables, write_new_recipe
from sparkrun_tui.recipe.model import Recipe
from sparkrun_tui.recipe.trust import demand_shown
from sparkrun_tui.recipe.values.masking import redactor
from sparkrun_tui.recipe.values.overrides import render
from sparkrun_tui.ui.actions import Scope, bindings
from sparkrun_tui.ui.actor import Actor
from sparkrun_tui.ui.ink import Line
from sparkrun_tui.ui.paint.change_lines import change_lines
from sparkrun_tui.ui.paint.plan_lines import consent_lines
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
        """Where nothing is overridden there is nothing to reset."""
        return "Nothing is overridden." if name == "reset_all" and not self._overrides else ""

    def do_copy(self) -> None:
        """Copy the selection, or the command line."""
        selected = self.get_selected_text()
        line = command_line(self._recipe, self._overrides)
        self.sparkrun.copy(selected or line, "selection" if selected else "command line")

    async def do_export(self) -> None:
        """Ask where to, and write the file; it is in the list at once."""
        text = exported(self._recipe, self._overrides)
        variables = left_as_variables(self._recipe, self._overrides)
        blanks = (Blank("File of the new recipe", str(self._proposed()), "~/recipes/name.yaml"),)
        about = "The recipe with these values as its defaults; comments and order stay as they are."
        if variables:
            about += (
                f" Secrets are not written: it takes them from {', '.join(f'${name}' for name in variables.values())}."
            )
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

    async def _agreed(self, path: Path) -> bool:
        """A recipe of others says what it does before a copy of it becomes one of the user's own."""
        settings = self.sparkrun.state.settings
        rendered = render(self._recipe, self._overrides, settings.defaults)
        wanted = unasked_as_a_copy(rendered, os.environ, path, settings)
        if not wanted:
            return True
        redact = redactor(rendered=rendered)
        lines = consent_lines(about_a_copy(rendered), [demand_shown(demand, redact) for demand in wanted])
        return await self.sparkrun.ask(Confirm("A copy of your own", lines, "Trust it", "Leave it"))

    def _proposed(self) -> Path:
        """A free file name in the user's first recipe folder."""
        stem = Path(self._recipe.source.path).stem
        folder = next(iter(self.sparkrun.state.settings.recipe_dirs), paths.user_recipes())
        names = (f"{stem}-mine", *(f"{stem}-mine-{number}" for number in range(2, 1000)))
        return next(path for path in (folder / f"{name}.yaml" for name in names) if not path.exists())

    def _wrong(self, answers: Sequence[str]) -> str:
        path = Path(answers[0]).expanduser()
        if not answers[0] or path.suffix not in _ENDINGS:
            return "A recipe file ends in .yaml."
        if not path.is_absolute():
            return "Write the whole path, from / or ~."
        return f"{path} exists already: choose another name." if path.exists() else ""

    def do_reset_all(self) -> None:
        """Drop every override; undo in the form takes it back."""
        self.sparkrun.state.edits_of(self._recipe.source.path).reset_all()
        self.query_one("#changes", TextPane).show(self._paint)
        self.sparkrun.keep_soon()
        self.sparkrun.state_changed()
        self.refresh_bindings()

    def do_back(self) -> None:
        """Go back."""
        self.dismiss(None)


def _write(name: str, text: str, settings: Settings, private: bool) -> str:
    """Write the file; the text says where, and whether it will be in the list."""
    path = Path(name).expanduser()
    write_new_recipe(path, text, private=private)
    folders = (*settings.recipe_dirs, paths.user_recipes())
    listed = any(path.resolve().is_relative_to(folder.resolve()) for folder in folders)
    kept = ", readable by you alone since it holds secrets" if private else ""
    return f"wrote {path}{kept}{'' if listed else '; add its folder to `recipe_dirs` to have it in the list'}"
