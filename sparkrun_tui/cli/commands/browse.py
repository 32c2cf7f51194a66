"""`list`, `search` and `show`: which recipes there are, and what one of them is."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from sparkrun_tui.base import shell
from sparkrun_tui.base.errors import UsageError
from sparkrun_tui.cli import output
from sparkrun_tui.cli.completions import recipe_names
from sparkrun_tui.cli.context import (
    Target,
    found_recipe,
    judged_for,
    saved_cluster,
    settings_now,
    target_options,
)
from sparkrun_tui.cli.exits import Exit, say
from sparkrun_tui.cli.overriding import OverridingCommand, Typed, override_options
from sparkrun_tui.cli.text.entries import addresses, entry_json, entry_row, long_row, problem_json
from sparkrun_tui.recipe.search.entry import Entry

if TYPE_CHECKING:
    from sparkrun_tui.cli.shapes.recipes import ShownRecipe
    from sparkrun_tui.launch.sizing.evaluation import Evaluation
    from sparkrun_tui.launch.sizing.suggestions import Suggestion
    from sparkrun_tui.recipe.search.query import Query

HEAD = ("NAME", "ENGINE", "SIZE", "DTYPE", "HOSTS", "MODEL", "DESCRIPTION")
LONG_HEAD = (*HEAD[:-1], "FROM", HEAD[-1])


def _print(entries: Sequence[Entry], as_json: bool, long: bool) -> None:
    if as_json:
        output.as_json([entry_json(entry) for entry in entries])
        return
    width = None
    if sys.stdout.isatty():
        import shutil  # brings three libraries of compression

        width = shutil.get_terminal_size((160, 40)).columns
    if long:
        output.table(LONG_HEAD, map(long_row, entries), width=width)
        return
    output.table(HEAD, map(entry_row, entries), width=width)
    for text in addresses(entries):
        say(text)


def _find(words: Sequence[str], target: Target) -> list[Entry]:
    from sparkrun_tui.engines.search_words import search_words
    from sparkrun_tui.recipe.search.listing import finish, hidden_entries, list_recipes

    settings = settings_now()
    if target.hosts or target.cluster:
        # They matter for `fits:` only, but a wrong one is wrong in any case.
        saved_cluster(settings, target)
    listing = finish(list_recipes(settings, search_words))
    if not words:
        return list(listing.entries)
    from sparkrun_tui.recipe.search.index import Index
    from sparkrun_tui.recipe.search.query import PLACE, parse_query

    query = parse_query(" ".join(words))
    if query.notes:
        raise UsageError(query.notes[0], remedy="\n".join(query.notes[1:]))
    for hint in query.hints:
        say(hint)
    entries = list(listing.entries)
    for condition in query.filters:
        if condition.key == PLACE and not condition.negated:
            entries += hidden_entries(settings, search_words, condition.values[0])
    _insist_on_registries(query, entries)
    judge = None
    if any(condition.key == "fits" for condition in query.filters):
        from sparkrun_tui.launch.sizing.evaluation import fits

        judge = fits(judged_for(settings, target), settings.defaults)
    return Index(entries).search(query, judge)


def _insist_on_registries(query: Query, entries: Sequence[Entry]) -> None:
    """Raise `UsageError` where the query asks for a registry that is not known, or that is switched off."""
    from sparkrun_tui.recipe.registry.config import configured, no_registry
    from sparkrun_tui.recipe.search.query import PLACE, registry_names

    asked = [condition for condition in query.filters if condition.key in (PLACE, "registry")]
    if not asked:
        return
    here = {name for entry in entries for name in registry_names(entry)}
    known, _ = configured()
    for condition in asked:
        for value in condition.values:
            name = value.partition("/")[0]
            if any(found.startswith(name) for found in here):
                continue
            meant = [registry for registry in known if registry.name.lower().startswith(name)]
            if not meant:
                raise no_registry(name, known)
            if not any(registry.enabled for registry in meant):
                command = shell.script("sparkrun-tui registry enable {name}", name=meant[0].name)
                message = f"the registry `{meant[0].name}` is switched off"
                raise UsageError(message, remedy=f"`{command}` switches it on")
            command = shell.script("sparkrun-tui registry update {name}", name=meant[0].name)
            say(f"no recipe of {meant[0].name} is here: `{command}` fetches it")


_LONG = click.option(
    "--long", is_flag=True, help="Also show where each recipe comes from: its file, or its registry with the address."
)


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array of objects.")
@_LONG
@target_options
@click.argument("words", nargs=-1)
def list_command(as_json: bool, long: bool, hosts: str, cluster_name: str, demo: bool, words: tuple[str, ...]) -> int:
    """List the available recipes; WORDS narrow the list as in the app's search box.

    The options that choose hosts only matter for the filter fits:yes.
    """
    _print(_find(words, Target(hosts, cluster_name, demo)), as_json, long)
    return Exit.OK


@click.command("search")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array of objects, best match first.")
@_LONG
@target_options
@click.argument("words", nargs=-1, required=True)
def search_command(as_json: bool, long: bool, hosts: str, cluster_name: str, demo: bool, words: tuple[str, ...]) -> int:
    """Search recipes by any of their metadata; exit code 1 when nothing is found.

    WORDS may include filters: runtime:vllm, nodes:2, dtype:fp8, params:>30b, ctx:128k, fits:yes, has:pre_exec, and
    @REGISTRY or @REGISTRY/WORD. A leading - excludes what matches; put `--` before the first such word.
    """
    found = _find(words, Target(hosts, cluster_name, demo))
    _print(found, as_json, long)
    return Exit.OK if found else Exit.FAILED


@click.command("show", cls=OverridingCommand)
@click.argument("name", shell_complete=recipe_names)
@override_options
@target_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show_command(
    name: str,
    typed: Typed,
    hosts: str,
    cluster_name: str,
    demo: bool,
    as_json: bool,
) -> int:
    """Show a recipe, its command with overrides applied, and the memory it needs on the chosen hosts."""
    from sparkrun_tui.cli.hub import read_here
    from sparkrun_tui.cli.text.recipes import describe
    from sparkrun_tui.launch.sizing.evaluation import evaluate
    from sparkrun_tui.launch.sizing.suggestions import suggestions

    settings = settings_now()
    recipe = found_recipe(name, settings)
    overrides = typed.of(recipe)
    target = judged_for(settings, Target(hosts, cluster_name, demo))
    evaluation = evaluate(recipe, overrides, target, user_defaults=settings.defaults)
    if read_here(evaluation.rendered):
        evaluation = evaluate(recipe, overrides, target, user_defaults=settings.defaults)
    offered = suggestions(evaluation, target)
    if as_json:
        output.as_json(_full_json(evaluation, offered))
        return Exit.OK
    for text in describe(evaluation, offered):
        output.line(text)
    return Exit.OK


def _full_json(evaluation: Evaluation, offered: Sequence[Suggestion]) -> ShownRecipe:
    from sparkrun_tui.cli.text.recipes import (
        decisions_json,
        estimate_json,
        recipe_json,
        shown_command,
        shown_env,
        shown_values,
    )

    recipe = evaluation.recipe
    return {
        **recipe_json(recipe),
        "command": shown_command(evaluation) or None,
        "values": shown_values(evaluation.rendered),
        "env": shown_env(recipe),
        "overrides": decisions_json(evaluation.rendered),
        "problems": [problem_json(problem) for problem in evaluation.problems],
        "memory": estimate_json(evaluation.estimate, offered),
    }
