"""`recipe validate`, `recipe vram` and `recipe export`: what authors of recipes need."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from sparkrun_tui.base.errors import RecipeError
from sparkrun_tui.cli import output
from sparkrun_tui.cli.context import override_options, overrides_from, settings_now
from sparkrun_tui.cli.exits import Exit, say
from sparkrun_tui.recipe.model import Problem, Recipe, Severity, Source, SourceKind


@click.group("recipe")
def recipe_group() -> None:
    """Validate, size and export recipes."""


@recipe_group.command("validate")
@click.argument("names", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="A JSON array of findings.")
def validate_command(names: tuple[str, ...], as_json: bool) -> int:
    """Check recipes by name or path (a folder means every recipe in it); errors give exit code 1."""
    from sparkrun_tui.cli.recipe_text import problem_json, problem_line

    findings = [(path, problem) for name in names for path, problem in _findings(name)]
    if as_json:
        output.as_json([{**problem_json(problem), "file": path} for path, problem in findings])
    else:
        for path, problem in findings:
            output.line(problem_line(problem, path))
    errors = sum(problem.severity is Severity.ERROR for _, problem in findings)
    warnings = sum(problem.severity is Severity.WARNING for _, problem in findings)
    if not as_json:
        say(f"{errors} error{'s' * (errors != 1)}, {warnings} warning{'s' * (warnings != 1)}")
    return Exit.FAILED if errors else Exit.OK


def _findings(name: str) -> list[tuple[str, Problem]]:
    folder = Path(name)
    if folder.is_dir():
        files = sorted([*folder.rglob("*.yaml"), *folder.rglob("*.yml")])
        return [(str(file), problem) for file in files for problem in _file_findings(file)]
    from sparkrun_tui.recipe.sources import find_recipe

    try:
        recipe = find_recipe(name, settings_now())
    except RecipeError as error:
        problem = Problem(Severity.ERROR, "unreadable", error.what, error.spot, error.remedy)
        return [(error.spot.path if error.spot else name, problem)]
    return [(recipe.source.path, problem) for problem in _problems(recipe)]


def _file_findings(file: Path) -> Sequence[Problem]:
    from sparkrun_tui.recipe.loader import load_file
    from sparkrun_tui.recipe.model import BrokenRecipe

    recipe = load_file(file, Source(SourceKind.PATH, str(file)))
    return (recipe.error,) if isinstance(recipe, BrokenRecipe) else _problems(recipe)


def _problems(recipe: Recipe) -> Sequence[Problem]:
    from sparkrun_tui.launch.checks import all_problems
    from sparkrun_tui.recipe.overrides import render

    return all_problems(render(recipe, {}))


@recipe_group.command("vram")
@click.argument("name")
@override_options
@click.option("--json", "as_json", is_flag=True, help="One JSON object; sizes in bytes.")
def vram_command(
    name: str, options: tuple[str, ...], port: str | None, tp: str | None, gpu_mem: str | None, as_json: bool
) -> int:
    """Estimate a recipe's memory, as its metadata declares it and as the engine will allocate it."""
    from sparkrun_tui.cli.recipe_text import estimate_json, memory_lines
    from sparkrun_tui.launch.sizing import size
    from sparkrun_tui.recipe.overrides import render
    from sparkrun_tui.recipe.sources import find_recipe

    settings = settings_now()
    rendered = render(find_recipe(name, settings), overrides_from(options, port, tp, gpu_mem), settings.defaults)
    if as_json:
        output.as_json(estimate_json(size(rendered, ())))
    else:
        for text in memory_lines(rendered):
            output.line(text)
    return Exit.OK


@recipe_group.command("export")
@click.argument("name")
@override_options
@click.option("--output", "target", type=click.Path(dir_okay=False, path_type=Path), help="A new file; else stdout.")
def export_command(
    name: str,
    options: tuple[str, ...],
    port: str | None,
    tp: str | None,
    gpu_mem: str | None,
    target: Path | None,
) -> int:
    """Write a recipe with overrides as its new defaults; comments and order of the original stay."""
    from sparkrun_tui.recipe.export import exported
    from sparkrun_tui.recipe.sources import find_recipe

    text = exported(find_recipe(name, settings_now()), overrides_from(options, port, tp, gpu_mem))
    if target is None:
        output.raw(text)
        return Exit.OK
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise RecipeError(f"{target} exists already", remedy="Choose another name; nothing was written.") from error
    except OSError as error:
        raise RecipeError(f"{target} cannot be written: {error.strerror}") from error
    say(f"wrote {target}")
    return Exit.OK
