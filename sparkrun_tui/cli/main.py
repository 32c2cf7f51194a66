"""The entry of the command line: one group whose commands are imported only when they are used."""

from __future__ import annotations

import gc
import importlib
import io
import os
from collections.abc import Callable, Sequence
from typing import Any

import click

from sparkrun_tui import __version__
from sparkrun_tui.base.errors import SparkrunError
from sparkrun_tui.cli.exits import Exit, report, say_lines
from sparkrun_tui.cli.gate import gate, renew
from sparkrun_tui.cli.groups import COMPLETED, HELP_NAMES, CommandGroup, with_help

# name: (module, attribute, one line of help). The help is kept here so that `--help` imports no command.
COMMANDS: dict[str, tuple[str, str, str]] = {
    "list": ("browse", "list_command", "List the available recipes."),
    "search": ("browse", "search_command", "Search recipes by any of their metadata."),
    "show": ("browse", "show_command", "Show a recipe, its command and its memory estimate."),
    "recipe": ("recipe_author", "recipe_group", "Validate, size, create and export recipes."),
    "run": ("run", "run_command", "Launch a recipe on hosts and wait until it serves."),
    "status": ("workloads", "status_command", "Show what is running on the hosts."),
    "logs": ("logs", "logs_command", "Print or follow the logs of a workload."),
    "diagnose": ("diagnose", "diagnose_command", "Say why a start failed, by any log."),
    "stop": ("workloads", "stop_command", "Stop a workload on all its hosts."),
    "ask": ("workloads", "ask_command", "Send a prompt to a running workload."),
    "bench": ("bench", "bench_group", "Measure a running workload; show and compare results."),
    "snippet": ("snippet", "snippet_command", "Print code that calls a running workload."),
    "models": ("stores", "models_group", "List, verify and prune the models on the hosts and here."),
    "images": ("stores", "images_group", "List, verify and prune the images on the hosts and here."),
    "history": ("history", "history_group", "List, show and replay earlier launches."),
    "cluster": ("clusters", "cluster_group", "List, add, choose, remove and check clusters."),
    "registry": ("registries", "registry_group", "Add, remove, list and update recipe registries."),
    "config": ("config", "config_group", "Show where the settings are."),
    "completion": ("config", "completion_command", "Print the completion script of a shell."),
    "demo-story": ("story", "story_command", "Play a whole session on the demo cluster, as plain text."),
}


OpenApp = Callable[[bool, str, str], int]
"""Opens the full-screen app and returns the exit code. Takes: use the demo cluster, cluster name, first query."""


class LazyGroup(CommandGroup):
    """A group that imports the module of a command when the command is looked up."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The command names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command `cmd_name`, imported now; None when there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        command = getattr(importlib.import_module(f"sparkrun_tui.cli.commands.{module}"), attribute)
        return with_help(command) if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table of commands without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in COMMANDS.items()])


EPILOG = """\b
Exit codes: 0 success, 1 failure, 2 wrong usage or settings, 3 result
unknown because a host could not be reached, 130 interrupted."""


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    epilog=EPILOG,
    context_settings={"help_option_names": list(HELP_NAMES)},
)
@click.version_option(__version__, prog_name="sparkrun-tui")
@click.option("--demo", is_flag=True, help="Use the built-in demo cluster, which needs no hardware.")
@click.option("--cluster", "cluster_name", default="", metavar="NAME", help="The cluster to open the app with.")
@click.option("--query", default="", metavar="TEXT", help="The search to open the app with.")
@click.pass_context
def cli(ctx: click.Context, demo: bool, cluster_name: str, query: str) -> None:
    """Find, size, launch and watch LLM serving recipes on DGX Sparks.

    Without a command, the full-screen app opens.
    """
    # Made before anything is opened: an error report must not fail because the filter cannot be loaded.
    gate()
    open_app: OpenApp = ctx.obj
    if ctx.invoked_subcommand is None:
        ctx.exit(open_app(demo, cluster_name, query))
    _collect_rarely()


def _collect_rarely() -> None:
    """Collect garbage again if `entry` stopped that; what a command has imported stays to its end."""
    if not gc.isenabled():
        gc.freeze()
        gc.set_threshold(50_000, 20, 20)
        gc.enable()


def run(argv: Sequence[str] | None, *, open_app: OpenApp) -> int:
    """Run the command line; returns the exit code. Errors go to stderr, never as a traceback."""
    renew()
    if COMPLETED in os.environ:
        # Registers the completion for bash, which quotes what it inserts.
        import sparkrun_tui.cli.completions  # noqa: F401
    try:
        arguments = list(argv) if argv is not None else None
        result: Any = cli.main(args=arguments, prog_name="sparkrun-tui", standalone_mode=False, obj=open_app)
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        shown = io.StringIO()
        error.show(file=shown)
        say_lines(shown.getvalue().rstrip("\n"))
        return Exit.USAGE
    except click.Abort:
        return Exit.INTERRUPTED
    except (SparkrunError, KeyboardInterrupt, Exception) as error:
        return report(error)
    return int(result) if isinstance(result, int) else Exit.OK
