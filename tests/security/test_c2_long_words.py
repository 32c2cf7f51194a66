"""C2: a recipe with absurdly long blanks, words or rows of keys is judged and planned like any other.

Each of them took a minute or had no end; the watch over hanging tests names the one that does again.
"""

from __future__ import annotations

import pytest

from sparkrun_tui.base.secrets import secrets_given, secrets_of_words
from sparkrun_tui.engines.checks.validation import validate
from sparkrun_tui.engines.command.secret_flags import _blanks_before
from sparkrun_tui.engines.command.server_key import KeyFinder
from sparkrun_tui.engines.llama_cpp.gguf_files import quants_in
from sparkrun_tui.engines.registry import FAMILIES
from sparkrun_tui.recipe.names.params import parse_params
from sparkrun_tui.remote.docker.processes import read
from sparkrun_tui.ui.paint.recipe.command_view import shell_lines, yaml_lines
from tests.engines.samples import plan, with_command

LONG = 58_000
KEY = "--api-key abcdefgh1"

COMMANDS = {
    "blanks before a key": f"vllm serve org/m{' ' * LONG}--port 1 {KEY}",
    "keys": f"vllm serve org/m {f'{KEY} ' * 2900}",
    "keys by reference": f"vllm serve org/m {'--api-key $A ' * 4400}",
    "an option of a shell": f"bash -{'c' * LONG}! 'vllm serve org/m'",
    "a word before the server": f"-{'c' * LONG}! vllm serve org/m {KEY}",
    "blanks in a number": f"vllm serve org/m --max-model-len '1{' ' * LONG}z'",
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS.keys())
def test_a_command_is_judged_and_planned(command: str) -> None:
    recipe = with_command(command)
    validate(recipe.recipe, rendered=recipe)
    made = plan(recipe)
    given = [problem for problem in made.problems if problem.code == "secret-argument"]
    # A key that is given once goes into a variable; where nothing is known of what starts the server, none does.
    keys = command.count("--api-key")
    assert len(given) == (0 if keys == 1 and command.startswith("vllm") else keys)


def test_a_key_stays_where_the_environment_is_emptied() -> None:
    kept = plan(with_command(f"exec -c vllm serve org/m {KEY}"))
    assert "secret-argument" in [problem.code for problem in kept.problems]
    gone = plan(with_command(f"exec vllm serve org/m {KEY}"))
    assert "secret-argument" not in [problem.code for problem in gone.problems]


@pytest.mark.parametrize("ending", ["\\\n  ", "\\\r\n", " \t", ""])
def test_the_blanks_before_a_key_go_with_it(ending: str) -> None:
    assert _blanks_before(f"a{ending}--k", 1 + len(ending)) == 1
    assert _blanks_before(ending, len(ending)) == 0


def test_a_size_among_blanks_is_no_size() -> None:
    for text in (f"1{' ' * LONG}z", f"{' ' * LONG}z", f"1 x{' ' * LONG}7{' ' * LONG}B"):
        assert parse_params(text) is None
    assert parse_params(" 8 x 7 B ") == (56 * 10**9, None)


def test_lines_of_quotes_are_painted() -> None:
    line = '"' + '\\"' * (LONG // 2)
    for paint in (shell_lines, yaml_lines):
        assert sum(text.count('"') for row in paint(line, 100) for text, _ in row) == line.count('"')


def test_a_container_of_many_keys_is_read() -> None:
    words = ["--api-key"] * 200_000
    assert secrets_of_words(words) == []
    found = read("A=b\n\n" + "\n".join(words))
    assert secrets_given(found.variables, found.words) == ()
    assert KeyFinder(tuple(FAMILIES.values())).find(found.variables, found.words).secret is None
    for word in ("--m", "--x", "--ap", "--api-k"):
        assert KeyFinder(tuple(FAMILIES.values())).find((), [word] * 200_000).secret is None


def test_a_file_of_many_quantisations_is_named() -> None:
    assert quants_in(["IQ0_" * 15_000 + ".gguf"]) == ()
