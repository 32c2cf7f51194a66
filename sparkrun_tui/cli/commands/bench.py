"""`bench`: measures a running workload, and shows and compares what was measured."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sparkrun_tui.base.errors import UsageError
from sparkrun_tui.cli import output
from sparkrun_tui.cli.context import Target, settings_now, target_options
from sparkrun_tui.cli.exits import Exit, say
from sparkrun_tui.cli.groups import CommandGroup
from sparkrun_tui.recipe.suggestions import did_you_mean

if TYPE_CHECKING:
    from sparkrun_tui.launch.bench.benchmark import Benchmark
    from sparkrun_tui.launch.bench.options import Options
    from sparkrun_tui.launch.bench.result import Result

_BAR = 40


class BenchGroup(CommandGroup):
    """Takes a workload in place of a command: `bench NAME` is `bench run NAME`."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the first argument names, else `run`. A misspelt command is no workload."""
        is_command = args[0].startswith("-") or self.get_command(ctx, args[0]) is not None
        if not is_command and not did_you_mean(args[0], self.list_commands(ctx)):
            args = ["run", *args]
        return super().resolve_command(ctx, args)


@click.group("bench", cls=BenchGroup)
def bench_group() -> None:
    """Measure a running workload: `bench NAME`. Results are kept and can be compared.

    The client is llama-benchy. It is installed once, in an environment of its own.
    """


@bench_group.command("run")
@click.argument("name")
@target_options
@click.option("--concurrency", default="", metavar="LIST", help="Requests at once; 1,2,4,8 where it is left out.")
@click.option("--prompt", default="", metavar="LIST", help="Tokens of a prompt; 2048 where it is left out.")
@click.option("--output", "answer", default="", metavar="LIST", help="Tokens of an answer; 128 where it is left out.")
@click.option("--depth", default="", metavar="LIST", help="Tokens of context before the prompt; none by default.")
@click.option("--runs", default="", metavar="N", help="Runs of each combination, after one to warm up; 3 by default.")
@click.option("--tokenizer", default="", metavar="REPO|FILE", help="By what prompts are cut; by default the model's.")
@click.option(
    "--text",
    default=None,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The text that prompts are cut from; by default the client downloads a book.",
)
@click.option("--yes", is_flag=True, help="Install the client without asking.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def run_command(
    name: str,
    hosts: str,
    cluster_name: str,
    demo: bool,
    concurrency: str,
    prompt: str,
    answer: str,
    depth: str,
    runs: str,
    tokenizer: str,
    text: Path | None,
    yes: bool,
    as_json: bool,
) -> int:
    """Measure the workload NAME (a launch id or a recipe) with several requests at once.

    Its server is asked through the SSH link to its head host.
    """
    from sparkrun_tui.launch.bench.options import Typed, options_of

    options = options_of(Typed(concurrency, prompt, answer, depth, runs, tokenizer, text))
    return asyncio.run(_run(Target(hosts, cluster_name, demo), name, options, yes, as_json))


async def _run(target: Target, name: str, options: Options, yes: bool, as_json: bool) -> Exit:
    from sparkrun_tui.cli.commands.workloads import chosen_workload, surveyed
    from sparkrun_tui.fleet.server_keys import key_of
    from sparkrun_tui.launch.bench.benchmark import Benchmark
    from sparkrun_tui.launch.bench.store import results_folder
    from sparkrun_tui.launch.bench.subject import Subject, check, look_at
    from sparkrun_tui.launch.plan.host_views import probe_paths

    async with surveyed(settings_now(), target) as (cluster, services, view):
        item = await chosen_workload(view, name)
        check(item)
        _ask_for_client(yes)

        async def find() -> Subject:
            return await look_at(item, services, probe_paths(cluster), await key_of(item, services))

        benchmark = Benchmark(item.recipe, options)
        try:
            await benchmark.run(find, _Told(benchmark).update)
        finally:
            if benchmark.result is not None:
                say(f"kept as {benchmark.result.id} in {results_folder()}")
    result = benchmark.result
    assert result is not None
    if as_json:
        _print_json(result)
    else:
        _print(result)
    return Exit.OK if result.is_complete else Exit.FAILED


def _ask_for_client(yes: bool) -> None:
    """Ask before the client is installed. Raises `UsageError` where the user does not agree."""
    from sparkrun_tui.cli.prompts import confirm
    from sparkrun_tui.launch.bench import client

    if client.is_installed():
        return
    about = f"{client.NAME} {client.VERSION} is not installed: it takes {client.DISK} in {client.folder()}"
    if not yes and not confirm(f"{about}. Install it?"):
        raise UsageError(about, remedy="Agree with --yes.")


class _Told:
    """Tells on stderr what is measured, a line for each combination."""

    def __init__(self, benchmark: Benchmark) -> None:
        self._benchmark = benchmark
        self._words = ""

    def update(self) -> None:
        """Say what is measured now, once."""
        now = self._benchmark.progress
        if now.words != self._words:
            self._words = now.words
            say(f"{now.done} of {now.total} requests: {now.words}")


def _print(result: Result) -> None:
    from sparkrun_tui.launch.bench import words

    for name, text in words.facts(result):
        output.line(f"{name + ':':<14}{text}")
    output.line()
    output.table(words.HEAD, map(words.row, result.points))
    output.line(words.UNITS)
    rows = words.chart(result.points, min(_BAR, max(shutil.get_terminal_size().columns - 50, 10)))
    if len(rows) > 1:
        output.line()
        width = max(len(label) for label, _, _ in rows)
        for label, bar, figure in rows:
            output.line(f"{label:<{width}}  {bar} {figure}")


def _print_json(result: Result) -> None:
    from sparkrun_tui.launch.bench.result import to_data

    output.as_json(to_data(result))


@bench_group.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array of objects, newest first.")
def list_command(as_json: bool) -> int:
    """List what was measured on this machine, newest first."""
    from sparkrun_tui.launch.bench.result import to_data
    from sparkrun_tui.launch.bench.store import kept
    from sparkrun_tui.launch.bench.words import listed_row

    results = kept()
    if as_json:
        output.as_json([to_data(result) for result in results])
        return Exit.OK
    output.table(("ID", "WHEN", "RECIPE", "HOSTS", "MOST AT ONCE", "ALL", "END"), map(listed_row, results))
    return Exit.OK


@bench_group.command("show")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show_command(name: str, as_json: bool) -> int:
    """Show one result: NAME is the beginning of its id, or a recipe, whose newest result is meant."""
    from sparkrun_tui.launch.bench.store import chosen

    result = chosen(name)
    if as_json:
        _print_json(result)
    else:
        _print(result)
    return Exit.OK


@bench_group.command("compare")
@click.argument("first")
@click.argument("second")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def compare_command(first: str, second: str, as_json: bool) -> int:
    """Show two results side by side, and what they were not measured on alike."""
    from sparkrun_tui.launch.bench import words
    from sparkrun_tui.launch.bench.comparing import compared_data
    from sparkrun_tui.launch.bench.store import chosen

    before, after = chosen(first), chosen(second)
    if as_json:
        output.as_json(compared_data(before, after))
        return Exit.OK
    output.line(f"{before.id}  {before.measured.recipe}")
    output.line(f"{after.id}  {after.measured.recipe}")
    output.line()
    output.table(words.PAIR_HEAD, words.compared(before, after))
    output.line(words.PAIR_UNITS)
    found = words.differing(before, after)
    if found:
        output.line()
        output.table(("DIFFERS", before.id, after.id), found)
    return Exit.OK
