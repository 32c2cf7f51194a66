"""The table of actions, from which footer, help, palette, key map and the page of keys are made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

from textual.binding import Binding, BindingType

from sparkrun_tui.base.records import dataclass


class Scope(StrEnum):
    """Where an action applies: a screen, or the pane that has the focus."""

    APP = "everywhere"
    LIST = "any list"
    BROWSE = "recipes"
    RECIPES = "list of recipes"
    SEARCH = "search box"
    FORM = "overrides"
    EDITOR = "value being edited"
    PLAN = "plan"
    LAUNCH = "launch"
    REPAIR = "repairs"
    LOG = "log"
    FLEET = "fleet"
    CHAT = "chat"
    MESSAGE = "message being written"
    BENCH = "benchmark"
    SNIPPETS = "code that calls the endpoint"
    EXPORT = "a launch for another tool"
    FIGURES = "host or workload"
    STORES = "models and images"
    HISTORY = "history"
    REGISTRIES = "registries"
    CHANGES = "summary of overrides"
    COLUMNS = "columns of the list"
    COMPARE = "what if"
    PICKER = "cluster picker"
    ANSWER = "text being entered"
    DIALOG = "dialogs"


@dataclass(frozen=True, slots=True)
class Action:
    """One action of the user.

    `footer` is its order in the footer (0: not shown there), `palette` whether the palette lists it.
    """

    scope: Scope
    name: str
    label: str
    help: str
    keys: str
    footer: int = 0
    palette: bool = True
    with_key: bool = False
    """Whether the action receives the key that was pressed."""

    @property
    def id(self) -> str:
        """The stable name in the key map of the settings, such as `browse.launch`."""
        return f"{self.scope.name.lower()}.{self.name}"


_A = Action
_S = Scope

ACTIONS: tuple[Action, ...] = (
    # Everywhere.
    _A(_S.APP, "help", "help", "Show the keys that work here and what each does.", "question_mark,f1", 90),
    _A(
        _S.APP,
        "palette",
        "palette",
        "Find any action, recipe, host, workload or theme by name.",
        "ctrl+p",
        91,
        palette=False,
    ),
    _A(_S.APP, "quit", "quit", "Go back; on the first screen, quit. Models keep serving.", "q", 92),
    _A(_S.APP, "quit_now", "quit now", "Quit from any screen. Models keep serving.", "ctrl+q"),
    _A(_S.APP, "how_to_leave", "how to quit", "Show how to quit; on a launch, cancel it.", "ctrl+c", palette=False),
    _A(_S.APP, "cluster", "cluster", "Choose the cluster; all verdicts are for it.", "c", 30),
    _A(_S.APP, "fleet", "fleet", "Show what is running on the cluster.", "f", 50),
    _A(_S.APP, "stores", "models", "Show the models and images on the hosts and on this machine.", "M"),
    _A(_S.APP, "history", "history", "Show earlier launches and how they ended.", "h", 51),
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
    _A(_S.BROWSE, "launch", "launch", "Review the plan, then launch this recipe.", "l", 10),
    _A(_S.BROWSE, "plan", "plan", "Show what a launch would do on each host (dry run).", "p", 11),
    _A(_S.BROWSE, "open", "open", "Go to this recipe's overrides.", "enter"),
    _A(_S.BROWSE, "overrides", "overrides", "Change this recipe's values; its file is not changed.", "o", 20),
    _A(
        _S.BROWSE,
        "search",
        "search",
        "Narrow the list by words and filters, such as qwen runtime:sglang nodes:2.",
        "slash",
        40,
    ),
    _A(
        _S.BROWSE,
        "suggest",
        "apply suggestion",
        "Apply a change suggested by the memory estimate, by its number; s applies the first.",
        "s,1,2,3,4,5,6,7,8,9",
        25,
        with_key=True,
    ),
    _A(_S.BROWSE, "look_up", "look up", "Read the model's headers from the Hub to make the estimate exact.", "i", 26),
    _A(_S.BROWSE, "next_tab", "next tab", "Show the next tab of the detail.", "right_square_bracket"),
    _A(_S.BROWSE, "previous_tab", "previous tab", "Show the previous tab of the detail.", "left_square_bracket"),
    _A(_S.BROWSE, "memory", "memory", "Show the memory in figures, and how it grows with the context.", "m"),
    _A(_S.BROWSE, "changes", "differences", "Show what is overridden; save it as a new recipe, or copy it.", "d"),
    _A(_S.BROWSE, "compare", "what if", "Compare marked recipes, or values of this one, side by side.", "w"),
    _A(_S.BROWSE, "zoom", "full-screen detail", "Show the detail on the full screen, or the list again.", "z"),
    _A(_S.BROWSE, "list_only", "full-screen list", "Show the list on the full screen, or the detail again.", "Z"),
    _A(_S.BROWSE, "form", "form as a tab", "Make the form a tab of the detail, or a pane of its own again.", "F"),
    _A(_S.BROWSE, "wider", "larger list", "Give the list more room; this is remembered.", "greater_than_sign"),
    _A(_S.BROWSE, "narrower", "smaller list", "Give the list less room; this is remembered.", "less_than_sign"),
    _A(_S.BROWSE, "columns", "columns", "Choose the columns of the list, and by which one it is sorted.", "S", 52),
    _A(
        _S.BROWSE,
        "favourite",
        "favourite",
        "Make this recipe, or those marked, favourites or no longer.",
        "asterisk",
    ),
    _A(_S.BROWSE, "argv", "arguments", "Show the command one argument per line, or as its author wrote it.", "v"),
    _A(_S.BROWSE, "edit_file", "edit file", "Open the recipe's file in $EDITOR; it is read again afterwards.", "e"),
    _A(_S.BROWSE, "copy", "copy", "Copy the selection, or the command.", "y"),
    _A(_S.BROWSE, "reload", "reload", "Read all recipes again.", "ctrl+r,f5"),
    _A(_S.BROWSE, "back", "back", "Go back to the list; from there, clear the search.", "escape", palette=False),
    # The list of recipes.
    _A(
        _S.RECIPES,
        "mark",
        "mark",
        "Mark this recipe, or no longer; other keys take all that are marked.",
        "space",
    ),
    # The search box.
    _A(
        _S.SEARCH,
        "complete",
        "complete",
        "Complete the word from the recipes; press again for the next choice.",
        "tab",
        9,
        palette=False,
    ),
    _A(_S.SEARCH, "complete_back", "previous choice", "Take the previous choice.", "shift+tab", palette=False),
    _A(_S.SEARCH, "leave", "to the list", "Go to the list.", "enter,down", 10, palette=False),
    _A(_S.SEARCH, "clear", "clear", "Clear the search; when it is empty, go to the list.", "escape", 11, palette=False),
    # The override form.
    _A(_S.FORM, "edit", "edit", "Type a value for this field.", "enter", 1),
    _A(_S.FORM, "more", "step up", "Step this value up, or take the next choice.", "right,plus", 3),
    _A(_S.FORM, "less", "step down", "Step this value down, or take the previous choice.", "left,minus", 2),
    _A(_S.FORM, "undo", "undo", "Undo the last change.", "u", 4),
    _A(_S.FORM, "redo", "redo", "Redo the last change that was undone.", "ctrl+r"),
    _A(_S.FORM, "reset", "reset", "Remove the override of this field.", "r", 5),
    _A(_S.FORM, "reset_all", "reset all", "Remove all overrides of this recipe.", "U"),
    _A(_S.FORM, "add", "add a key", "Add a key that the recipe does not have.", "a", 6),
    _A(_S.EDITOR, "accept", "accept", "Keep this value.", "enter", 10, palette=False),
    _A(
        _S.EDITOR,
        "complete",
        "next choice",
        "Complete from what the engine and the recipe know; press again for the next choice.",
        "tab,down",
        9,
        palette=False,
    ),
    _A(_S.EDITOR, "complete_back", "previous choice", "Take the previous choice.", "shift+tab,up", palette=False),
    _A(_S.EDITOR, "cancel", "cancel", "Discard what was typed.", "escape", 11, palette=False),
    # The plan.
    _A(_S.PLAN, "launch", "launch", "Start the launch.", "enter,l", 10),
    _A(
        _S.PLAN,
        "anyway",
        "launch anyway",
        "Launch although checks failed or the memory is too small, after a confirmation.",
        "L",
        10,
    ),
    _A(_S.PLAN, "dry_run", "dry run as text", "Show every command in order, to read or paste.", "d", 11),
    _A(
        _S.PLAN,
        "commands",
        "choose",
        "Choose this host for the launch, or another in its place; on a step, show or hide its commands.",
        "space,right",
        12,
    ),
    _A(
        _S.PLAN,
        "stop_first",
        "stop first, launch",
        "Stop what runs on the chosen hosts, after a confirmation, then check again and launch.",
        "x",
        9,
    ),
    _A(_S.PLAN, "copy", "copy commands", "Copy the selection, or all commands of the plan.", "y", 13),
    _A(_S.PLAN, "back", "back", "Go back; nothing has been done.", "escape", 20),
    # The launch.
    _A(_S.LAUNCH, "layout", "merged/tiled", "Show the logs merged into one, or one pane per host.", "m", 10),
    _A(
        _S.LAUNCH,
        "host",
        "host by number",
        "Show only this host's log.",
        "1,2,3,4,5,6,7,8,9",
        palette=False,
        with_key=True,
    ),
    _A(_S.LAUNCH, "zoom", "one host", "Show only the focused host's log, or all again.", "enter", 11),
    _A(_S.LAUNCH, "find", "find", "Find text in the log.", "slash", 12),
    _A(_S.LAUNCH, "filter", "filter", "Show only lines in which a regular expression is found.", "ampersand", 61),
    _A(_S.LAUNCH, "level", "level", "Show warnings and errors only, then errors only, then all lines.", "L", 62),
    _A(_S.LAUNCH, "phases", "full-screen logs", "Show the logs on the full screen, or the phases again.", "z"),
    _A(
        _S.LAUNCH,
        "wider",
        "larger first log",
        "Give the first log more room; this is remembered.",
        "greater_than_sign",
    ),
    _A(
        _S.LAUNCH,
        "narrower",
        "smaller first log",
        "Give the first log less room; this is remembered.",
        "less_than_sign",
    ),
    _A(_S.LAUNCH, "bench", "measure", "Measure how fast it answers, and compare with earlier results.", "b"),
    _A(_S.LAUNCH, "chat", "chat", "Talk to the model that is served, or try what else the server offers.", "t", 5),
    _A(
        _S.LAUNCH,
        "snippets",
        "code",
        "Show code that calls the endpoint: curl, OpenAI clients, Open WebUI, LiteLLM.",
        "s",
        9,
    ),
    _A(_S.LAUNCH, "copy", "copy", "Copy the selection, the URL, or the report of a failure.", "y", 6),
    _A(_S.LAUNCH, "report", "report", "Copy and save the report of this launch as Markdown, without names.", "r", 16),
    _A(_S.LAUNCH, "save_logs", "save logs", "Save the complete logs of all hosts as files.", "S", 15),
    _A(_S.LAUNCH, "notices", "notices", "Read the warnings and notes of this launch.", "exclamation_mark", 8),
    _A(_S.LAUNCH, "stop", "stop", "Stop this launch on all its hosts, after a confirmation.", "x", 7),
    _A(_S.LAUNCH, "cancel", "cancel", "Cancel the launch; press again to force it.", "ctrl+c"),
    _A(_S.LAUNCH, "overrides", "overrides", "Go to this recipe's overrides.", "o"),
    _A(_S.LAUNCH, "back", "leave it running", "Leave this screen; the launch keeps running.", "escape", 21),
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
    _A(_S.LOG, "pause", "pause", "Pause following the log, or resume it.", "space", 13),
    _A(_S.LOG, "next_match", "next", "Go to the next match.", "n", 14),
    _A(_S.LOG, "previous_match", "previous", "Go to the previous match.", "N"),
    _A(_S.LOG, "next_trouble", "next warning", "Go to the next warning or error.", "e", 63),
    _A(_S.LOG, "previous_trouble", "previous warning", "Go to the previous warning or error.", "E"),
    _A(_S.LOG, "range", "choose lines", "Begin or end a range of lines: move to extend it, y copies it.", "V"),
    _A(_S.LOG, "wrap", "wrap", "Wrap long lines, or cut them.", "w"),
    _A(_S.LOG, "times", "times", "Show the time of each line, or not.", "T"),
    _A(
        _S.LOG, "raw", "as printed", "Show lines as printed, or without the engine's own date and source location.", "v"
    ),
    # The fleet.
    _A(
        _S.FLEET,
        "open",
        "figures",
        "Show this host or workload on a page: its figures over the last minutes, and what it is.",
        "enter",
        10,
    ),
    _A(_S.FLEET, "logs", "logs", "Attach to this workload and show its phases and logs.", "v", 11),
    _A(_S.FLEET, "chat", "chat", "Talk to the model that is served, or try what else the server offers.", "t", 12),
    _A(_S.FLEET, "copy", "copy URL", "Copy the endpoint's URL.", "y", 13),
    _A(_S.FLEET, "stop", "stop", "Stop this workload on all its hosts, after a confirmation.", "x", 14),
    _A(
        _S.FLEET,
        "snippets",
        "code",
        "Show code that calls the endpoint: curl, OpenAI clients, Open WebUI, LiteLLM.",
        "s",
        17,
    ),
    _A(_S.FLEET, "bench", "measure", "Measure how fast it answers, and compare with earlier results.", "b", 18),
    _A(_S.FLEET, "refresh", "refresh", "Query all hosts now.", "r", 15),
    _A(_S.FLEET, "stores", "models", "Show the models and images on the hosts and on this machine.", "m", 16),
    _A(_S.FLEET, "back", "back", "Go back.", "escape", 20),
    # A chat. The keys with ctrl work while a message is written, too.
    _A(_S.CHAT, "stop", "stop the answer", "Stop the answer that arrives; what came is kept.", "ctrl+c,x", 2),
    _A(_S.CHAT, "write", "write", "Write a message.", "enter,i", 1),
    _A(_S.CHAT, "copy", "copy", "Copy the selection, or the last answer.", "y,ctrl+y", 4),
    _A(_S.CHAT, "retry", "again", "Ask the last question again, in place of its answer.", "r,ctrl+r", 5),
    _A(
        _S.CHAT,
        "options",
        "options",
        "Set the system prompt, the temperature and the most tokens of an answer.",
        "o,ctrl+o",
        6,
    ),
    _A(
        _S.CHAT,
        "snippets",
        "code",
        "Show code that calls the endpoint: curl, OpenAI clients, Open WebUI, LiteLLM.",
        "s,ctrl+s",
        7,
    ),
    _A(
        _S.CHAT,
        "clear",
        "new chat",
        "Forget the conversation and begin a new one, after a confirmation.",
        "n,ctrl+n",
        8,
    ),
    _A(_S.CHAT, "copy_all", "copy all", "Copy the whole conversation as Markdown.", "Y", 9),
    _A(_S.CHAT, "back", "back", "Stop the answer that arrives; else go back, the conversation is kept.", "escape", 3),
    # The message of a chat.
    _A(_S.MESSAGE, "send", "send", "Send the message.", "enter", 1, palette=False),
    _A(_S.MESSAGE, "new_line", "new line", "Begin a new line.", "ctrl+j,shift+enter", 10, palette=False),
    _A(_S.MESSAGE, "page_down", "page down", "Move down in the conversation by a page.", "pagedown", palette=False),
    _A(_S.MESSAGE, "page_up", "page up", "Move up in the conversation by a page.", "pageup", palette=False),
    # A benchmark.
    _A(_S.BENCH, "measure", "measure", "Choose what to measure, and begin.", "m,enter", 1),
    _A(_S.BENCH, "stop", "stop", "Stop what is being measured; what was measured until then is kept.", "x,ctrl+c", 2),
    _A(
        _S.BENCH,
        "earlier",
        "earlier",
        "Compare with the result before that.",
        "right_square_bracket,right",
        3,
    ),
    _A(_S.BENCH, "later", "later", "Compare with the result after that.", "left_square_bracket,left", 4),
    _A(_S.BENCH, "copy", "copy", "Copy the selection, or the result as Markdown.", "y", 5),
    _A(_S.BENCH, "back", "back", "Go back; what is being measured goes on.", "escape", 20),
    # Code that calls an endpoint.
    _A(_S.SNIPPETS, "next", "next", "Show the next language or program.", "right,right_square_bracket", 10),
    _A(_S.SNIPPETS, "previous", "previous", "Show the previous language or program.", "left,left_square_bracket", 11),
    _A(_S.SNIPPETS, "copy", "copy", "Copy the selection, or all of it.", "y", 12),
    _A(_S.SNIPPETS, "back", "back", "Go back.", "escape,q,s", 20),
    # A launch for another tool.
    _A(_S.EXPORT, "next", "next", "Show the next tool.", "right,right_square_bracket", 10),
    _A(_S.EXPORT, "previous", "previous", "Show the previous tool.", "left,left_square_bracket", 11),
    _A(_S.EXPORT, "copy", "copy", "Copy the selection, or all of it.", "y", 12),
    _A(_S.EXPORT, "save", "save", "Save it as a new file, or several in a new folder.", "w", 13),
    _A(_S.EXPORT, "back", "back", "Go back.", "escape,q", 20),
    # A host or a workload.
    _A(_S.FIGURES, "logs", "logs", "Attach to this workload and show its phases and logs.", "enter,v", 10),
    _A(_S.FIGURES, "chat", "chat", "Talk to the model that is served, or try what else the server offers.", "t", 12),
    _A(_S.FIGURES, "copy", "copy URL", "Copy the endpoint's URL.", "y", 13),
    _A(_S.FIGURES, "stop", "stop", "Stop this workload on all its hosts, after a confirmation.", "x", 14),
    _A(_S.FIGURES, "next", "next", "Show the next host or workload.", "right_square_bracket,right", 15),
    _A(_S.FIGURES, "previous", "previous", "Show the previous host or workload.", "left_square_bracket,left"),
    _A(_S.FIGURES, "longer", "longer", "Show a longer time.", "minus", 16),
    _A(_S.FIGURES, "shorter", "shorter", "Show a shorter time.", "plus", 17),
    _A(_S.FIGURES, "refresh", "refresh", "Ask all hosts now.", "r", 18),
    _A(
        _S.FIGURES,
        "snippets",
        "code",
        "Show code that calls the endpoint: curl, OpenAI clients, Open WebUI, LiteLLM.",
        "s",
        19,
    ),
    _A(_S.FIGURES, "bench", "measure", "Measure how fast it answers, and compare with earlier results.", "b", 21),
    _A(_S.FIGURES, "back", "back", "Go back.", "escape", 20),
    # Models and images.
    _A(
        _S.STORES,
        "switch",
        "models/images",
        "Show the images, or the models again.",
        "right_square_bracket,left_square_bracket,i",
        10,
    ),
    _A(_S.STORES, "verify", "verify", "Check whether this is whole, by headers, lists and digests.", "v", 11),
    _A(_S.STORES, "verify_all", "verify all", "Check everything in the list.", "V"),
    _A(_S.STORES, "remove", "remove", "Remove this from all hosts, after a confirmation.", "x", 12),
    _A(
        _S.STORES,
        "prune",
        "leftovers",
        "Remove unfinished downloads, or images that lost their name, after a confirmation.",
        "p",
        13,
    ),
    _A(
        _S.STORES,
        "unused",
        "unused",
        "Remove what no recipe names and no container uses, after a confirmation.",
        "u",
        14,
    ),
    _A(_S.STORES, "copy", "copy", "Copy the name.", "y"),
    _A(_S.STORES, "refresh", "refresh", "Ask all hosts again.", "r", 15),
    _A(_S.STORES, "back", "back", "Go back.", "escape", 20),
    # History.
    _A(
        _S.HISTORY,
        "open",
        "open",
        "Show this launch's phases and logs; its hosts are asked whether it still runs.",
        "enter",
        10,
    ),
    _A(
        _S.HISTORY,
        "launch",
        "launch again",
        "Launch it again with its overrides, after a confirmation that says what is other than then.",
        "l",
        11,
    ),
    _A(_S.HISTORY, "plan", "plan", "Show what launching it again would do on each host.", "p", 12),
    _A(_S.HISTORY, "filter", "filter", "Narrow the list by words of recipe, host, override or outcome.", "slash", 13),
    _A(_S.HISTORY, "replay", "replay", "Show this launch once more as it happened, only faster.", "v", 21),
    _A(_S.HISTORY, "report", "report", "Copy and save its report as Markdown, without names.", "r", 22),
    _A(_S.HISTORY, "forms", "other tools", "Show this launch as Compose, systemd or Kubernetes takes it.", "e", 23),
    _A(_S.HISTORY, "copy", "copy", "Copy this launch's settings as a command line.", "y", 14),
    _A(_S.HISTORY, "delete", "delete", "Delete this launch's record and logs, after a confirmation.", "D,delete", 15),
    _A(_S.HISTORY, "back", "back", "Go back.", "escape", 20),
    # Registries.
    _A(_S.REGISTRIES, "update", "update", "Fetch what is new in this registry.", "enter,u", 10),
    _A(_S.REGISTRIES, "update_all", "update all", "Fetch what is new in all enabled registries.", "U", 11),
    _A(_S.REGISTRIES, "add", "add", "Add a git repository by its address.", "a", 12),
    _A(
        _S.REGISTRIES,
        "toggle",
        "on/off",
        "Switch this registry on or off; while it is off, its recipes are not listed.",
        "space",
        13,
    ),
    _A(
        _S.REGISTRIES,
        "remove",
        "remove",
        "Remove this registry and its cached recipes, after a confirmation.",
        "x",
        14,
    ),
    _A(_S.REGISTRIES, "recipes", "its recipes", "Show this registry's recipes in the list.", "slash", 15),
    _A(_S.REGISTRIES, "back", "back", "Go back; updates continue.", "escape", 20),
    # The summary of overrides.
    _A(_S.CHANGES, "export", "new recipe file", "Write a recipe file in which these values are the defaults.", "w", 10),
    _A(
        _S.CHANGES, "copy", "copy command line", "Copy the command that launches the recipe with these values.", "y", 11
    ),
    _A(
        _S.CHANGES,
        "forms",
        "other tools",
        "Show the launch as Compose, systemd or Kubernetes takes it.",
        "e",
        13,
    ),
    _A(_S.CHANGES, "reset_all", "reset all", "Remove all overrides of this recipe.", "U", 12),
    _A(_S.CHANGES, "back", "back", "Go back.", "escape,q,d", 20),
    # The columns of the list.
    _A(_S.COLUMNS, "sort", "sort", "Sort by this column; again for the other direction, then no longer.", "enter", 10),
    _A(_S.COLUMNS, "toggle", "show/hide", "Show this column, or no longer.", "space", 11),
    _A(_S.COLUMNS, "back", "back", "Go back.", "escape,q,S", 20),
    # What if.
    _A(_S.COMPARE, "use", "use it", "Go to the recipe with the overrides of this side.", "enter", 10),
    _A(_S.COMPARE, "left", "side to the left", "Choose the side to the left.", "left", palette=False),
    _A(_S.COMPARE, "right", "side to the right", "Choose the side to the right.", "right", 11, palette=False),
    _A(_S.COMPARE, "add", "add a side", "Add this side with one more value, typed as key=value.", "a", 12),
    _A(_S.COMPARE, "keep", "keep", "Keep the overrides of this side under a name, for this recipe.", "w", 13),
    _A(_S.COMPARE, "remove", "remove", "Remove this side; a named set is forgotten.", "x", 14),
    _A(_S.COMPARE, "back", "back", "Go back.", "escape", 20),
    # The cluster picker.
    _A(_S.PICKER, "choose", "choose", "Use this cluster.", "enter", 10),
    _A(_S.PICKER, "add", "add", "Save a new cluster.", "a", 11),
    _A(_S.PICKER, "back", "back", "Keep the current cluster.", "escape,c", 20),
    # Text entered in a dialog.
    _A(
        _S.ANSWER,
        "accept",
        "accept",
        "Go to the next line; from the last one, submit.",
        "enter",
        10,
        palette=False,
    ),
    _A(_S.ANSWER, "cancel", "cancel", "Close without doing anything.", "escape", 11, palette=False),
    # Dialogs.
    _A(_S.DIALOG, "yes", "yes", "Do what the dialog asks about.", "y", 10, palette=False),
    _A(_S.DIALOG, "no", "no", "Do nothing.", "n,escape", 11, palette=False),
    _A(_S.DIALOG, "filter", "filter", "Show only the keys in whose words a text is found.", "slash", 10, palette=False),
    _A(_S.DIALOG, "close", "close", "Close this dialog.", "escape,q", 11, palette=False),
)

_BY_ID: Mapping[str, Action] = {action.id: action for action in ACTIONS}


def find(action_id: str) -> Action | None:
    """The action with this id, such as `browse.launch`; None when there is none."""
    return _BY_ID.get(action_id)


def bindings(scope: Scope, only: Iterable[str] = ()) -> list[BindingType]:
    """The key bindings of one scope, for `BINDINGS` of a screen or widget that is an `Actor`."""
    wanted = set(only)
    found: list[BindingType] = []
    for action in ACTIONS:
        if action.scope is not scope:
            continue
        if wanted and action.name not in wanted:
            continue
        if action.with_key:
            found += [_binding(action, key) for key in action.keys.split(",")]
        else:
            found.append(_binding(action, action.keys))
    return found


def _binding(action: Action, keys: str) -> Binding:
    call = f"do('{action.name}', '{keys}')" if action.with_key else f"do('{action.name}')"
    return Binding(keys, call, action.label, show=action.footer > 0, tooltip=action.help, id=action.id)


def unknown_keys(keymap: Mapping[str, str]) -> list[str]:
    """The ids in the user's key map that belong to no action."""
    return [action_id for action_id in keymap if action_id not in _BY_ID]


def keys_page() -> str:
    """The page of the documentation that lists every action with its default keys, as Markdown."""
    lines = ["# Keys", "", "The keys of each id can be changed under `keys:` in `config.yaml`.", ""]
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
    "greater_than_sign": ">",
    "less_than_sign": "<",
    "asterisk": "*",
    "ampersand": "&",
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
