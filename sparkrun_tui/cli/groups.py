"""Groups of commands: unknown names are answered with the nearest known one, and no option is silently dropped."""

from __future__ import annotations

import click

from sparkrun_tui.recipe.suggestions import did_you_mean, listed

COMPLETED = "_SPARKRUN_TUI_COMPLETE"
"""The variable by which a shell asks for the words that may follow."""

BEFORE_COMMAND = {"demo": "--demo", "cluster_name": "--cluster", "query": "--query"}
"""The options of the program that may stand before a command: parameter to spelling."""
MEANT = {
    "export": "recipe export",
    "log": "logs",
    "ps": "status",
    "update": "registry update",
    "validate": "recipe validate",
    "vram": "recipe vram",
    "recipe list": "list",
    "recipe search": "search",
    "recipe show": "show",
    "recipe update": "registry update",
    "cluster create": "cluster add",
    "cluster default": "cluster list",
    "cluster delete": "cluster remove",
    "cluster set-default": "cluster use",
    "cluster status": "status",
    "registry show": "registry list",
}
"""Commands as other programs call them, mostly the sparkrun CLI, and those of this program that do the same."""


HELP_NAMES = ("-h", "--help")


def with_help(command: click.Command) -> click.Command:
    """The command with both names of the help option: click remembers those of the first context that asks for it."""
    command.context_settings.setdefault("help_option_names", list(HELP_NAMES))
    return command


class CommandGroup(click.Group):
    """A group of commands. All groups of the program are of this class."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the first argument names. Raises `UsageError`."""
        name = args[0]
        command = self.get_command(ctx, name)
        if command is None and not name.startswith("-"):
            raise click.UsageError(f"No such command '{name}': {self._instead(ctx, name)}", ctx)
        if command is not None and not isinstance(command, click.Group):
            _refuse_unused_options(ctx, command)
        return super().resolve_command(ctx, args)

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """Add a command, which knows `-h` also where it is read on its own, as for a manual page."""
        super().add_command(with_help(cmd), name)

    def _instead(self, ctx: click.Context, name: str) -> str:
        """What to write in place of a command that does not exist."""
        program, *groups = ctx.command_path.split()
        meant = MEANT.get(" ".join([*groups, name]))
        if meant is not None:
            return f"did you mean `{program} {meant}`?"
        known = self.list_commands(ctx)
        return did_you_mean(name, known) or f"the commands are {listed(known)}"


def _refuse_unused_options(ctx: click.Context, command: click.Command) -> None:
    """Refuse an option given before a command that does not use it.

    Commands that work on hosts inherit `--cluster` and `--demo`.
    """
    taken = {parameter.name for parameter in command.params}
    given = ctx.find_root().params
    for parameter, spelling in BEFORE_COMMAND.items():
        if given.get(parameter) and parameter not in taken:
            raise click.UsageError(f"`{command.name}` does not take `{spelling}`", ctx)
