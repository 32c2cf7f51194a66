"""The words of the command that starts an engine, and the values of its flags."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.recipe.values.shell_scanner import Command, simple_commands

_ENGINES = late_regex(r"(^|/)(vllm|sglang|llama-server|server)$")
_MODULES = frozenset({"sglang.launch_server", "vllm.entrypoints.openai.api_server"})
TALKS = frozenset({"echo", "printf", "which", "type", "pip", "pip3", "command"})
"""Programs whose arguments may name an engine without starting it."""
_WITH_SERVE = late_regex(r"(?:^|/)(?:vllm|sglang)$")
_SERVER = late_regex(r"(?:^|/)llama-server$")
_LOOKED_AT = 12
"""The words of a command among which the engine's program is looked for: `env A=1 nice python3 -m MODULE`."""
_SHELL = late_regex(r"(?:^|/)(?:ba|da|z|k)?sh$")
_SHELL_OPTION = late_regex(r"-[abd-z]*c[a-z]*")


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


def engine_end(script: str) -> tuple[int, bool] | None:
    """Where the arguments of the last command that starts an engine end, and whether it is within quotes.

    Quotes are those of a `bash -c '...'`. None where no command is known to start an engine. Raises `ValueError` where
    the script is not valid shell.
    """
    for command in reversed(simple_commands(script)):
        if _starts_engine(command):
            return command[-1].end, False
        for inner in reversed(inner_commands(script, command)):
            if _starts_engine(inner):
                return inner[-1].end, True
    return None


def _starts_engine(command: Command) -> bool:
    words = [word.text for word in command[:_LOOKED_AT]]
    if words[0] in TALKS:
        return False
    for at, word in enumerate(words):
        following = words[at + 1] if at + 1 < len(words) else ""
        if _SERVER.search(word):
            return True
        if _WITH_SERVE.search(word) and following == "serve":
            return True
        if word == "-m" and following in _MODULES:
            return True
    # llama.cpp's images call their program `server`, and start it by its path.
    return words[0].endswith("/server")


def is_shell_call(program: str, option: str) -> bool:
    """Whether two words in a row start a shell with a script as its next argument: `bash -c`, `/bin/sh -lc`."""
    return _SHELL.search(program) is not None and _SHELL_OPTION.fullmatch(option) is not None


def inner_commands(script: str, command: Command) -> list[Command]:
    """The commands of the quoted script of a `bash -c` call, with places in the outer script; empty without one.

    A quoted script that is not valid shell counts as none.
    """
    for program, option, body in zip(command, command[1:], command[2:], strict=False):
        if not is_shell_call(program.text, option.text):
            continue
        raw = script[body.start : body.end]
        quoted = len(raw) > 1 and raw[0] == raw[-1] and raw[0] in "'\""
        if not quoted:
            continue
        try:
            return simple_commands(raw[1:-1], body.start + 1)
        except ValueError:
            return []
    return []
