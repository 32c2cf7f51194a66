"""Completion in the shell: names of recipes and clusters, and overrides. It says nothing when something is wrong."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

from sparkrun_tui.base.errors import SparkrunError


def recipe_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The recipes that begin so, else files."""
    from sparkrun_tui.base.settings import load_settings
    from sparkrun_tui.recipe.listing import list_recipes
    from sparkrun_tui.recipe.sources import reference

    try:
        entries = list_recipes(load_settings()).entries
    except SparkrunError:
        return []
    found = [
        CompletionItem(name, help=entry.description)
        for entry in entries
        if (name := reference(entry)).startswith(incomplete)
    ]
    return found or [CompletionItem(incomplete, type="file")]


def cluster_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The saved clusters that begin so."""
    from sparkrun_tui.base.settings import load_settings

    try:
        clusters = load_settings().clusters
    except SparkrunError:
        return []
    return [
        CompletionItem(cluster.name, help=", ".join(cluster.hosts))
        for cluster in clusters
        if cluster.name.startswith(incomplete)
    ]


def overrides(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The keys that the named recipe takes, then the values of the key."""
    from sparkrun_tui.base.settings import load_settings
    from sparkrun_tui.recipe.override_completion import KeyCompleter
    from sparkrun_tui.recipe.sources import find_recipe

    # Behind an option that waits for its value the arguments are not parsed yet.
    name = ctx.params.get("name") or next(iter(ctx.args), None)
    if not isinstance(name, str):
        return []
    try:
        recipe = find_recipe(name, load_settings())
    except SparkrunError:
        return []
    if not incomplete:
        return [CompletionItem(f"{key}=") for key in recipe.defaults]
    return [
        CompletionItem(found.text, help=found.help)
        for found in KeyCompleter(recipe).complete(incomplete, len(incomplete))
    ]
