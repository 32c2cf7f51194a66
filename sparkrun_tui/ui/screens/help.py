"""Help made from the active bindings: what each key does here, and everywhere."""

from __future__ import annotations

from collections.abc import Sequence

from textual import on
from textual.app import ComposeResult
from textual.screen import ModalScreen, Screen
from textual.widgets import Input

from sparkrun_tui.ui.actions import Action, Scope, bindings, find, key_name
from sparkrun_tui.ui.actor import Actor
from sparkrun_tui.ui.ink import Line, fit, wrap
from sparkrun_tui.ui.widgets.panel import Panel
from sparkrun_tui.ui.widgets.search_box import SearchBox
from sparkrun_tui.ui.widgets.text_pane import TextPane

_LEGEND = (
    "✓ good   ! tight or warning   ✗ does not fit, or failed   ? unknown   ▶ in progress   · pending",
    "○ fits an idle Spark: its hosts have not been asked, or do not answer",
    "Memory: █ weights  ▓ KV cache  ▒ engine overhead  ▞ other processes  ░ free  │ budget  ┊ floor",
    "Search: words, and filters runtime: nodes: dtype: params: ctx: fits: has: is: tp: registry: source: (- excludes)",
)


def keys_now(screen: Screen[object]) -> list[tuple[Action, list[str], str]]:
    """Every action that has a key now, with its keys, and why it cannot run now (empty when it can)."""
    found: dict[str, tuple[Action, list[str], str]] = {}
    for active in screen.active_bindings.values():
        action = find(active.binding.id or "")
        if action is None or not isinstance(active.node, Actor):
            continue
        entry = found.setdefault(action.id, (action, [], active.node.why_not(action.name)))
        name = key_name(active.binding.key)
        if name not in entry[1]:
            entry[1].append(name)
    return list(found.values())


def _has(entry: tuple[Action, list[str], str], wanted: str) -> bool:
    """Whether an action has this key, or all of these words."""
    action, keys, _ = entry
    if wanted in keys:
        return True
    words = f"{action.label} {action.help}".lower()
    return all(word in words for word in wanted.lower().split())


def help_lines(entries: Sequence[tuple[Action, list[str], str]], width: int, legend: bool = True) -> list[Line]:
    """The lines of the help page for a width in cells; `legend` adds what the signs mean."""
    lines: list[Line] = []
    for scope in sorted({action.scope for action, _, _ in entries}, key=_nearest_first):
        lines += [[(scope.value.capitalize(), "title")]]
        for action, keys, reason in entries:
            if action.scope is scope:
                text = wrap(action.help + (f" Not now: {reason}" if reason else ""), max(width - 18, 20))
                style = "dim" if reason else ""
                lines.append([(f"  {fit(_joined(keys), 14)}", "key"), (f"  {text[0]}", style)])
                lines += [[(" " * 18 + row, style)] for row in text[1:]]
        lines.append([])
    if not legend:
        return lines
    lines.append([("Signs", "title")])
    for signs in _LEGEND:
        lines += [[("  " + row, "")] for row in wrap(signs, width - 2)]
    return lines


def _joined(keys: Sequence[str]) -> str:
    digits = [key for key in keys if key.isdigit()]
    words = [key for key in keys if not key.isdigit()]
    return " ".join([*words, f"{digits[0]}…{digits[-1]}"] if len(digits) > 2 else keys)


def _nearest_first(scope: Scope) -> int:
    order = list(Scope)
    late = (Scope.LIST, Scope.APP)
    return len(order) + late.index(scope) if scope in late else order.index(scope)


class HelpScreen(ModalScreen[None], Actor):
    """The keys of the screen below the dialog."""

    BINDINGS = bindings(Scope.DIALOG, ("close", "filter"))
    AUTO_FOCUS = "TextPane"

    def __init__(self, entries: Sequence[tuple[Action, list[str], str]]) -> None:
        super().__init__()
        self._entries = entries

    def compose(self) -> ComposeResult:
        """One scrolled page, with a line to filter it."""
        with Panel(title="Help", classes="sheet"):
            yield SearchBox("/ to filter: a key, or words of what it does", id="help-filter")
            yield TextPane(self._paint)

    def on_mount(self) -> None:
        """The border says how to close the dialog."""
        self.query_one(Panel).entitle("Help", "/ filters, esc closes")

    def _paint(self, width: int) -> Sequence[Line]:
        wanted = self.query_one(SearchBox).value
        found = [entry for entry in self._entries if _has(entry, wanted)]
        if not found:
            return [[("no key does that here: ^p finds all that can be done", "dim")]]
        return help_lines(found, width, legend=not wanted)

    def do_filter(self) -> None:
        """Type what is looked for."""
        self.query_one(SearchBox).focus()

    @on(Input.Changed)
    def _typed(self) -> None:
        pane = self.query_one(TextPane)
        pane.top = 0
        pane.repaint()

    @on(SearchBox.Left)
    def _typed_all(self) -> None:
        self.query_one(TextPane).focus()

    def do_close(self) -> None:
        """Close."""
        self.dismiss(None)

    def do_help(self) -> None:
        """The help key closes the dialog, too."""
        self.dismiss(None)
