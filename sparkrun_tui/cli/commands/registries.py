"""`registry`: git repositories of recipes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from sparkrun_tui.base.units import format_count, format_duration
from sparkrun_tui.cli import output
from sparkrun_tui.cli.completions import registry_names
from sparkrun_tui.cli.exits import Exit, say
from sparkrun_tui.cli.groups import CommandGroup

if TYPE_CHECKING:
    from sparkrun_tui.cli.shapes.stores import RegistryJson, UpdatedJson
    from sparkrun_tui.recipe.registry.registries import RegistryStatus, UpdateResult


@click.group("registry", cls=CommandGroup)
def registry_group() -> None:
    """Add, remove, list, switch and update registries: git repositories of recipes."""


@registry_group.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array of objects.")
def list_command(as_json: bool) -> int:
    """List the registries, how many recipes of each are here, and when each was last checked."""
    from sparkrun_tui.recipe.registry.config import configured
    from sparkrun_tui.recipe.registry.registries import registry_list

    for note in configured()[1]:
        say(note)
    found = registry_list()
    if as_json:
        output.as_json([_status_json(status) for status in found])
    else:
        output.table(("NAME", "RECIPES", "CHECKED", "ADDRESS", "DESCRIPTION"), map(_row, found))
    return Exit.OK


def _row(status: RegistryStatus) -> tuple[str, ...]:
    registry = status.registry
    checked = "never: run `registry update`"
    if not registry.enabled:
        checked = "switched off"
    elif status.age is not None:
        checked = f"{format_duration(status.age)} ago"
    address = f"{registry.url} ({registry.subpath})" if registry.subpath else registry.url
    return (registry.name, _recipes(status), checked, address, registry.description)


def _recipes(status: RegistryStatus) -> str:
    if status.snapshot is None:
        return "-"
    return f"{status.recipes} +{status.hidden} hidden" if status.hidden else str(status.recipes)


def _status_json(status: RegistryStatus) -> RegistryJson:
    registry, snapshot = status.registry, status.snapshot
    shown: RegistryJson = {
        "name": registry.name,
        "url": registry.url,
        "subpath": registry.subpath or None,
        "description": registry.description,
        "enabled": registry.enabled,
        "visible": registry.visible,
        "origin": registry.origin,
        "recipes": status.recipes,
        "hidden": status.hidden,
        "parts": sorted({folder.registry for folder in status.folders}),
        "commit": None,
        "fetched": None,
        "skipped": None,
    }
    if snapshot is not None:
        shown["commit"] = snapshot.commit
        shown["fetched"] = snapshot.fetched
        shown["skipped"] = snapshot.skipped
    return shown


@registry_group.command("add")
@click.argument("url")
@click.option("--name", default="", help="Its name; by default made from the address.")
@click.option("--subpath", default="", help="The folder of its recipes; by default as its manifest says.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def add_command(url: str, name: str, subpath: str, as_json: bool) -> int:
    """Fetch the repository at URL (https, ssh, git@host:path, OWNER/NAME on GitHub, a local folder) and add it."""
    from sparkrun_tui.recipe.registry.registries import add_registry

    status = add_registry(url, name, subpath, _Progress())
    if as_json:
        output.as_json(_status_json(status))
    else:
        output.line(f"added {status.registry.name}: {format_count(status.recipes, 'recipe')}")
    return Exit.OK


@registry_group.command("remove")
@click.argument("name", shell_complete=registry_names)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def remove_command(name: str, as_json: bool) -> int:
    """Remove a registry and its cached recipes."""
    from sparkrun_tui.recipe.registry.registries import remove_registry

    remove_registry(name)
    if as_json:
        output.as_json({"name": name})
    else:
        output.line(f"removed {name}")
    return Exit.OK


@registry_group.command("enable")
@click.argument("name", shell_complete=registry_names)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def enable_command(name: str, as_json: bool) -> int:
    """Switch a registry on: its recipes are found and updated again."""
    return _switch(name, True, as_json)


@registry_group.command("disable")
@click.argument("name", shell_complete=registry_names)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def disable_command(name: str, as_json: bool) -> int:
    """Switch a registry off: its recipes are not found any more; what was fetched stays on this machine."""
    return _switch(name, False, as_json)


def _switch(name: str, enabled: bool, as_json: bool) -> int:
    from sparkrun_tui.recipe.registry.config import set_enabled
    from sparkrun_tui.recipe.registry.registries import registry_list

    set_enabled(name, enabled)
    if as_json:
        output.as_json(next(_status_json(status) for status in registry_list() if status.registry.name == name))
    else:
        output.line(f"{name} is switched {'on' if enabled else 'off'}")
    return Exit.OK


@registry_group.command("update")
@click.argument("names", nargs=-1, shell_complete=registry_names)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array of objects.")
def update_command(names: tuple[str, ...], as_json: bool) -> int:
    """Fetch what is new in all enabled registries, or in those named; exit code 1 when one fails."""
    from sparkrun_tui.recipe.registry.registries import update_registries

    results = update_registries(names, None if as_json else _Progress())
    if as_json:
        output.as_json([_result_json(result) for result in results])
    for result in results:
        if result.error is not None:
            say(f"{result.registry.name}: {result.error}")
        elif not as_json:
            output.line(f"{result.registry.name}: {_changes(result)}")
    return Exit.FAILED if any(result.error for result in results) else Exit.OK


def _changes(result: UpdateResult) -> str:
    update = result.update
    if update is None or not update.anything:
        return "nothing new"
    groups = (("new", update.added), ("changed", update.changed), ("removed", update.removed))
    return ", ".join(f"{len(names)} {word}" for word, names in groups if names)


def _result_json(result: UpdateResult) -> UpdatedJson:
    update = result.update
    shown: UpdatedJson = {
        "name": result.registry.name,
        "error": result.error.what if result.error else None,
        "commit": None,
        "added": [],
        "changed": [],
        "removed": [],
    }
    if update is not None:
        shown["commit"] = update.snapshot.commit
        shown["added"] = list(update.added)
        shown["changed"] = list(update.changed)
        shown["removed"] = list(update.removed)
    return shown


class _Progress:
    """Prints a phase once on a pipe, and its share in place on a terminal."""

    def __init__(self) -> None:
        self._shown = ""

    def __call__(self, name: str, phase: str, share: float | None) -> None:
        if sys.stderr.isatty() and share is not None:
            print(f"\r{name}: {phase} {share:4.0%}\x1b[K", end="\n" if share >= 1 else "", file=sys.stderr, flush=True)
        elif phase != self._shown:
            say(f"{name}: {phase}")
        self._shown = phase
