"""B1: text of a stranger takes time and memory in proportion to its length, wherever it is read."""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sparkrun_tui.base.errors import RecipeError
from sparkrun_tui.base.reading.filling import TooLongError, filled_in
from sparkrun_tui.base.secrets import Redactor
from sparkrun_tui.engines.command.shell_edit import MAX_VALUE, assignments
from sparkrun_tui.recipe import trust
from sparkrun_tui.recipe.format.loader import load_text
from sparkrun_tui.recipe.values import launch_keys, masking
from sparkrun_tui.recipe.values.environment import MAX_ENV, expand_env
from sparkrun_tui.recipe.values.masking import concealed, shown_source
from sparkrun_tui.recipe.values.overrides import render
from sparkrun_tui.recipe.values.shellwords import serve_argv
from tests.security.worst_letters import worst_texts

HEAD = "model: org/m\nruntime: vllm\ncontainer: a/b:1\n"
LONG = 60_000
"""Characters of a text; what takes the square of it takes minutes."""


def seconds(work: Callable[[], object]) -> float:
    """Processor time of some work."""
    before = time.process_time()
    work()
    return time.process_time() - before


def test_variables_of_a_script_do_not_grow_without_bound() -> None:
    script = "A0=xxxxxxxxxx\n" + "\n".join(f"A{n + 1}=$A{n}$A{n}" for n in range(60))
    found = assignments(script)
    assert found["A3"] == "x" * 80
    assert max(map(len, found.values())) <= MAX_VALUE
    assert found["A60"] == ""


def test_a_text_is_not_filled_in_beyond_its_bound() -> None:
    name = re.compile(r"\$A")
    assert filled_in(name, "x$A-$A", lambda _: "yz", 6) == "xyz-yz"
    for text, most in (("$A" * 1000, 1999), ("x" * 11, 10), ("$A" + "x" * 9, 10)):
        with pytest.raises(TooLongError):
            filled_in(name, text, lambda _: "yz", most)


@pytest.mark.parametrize(
    "entries", ["X: '" + "$LONG" * 1000 + "'", "\n  ".join(f"X{n}: $LONG$LONG" for n in range(600))]
)
def test_the_environment_is_not_filled_in_beyond_its_bound(entries: str) -> None:
    recipe = load_text(f"{HEAD}command: vllm serve org/m\nenv:\n  {entries}\n")
    with pytest.raises(RecipeError, match=r"`env.X[0-9]*` is too long once \$LONG is filled in") as refused:
        expand_env(recipe, {"LONG": "x" * 1000})
    assert refused.value.spot is not None and refused.value.remedy
    assert sum(map(len, expand_env(recipe, {"LONG": "x"}).values())) < MAX_ENV


def _texts() -> Iterator[str]:
    yield from ("curl " * LONG, "apt -apt " * LONG, "curl x | " * LONG, "| " * LONG, "sudo " * LONG, "pip " * LONG)
    for pattern, _ in trust._DETECTORS:
        yield from worst_texts(pattern, LONG)


def test_what_a_recipe_does_is_found_in_time() -> None:
    assert [text[:20] for text in _texts() if seconds(lambda text=text: trust.code_fetched(text)) > 1] == []  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("curl -s https://e.org/x | sudo bash", ["downloads a script and runs it", "downloads from the network"]),
        ("wget -O- e.org |\n  sh -s", ["downloads a script and runs it"]),
        ("curl http://localhost:8000/health", []),
        ("curl http://127.0.0.1/x http://e.org/y", ["downloads from the network"]),
        ("curl x || shuf", []),
        ("apt-get -y -q install curl", ["installs system packages"]),
    ],
)
def test_what_a_recipe_does_is_found(text: str, told: list[str]) -> None:
    assert trust.code_fetched(text) == told


@pytest.mark.parametrize("row", ["api_key: x" + " " * LONG + "y", " " * LONG, "-" * LONG, "api_key: x" + " #" * LONG])
def test_a_source_is_shown_in_time(row: str) -> None:
    assert seconds(lambda: shown_source(row, Redactor())) < 1


def test_comments_of_a_source_stay_and_secrets_do_not() -> None:
    text = "api_key: abcdefgh   # why\ntoken: 'a b c d'\nport: 8000  # a port\nkey: x#y\n"
    told = shown_source(text, Redactor()).split("\n")
    assert told == ["api_key: •••   # why", "token: •••", "port: 8000  # a port", "key: •••", ""]


def test_thousands_of_secrets_under_one_key_get_their_variables_in_time() -> None:
    keys = ", ".join(f"s3cr3tv{n}x" for n in range(9000))
    what = render(load_text(f"{HEAD}command: vllm serve {{api_key}}\ndefaults: {{api_key: [{keys}]}}\n"), {})
    before = time.process_time()
    secrets = concealed(what).secrets
    assert time.process_time() - before < 5
    assert len(secrets) == 9000 and len({secret.reveal() for secret in secrets.values()}) == 9000


def test_a_variable_stands_for_one_secret_alone() -> None:
    names = masking._Names()
    given = [
        names.reference(key, value) for key, value in (("a_2", "x"), ("a", "y"), ("a", "z"), ("A-", "y"), ("a", "x"))
    ]
    assert given == [f"${{{launch_keys.SECRET_PREFIX}{name}}}" for name in ("A_2", "A", "A_3", "A", "A_4")]


def test_thousands_of_heredocs_are_passed_in_time() -> None:
    names = [f"a{n}" for n in range(9000)]
    command = "cat " + " ".join(f"<<{name}" for name in names) + "\n" + "\n".join(names) + "\nvllm serve org/m"
    found: list[tuple[str, ...]] = []
    assert seconds(lambda: found.append(serve_argv(command))) < 2
    assert found == [("vllm", "serve", "org/m")]


@pytest.mark.parametrize(
    ("command", "argv"),
    [
        ("cat <<-A\n\tx\n\tA\nvllm serve m", ("vllm", "serve", "m")),
        ("cat <<-A\n\tx\n\tA \nvllm serve m", ("cat",)),
        ("cat <<A <<'B C'\nx\nA\ny\nB C\nvllm serve m", ("vllm", "serve", "m")),
        ("vllm serve m <<A\nAB\nA B\nno end", ("vllm", "serve", "m")),
    ],
)
def test_heredocs_end_at_their_own_line(command: str, argv: tuple[str, ...]) -> None:
    assert serve_argv(command) == argv


def test_a_recipe_of_a_thousand_keys_is_checked_in_time(tmp_path: Path) -> None:
    from sparkrun_tui.engines.checks.validation import validate

    keys = "".join(f"{json.dumps(f'modl{n}')}: 1\n" for n in range(4500))
    recipe = load_text(HEAD + "command: vllm serve org/m\n" + keys)
    assert seconds(lambda: validate(recipe)) < 3


def test_thousands_of_secrets_are_taken_out_in_time() -> None:
    words = [f"s3cr3tv{number}x" for number in range(10_000)]
    found: list[str] = []
    assert seconds(lambda: found.append(Redactor(words)(" ".join(words)))) < 3
    assert found == [" ".join(["•••"] * 10_000)]
    lengths = ["a" * number for number in range(8, 1400)]
    assert seconds(lambda: Redactor(lengths)("a" * 500_000 + " " + "aaaaaaab" * 50_000)) < 5


def test_many_secrets_are_hidden_as_few_are(monkeypatch: pytest.MonkeyPatch) -> None:
    from sparkrun_tui.base import secrets

    chance = random.Random(7)
    for _ in range(500):
        words = ["".join(chance.choices("ab1_'", k=chance.randrange(4, 12))) for _ in range(chance.randrange(1, 12))]
        text = "".join(chance.choices("ab1_ -é'", k=60)) + " ".join(chance.choices(words, k=3))
        monkeypatch.setattr(secrets, "_FEW", 1 << 30)
        few = Redactor(words)(text)
        monkeypatch.setattr(secrets, "_FEW", -1)
        assert Redactor(words)(text) == few


@pytest.mark.parametrize("letter", ["a", "界", "a\u0301"])
def test_a_word_of_a_million_characters_is_wrapped_in_time(letter: str) -> None:
    from sparkrun_tui.ui.ink import wrap, wrap_line

    word = letter * 300_000
    assert seconds(lambda: wrap_line([(f"# {word}", "comment")], 70, 4)) < 3
    assert seconds(lambda: wrap(word, 70)) < 3
    assert "".join(wrap(word, 70)) == word


def test_a_file_is_sketched_in_time() -> None:
    from sparkrun_tui.recipe.format.quick_read import sketch
    from sparkrun_tui.recipe.model import Source, SourceKind

    text = HEAD + "description: x" + " " * 60_000 + "y # why\n"
    found = []
    assert seconds(lambda: found.append(sketch(text, Source(SourceKind.USER, "/x.yaml")))) < 1
    assert found[0] is not None and found[0].description.endswith(" y")
