"""A1, A14: every value that goes into shell text is quoted in one place, and nobody does it by hand again."""

from __future__ import annotations

import ast
import importlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from sparkrun_tui.base import shell
from tests.support.shell_stubs import PAYLOADS, SHELLS, Sandbox

PACKAGE = Path(shell.__file__).resolve().parents[1]
QUOTERS = PACKAGE / "base" / "shell.py"
LONG = bool(os.environ.get("SPARKRUN_TUI_LONG"))
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != QUOTERS)

AUTHORED = {"engines/layout/common.py", "launch/plan/containers.py", "recipe/values/masking.py"}
"""Where a recipe's own commands are put into what runs them."""

# The names of programs at the start of a command. What stands in front of it may be prose.
COMMAND = re.compile(
    r"(?:^|[:;&|(`\n] *)(?:sudo )?(?:mkdir|rm|rmdir|tar|cat|cp|mv|chmod|chown|docker|rsync|ssh|ssh-copy-id|bash|sh|cd|"
    r"export|grep|du|curl|git|hf|printf|sparkrun-tui|kill|usermod|ray|rpc-server) +[-/\w{\"'$]"
)
ALLOWED = {
    ("cli/launch.py", "name"): "an id that this program has just made",
    ("cli/commands/story.py", "launch.launch_id"): "an id that this program has just made",
    ("launch/plan/environment.py", "item.name"): "read by a pattern for names of variables",
    ("engines/checks/validation.py", "want.name"): "read by a pattern for names of variables",
    ("recipe/registry/cache.py", "blob.path"): "a sentence",
    ("remote/ssh/resolve.py", "shorten(clean_line(text), 40)"): "a sentence",
}
PROSE = {
    "launch/plan/inspect.py": ("rsync ",),
    "recipe/registry/git.py": ("git cannot be run: ", "git ended with "),
    "remote/ssh/resolve.py": ("ssh refuses its configuration: ",),
    "remote/transfer/rsync.py": (
        "rsync failed (",
        "the host refuses the ssh login of the transfer: ",
        "rsync ended with code ",
    ),
}
"""Sentences that begin with a program's name."""


def trees() -> Iterator[tuple[str, ast.Module]]:
    for path in MODULES:
        yield path.relative_to(PACKAGE).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def calls(tree: ast.AST, name: str) -> Iterator[ast.Call]:
    """The calls of `shell.NAME` in a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == f"shell.{name}":
            yield node


def constants(where: str, node: ast.expr) -> list[str]:
    """The texts that an expression may be, where all of them are constants of the program."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.IfExp):
        return constants(where, node.body) + constants(where, node.orelse)
    if isinstance(node, ast.Name):
        module = importlib.import_module("sparkrun_tui." + where.removesuffix(".py").replace("/", "."))
        if node.id.isupper():
            return [getattr(module, node.id)]
        values = [
            each.value
            for each in ast.walk(ast.parse((PACKAGE / where).read_text(encoding="utf-8")))
            if isinstance(each, ast.Assign) and [getattr(target, "id", "") for target in each.targets] == [node.id]
        ]
        assert values, f"{where}:{node.lineno}: `{node.id}` is no constant"
        return [text for value in values for text in constants(where, value)]
    raise AssertionError(f"{where}:{node.lineno}: a template is a constant: {ast.unparse(node)}")


def templates() -> list[tuple[str, str]]:
    """Every template that the program fills in, with the module that does."""
    found = {
        (where, text)
        for where, tree in trees()
        for call in calls(tree, "script")
        for text in constants(where, call.args[0])
    }
    return sorted(found)


@pytest.mark.parametrize("program", SHELLS)
def test_a_word_is_what_it_was_in_every_shell(tmp_path: Path, program: str) -> None:
    sandbox = Sandbox(tmp_path)
    for value in (*PAYLOADS, "", "it's", "-n", "ü", "\x7f", "\r", "!x", "a\\"):
        ran = sandbox.run(shell.script("printf '[%s]' {value} {again}", value=value, again=value), shells=[program])
        assert ran.output == f"[{value}][{value}]" and not ran.canary


@pytest.mark.parametrize(
    "template",
    [
        'echo "{x}"', "echo '{x}'", "# {x}", "a\n # {x}", "cat <<'E'\n{x}\nE\n", "cat <<E\n{x}\nE\n", "echo ${x}",
        "echo \\{x}", "echo ${{a:-{x}}}", "echo $(( {x} ))", "echo `{x}`", 'echo "$(( {x} ))"', "echo {x!r}",
        "echo {x:>9}", "echo {x.real}", "echo {x[0]}", "echo {}",
    ],
)  # fmt: skip
def test_a_slot_where_a_word_is_not_allowed_is_refused(template: str) -> None:
    with pytest.raises(ValueError, match=r"a word is not allowed|a plain name"):
        shell.script(template, x="1")


def test_every_template_has_its_slots_where_words_may_stand() -> None:
    found = templates()
    assert len(found) > 50
    for _, text in found:
        slots = re.findall(r"(?<!\{)\{(\w+)\}", text)
        shell.script(text, **dict.fromkeys(slots, "x"))


def test_every_template_filled_with_hostile_values_runs_none_of_them(tmp_path: Path) -> None:
    # What goes to another shell over ssh is a word that holds shell text: those are in test_a1_scripts.py.
    sandbox = Sandbox(tmp_path, remote=False)
    wrong, count = [], 0
    payloads = PAYLOADS if LONG else PAYLOADS[::13]
    for where, text in templates():
        slots = re.findall(r"(?<!\{)\{(\w+)\}", text)
        for payload in payloads if slots else payloads[:1]:
            ran = sandbox.run(
                shell.script(text, **dict.fromkeys(slots, payload)), shells=SHELLS if LONG else SHELLS[:1]
            )
            count += 1
            if ran.canary or ran.unbalanced:
                wrong.append((where, text, payload, ran))
    print(f"{count} scripts, {len(wrong)} wrong")
    assert not wrong


def test_nobody_else_quotes_or_makes_shell_text() -> None:
    wrong = []
    for where, tree in trees():
        source = (PACKAGE / where).read_text(encoding="utf-8")
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module == "shlex":
                wrong.append(f"{where}:{node.lineno}: imports from shlex")
            if isinstance(node, ast.Attribute) and ast.unparse(node) in ("shlex.quote", "shlex.join"):
                wrong.append(f"{where}:{node.lineno}: {ast.unparse(node)}")
            maker = ("Text", "shell.Text") if "from sparkrun_tui.base.shell import" in source else ("shell.Text",)
            if isinstance(node, ast.Call) and ast.unparse(node.func) in maker:
                wrong.append(f"{where}:{node.lineno}: makes shell text by hand")
        if where not in AUTHORED and any(calls(tree, "authored")):
            wrong.append(f"{where}: runs text as it stands")
    assert not wrong


def test_no_command_is_put_together_by_hand() -> None:
    """Values in f-strings, `%` and `.format` that look like commands go through `base.shell`."""
    wrong = []
    for where, tree in trees():
        if where == "remote/script/envelope.py":
            continue  # It carries whole scripts, between marks that no script can know.
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                text = "".join(
                    part.value if isinstance(part, ast.Constant) and isinstance(part.value, str) else "{x}"
                    for part in node.values
                )
                values = [part.value for part in node.values if isinstance(part, ast.FormattedValue)]
                if text.startswith(PROSE.get(where, ("\n",))):
                    continue
                for value, command in _values_of_commands(node):
                    written = ast.unparse(value)
                    if command and (where, written) not in ALLOWED and not _constant(written):
                        wrong.append(f"{where}:{node.lineno}: {written} in {text!r}")
                assert len(values) <= len(node.values)
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
                template = node.func.value
                if isinstance(template, ast.Constant) and COMMAND.search(str(template.value)):
                    wrong.append(f"{where}:{node.lineno}: .format of a command")
                elif isinstance(template, ast.Name) and template.id.isupper():
                    module = importlib.import_module("sparkrun_tui." + where.removesuffix(".py").replace("/", "."))
                    if COMMAND.search(str(getattr(module, template.id, ""))):
                        wrong.append(f"{where}:{node.lineno}: {template.id}.format")
    assert not wrong, "\n".join(wrong)


def _constant(written: str) -> bool:
    return written.isupper() or written.startswith(("shell.", "_WORDS"))


def _values_of_commands(node: ast.JoinedStr) -> Iterator[tuple[ast.expr, bool]]:
    """The values of an f-string, and whether the text before each is a command's."""
    before = ""
    for part in node.values:
        if isinstance(part, ast.Constant):
            before += str(part.value)
        elif isinstance(part, ast.FormattedValue):
            yield part.value, COMMAND.search(before + "{x}") is not None
            before += "x"
