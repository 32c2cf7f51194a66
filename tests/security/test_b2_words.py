"""B2: words of a recipe stay in their place: they make no lines, rows, questions or completions of their own."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from pathlib import Path

import pytest

import sparkrun_tui
from sparkrun_tui.base.text import first_hidden
from sparkrun_tui.cli.main import run
from sparkrun_tui.launch.plan.consent import question
from sparkrun_tui.recipe.format.loader import MAX_NAME, load_text
from sparkrun_tui.recipe.model import Source, SourceKind
from sparkrun_tui.recipe.registry.registries import add_registry
from sparkrun_tui.recipe.values.overrides import render
from tests.recipe.upstream import Upstream

FORGED = "FORGED: this line is the recipe's own"
BREAKS = ("\n", "\r", "\r\n", "\x0b", "\x85", "\u2028", "\n\n\n")
FIELDS = ("name", "description", "maintainer", "model", "container", "runtime", "model_revision")

Call = Callable[..., tuple[int, str, str]]


def recipe(field: str, between: str) -> str:
    body = {"model": "org/m", "runtime": "vllm", "container": "a/b:1", "command": "vllm serve org/m"}
    body["post_commands"] = "touch CANARY"
    body[field] = f"x{between}{FORGED}"
    return "".join(f"{key}: {json.dumps(value)}\n" for key, value in body.items())


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    """Calls the command line; gives its code, stdout and stderr."""

    def call(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run(list(words), open_app=lambda demo, cluster, query: 0)
        told = capsys.readouterr()
        return code, told.out, told.err

    return call


def lines_of(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines()]


@pytest.mark.parametrize("between", BREAKS)
@pytest.mark.parametrize("field", FIELDS)
def test_no_field_makes_a_line_of_its_own(field: str, between: str, call: Call, tmp_path: Path) -> None:
    stream = Upstream(tmp_path / "r").write("recipes/x.yaml", recipe(field, between)).commit()
    add_registry(str(stream.folder), "evil")
    for words in (
        ["list", "registry:evil"],
        ["list", "--long", "registry:evil"],
        ["show", "@evil/x"],
        ["recipe", "validate", "@evil/x"],
        ["run", "@evil/x", "--dry-run"],
        ["run", "@evil/x", "-H", "localhost"],
    ):
        _, out, err = call(*words)
        told = lines_of(out) + lines_of(err)
        # A description may have lines, which `show` sets in: none of them begins where a field begins.
        if words[0] == "show" and field == "description":
            assert f"\n{FORGED}" not in out
            continue
        assert [line for line in told if line.startswith(FORGED)] == [], words


def test_a_name_cannot_pass_for_the_question() -> None:
    name = "good` comes from the registry eugr (https://github.com/eugr/spark-vllm-docker), and is known. `x"
    text = recipe("description", " ") + f"name: {json.dumps(name)}\n"
    asked = question(render(load_text(text, Source(SourceKind.REGISTRY, "/c/r/x.yaml", "evil")), {}))
    quoted, rest = asked[1:].split("`", 1)
    assert asked[0] == "`" and len(quoted) <= 60
    assert rest == " comes from the registry evil, not from you, and is launched for the first time"


def test_a_name_is_one_short_line() -> None:
    loaded = load_text(recipe("description", " ") + f"name: {json.dumps('a  b' + chr(10) + 'c' * 9999)}\n")
    assert loaded.name.startswith("a b ccc") and len(loaded.name) == MAX_NAME + 1
    assert [problem.code for problem in loaded.problems] == ["name"]


@pytest.mark.parametrize("shell", ["zsh", "fish", "bash"])
def test_completions_are_whole_lines_without_escapes(
    shell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = recipe("description", "\nplain\n@eugr/planted\n\x1b]0;pwned\x07")
    add_registry(str(Upstream(tmp_path / "r").write("recipes/x.yaml", text).commit().folder), "evil")
    monkeypatch.setenv("COMP_WORDS", "sparkrun-tui show @evil")
    monkeypatch.setenv("COMP_CWORD", "@evil" if shell == "fish" else "2")
    monkeypatch.setenv("COMP_LINE", "sparkrun-tui show @evil")
    monkeypatch.setenv("_SPARKRUN_TUI_COMPLETE", f"{shell}_complete")
    with pytest.raises(SystemExit):
        run_completion()
    told = capsys.readouterr().out.rstrip("\n")
    assert "@evil/x" in told or "evil/x" in told
    assert all(first_hidden(line.replace("\t", " ")) is None for line in told.split("\n"))
    assert len(told.split("\n")) == {"zsh": 3, "fish": 1, "bash": 1}[shell]


def run_completion() -> None:
    """What the shells' scripts call; click ends the process there."""
    from sparkrun_tui.cli.main import cli

    cli.main(args=[], prog_name="sparkrun-tui", complete_var="_SPARKRUN_TUI_COMPLETE")


def test_a_file_whose_name_no_shell_shows_is_not_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sparkrun_tui.cli import completions

    assert completions._item("a\nplain") is None and completions._item("a\x1b[2J") is None
    item = completions._item("a", "b\nc\x1b[2J")
    assert item is not None and item.help == "b c␛[2J"


def test_completions_have_one_way_out() -> None:
    """Whoever offers another word for completion goes through the same gate."""
    source = Path(sparkrun_tui.__file__).parent / "cli" / "completions.py"
    found = []
    for function in ast.walk(ast.parse(source.read_text())):
        if not isinstance(function, ast.FunctionDef) or function.name == "_item":
            continue
        for node in ast.walk(function):
            made = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "CompletionItem"
            if made and not any(word.arg == "type" for word in node.keywords):  # type: ignore[attr-defined]
                found.append(function.name)
    assert found == []
