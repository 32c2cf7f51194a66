"""A launch written for another tool, or as a recipe: shown, copied, saved."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from textual import on
from textual.app import ComposeResult
from textual.screen import ModalScreen

from sparkrun_tui.base.errors import SparkrunError
from sparkrun_tui.base.text import visible_text
from sparkrun_tui.launch.deploy.forms import FORMS, files_of, one_text, write
from sparkrun_tui.launch.plan.consent import about_another_tool, consent_needed
from sparkrun_tui.recipe.trust import demand_shown
from sparkrun_tui.recipe.values.masking import redactor
from sparkrun_tui.recipe.values.rendered import Rendered
from sparkrun_tui.ui.actions import Scope, bindings
from sparkrun_tui.ui.actor import Actor
from sparkrun_tui.ui.ink import Line, wrap_line
from sparkrun_tui.ui.paint.launch.plan_lines import consent_lines
from sparkrun_tui.ui.screens.dialogs.ask import AskScreen, Blank
from sparkrun_tui.ui.screens.dialogs.dialog import Confirm
from sparkrun_tui.ui.widgets.footer_keys import FooterKeys
from sparkrun_tui.ui.widgets.panel import Panel
from sparkrun_tui.ui.widgets.tab_line import TabLine
from sparkrun_tui.ui.widgets.text_pane import TextPane

_LABELS = {"compose": "Compose", "systemd": "systemd", "kubernetes": "Kubernetes", "kuberay": "KubeRay"}


class ExportScreen(ModalScreen[None], Actor):
    """One form at a time; `hosts` are those that units of systemd are written for, and how many hosts there are."""

    BINDINGS = bindings(Scope.EXPORT)
    AUTO_FOCUS = "TextPane"

    def __init__(self, rendered: Rendered, hosts: Sequence[str], of_launch: bool = False) -> None:
        super().__init__()
        self._rendered = rendered
        self._hosts = tuple(hosts)
        self._count = len(self._hosts) if of_launch and self._hosts else None
        self._at = 0
        self._files: Mapping[str, str] = {}
        self._refused = ""

    def compose(self) -> ComposeResult:
        """The forms, and the text of one."""
        with Panel(classes="sheet short"):
            yield TabLine(id="export-forms")
            yield TextPane(self._paint, id="export")
        yield FooterKeys()

    async def on_mount(self) -> None:
        """Show the first form."""
        self.query_one(Panel).entitle(f"Export {self._rendered.recipe.name}", "secrets are never written")
        await self._show(0)

    @property
    def _form(self) -> str:
        return FORMS[self._at]

    def _paint(self, width: int) -> Sequence[Line]:
        text = self._refused or one_text(self._files)
        lines: list[Line] = [[]]
        for line in visible_text(text).split("\n"):
            lines += wrap_line([(line, "")], width, indent=4) if line else [[]]
        return lines

    async def _show(self, place: int) -> None:
        self._at = place % len(FORMS)
        form, self._files, self._refused = self._form, {}, "..."
        self.query_one("#export-forms", TabLine).show([(name, _LABELS[name]) for name in FORMS], form)
        files: Mapping[str, str] = {}
        refused = ""
        try:
            files = await asyncio.to_thread(files_of, self._rendered, form, os.environ, self._hosts, self._count)
        except SparkrunError as error:
            refused = f"{error.what}\n\n{error.remedy}"
        if form != self._form:
            # Another form was chosen meanwhile.
            return
        self._files, self._refused = files, refused
        self.query_one("#export", TextPane).show(self._paint)
        self.refresh_bindings()

    @on(TabLine.Clicked)
    async def _clicked(self, event: TabLine.Clicked) -> None:
        event.stop()
        await self._show(FORMS.index(event.name))

    def why_not(self, name: str) -> str:
        """What cannot be written is neither copied nor saved."""
        if name in ("copy", "save") and not self._files:
            return "This launch cannot be written in this form."
        return ""

    async def do_next(self) -> None:
        """Show the next form."""
        await self._show(self._at + 1)

    async def do_previous(self) -> None:
        """Show the previous form."""
        await self._show(self._at - 1)

    def do_copy(self) -> None:
        """Copy the selection, or all of it."""
        selected = self.get_selected_text()
        self.sparkrun.copy(selected or one_text(self._files), "selection" if selected else "export")

    async def do_save(self) -> None:
        """Ask for a file or folder, and write it there once the user agrees to what the recipe does."""
        files = self._files
        label = "New file"
        proposed = Path.home() / next(iter(files))
        if len(files) > 1:
            label = "New folder for these files"
            proposed = Path.home() / f"{Path(next(iter(files))).stem}-units"
        blanks = (Blank(label, str(proposed), str(proposed)),)
        answer = await self.sparkrun.answer(AskScreen("Save the export", blanks, "", _wrong))
        if not answer or not await self._agreed():
            return
        try:
            paths = await asyncio.to_thread(_write, files, answer[0])
        except OSError as error:
            self.sparkrun.say(f"{answer[0]} cannot be written: {error.strerror or error}", "error")
            return
        self.sparkrun.say("wrote " + "\n".join(map(str, paths)))

    async def _agreed(self) -> bool:
        """Whether the user agrees to what a third-party recipe does, which the other tool starts without a question."""
        data_dirs = self.sparkrun.state.settings.data_dirs
        wanted = consent_needed(self._rendered, os.environ, data_dirs=data_dirs)
        if not wanted:
            return True
        redact = redactor(rendered=self._rendered)
        demands = [demand_shown(demand, redact) for demand in wanted]
        lines = consent_lines(about_another_tool(self._rendered), demands)
        return await self.sparkrun.ask(Confirm("For another tool", lines, "Write it", "Cancel"))

    def do_back(self) -> None:
        """Go back."""
        self.dismiss(None)


def _write(files: Mapping[str, str], name: str) -> list[Path]:
    return write(files, Path(name).expanduser())


def _wrong(answers: Sequence[str]) -> str:
    path = Path(answers[0]).expanduser()
    if not answers[0] or not path.is_absolute():
        return "Write the full path, starting with / or ~."
    return f"{path} exists already: choose another name." if path.exists() else ""
