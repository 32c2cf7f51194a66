"""`recipe validate`, `vram`, `new` and `export`: the commands for authors of recipes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sparkrun_tui.base.errors import RecipeError, Spot, UsageError
from sparkrun_tui.base.units import format_count
from sparkrun_tui.cli import output
from sparkrun_tui.cli.completions import recipe_names
from sparkrun_tui.cli.context import (
    Target,
    found_recipe,
    judged_for,
    settings_now,
    target_options,
)
from sparkrun_tui.cli.exits import Exit, say
from sparkrun_tui.cli.gate import hide_recipe
from sparkrun_tui.cli.groups import CommandGroup
from sparkrun_tui.cli.overriding import OverridingCommand, Typed, override_options
from sparkrun_tui.cli.writing import FORMS, json_option, output_option, refuse_existing, write_files, write_launch
from sparkrun_tui.recipe.model import BrokenRecipe, Problem, Recipe, Severity, Source, SourceKind

if TYPE_CHECKING:
    from sparkrun_tui.base.user.settings import Settings
    from sparkrun_tui.engines.starter import Known
    from sparkrun_tui.launch.sizing import evaluation as judging


@click.group("recipe", cls=CommandGroup)
def recipe_group() -> None:
    """Validate, size, create and export recipes."""


@recipe_group.command("validate")
@click.argument("names", nargs=-1, required=True, shell_complete=recipe_names)
@target_options
@click.option("--strict", is_flag=True, help="Warnings count as errors for the exit code.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array of findings.")
def validate_command(
    names: tuple[str, ...], hosts: str, cluster_name: str, demo: bool, strict: bool, as_json: bool
) -> int:
    """Check recipes by name or path (a folder means every recipe in it); exit code 1 when there are errors.

    With hosts given, also check whether they can run the recipes.
    """
    from sparkrun_tui.cli.text.entries import problem_json, problem_lines

    settings = settings_now()
    target = judged_for(settings, Target(hosts, cluster_name, demo))
    findings: list[tuple[str, Problem]] = []
    for name in names:
        findings += _findings(name, settings, target)
    errors = sum(problem.severity is Severity.ERROR for _, problem in findings)
    warnings = sum(problem.severity is Severity.WARNING for _, problem in findings)
    if as_json:
        output.as_json([{**problem_json(problem), "file": path} for path, problem in findings])
    else:
        for path, problem in findings:
            for line in problem_lines(problem, path):
                output.line(line)
        say(f"{format_count(errors, 'error')}, {format_count(warnings, 'warning')}")
    failed = errors + warnings if strict else errors
    return Exit.FAILED if failed else Exit.OK


def _findings(name: str, settings: Settings, target: judging.Target) -> list[tuple[str, Problem]]:
    folder = Path(name)
    if folder.is_dir():
        return _folder_findings(folder, target)
    try:
        recipe = found_recipe(name, settings)
    except RecipeError as error:
        problem = Problem(Severity.ERROR, "unreadable", error.what, error.spot, error.remedy)
        return [(error.spot.path if error.spot else name, problem)]
    return [(recipe.source.path, problem) for problem in _problems(recipe, target)]


def _folder_findings(folder: Path, target: judging.Target) -> list[tuple[str, Problem]]:
    files = [file for pattern in ("*.yaml", "*.yml") for file in folder.rglob(pattern) if file.is_file()]
    if not files:
        raise UsageError(f"there are no recipe files (.yaml) in {folder}")
    findings: list[tuple[str, Problem]] = []
    for file in sorted(files):
        for problem in _file_findings(file, target):
            findings.append((str(file), problem))
    return findings


def _file_findings(file: Path, target: judging.Target) -> Sequence[Problem]:
    from sparkrun_tui.recipe.format.loader import load_file
    from sparkrun_tui.recipe.search.sources import is_compose, looks_like_recipe

    recipe = load_file(file, Source(SourceKind.PATH, str(file)))
    if not looks_like_recipe(recipe):
        message = "this file has none of a recipe's keys and is skipped"
        if isinstance(recipe, Recipe) and is_compose(recipe):
            message = "this is a Docker Compose file and is skipped; `recipe new --from` makes a recipe of it"
        return (Problem(Severity.NOTE, "no-recipe", message, Spot(str(file), 1, 1)),)
    return (recipe.error,) if isinstance(recipe, BrokenRecipe) else _problems(recipe, target)


def _problems(recipe: Recipe, target: judging.Target) -> Sequence[Problem]:
    from sparkrun_tui.launch.sizing.evaluation import evaluate
    from sparkrun_tui.launch.sizing.memory_problems import refusals

    evaluation = evaluate(recipe, {}, target)
    return (*evaluation.problems, *refusals(evaluation))


@recipe_group.command("vram", cls=OverridingCommand)
@click.argument("name", shell_complete=recipe_names)
@override_options
@target_options
@click.option("--hub", is_flag=True, help="Look up the model on the Hugging Face Hub first.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; sizes in bytes.")
def vram_command(
    name: str,
    typed: Typed,
    hosts: str,
    cluster_name: str,
    demo: bool,
    hub: bool,
    as_json: bool,
) -> int:
    """Estimate a recipe's memory, as its metadata declares it and as the engine will allocate it.

    The hosts are not contacted: each is assumed to be a DGX Spark.
    """
    from sparkrun_tui.cli.hub import look_up, read_here
    from sparkrun_tui.cli.text.recipes import estimate_json, memory_lines
    from sparkrun_tui.launch.sizing.evaluation import evaluate
    from sparkrun_tui.launch.sizing.suggestions import suggestions

    settings = settings_now()
    recipe = found_recipe(name, settings)
    if hub:
        look_up(recipe.model, recipe.model_revision)
    overrides = typed.of(recipe)
    target = judged_for(settings, Target(hosts, cluster_name, demo))
    evaluation = evaluate(recipe, overrides, target, user_defaults=settings.defaults)
    if read_here(evaluation.rendered):
        evaluation = evaluate(recipe, overrides, target, user_defaults=settings.defaults)
    offered = suggestions(evaluation, target)
    if as_json:
        output.as_json(estimate_json(evaluation.estimate, offered))
    else:
        for text in memory_lines(evaluation, offered):
            output.line(text)
    return Exit.OK


_NEW = "recipe.yaml"
"""The name of a new recipe in JSON."""


@recipe_group.command("new")
@click.argument("model", default="")
@click.option(
    "--from",
    "source",
    default=None,
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Make the recipe from a service of this Docker Compose file.",
)
@click.option("--service", default="", metavar="NAME", help="The service, where several run an engine.")
@click.option(
    "--runtime", default="", metavar="ENGINE", help="vllm, sglang or llama-cpp; by default chosen by the model."
)
@click.option(
    "--container", default="", metavar="IMAGE", help="The container image; by default the engine's usual one."
)
@click.option("--nodes", default=1, show_default=True, type=click.IntRange(1, 64), help="How many hosts it uses.")
@click.option("--offline", is_flag=True, help="Do not look up the model on the Hugging Face Hub.")
@output_option
@json_option
@click.option("--yes", is_flag=True, help="Agree to what the service of a Compose file does.")
def new_command(
    model: str,
    source: Path | None,
    service: str,
    runtime: str,
    container: str,
    nodes: int,
    offline: bool,
    target: Path | None,
    as_json: bool,
    yes: bool,
) -> int:
    """Write a first recipe for MODEL (OWNER/NAME, or OWNER/NAME:QUANT for GGUF) from what is known about it.

    With --from, write one that does what a service of a Docker Compose file does, and say what cannot be carried over.
    """
    if source is not None:
        if model or runtime or container or nodes != 1:
            raise UsageError("--from takes model, engine and image from the file", remedy="leave the others out")
        return _from_compose(source, service, target, yes, as_json)
    if service:
        raise UsageError("--service names a service of the file of --from")
    if not model:
        raise UsageError("name a model (OWNER/NAME), or a Compose file with --from")
    from sparkrun_tui.cli.hub import look_up
    from sparkrun_tui.engines.checks.fields import valid_model
    from sparkrun_tui.engines.starter import starter, usual_family
    from sparkrun_tui.recipe.names.images import parse_image

    if container and parse_image(container) is None:
        raise UsageError(f"`{container[:80]}` is not an image", remedy="Write it as [REGISTRY/]NAME:TAG.")
    if target is not None:
        refuse_existing(target)
    if not offline and valid_model(model):
        look_up(model)
    engine = runtime or usual_family(model)
    image = container or _usual_image(engine)
    known = _known(model)
    notes = []
    for share in _SHARES:
        text = starter(model, engine, image, known, nodes, share)
        if _starts(text):
            break
    else:
        text = starter(model, engine, image, known, nodes)
        hosts = "one host" if nodes == 1 else f"{nodes} hosts"
        notes.append(f"{model} is not estimated to fit on {hosts}: see `sparkrun-tui recipe vram`, or give --nodes")
    write_files({_NEW: text}, target, notes=notes, as_json=as_json)
    return Exit.OK


def _from_compose(source: Path, service: str, target: Path | None, yes: bool, as_json: bool) -> int:
    """Write the recipe of a service in a Compose file, which may be another person's."""
    from sparkrun_tui.base.disk.files import read_text
    from sparkrun_tui.engines.compose import converted
    from sparkrun_tui.recipe.format.export import keeps_secrets
    from sparkrun_tui.recipe.format.loader import load_text
    from sparkrun_tui.recipe.format.yamltree import MAX_BYTES

    if target is not None:
        refuse_existing(target)
    try:
        text = read_text(source, MAX_BYTES, encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{source} cannot be read: {error}") from error
    found = converted(text, str(source), service)
    recipe = load_text(found.text, Source(SourceKind.PATH, str(source), stranger=True))
    hide_recipe(recipe)
    notes = [f"note: {note}" for note in found.notes]
    if target is not None:
        for note in notes:
            # What is left out is known before the question.
            say(note)
        notes = []
        _agree_to_copy(recipe, {}, target, settings_now(), yes)
    private = keeps_secrets(recipe, found.text)
    if private:
        notes.append(_about_secrets(target))
    write_files({_NEW: found.text}, target, notes=notes, private=private, as_json=as_json)
    return Exit.OK


def _about_secrets(target: Path | None) -> str:
    """What becomes of the secrets that are in a new recipe in clear."""
    if target is None:
        return "the recipe contains secrets, shown as dots here; --output FILE writes them"
    return "the recipe contains secrets: only you can read the new file"


_SHARES = ("0.5", "0.6", "0.7", "0.8", "0.85", "0.9")
"""Shares of a host's memory that a new recipe may use, smallest first."""


def _starts(text: str) -> bool:
    """Whether the estimate does not rule out that this recipe starts and holds its context."""
    from sparkrun_tui.launch.sizing.evaluation import Target, evaluate
    from sparkrun_tui.memory.result import Level
    from sparkrun_tui.recipe.format.loader import load_text

    estimate = evaluate(load_text(text), {}, Target(), checks=False).estimate
    return Level.BAD not in (estimate.starts.level, estimate.context.level)


def _known(model: str) -> Known:
    """What is known about the model, from its facts and from the recipes that serve it."""
    from dataclasses import replace

    from sparkrun_tui.engines.search_words import search_words
    from sparkrun_tui.launch.sizing.starter_facts import known_of
    from sparkrun_tui.recipe.names.detect import split_gguf
    from sparkrun_tui.recipe.search.listing import finish, list_recipes

    known = known_of(model)
    wanted = split_gguf(model)[0].lower()
    for entry in finish(list_recipes(settings_now(), search_words)).entries:
        if entry.error or split_gguf(entry.model)[0].lower() != wanted:
            continue
        dtype = known.dtype
        if not dtype and entry.model == model:
            dtype = entry.stated_dtype
        return replace(
            known,
            params=entry.stated_params or known.params,
            active=(entry.active if entry.stated_params else None) or known.active,
            dtype=dtype,
        )
    return known


def _usual_image(engine: str) -> str:
    """The image that most bundled recipes of this engine use, else the engine's default image."""
    from collections import Counter

    from sparkrun_tui.base.user.settings import Settings
    from sparkrun_tui.engines.registry import ENGINES
    from sparkrun_tui.engines.search_words import search_words
    from sparkrun_tui.recipe.model import Recipe, Source
    from sparkrun_tui.recipe.search.listing import finish, list_recipes

    counts: Counter[str] = Counter()
    for entry in finish(list_recipes(Settings(), search_words)).entries:
        bundled = entry.source.kind is SourceKind.BUNDLED
        if bundled and entry.runtime == engine and entry.container:
            counts[entry.container] += 1
    if counts:
        return counts.most_common(1)[0][0]
    known = ENGINES.get(engine)
    if known is None:
        return ""
    return known.image(Recipe("", Source(SourceKind.PATH, ""), "", engine))


@recipe_group.command("export", cls=OverridingCommand)
@click.argument("name", shell_complete=recipe_names)
@override_options
@output_option
@json_option
@click.option(
    "--as",
    "form",
    type=click.Choice(["recipe", *FORMS]),
    default="recipe",
    help="What to write: a recipe, or the launch for another tool.",
)
@click.option("-H", "--hosts", metavar="H1,H2", default="", help="With systemd: the hosts, as they reach each other.")
@click.option("--yes", is_flag=True, help="Agree to what a third-party recipe does; the copy becomes one of yours.")
def export_command(
    name: str,
    typed: Typed,
    target: Path | None,
    as_json: bool,
    form: str,
    hosts: str,
    yes: bool,
) -> int:
    """Write a recipe with overrides as its new defaults, keeping the comments and order of the original.

    With --as, write instead what Docker Compose, systemd or Kubernetes needs to start it. Secrets are never written:
    the text says where they belong.
    """
    from sparkrun_tui.recipe.values.overrides import render

    settings = settings_now()
    recipe = found_recipe(name, settings)
    overrides = typed.of(recipe)
    if form != "recipe":
        if hosts and form != "systemd":
            raise UsageError(
                "--hosts is for --as systemd", remedy="leave it out: the other tools choose hosts themselves"
            )
        names = tuple(host for host in hosts.split(",") if host)
        rendered = render(recipe, overrides, settings.defaults)
        write_launch(rendered, form, settings, target, hosts=names, yes=yes, as_json=as_json)
        return Exit.OK
    if hosts:
        raise UsageError("--hosts is for --as systemd", remedy="leave it out: a recipe names no hosts")
    write_copy(recipe, overrides, settings, target, yes=yes, as_json=as_json)
    return Exit.OK


def write_copy(
    recipe: Recipe,
    overrides: Mapping[str, str],
    settings: Settings,
    target: Path | None,
    *,
    notes: Sequence[str] = (),
    yes: bool,
    as_json: bool,
) -> None:
    """Write a recipe with overrides as its defaults; a third-party one becomes one of the user's own once agreed to."""
    from sparkrun_tui.recipe.format.export import exported, keeps_secrets, left_as_variables

    text = exported(recipe, overrides)
    if target is not None:
        _agree_to_copy(recipe, overrides, target, settings, yes)
    said = [*notes]
    for key, variable in left_as_variables(recipe, overrides).items():
        said.append(
            f"`{key}` is a secret and was not written: set ${variable}, which the new recipe reads, before you run it"
        )
    private = keeps_secrets(recipe, text)
    if private:
        said.append(_about_secrets(target))
    write_files({_NEW: text}, target, notes=said, private=private, as_json=as_json)


def _agree_to_copy(recipe: Recipe, overrides: Mapping[str, str], target: Path, settings: Settings, yes: bool) -> None:
    """Ask for consent before a third-party recipe becomes one of the user's own, which is launched without a question.

    Raises `UsageError` when the user does not agree.
    """
    import os

    from sparkrun_tui.cli.prompts import agreed, how_to_agree
    from sparkrun_tui.launch.plan.consent import about_a_copy, unasked_as_a_copy
    from sparkrun_tui.recipe.values.overrides import render

    rendered = render(recipe, overrides, settings.defaults)
    wanted = unasked_as_a_copy(rendered, os.environ, target, settings)
    if wanted and not agreed(about_a_copy(rendered), wanted, "Write it?", yes):
        raise UsageError("not written: this recipe needs your consent", remedy=how_to_agree())
