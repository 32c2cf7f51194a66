"""Shows the theme that is highlighted in the palette, until the palette is closed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from textual.app import App
    from textual.command import CommandPalette

PREFIX = "theme "
"""How the names of themes begin in the palette."""


class ThemePreview:
    """Sets the theme that is highlighted, and the one before again."""

    def __init__(self, app: App[int]) -> None:
        self._app = app
        self._before = ""

    @property
    def is_on(self) -> bool:
        """Whether a theme is only shown, not chosen."""
        return bool(self._before)

    def highlighted(self, event: CommandPalette.OptionHighlighted) -> None:
        """Another row of the palette is highlighted: show its theme, if it is one."""
        from textual.command import Command  # not before the palette is opened

        option = event.highlighted_event.option
        name = ""
        if isinstance(option, Command) and (option.hit.text or "").startswith(PREFIX):
            name = (option.hit.text or "").removeprefix(PREFIX)
        if name not in self._app.available_themes:
            self.end()
            return
        self._before = self._before or self._app.theme
        self._app.theme = name

    def end(self) -> None:
        """Show the theme from before; one that was chosen is set afterwards."""
        if self._before:
            self._app.theme = self._before
            self._before = ""
