"""Completion of names in the shell: recipes and clusters. It says nothing when something is wrong."""

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
