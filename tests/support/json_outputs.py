"""Checks what a command prints with `--json` against its schema in docs/json."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import click
from jsonschema import Draft202012Validator

from sparkrun_tui.cli.main import cli as program
from tests.support.json_schemas import file_name

FOLDER = Path(__file__).parents[2] / "docs" / "json"
LINES = frozenset({"run", "logs", "history replay"})
"""Commands that print one document on each line."""


def commands(group: click.Group = program, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, by its words; groups that do something by themselves, too."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        words = (*path, name)
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield " ".join(words), command
        if isinstance(command, click.Group):
            yield from commands(command, words)


def has_json(command: click.Command) -> bool:
    """Whether it takes `--json`."""
    return any("--json" in parameter.opts for parameter in command.params)


@cache
def schema(command: str) -> Draft202012Validator:
    """The validator of a command. Fails where docs/json has no schema of it."""
    path = FOLDER / file_name(command)
    assert path.exists(), f"`{command} --json` has no schema {path.name}: add its shape to cli/shapes, `./dev schemas`"
    found = json.loads(path.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(found)
    return Draft202012Validator(found)


def command_of(arguments: Sequence[str]) -> str:
    """The words of the command that these arguments call."""
    at: click.Command | None = program
    words: list[str] = []
    for word in arguments:
        if not isinstance(at, click.Group):
            break
        found = at.get_command(click.Context(at), word) if not word.startswith("-") else None
        if found is not None:
            at = found
            words.append(word)
    name = " ".join(words)
    if name == "run" and {"--dry-run", "-n"} & set(arguments):
        name = "run --dry-run"
    return name


def problems(command: str, text: str) -> list[str]:
    """What the schema says against an output; nothing was printed where a command failed before it had a result."""
    documents: list[Any] = []
    if command in LINES:
        documents = [json.loads(line) for line in text.splitlines()]
    elif text:
        documents = [json.loads(text)]
    found = []
    for document in documents:
        for error in schema(command).iter_errors(document):
            deepest = max(error.context, key=lambda inner: len(inner.path)) if error.context else error
            found.append(f"{deepest.json_path}: {deepest.message}")
    return found
