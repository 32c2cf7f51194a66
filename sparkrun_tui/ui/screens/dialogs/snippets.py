"""Code that calls an endpoint, in several languages, to be copied."""

from __future__ import annotations

from collections.abc import Sequence

from textual import on
from textual.app import ComposeResult
from textual.screen import ModalScreen

from sparkrun_tui.base.text import visible_text
from sparkrun_tui.engines.plan import KEY_VARIABLE
from sparkrun_tui.launch.chat.snippets import endpoint_at, kinds
from sparkrun_tui.launch.record.events import EndpointUp
from sparkrun_tui.ui.actions import Scope, bindings
from sparkrun_tui.ui.actor import Actor
from sparkrun_tui.ui.ink import Line, wrap_line
from sparkrun_tui.ui.widgets.footer_keys import FooterKeys
from sparkrun_tui.ui.widgets.panel import Panel
from sparkrun_tui.ui.widgets.tab_line import TabLine
from sparkrun_tui.ui.widgets.text_pane import TextPane


class SnippetsScreen(ModalScreen[None], Actor):
    """One snippet at a time."""

    BINDINGS = bindings(Scope.SNIPPETS)
    AUTO_FOCUS = "TextPane"

    def __init__(self, endpoint: EndpointUp) -> None:
        super().__init__()
        self._endpoint = endpoint_at(endpoint.url, endpoint.model, wants_key=endpoint.wants_key, offers=endpoint.offers)
        self._kinds = list(kinds(self._endpoint).values())
        self._at = 0

    def compose(self) -> ComposeResult:
        """The kinds, and the code of one."""
        with Panel(classes="sheet short"):
            yield TabLine(id="snippet-kinds")
            yield TextPane(self._paint, id="snippet")
        yield FooterKeys()

    def on_mount(self) -> None:
        """Show the first kind."""
        corner = ""
        if self._endpoint.wants_key:
            corner = f"the API key is taken from the variable {KEY_VARIABLE}"
        self.query_one(Panel).entitle(f"Code for {self._endpoint.url}", corner)
        self._show(0)

    @property
    def _text(self) -> str:
        return self._kinds[self._at].make(self._endpoint)

    def _paint(self, width: int) -> Sequence[Line]:
        lines: list[Line] = [[]]
        for line in visible_text(self._text).split("\n"):
            lines += wrap_line([(line, "")], width, indent=4) if line else [[]]
        return lines

    def _show(self, place: int) -> None:
        self._at = place % len(self._kinds)
        tabs = [(kind.name, kind.label) for kind in self._kinds]
        self.query_one("#snippet-kinds", TabLine).show(tabs, self._kinds[self._at].name)
        self.query_one("#snippet", TextPane).show(self._paint)

    @on(TabLine.Clicked)
    def _clicked(self, event: TabLine.Clicked) -> None:
        event.stop()
        self._show([kind.name for kind in self._kinds].index(event.name))

    def why_not(self, name: str) -> str:
        """There may be one kind only."""
        if name in ("next", "previous") and len(self._kinds) < 2:
            return "There is nothing else for what this server offers."
        return ""

    def do_next(self) -> None:
        """Show the next kind."""
        self._show(self._at + 1)

    def do_previous(self) -> None:
        """Show the previous kind."""
        self._show(self._at - 1)

    def do_copy(self) -> None:
        """Copy the selection, or all of it."""
        selected = self.get_selected_text()
        if selected:
            self.sparkrun.copy(selected, "selection")
        else:
            self.sparkrun.copy(self._text, f"{self._kinds[self._at].label} snippet")

    def do_back(self) -> None:
        """Go back."""
        self.dismiss(None)
