"""`list`, `search` and `show`: what recipes there are, and what one of them is."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import Any

import click

from sparkrun_tui.base.errors import RecipeError
from sparkrun_tui.cli import output
from sparkrun_tui.cli.context import override_options, overrides_from, settings_now
from sparkrun_tui.cli.exits import Exit, say
from sparkrun_tui.cli.recipe_text import describe, recipe_json, recipe_row
from sparkrun_tui.recipe.model import BrokenRecipe, Recipe

HEAD = ("NAME", "ENGINE", "SIZE", "DTYPE", "HOSTS", "MODEL", "DESCRIPTION")


def _print(recipes: Sequence[Recipe | BrokenRecipe], as_json: bool) -> int:
    whole = [recipe for recipe in recipes if isinstance(recipe, Recipe)]
    broken = [recipe for recipe in recipes if isinstance(recipe, BrokenRecipe)]
    if as_json:
        output.as_json([recipe_json(recipe) for recipe in recipes])
        return Exit.OK
    output.table(HEAD, map(recipe_row, whole), width=shutil.get_terminal_size((160, 40)).columns)
    for bad in broken:
        say(f"{bad.error.spot or bad.source.path}: {bad.error.message}")
    return Exit.OK


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="A JSON array of objects.")
@click.argument("words", nargs=-1)
def list_command(as_json: bool, words: tuple[str, ...]) -> int:
    """List the recipes that can be found; WORDS narrow the list as in the app's search box."""
    from sparkrun_tui.recipe.sources import all_recipes

    recipes = all_recipes(settings_now())
    return _print(_search(recipes, " ".join(words)) if words else recipes, as_json)


@click.command("search")
@click.option("--json", "as_json", is_flag=True, help="A JSON array of objects, best first.")
@click.argument("words", nargs=-1, required=True)
def search_command(as_json: bool, words: tuple[str, ...]) -> int:
    """Search recipes by any of their metadata: words, and runtime:, nodes:, dtype:, params:>30b, -word and more."""
    from sparkrun_tui.recipe.sources import all_recipes

    found = _search(all_recipes(settings_now()), " ".join(words))
    _print(found, as_json)
    return Exit.OK if found else Exit.FAILED


def _search(recipes: Sequence[Recipe | BrokenRecipe], query: str) -> list[Recipe | BrokenRecipe]:
    from sparkrun_tui.launch.sizing import fits
    from sparkrun_tui.recipe.index import Index

    return [hit.recipe for hit in Index(recipes, fits=fits).search(query)]


@click.command("show")
@click.argument("name")
@override_options
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def show_command(
    name: str, options: tuple[str, ...], port: str | None, tp: str | None, gpu_mem: str | None, as_json: bool
) -> int:
    """Show what a recipe is, its command as rendered, and what it needs of memory."""
    from sparkrun_tui.recipe.overrides import render
    from sparkrun_tui.recipe.sources import find_recipe

    settings = settings_now()
    recipe = find_recipe(name, settings)
    rendered = render(recipe, overrides_from(options, port, tp, gpu_mem), settings.defaults)
    if as_json:
        output.as_json(_full_json(recipe, rendered))
        return Exit.OK
    for text in describe(rendered):
        output.line(text)
    return Exit.OK


def _full_json(recipe: Recipe, rendered: Any) -> dict[str, Any]:
    from sparkrun_tui.cli.recipe_text import estimate_json, problem_json
    from sparkrun_tui.launch.sizing import size

    return {
        **recipe_json(recipe),
        "command": rendered.command,
        "values": {key: item.value.data for key, item in rendered.chain.items()},
        "env": {key: value.text for key, value in recipe.env.items()},
        "problems": [problem_json(problem) for problem in rendered.problems],
        "memory": estimate_json(size(rendered, ())),
    }


def must_find(name: str) -> Recipe:
    """The recipe called `name`, or a `RecipeError` that says what is near."""
    from sparkrun_tui.recipe.sources import find_recipe

    recipe = find_recipe(name, settings_now())
    if not isinstance(recipe, Recipe):
        raise RecipeError(f"`{name}` is not a recipe")
    return recipe
