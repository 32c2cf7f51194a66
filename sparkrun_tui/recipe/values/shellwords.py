"""The words of the command that starts an engine, and the values of its flags."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from sparkrun_tui.recipe.values.shell_scanner import simple_commands

_ENGINES = re.compile(r"(^|/)(vllm|sglang|llama-server|server)$")
_MODULES = frozenset({"sglang.launch_server", "vllm.entrypoints.openai.api_server"})


def commands(text: str) -> list[list[str]]:
    """The simple commands of a script as lists of words; operators, redirections and heredocs are left out.

    Raises `ValueError` where a shell would find a syntax error, such as a quote that is never closed.
    """
    return [[word.text for word in command] for command in simple_commands(text)]


def serve_argv(text: str) -> tuple[str, ...]:
    """The words of the one command of a script that starts an engine, else of its last command.

    Empty when the shell syntax cannot be split.
    """
    try:
        found = commands(text)
    except ValueError:
        return ()
    for words in reversed(found):
        if any(_ENGINES.search(word) for word in words[:8]) or _MODULES & set(words[:8]):
            return tuple(words)
    return tuple(found[-1]) if found else ()


def flag_value(argv: Sequence[str], flags: Iterable[str]) -> str | None:
    """The value given to any of `flags` in an argument list (`--x v` or `--x=v`), the last one if several."""
    names = frozenset(flags)
    value = None
    for index, word in enumerate(argv):
        if word in names and index + 1 < len(argv):
            value = argv[index + 1]
        elif word.startswith("-") and "=" in word and word.partition("=")[0] in names:
            value = word.partition("=")[2]
    return value
