"""Shell completion of recipe names, cluster names and overrides. An error gives no completions and no message."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

import click
from click.shell_completion import BashComplete, CompletionItem, add_completion_class, split_arg_string

from sparkrun_tui.base.errors import SparkrunError
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.base.text import clean_line

_BASH = """\
%(complete_func)s() {
    local line
    COMPREPLY=()
    while IFS= read -r line; do
        case $line in
            dir,*) compopt -o dirnames ;;
            file,*) compopt -o default ;;
            plain,*) COMPREPLY+=("${line#plain,}") ;;
        esac
    done < <(env COMP_LINE="${COMP_LINE:0:COMP_POINT}" COMP_WORDBREAKS="$COMP_WORDBREAKS" \
        %(complete_var)s=bash_complete "$1")
    return 0
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""
_SPECIAL = late_regex(r"[^A-Za-z0-9@%+=:,./_-]")
_SPECIAL_IN_QUOTES = late_regex(r"[\"'\\$`!]")


class Bash(BashComplete):
    """Completion for bash that quotes what it inserts, and keeps words with `@`, `=` and `:` whole.

    bash ends a word at those characters by default, and replaces only the part after the last one.
    """

    source_template = _BASH

    def get_completion_args(self) -> tuple[list[str], str]:
        """The words before the one being typed, and that word without its quotes."""
        line = os.environ["COMP_LINE"]
        word, _, _ = _last_word(line, "")
        before = split_arg_string(line[: len(line) - len(word)])[1:]
        return before, "".join(split_arg_string(word))

    def format_completion(self, item: CompletionItem) -> str:
        """The kind of the item, and the text that replaces what bash considers the current word."""
        if item.type != "plain":
            return f"{item.type},"
        word, kept, quote = _last_word(os.environ["COMP_LINE"], os.environ.get("COMP_WORDBREAKS", ""))
        text = str(item.value).removeprefix("".join(split_arg_string(word[:kept])))
        if not text.isprintable() or (quote and _SPECIAL_IN_QUOTES.search(text)):
            return "none,"
        return f"plain,{text if quote else _SPECIAL.sub(_escaped, text)}"


def _escaped(match: re.Match[str]) -> str:
    return f"\\{match[0]}"


def _last_word(line: str, breaks: str) -> tuple[str, int, str]:
    """The last word of a command line as typed, how many of its characters bash keeps, and the open quote."""
    start = kept = 0
    quote = ""
    escaped = False
    for at, char in enumerate(line):
        if escaped:
            escaped = False
        elif quote:
            escaped = char == "\\" and quote == '"'
            if char == quote:
                quote = ""
        elif char in "'\"":
            quote = char
            kept = at + 1
        elif char == "\\":
            escaped = True
        elif char in " \t\n":
            start = kept = at + 1
        elif char in breaks and char in "@=:":
            kept = at + 1
    return line[start:], kept - start, quote


add_completion_class(Bash)


def _item(text: str, about: str = "") -> CompletionItem | None:
    """A completion `text` with its description; None for a text that a shell cannot show as it is.

    Shells read items line by line and print them unchanged, so a description is reduced to one line of visible
    characters.
    """
    if not text.isprintable():
        return None
    return CompletionItem(text, help=clean_line(about) or None)


def _items(found: Iterable[tuple[str, str]]) -> list[CompletionItem]:
    """Completion items for pairs of a text and its description."""
    made = (_item(text, about) for text, about in found)
    return [item for item in made if item is not None]


def recipe_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The recipes whose names begin with `incomplete`; without one, file names."""
    from sparkrun_tui.base.user.settings import load_settings
    from sparkrun_tui.engines.search_words import search_words
    from sparkrun_tui.recipe.search.entry import reference
    from sparkrun_tui.recipe.search.listing import list_recipes

    try:
        entries = list_recipes(load_settings(), search_words).entries
    except SparkrunError:
        return []
    named = ((reference(entry), entry.description) for entry in entries)
    found = _items((name, about) for name, about in named if name.startswith(incomplete))
    return found or [CompletionItem(incomplete, type="file")]


def cluster_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The saved clusters whose names begin with `incomplete`."""
    from sparkrun_tui.base.user.settings import load_settings

    try:
        clusters = load_settings().clusters
    except SparkrunError:
        return []
    return _items(
        (cluster.name, ", ".join(cluster.hosts)) for cluster in clusters if cluster.name.startswith(incomplete)
    )


def registry_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The configured registries whose names begin with `incomplete`."""
    from sparkrun_tui.recipe.registry.config import configured

    try:
        known, _ = configured()
    except SparkrunError:
        return []
    return _items((registry.name, registry.url) for registry in known if registry.name.startswith(incomplete))


def launch_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The ids of earlier launches, then their recipes, that begin with `incomplete`."""
    from sparkrun_tui.launch.record.journal import past_launches

    found: dict[str, str] = {}
    past = past_launches()
    for launch in past:
        found[launch.state.launch_id] = launch.state.recipe
    for launch in past:
        found.setdefault(launch.state.recipe, "the newest launch of this recipe")
    return _items((name, about) for name, about in found.items() if name.startswith(incomplete))


def variable_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The variables of this machine that begin with `incomplete`; their values are not shown."""
    return _items((name, "") for name in sorted(os.environ) if name.startswith(incomplete))


def check_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The checks that may be ignored and begin with `incomplete`."""
    from sparkrun_tui.launch.plan.preflight import IGNORABLE

    return _items((name, about) for name, about in IGNORABLE.items() if name.startswith(incomplete))


def overrides(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The override keys of the named recipe; after `=`, the values of the key."""
    from sparkrun_tui.base.user.settings import load_settings
    from sparkrun_tui.engines.fields.completion import KeyCompleter
    from sparkrun_tui.recipe.search.sources import find_recipe

    # While an option is being completed, click has not parsed the arguments after it.
    name = ctx.params.get("name") or next(iter(ctx.args), None)
    if not isinstance(name, str):
        return []
    try:
        recipe = find_recipe(name, load_settings())
    except SparkrunError:
        return []
    if not incomplete:
        keys = _items((f"{key}=", "") for key in recipe.defaults)
        return [*keys, *_items((found.text, found.help) for found in KeyCompleter(recipe).complete("", 0))]
    return _items((found.text, found.help) for found in KeyCompleter(recipe).complete(incomplete, len(incomplete)))
