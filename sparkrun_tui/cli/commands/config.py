"""`config` and `completion`: where the settings are, and the completion scripts of the shells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from click.shell_completion import get_completion_class

from sparkrun_tui.cli import output
from sparkrun_tui.cli.exits import Exit, say
from sparkrun_tui.cli.groups import COMPLETED, CommandGroup

if TYPE_CHECKING:
    from sparkrun_tui.cli.shapes.hosts import PathsJson

_PROGRAM = "sparkrun-tui"
_HOW = {
    "bash": 'eval "$(sparkrun-tui completion bash)"     # in ~/.bashrc',
    "zsh": 'eval "$(sparkrun-tui completion zsh)"     # in ~/.zshrc, after compinit',
    "fish": "sparkrun-tui completion fish | source     # in ~/.config/fish/config.fish",
}


@click.group("config", cls=CommandGroup)
def config_group() -> None:
    """Show where the settings are."""


@config_group.command("path")
@click.option("--all", "everything", is_flag=True, help="Print every folder and file that is used, with its purpose.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object with all of them.")
def path_command(everything: bool, as_json: bool) -> int:
    """Print the path of the settings file, which may not exist yet."""
    from sparkrun_tui.base.disk import paths
    from sparkrun_tui.base.user.settings import config_file
    from sparkrun_tui.recipe.registry.config import registries_file

    if as_json:
        body: PathsJson = {
            "settings": str(config_file()),
            "registries": str(registries_file()),
            "recipes": str(paths.user_recipes()),
            "launches": str(paths.state_dir() / "launches"),
            "cache": str(paths.cache_dir()),
            "sparkrun": str(paths.sparkrun_config_dir()),
        }
        output.as_json(body)
        return Exit.OK
    if not everything:
        output.line(str(config_file()))
        return Exit.OK
    rows = (
        ("settings", config_file()),
        ("registries", registries_file()),
        ("your recipes", paths.user_recipes()),
        ("launches and logs", paths.state_dir() / "launches"),
        ("cache", paths.cache_dir()),
        ("settings of the sparkrun CLI", paths.sparkrun_config_dir()),
    )
    output.table(("WHAT", "WHERE"), [(name, str(path)) for name, path in rows])
    return Exit.OK


@click.command("completion")
@click.argument("shell", type=click.Choice(tuple(_HOW)))
@click.pass_context
def completion_command(ctx: click.Context, shell: str) -> int:
    """Print the script that lets SHELL complete commands, options, recipes, clusters and overrides."""
    import sys

    # Registers the completion for bash that keeps words with `=` and `:` whole.
    import sparkrun_tui.cli.completions  # noqa: F401

    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"completion for {shell} is not available", ctx)
    output.raw(found(ctx.find_root().command, {}, _PROGRAM, COMPLETED).source())
    if sys.stdout.isatty():
        say(f"to use it: {_HOW[shell]}")
    return Exit.OK
