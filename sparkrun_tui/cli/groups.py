"""Groups of commands: unknown names are answered with the nearest known one, and no option is silently dropped."""

from __future__ import annotations

import click

from sparkrun_tui.recipe.suggestions import did_you_mean, listed

BEFORE_COMMAND = {"demo": "--demo", "cluster_name": "--cluster", "query": "--query"}
"""The options of the program that may stand before a command: parameter to spelling."""


class CommandGroup(click.Group):
    """A group of commands. All groups of the program are of this class."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the first argument names. Raises `UsageError`."""
        name = args[0]
        command = self.get_command(ctx, name)
        if command is None and not name.startswith("-"):
            known = self.list_commands(ctx)
            hint = did_you_mean(name, known)
            if not hint:
                hint = f"the commands are {listed(known)}"
            raise click.UsageError(f"No such command '{name}': {hint}", ctx)
        if command is not None and not isinstance(command, click.Group):
            _refuse_unused_options(ctx, command)
        return super().resolve_command(ctx, args)


def _refuse_unused_options(ctx: click.Context, command: click.Command) -> None:
    """Refuse an option given before a command that does not use it.

    Commands that work on hosts inherit `--cluster` and `--demo`.
    """
    taken = {parameter.name for parameter in command.params}
    given = ctx.find_root().params
    for parameter, spelling in BEFORE_COMMAND.items():
        if given.get(parameter) and parameter not in taken:
            raise click.UsageError(f"`{command.name}` does not take `{spelling}`", ctx)
