"""The one table of actions: footer, help, palette, key map and the page of keys are all made from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from textual.binding import Binding, BindingType


class Scope(StrEnum):
    """Where an action applies: a screen, or the pane that has the focus."""

    APP = "everywhere"
    LIST = "any list"
    BROWSE = "recipes"
    SEARCH = "search box"
    FORM = "overrides"
    EDITOR = "value being edited"
    PLAN = "plan"
    LAUNCH = "launch"
    REPAIR = "repairs"
    LOG = "log"
    FLEET = "fleet"
    HISTORY = "history"
    REGISTRIES = "registries"
    CHANGES = "overrides in sum"
    PICKER = "cluster picker"
    ANSWER = "answer being typed"
    DIALOG = "questions"


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that can be done.

    `footer` orders it in the footer (0: not shown there), `palette` lists it in the palette.
    """

    scope: Scope
    name: str
    label: str
    help: str
    keys: str
    footer: int = 0
    palette: bool = True
    with_key: bool = False
    """Whether the action gets the key that was pressed."""

    @property
    def id(self) -> str:
        """The stable name in the key map of the settings, such as `browse.launch`."""
        return f"{self.scope.name.lower()}.{self.name}"


_A = Action
_S = Scope

ACTIONS: tuple[Action, ...] = (
    # Everywhere.
    _A(_S.APP, "help", "help", "Show the keys that work here, and what each does.", "question_mark,f1", 90),
    _A(_S.APP, "palette", "palette", "Find any action, recipe or theme by name.", "ctrl+p", 91, palette=False),
    _A(_S.APP, "quit", "quit", "Go back; at the top, leave. What serves keeps serving.", "q", 92),
    _A(_S.APP, "quit_now", "leave at once", "Leave from any screen. What serves keeps serving.", "ctrl+q"),
    _A(_S.APP, "how_to_leave", "how to leave", "Say how to leave; on a launch it cancels.", "ctrl+c", palette=False),
    _A(_S.APP, "cluster", "cluster", "Choose the cluster; every verdict follows.", "c", 30),
    _A(_S.APP, "fleet", "fleet", "See what runs on the cluster now.", "f", 50),
    _A(_S.APP, "history", "history", "See earlier launches and their outcome.", "h", 51),
    _A(_S.APP, "registries", "registries", "Add, update and remove registries: git repositories of recipes.", "R"),
    _A(_S.APP, "next_pane", "next pane", "Move to the next pane.", "tab", palette=False),
    _A(_S.APP, "previous_pane", "previous pane", "Move to the previous pane.", "shift+tab", palette=False),
    # Any list.
    _A(_S.LIST, "down", "down", "Move down.", "j,down", palette=False),
    _A(_S.LIST, "up", "up", "Move up.", "k,up", palette=False),
    _A(_S.LIST, "page_down", "page down", "Move down by a page.", "pagedown,ctrl+d", palette=False),
    _A(_S.LIST, "page_up", "page up", "Move up by a page.", "pageup,ctrl+u", palette=False),
    _A(_S.LIST, "first", "first", "Go to the first row.", "g,home", palette=False),
    _A(_S.LIST, "last", "last", "Go to the last row.", "G,end", palette=False),
    # Recipes.
    _A(_S.BROWSE, "launch", "launch", "Look at the plan, then launch this recipe.", "l", 10),
    _A(_S.BROWSE, "plan", "plan", "Show what a launch would do on each host (the dry run).", "p", 11),
    _A(_S.BROWSE, "open", "open", "Go to this recipe's overrides.", "enter"),
    _A(_S.BROWSE, "overrides", "overrides", "Change this recipe's values; the file stays as it is.", "o", 20),
    _A(
        _S.BROWSE, "search", "search", "Narrow the list by words and filters: qwen runtime:sglang nodes:2.", "slash", 40
    ),
    _A(
        _S.BROWSE,
        "suggest",
        "apply suggestion",
        "Apply a change that the memory estimate suggests, by its number; s applies the first.",
        "s,1,2,3,4,5,6,7,8,9",
        25,
        with_key=True,
    ),
    _A(_S.BROWSE, "look_up", "look up", "Read the model's headers from the Hub: the estimate is exact then.", "i", 26),
    _A(_S.BROWSE, "next_tab", "next part", "Show the next part of the detail.", "right_square_bracket"),
    _A(_S.BROWSE, "previous_tab", "previous part", "Show the part before it.", "left_square_bracket"),
    _A(_S.BROWSE, "memory", "memory", "Show the memory in figures, and how it grows with the context.", "m"),
    _A(_S.BROWSE, "changes", "differences", "Show what is overridden; write it as a new recipe, or copy it.", "d"),
    _A(_S.BROWSE, "zoom", "detail alone", "Give the detail the whole screen, or show the list again.", "z"),
    _A(_S.BROWSE, "argv", "arguments", "Show the command one argument a line, or as its author wrote it.", "v"),
    _A(_S.BROWSE, "edit_file", "edit file", "Open the recipe's file in $EDITOR; it is read again after.", "e"),
    _A(_S.BROWSE, "copy", "copy", "Copy the selection, or the command.", "y"),
    _A(_S.BROWSE, "reload", "reload", "Read all recipes again.", "ctrl+r,f5"),
    _A(_S.BROWSE, "back", "back", "Go back to the list; then clear the search.", "escape", palette=False),
    # The search box.
    _A(
        _S.SEARCH,
        "complete",
        "complete",
        "Complete the word by what recipes have; again: the next choice.",
        "tab",
        9,
        palette=False,
    ),
    _A(_S.SEARCH, "complete_back", "choice before", "Take the choice before.", "shift+tab", palette=False),
    _A(_S.SEARCH, "leave", "to the list", "Go to the list.", "enter,down", 10, palette=False),
    _A(_S.SEARCH, "clear", "clear", "Clear the search; when it is empty, go to the list.", "escape", 11, palette=False),
    # The override form.
    _A(_S.FORM, "edit", "edit", "Type a value for this field.", "enter", 1),
    _A(_S.FORM, "more", "step up", "Step this value up, or take the next choice.", "right,l,plus", 3),
    _A(_S.FORM, "less", "step down", "Step this value down, or take the choice before.", "left,h,minus", 2),
    _A(_S.FORM, "undo", "undo", "Take back the last change.", "u", 4),
    _A(_S.FORM, "redo", "redo", "Do again what was taken back.", "ctrl+r"),
    _A(_S.FORM, "reset", "reset", "Give this field its own value back.", "r", 5),
    _A(_S.FORM, "reset_all", "reset all", "Drop every override of this recipe.", "R"),
    _A(_S.FORM, "add", "add a key", "Add a key that the recipe does not have.", "a", 6),
    _A(_S.EDITOR, "accept", "accept", "Keep this value.", "enter", 10, palette=False),
    _A(
        _S.EDITOR,
        "complete",
        "next choice",
        "Complete by what the engine and the recipe know; again: the next choice.",
        "tab,down",
        9,
        palette=False,
    ),
    _A(_S.EDITOR, "complete_back", "choice before", "Take the choice before.", "shift+tab,up", palette=False),
    _A(_S.EDITOR, "cancel", "cancel", "Leave the value as it was.", "escape", 11, palette=False),
    # The plan.
    _A(_S.PLAN, "launch", "launch", "Do it.", "enter,l", 10),
    _A(_S.PLAN, "anyway", "launch anyway", "Launch although checks of the hosts failed, after one question.", "L", 10),
    _A(_S.PLAN, "dry_run", "dry run as text", "Show every command in order, to read or paste.", "d", 11),
    _A(_S.PLAN, "commands", "commands", "Show or hide this step's commands.", "right,space", 12),
    _A(_S.PLAN, "copy", "copy commands", "Copy the selection, or all commands of the plan.", "y", 13),
    _A(_S.PLAN, "back", "back", "Go back; nothing has been done.", "escape", 20),
    # The launch.
    _A(_S.LAUNCH, "layout", "merged/tiled", "Show the logs merged into one, or one pane a host.", "m", 10),
    _A(
        _S.LAUNCH,
        "host",
        "host by number",
        "Show this host's log alone.",
        "1,2,3,4,5,6,7,8,9",
        palette=False,
        with_key=True,
    ),
    _A(_S.LAUNCH, "zoom", "one host", "Show the focused host's log alone, or all again.", "enter", 11),
    _A(_S.LAUNCH, "find", "find", "Find text in the log.", "slash", 12),
    _A(_S.LAUNCH, "test", "test prompt", "Ask the endpoint something.", "t", 5),
    _A(_S.LAUNCH, "copy", "copy", "Copy the selection, the URL, or the report of a failure.", "y", 6),
    _A(_S.LAUNCH, "save_logs", "save logs", "Save the whole logs of all hosts as files, and say where.", "S", 15),
    _A(_S.LAUNCH, "notices", "notices", "Read the warnings and notes of this launch.", "exclamation_mark", 8),
    _A(_S.LAUNCH, "stop", "stop", "Stop this launch on all its hosts, after one question.", "x", 7),
    _A(_S.LAUNCH, "cancel", "cancel", "Cancel the launch; a second time forces it.", "ctrl+c"),
    _A(_S.LAUNCH, "overrides", "overrides", "Go to this recipe's overrides.", "o"),
    _A(_S.LAUNCH, "back", "leave it running", "Leave this screen; the launch goes on.", "escape", 21),
    # The repairs of a failed launch.
    _A(_S.REPAIR, "apply", "apply, launch again", "Apply the chosen repair and launch again.", "enter", 1),
    _A(
        _S.REPAIR, "pick", "choose", "Choose a repair by its number.", "1,2,3,4,5,6,7,8,9", palette=False, with_key=True
    ),
    _A(_S.REPAIR, "read", "keep reading", "Go to the logs.", "escape", 4),
    # A log.
    _A(_S.LOG, "down", "down", "Move down a line.", "j,down", palette=False),
    _A(_S.LOG, "up", "up", "Move up a line; following stops.", "k,up", palette=False),
    _A(_S.LOG, "page_down", "page down", "Move down by a page.", "pagedown,ctrl+d", palette=False),
    _A(_S.LOG, "page_up", "page up", "Move up by a page.", "pageup,ctrl+u", palette=False),
    _A(_S.LOG, "first", "first", "Go to the oldest line kept.", "g,home", palette=False),
    _A(_S.LOG, "last", "last, follow", "Go to the newest line and follow.", "G,end", palette=False),
    _A(_S.LOG, "left", "left", "Move left along long lines.", "left", palette=False),
    _A(_S.LOG, "right", "right", "Move right along long lines.", "right", palette=False),
    _A(_S.LOG, "pause", "pause", "Stop following; again: follow.", "space", 13),
    _A(_S.LOG, "next_match", "next", "Go to the next match.", "n", 14),
    _A(_S.LOG, "previous_match", "previous", "Go to the match before.", "N"),
    _A(_S.LOG, "wrap", "wrap", "Break long lines, or cut them.", "w"),
    _A(_S.LOG, "raw", "as printed", "Show lines as printed, or without the engine's own date and source place.", "v"),
    # The fleet.
    _A(_S.FLEET, "open", "logs", "Attach to this workload: its phases and logs.", "enter", 10),
    _A(_S.FLEET, "test", "test prompt", "Ask the endpoint something.", "t", 12),
    _A(_S.FLEET, "copy", "copy URL", "Copy the endpoint's URL.", "y", 13),
    _A(_S.FLEET, "stop", "stop", "Stop this workload on all its hosts, after one question.", "x", 14),
    _A(_S.FLEET, "refresh", "ask again", "Ask all hosts now.", "r", 15),
    _A(_S.FLEET, "back", "back", "Go back.", "escape", 20),
    # History.
    _A(_S.HISTORY, "open", "open", "Show this launch's phases and logs.", "enter", 10),
    _A(_S.HISTORY, "copy", "copy", "Copy this launch's settings as a command line.", "y", 11),
    _A(_S.HISTORY, "back", "back", "Go back.", "escape", 20),
    # Registries.
    _A(_S.REGISTRIES, "update", "update", "Ask this registry for what is new.", "enter,u", 10),
    _A(_S.REGISTRIES, "update_all", "update all", "Ask all registries that are switched on.", "U", 11),
    _A(_S.REGISTRIES, "add", "add", "Add a git repository by its address.", "a", 12),
    _A(
        _S.REGISTRIES,
        "toggle",
        "on/off",
        "Switch this registry on or off; off, its recipes are not listed.",
        "space",
        13,
    ),
    _A(
        _S.REGISTRIES,
        "remove",
        "remove",
        "Remove this registry and what was fetched of it, after one question.",
        "x",
        14,
    ),
    _A(_S.REGISTRIES, "recipes", "its recipes", "Show this registry's recipes in the list.", "slash", 15),
    _A(_S.REGISTRIES, "back", "back", "Go back; what is being fetched goes on.", "escape", 20),
    # The overrides in sum.
    _A(_S.CHANGES, "export", "new recipe file", "Write a recipe file in which these values are the defaults.", "w", 10),
    _A(_S.CHANGES, "copy", "copy command line", "Copy the command that launches it like this.", "y", 11),
    _A(_S.CHANGES, "reset_all", "reset all", "Drop every override of this recipe.", "R", 12),
    _A(_S.CHANGES, "back", "back", "Go back.", "escape,q,d", 20),
    # The cluster picker.
    _A(_S.PICKER, "choose", "choose", "Use this cluster.", "enter", 10),
    _A(_S.PICKER, "add", "add", "Save a new cluster.", "a", 11),
    _A(_S.PICKER, "back", "back", "Keep the cluster as it is.", "escape,c", 20),
    # An answer that is typed.
    _A(
        _S.ANSWER,
        "accept",
        "accept",
        "Go to the next line; from the last one, give the answer.",
        "enter",
        10,
        palette=False,
    ),
    _A(_S.ANSWER, "cancel", "cancel", "Do nothing.", "escape", 11, palette=False),
    # Questions.
    _A(_S.DIALOG, "yes", "yes", "Do what the question says.", "y", 10, palette=False),
    _A(_S.DIALOG, "no", "no", "Do nothing.", "n,escape", 11, palette=False),
    _A(_S.DIALOG, "close", "close", "Close this.", "escape,q", 11, palette=False),
)

_BY_ID: Mapping[str, Action] = {action.id: action for action in ACTIONS}


def find(action_id: str) -> Action | None:
    """The action with this id, such as `browse.launch`."""
    return _BY_ID.get(action_id)


def bindings(scope: Scope, only: Iterable[str] = ()) -> list[BindingType]:
    """The key bindings of one scope, for `BINDINGS` of a screen or widget that is an `Actor`."""
    wanted = set(only)
    found: list[BindingType] = []
    for action in ACTIONS:
        if action.scope is scope and (not wanted or action.name in wanted):
            keys = action.keys.split(",") if action.with_key else [action.keys]
            found += [_binding(action, key) for key in keys]
    return found


def _binding(action: Action, keys: str) -> Binding:
    call = f"do('{action.name}', '{keys}')" if action.with_key else f"do('{action.name}')"
    return Binding(keys, call, action.label, show=action.footer > 0, tooltip=action.help, id=action.id)


def unknown_keys(keymap: Mapping[str, str]) -> list[str]:
    """Ids in the user's key map that no action has."""
    return [action_id for action_id in keymap if action_id not in _BY_ID]


def keys_page() -> str:
    """The page of the documentation that lists every action with its default keys, as Markdown."""
    lines = ["# Keys", "", "Each id can be given other keys under `keys:` in `config.yaml`.", ""]
    for scope in Scope:
        rows = [action for action in ACTIONS if action.scope is scope]
        if not rows:
            continue
        lines += [f"## {scope.value.capitalize()}", "", "| Keys | Id | Does |", "|---|---|---|"]
        lines += [f"| {_shown(action.keys)} | `{action.id}` | {action.help} |" for action in rows]
        lines.append("")
    return "\n".join(lines)


_KEY_NAMES = {
    "question_mark": "?",
    "exclamation_mark": "!",
    "slash": "/",
    "plus": "+",
    "minus": "-",
    "right_square_bracket": "]",
    "left_square_bracket": "[",
    "escape": "esc",
    "pagedown": "pgdn",
    "pageup": "pgup",
}
_SHORT = {"up": "↑", "down": "↓", "left": "←", "right": "→"}


def key_name(key: str) -> str:
    """One key as people write it: `ctrl+p` is `^p`, `slash` is `/`."""
    key = _KEY_NAMES.get(key, _SHORT.get(key, key))
    if key.startswith("ctrl+"):
        return "^" + key[5:]
    if key.startswith("upper_"):
        return key[6:].upper()
    return key


def _shown(keys: str) -> str:
    return " ".join(f"`{key_name(key)}`" for key in keys.split(","))
