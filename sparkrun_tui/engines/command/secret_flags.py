"""Secrets in the flags of a serve command, passed to the engine by its environment variables instead.

The arguments of a process can be read by every user of a host (`ps`) and by everyone with access to its Docker; its
environment only by its own user. Where an engine also reads a secret from a variable, the flag is removed from the
command and the variable is sent like all secrets, in a file that is removed once it has been read. This is only done
where the server certainly gets the variable: without its key it would answer every request.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from sparkrun_tui.base import shell
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.base.secrets import Secret
from sparkrun_tui.engines.command.arguments import is_flag, meant_spellings
from sparkrun_tui.engines.command.shell_edit import (
    Splice,
    all_commands,
    assignments,
    is_plain,
    needs_gap,
    outer_command,
    serve_commands,
    splice,
    variable_in,
)
from sparkrun_tui.engines.family import Family
from sparkrun_tui.engines.plan import PlanRequest
from sparkrun_tui.recipe.format.hooks import hooks_of
from sparkrun_tui.recipe.model import Problem, Severity
from sparkrun_tui.recipe.values.masking import gives_secret, is_variable, new_variable
from sparkrun_tui.recipe.values.shell_scanner import Command, simple_commands

_ASSIGNMENT = late_regex(r"[A-Za-z_][A-Za-z0-9_]*=.*", re.DOTALL)
_ASSIGNING = frozenset({"export", "declare", "local", "readonly", "env"})
"""Words before the assignments of a command."""
_PASSING = late_regex(r"(?:.*/)?(?:exec|nohup|time|env|python[0-9.]*|vllm|sglang|(?:ba|da|z|k)?sh)|-m|-[abd-z]*c[a-z]*")
"""Words before a server that leave it the environment of the script: no `sudo`, no `env -i`, no `ssh`."""

_CHANGING = frozenset({"alias", "builtin", "command", "coproc", "enable", "eval", "hash", "trap", "unset"})
_DECLARING = frozenset({"declare", "export", "local", "readonly", "typeset"})
"""They take a variable out of the environment by an option: `export -n`, `declare +x`."""
_FUNCTION = late_regex(r"\(\s?\)|\bfunction\b")


@dataclass(frozen=True, slots=True)
class HandedOver:
    """A script and its request: the request carries the secrets that were removed from the flags of the script."""

    script: str
    request: PlanRequest
    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class _Given:
    """A flag of the serve command that gives a secret: its place in the script, and its value as written there."""

    flag: str
    start: int
    end: int
    value: str
    value_start: int
    alone: bool
    """Whether the flag is given once, with one value."""


@dataclass(frozen=True, slots=True)
class _Around:
    """What surrounds the flags of a serve command; worked out once, since a command may have thousands of flags."""

    script: str
    serving: Sequence[Command]
    outer: Command
    """The command of the script that the server is, or that has it in the script of its `bash -c`."""
    assigned: Mapping[str, str]
    """The variables that the script sets."""
    request: PlanRequest
    family: Family


def hand_over(script: str, request: PlanRequest, family: Family) -> HandedOver:
    """`script` without the secrets that the engine also reads from variables, and a request that carries them.

    A secret that must stay on the command line becomes a warning.
    """
    script, request = _without_assigned(script, request)
    try:
        serving = serve_commands(script, family.dialect.starts)
    except ValueError:
        # Invalid shell is reported by the checks of the recipe.
        return HandedOver(script, request)
    if not serving:
        return HandedOver(script, request)
    words = serving[0]
    given = _secret_flags(words, family)
    if not given:
        return HandedOver(script, request)
    around = _Around(script, serving, outer_command(script, words), assignments(script), request, family)
    changes: list[Splice] = []
    notes: list[str] = []
    problems: list[Problem] = []
    secrets = dict(request.secret_env)
    for item in given:
        variable = family.secret_variables.get(item.flag, "")
        secret = _value_of(item, around)
        reason = _reason_to_stay(item, variable, secret, around)
        if reason or secret is None:
            problems.append(_stays(item.flag, reason, request))
            if secret is not None:
                changes += _as_reference(item, secret, secrets, around)
            continue
        secrets[variable] = secret
        changes.append(_without(script, item))
        notes.append(f"{item.flag} is passed by the variable {variable}: arguments can be seen by all users of a host")
    changed = splice(script, changes)
    kept = {name: secret for name, secret in secrets.items() if not _is_idle(name, changed, request)}
    return HandedOver(changed, replace(request, secret_env=kept), tuple(notes), tuple(problems))


def _without_assigned(script: str, request: PlanRequest) -> tuple[str, PlanRequest]:
    """`script` with a variable in place of each secret that it assigns (`export VLLM_API_KEY=x`), and who carries them.

    Only what the script's own commands assign: in the script of a `bash -c`, quotes mean something else.
    """
    try:
        commands = simple_commands(script)
    except ValueError:
        return script, request
    secrets = dict(request.secret_env)
    changes: list[Splice] = []
    for words in commands:
        for word in words:
            name, equals, value = word.text.partition("=")
            if not equals or _ASSIGNMENT.fullmatch(word.text) is None:
                if word.text not in _ASSIGNING:
                    break
                continue
            begin = word.start + len(name) + 1
            as_written = script.startswith(f"{name}=", word.start)
            literal = bool(value) and not any(sign in value for sign in "$`")
            if as_written and literal and gives_secret(name, value):
                variable = name
                if name in secrets or name in request.env:
                    variable = new_variable(name, Secret(value), secrets)
                secrets[variable] = Secret(value)
                changes.append(Splice(begin, word.end, shell.variable(variable)))
    if not changes:
        return script, request
    return splice(script, changes), replace(request, secret_env=secrets)


def _secret_flags(words: Command, family: Family) -> list[_Given]:
    """The flags that give a secret, in order; those that name a file of secrets give none."""
    texts = [word.text for word in words]
    first = family.dialect.first_argument(texts) or 0
    found = []
    for number in range(first, len(words)):
        if not is_flag(texts[number]):
            continue
        name, equals, value = texts[number].partition("=")
        last = number
        value_start = words[number].start + len(name) + 1
        if not equals and number + 1 < len(words):
            last = number + 1
            value = texts[last]
            value_start = words[last].start
        if not value or is_flag(value):
            continue
        flag = _secret_flag(name, value, family)
        if not flag:
            continue
        followed_by_value = last + 1 < len(words) and not is_flag(texts[last + 1])
        found.append(
            _Given(flag, words[number].start, words[last].end, value, value_start, alone=not followed_by_value)
        )
    counts = Counter(item.flag for item in found)
    for index, item in enumerate(found):
        if counts[item.flag] > 1:
            found[index] = replace(item, alone=False)
    return found


def _secret_flag(name: str, value: str, family: Family) -> str:
    """The flag that a word means, in the spelling that says that it gives a secret; empty when it gives none."""
    for spelling in meant_spellings(name, family):
        if gives_secret(spelling.lstrip("-"), value):
            return spelling
    return ""


def _value_of(item: _Given, around: _Around) -> Secret | None:
    """The secret itself; None where only a shell could say what it is."""
    name = variable_in(item.value)
    if name:
        return None if name in around.assigned else around.request.secret_env.get(name)
    if any(sign in item.value for sign in "$`"):
        return None
    # In the quoted script of a `bash -c`, backslashes and quotes mean something else than here.
    if around.outer is not around.serving[0] and not is_plain(item.value):
        return None
    return Secret(item.value)


def _reason_to_stay(item: _Given, variable: str, secret: Secret | None, around: _Around) -> str:
    """Why a secret cannot be removed from the command line; empty when it can."""
    if not variable:
        return "the engine reads it only from there"
    if secret is None:
        return "its value is worked out by the command's own shell"
    if len(around.serving) > 1:
        return "the command starts more than one server"
    if not item.alone:
        return "several values are given"
    request = around.request
    if variable in around.script or variable in request.env or variable in request.secret_env:
        return f"the recipe sets {variable} as well"
    if not _gets_environment(around) or _changes_environment(around.script):
        return "what starts the server may not pass its environment on"
    return ""


def _gets_environment(around: _Around) -> bool:
    """Whether nothing stands before the server, in its own command and in the `bash -c` around it, but what passes."""
    words = around.serving[0]
    first = around.family.dialect.first_argument([word.text for word in words]) or 1
    before = [word.text for word in words[: first - 1]]
    if around.outer is not words:
        before += [word.text for word in around.outer if word.end <= words[0].start]
    if any(text == "exec" and option.startswith("-") for text, option in pairwise(before)):
        # `exec -c` empties the environment; after a shell, the same letter means something else.
        return False
    return all(_PASSING.fullmatch(text) or _ASSIGNMENT.fullmatch(text) for text in before)


def _changes_environment(script: str) -> bool:
    """Whether a command of the script may take a variable away from the server, or stand in the server's place.

    Which one it takes is not judged: a shell has too many ways to write a name.
    """
    if _FUNCTION.search(script) is not None:
        return True
    for words in all_commands(script):
        texts = [word.text for word in words if _ASSIGNMENT.fullmatch(word.text) is None]
        if not texts:
            continue
        if texts[0] in _CHANGING or "$" in texts[0] or "`" in texts[0]:
            return True
        if texts[0] in _DECLARING and len(texts) > 1 and texts[1].startswith(("-", "+")):
            return True
    return False


def _without(script: str, item: _Given) -> Splice:
    """Take a flag out, with the blanks before it; one stays where the words around it would be one word."""
    start = _blanks_before(script, item.start)
    text = ""
    if needs_gap(script, item.end, "'\")"):
        text = " "
    return Splice(start, item.end, text)


def _as_reference(item: _Given, secret: Secret, secrets: dict[str, Secret], around: _Around) -> list[Splice]:
    """Take a value that must stay on the command line from a variable, so that no script or plan holds it.

    Empty where it is one already, and inside the script of a `bash -c`, whose quotes are not known here.
    """
    script = around.script
    written = script[item.value_start : item.end]
    quoted = len(written) > 1 and written[0] == written[-1] and written[0] in "'\""
    is_whole_word = written == item.value or quoted
    if not is_whole_word or around.outer is not around.serving[0] or variable_in(item.value):
        return []
    name = new_variable(item.flag.lstrip("-"), secret, secrets)
    secrets[name] = secret
    # Where the script has taken the variable away, it ends: without its key the server would answer everybody.
    return [Splice(item.value_start, item.end, shell.required_variable(name))]


def _blanks_before(script: str, at: int) -> int:
    """Where the blanks and the continued lines begin that end at a place; looked for backwards, each once."""
    while at:
        if script[at - 1] in " \t":
            at -= 1
        elif script.endswith("\\\n", 0, at):
            at -= 2
        elif script.endswith("\\\r\n", 0, at):
            at -= 3
        else:
            break
    return at


def _stays(flag: str, reason: str, request: PlanRequest) -> Problem:
    message = f"the value of {flag} can be seen by all users of the hosts in the list of processes: {reason}"
    spot = request.rendered.recipe.command_spot
    return Problem(Severity.WARNING, "secret-argument", message, spot, "use a key that only this server takes")


def _is_idle(name: str, script: str, request: PlanRequest) -> bool:
    """Whether a variable was made for a secret of the commands, and no command uses it any more."""
    if not is_variable(name) or name in script:
        return False
    hooks = hooks_of(request.rendered)
    for entry in hooks.before:
        if name in entry.command:
            return False
    return all(name not in timed.command for timed in hooks.after)
