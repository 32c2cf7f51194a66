"""All commands and options, found by walking the parser: none drops an option, or takes a wrong value for a failure."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from sparkrun_tui.cli.groups import BEFORE_COMMAND, MEANT, CommandGroup
from sparkrun_tui.cli.main import cli as program
from tests.cli.conftest import Cli


def commands(
    group: click.Group = program, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command with the words that lead to it, groups too."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


ALL = list(commands())
ENDS = [(words, command) for words, command in ALL if not isinstance(command, click.Group)]


def ids(row: object) -> str:
    return " ".join(row) if isinstance(row, tuple) else ""


@pytest.mark.parametrize("words", [words for words, _ in ALL], ids=ids)
def test_every_command_has_help_by_its_short_name(cli: Cli, words: tuple[str, ...]) -> None:
    done = cli(*words, "-h")
    assert done.code == 0
    assert "Usage: sparkrun-tui" in done.out
    assert done.out == cli(*words, "--help").out


def test_every_group_answers_a_wrong_name_with_the_nearest(cli: Cli) -> None:
    groups = [(words, command) for words, command in ALL if isinstance(command, click.Group)]
    for words, group in [((), program), *groups]:
        assert isinstance(group, CommandGroup)
        name = group.list_commands(click.Context(group))[0]
        wrong = f"{name}x"
        done = cli(*words, wrong)
        assert (done.code, done.out) == (2, "")
        assert f"did you mean `{name}`" in done.err
        assert cli(*words, "zzzzzzzz").code == 2


def test_a_command_of_another_program_is_answered_with_the_one_that_does_the_same(cli: Cli) -> None:
    known = {" ".join(words) for words, _ in ALL}
    for name, meant in MEANT.items():
        assert name not in known
        assert meant in known
        done = cli(*name.split(), "something")
        assert (done.code, done.out) == (2, "")
        assert f"did you mean `sparkrun-tui {meant}`?" in done.err


@pytest.mark.parametrize(("words", "command"), ENDS, ids=ids)
def test_an_option_before_a_command_is_inherited_or_refused(
    cli: Cli, no_hosts: None, words: tuple[str, ...], command: click.Command
) -> None:
    """`--cluster x stop --all` must never act on the default cluster."""
    taken = {parameter.name for parameter in command.params}
    for parameter, spelling in BEFORE_COMMAND.items():
        if parameter in taken:
            continue
        value = () if parameter == "demo" else ("somewhere",)
        done = cli(spelling, *value, *words, *arguments(command))
        assert (done.code, done.out) == (2, "")
        assert f"does not take `{spelling}`" in done.err
    if "cluster_name" in taken:
        done = cli("--cluster", "nowhere", *words, *arguments(command))
        assert (done.code, done.out) == (2, "")
        assert "nowhere" in done.err


def arguments(command: click.Command) -> list[str]:
    """Words that satisfy the arguments of a command; they name what is not there where that does no harm."""
    found = []
    for parameter in command.params:
        if isinstance(parameter, click.Argument):
            if isinstance(parameter.type, click.Choice):
                found.append(str(parameter.type.choices[0]))
            elif parameter.name in ("name", "names") and command.name in ("run", "show", "vram", "export", "validate"):
                found.append("qwen3-1.7b-vllm")
            elif parameter.name != "words":
                found.append("something")
    if command.name == "stop":
        return ["--all", "--yes"]
    if command.name == "list":
        return []
    if command.name == "search":
        return ["qwen"]
    return found


WRONG = {
    "-H": "a b",
    "--hosts-file": "FOLDER",
    "--cluster": "nowhere",
    "--port": "80 80",
    "--tp": "two",
    "--pp": "two",
    "--dp": "0",
    "--max-model-len": "long",
    "--gpu-mem": "1.5",
    "--image": "not an image",
    "-e": "NOT A NAME=1",
    "-o": "no assignment",
    "--ignore": "everything",
    "--tail": "-1",
    "--max-tokens": "0",
    "--temperature": "nan",
    "--as": "cobol",
    "--gpus": "0",
    "--hf-cache": "relative",
    "--runtime": "nothing",
    "--container": "not an image",
    "--nodes": "0",
    "--name": "not a name",
    "--subpath": "../above",
    "--speed": "0",
    "--output": "FOLDER",
    "--from": "FOLDER",
    "--service": "nowhere",
    "--engine": "abacus",
    "--concurrency": "none",
    "--prompt": "0",
    "--depth": "-1",
    "--runs": "21",
    "--tokenizer": "-x",
    "--text": "FOLDER",
}
"""A wrong value for each option that has any."""
FREE = {
    "--description": "any text",
    "--system": "any text",
    "--query": "any text",
    "--host": "asked of the hosts",
    "--served-model-name": "any text",
    "--recipe": "a recipe's name",
}
"""Options that take any text at this point, and why."""


def wrong_values() -> Iterator[tuple[tuple[str, ...], click.Command, str]]:
    for words, command in ENDS:
        for parameter in command.params:
            if isinstance(parameter, click.Option) and not parameter.is_flag and parameter.opts:
                yield words, command, parameter.opts[0]


@pytest.mark.parametrize(("words", "command", "option"), list(wrong_values()), ids=ids)
def test_a_wrong_value_is_exit_code_2(
    cli: Cli,
    no_hosts: None,
    tmp_path: Path,
    words: tuple[str, ...],
    command: click.Command,
    option: str,
) -> None:
    if option in FREE:
        return
    assert option in WRONG, f"say above which value of {option} is wrong"
    value = str(tmp_path) if WRONG[option] == "FOLDER" else WRONG[option]
    given = arguments(command)
    if words == ("cluster", "add"):
        given = ["lab", "spark-1"]
    if words in (("list",), ("search",)):
        given = ["fits:yes"]
    if words == ("recipe", "new"):
        given = ["Qwen/Qwen3-4B", "--offline"]
    if words == ("registry", "add"):
        given = ["owner/name"]
    done = cli(*words, *given, option, value)
    assert (done.code, done.out) == (2, ""), done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("query", "hint"),
    [("fits:yess", "did you mean `yes`"), ("nodes:many", "not a number"), ("params:>big", "not a number")],
)
def test_a_wrong_value_of_a_filter_is_exit_code_2(cli: Cli, query: str, hint: str) -> None:
    done = cli("search", query)
    assert (done.code, done.out) == (2, "")
    assert hint in done.err


def test_a_misspelt_filter_is_named(cli: Cli) -> None:
    assert "did you mean `runtime`" in cli("search", "runtim:vllm").err
    assert "did you mean" not in cli("list", "vllm/vllm-openai:v0.31.0").err


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("--ignore", "memroy"), "did you mean `memory`"),
        (("--ignore", "docker"), "cannot be ignored"),
        (("--cluster", "lba"), "Did you mean `lab`?"),
        (("-o", "prt=9000", "--dry-run"), "did you mean `port`?"),
    ],
)
def test_what_is_nearly_right_is_named(cli: Cli, arguments: tuple[str, ...], hint: str) -> None:
    cli("cluster", "add", "lab", "spark-1")
    done = cli("run", "qwen3-1.7b-vllm", *arguments)
    assert hint in done.err + done.out
