"""A minimal Textual app: what the figures of ours are compared with. `z` counts, so that a key has an answer."""

from __future__ import annotations

from textual.app import App, ComposeResult
from textual.screen import Screen
from textual.widgets import Footer, Header, Static


class Minimal(App[None]):
    """Header, one line, footer."""

    BINDINGS = [("z", "count", "Count"), ("q", "quit", "Quit")]
    count = 0

    def compose(self) -> ComposeResult:
        """Three widgets."""
        yield Header()
        yield Static("ready to be measured")
        yield Footer()

    def action_count(self) -> None:
        """Show how often it was pressed."""
        self.count += 1
        self.query_one(Static).update(f"pressed({self.count})")


class Plain(Screen[None]):
    """A screen of its own, with the same parts."""

    def compose(self) -> ComposeResult:
        """Three widgets."""
        yield Header()
        yield Static("a plain screen")
        yield Footer()


if __name__ == "__main__":
    Minimal().run()
