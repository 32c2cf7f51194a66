"""The line at the bottom: only what can be done now, from the active bindings."""

from __future__ import annotations

from textual import events
from textual.screen import Screen

from sparkrun_tui.ui.actions import find, key_name
from sparkrun_tui.ui.actor import Actor
from sparkrun_tui.ui.ink import Line, Span, fit, spread, width_of
from sparkrun_tui.ui.widgets.line_pane import LinePane

_ALWAYS = 90
"""Actions from this footer number on are shown at the right and are dropped last."""


class FooterKeys(LinePane, Actor):
    """The keys that work now, most important first; `?` shows those that do not fit."""

    ALLOW_SELECT = False
    SCROLLS = False

    def __init__(self) -> None:
        super().__init__()
        self._entries: list[tuple[int, str, str, str, Actor]] = []
        self._spots: list[tuple[int, int, str, Actor]] = []

    @property
    def line_count(self) -> int:
        """One line."""
        return 1

    def on_mount(self) -> None:
        """Follow the active bindings."""
        self.screen.bindings_updated_signal.subscribe(self, self._bindings_changed)
        self.call_after_refresh(self.update)

    def _bindings_changed(self, screen: Screen[object]) -> None:
        if screen.is_current:
            self.call_after_refresh(self.update)

    def update(self) -> None:
        """Read the active bindings again."""
        if not self.is_attached or not self.screen.is_current:
            return
        entries: dict[str, tuple[int, str, str, str, Actor]] = {}
        focused = self.screen.focused
        typing = focused is not None and focused.check_consume_key("a", "a")
        for key, active in self.screen.active_bindings.items():
            node = active.node
            action = find(active.binding.id or "")
            if action is None or not action.footer or not isinstance(node, Actor):
                continue
            shown = key_name(key)
            types_a_letter = typing and len(shown) == 1
            if action.id in entries or types_a_letter or node.why_not(action.name):
                continue
            entries[action.id] = (action.footer, shown, action.label, action.name, node)
        found = sorted(entries.values(), key=lambda entry: entry[0])
        if found != self._entries:
            self._entries = found
            self.refresh()

    def line(self, number: int) -> Line:
        """As many keys as fit; those at the right are dropped last."""
        width = self.text_width
        kept = [entry for entry in self._entries if entry[0] >= _ALWAYS]
        while kept and width_of(self._spans(kept)) > width // 3:
            kept.pop()
        right = self._spans(kept)
        room = width - width_of(right) - 1
        left: list[Span] = []
        self._spots = []
        start = width - width_of(right)
        for entry in kept:
            end = start + width_of(self._spans([entry]))
            self._spots.append((start, end, entry[3], entry[4]))
            start = end
        for entry in self._entries:
            spans = self._spans([entry])
            if entry[0] >= _ALWAYS or width_of(left) + width_of(spans) > room:
                continue
            self._spots.append((width_of(left), width_of(left) + width_of(spans), entry[3], entry[4]))
            left += spans
        line = spread(left, right, width)
        return line if line else [(fit("", width), "")]

    def _spans(self, entries: list[tuple[int, str, str, str, Actor]]) -> list[Span]:
        spans: list[Span] = []
        for _, key, label, _, _ in entries:
            spans += [(f" {key}", "key"), (f" {label}", ""), (" ", "")]
        return spans

    def on_click(self, event: events.Click) -> None:
        """A click on a key runs its action."""
        for start, end, name, node in self._spots:
            if start <= event.x < end:
                node.action_do(name)
                return
