"""D1: a key is a key however its flag is written, and it leaves the command line only where the server gets it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sparkrun_tui.base.secrets import secrets_of_words
from sparkrun_tui.base.user.settings import Cluster
from sparkrun_tui.cli.main import run
from sparkrun_tui.engines.command.arguments import meant_spellings
from sparkrun_tui.engines.dumps import load_flags
from sparkrun_tui.engines.family import Family
from sparkrun_tui.engines.plan import HostView
from sparkrun_tui.engines.registry import FAMILIES
from sparkrun_tui.launch.plan.plan import LaunchPlan, build_plan
from sparkrun_tui.recipe.format.loader import load_text
from sparkrun_tui.recipe.model import Source, SourceKind
from sparkrun_tui.recipe.values.overrides import render

CANARY = "canary-0123456789abcdef"

SECRETS = ("-api-key", "-hf-token", "-password")


def abbreviations(family: Family) -> list[str]:
    """Every spelling, whole or abbreviated, by which an engine takes a key, a token of the Hub, or a password."""
    found = []
    for spelling, flag in load_flags(family).by_spelling.items():
        if not any(word.endswith(SECRETS) for word in flag.spellings):
            continue
        for size in range(2, len(spelling) + 1):
            word = spelling[:size]
            if set(meant_spellings(word, family)) == set(flag.spellings):
                found.append(word)
    return found


@pytest.mark.parametrize("engine", FAMILIES)
def test_every_spelling_of_a_secret_flag_is_known_as_one(engine: str) -> None:
    words = abbreviations(FAMILIES[engine])
    assert words
    for word in words:
        assert secrets_of_words([word, CANARY]) == [CANARY], word
        assert secrets_of_words([f"{word}={CANARY}"]) == [CANARY], word


def plan(command: str, runtime: str = "vllm") -> LaunchPlan:
    """A launch of a recipe with this command on one host."""
    text = f"model: org/m\nruntime: {runtime}\ncontainer: a/b:1\ncommand: {json.dumps(command)}\n"
    rendered = render(load_text(text, Source(SourceKind.USER, "r.yaml")), {})
    view = HostView("spark-1", "10.0.0.1")
    return build_plan(rendered, Cluster("lab", (view.name,)), [view], launch_id="abcd2345")


def is_handed_over(found: LaunchPlan) -> bool:
    """Whether the engine gets the key by its variable; else by an argument that must be there, and is warned of."""
    container = found.serve.ranks[0].container
    if "VLLM_API_KEY" in container.secret_env:
        assert CANARY not in container.script
        assert container.secret_env["VLLM_API_KEY"].reveal() == CANARY
        return True
    if CANARY not in container.script:
        # The script ends where it has taken this variable away as well.
        assert '"${SPARKRUN_SECRET_API_KEY:?}"' in container.script
        assert container.secret_env["SPARKRUN_SECRET_API_KEY"].reveal() == CANARY
    assert "secret-argument" in {problem.code for problem in found.problems}
    return False


@pytest.mark.parametrize("flag", ["--api-key", "--api-k", "--api_k", "--api-ke"])
@pytest.mark.parametrize("form", ["{flag} {value}", "{flag}={value}", "{flag} '{value}'"])
def test_an_abbreviated_key_is_handed_over_by_the_variable(flag: str, form: str) -> None:
    assert is_handed_over(plan(f"vllm serve org/m {form.format(flag=flag, value=CANARY)} --port 8000"))


def test_an_abbreviated_key_that_must_stay_is_warned_about() -> None:
    assert not is_handed_over(plan(f"python3 -m sglang.launch_server --model-path org/m --api-k {CANARY}", "sglang"))


@pytest.mark.parametrize(
    "before",
    [
        "unset VLLM_API_'KEY'; ",
        "un\"set\" VLLM_API_'KEY'; ",
        "A=1 unset VLLM_API_'KEY'; ",
        "for name in $(env | cut -d= -f1); do unset $name; done; ",
        "export -n VLLM_API_'KEY'; ",
        "declare +x VLLM_API_'KEY'; ",
        "eval 'un''set VLLM_API_''KEY'; ",
        "$(echo unset) VLLM_API_'KEY'; ",
        "builtin unset VLLM_API_'KEY'; ",
        'vllm() { env -i vllm "$@"; }; ',
        'vllm( ) { env -i vllm "$@"; }; ',
        'function vllm { env -i vllm "$@"; }; ',
        "shopt -s expand_aliases\nalias vllm='env -i vllm'\n",
    ],
)
def test_a_key_stays_where_the_script_may_take_the_variable_away(before: str) -> None:
    """Without its key the server would answer everybody."""
    assert not is_handed_over(plan(f"{before}vllm serve org/m --api-key {CANARY}"))


def test_so_does_one_inside_of_another_shell() -> None:
    assert not is_handed_over(plan(f'bash -c "unset VLLM_API_K*; vllm serve org/m --api-key {CANARY}"'))


@pytest.mark.parametrize(
    "before", ["", "export A=1; ", "cd /opt && ", "pip install x && ", "set -e; ", "ulimit -l unlimited; "]
)
def test_plain_commands_before_the_server_change_nothing(before: str) -> None:
    assert is_handed_over(plan(f"{before}vllm serve org/m --api-key {CANARY}"))


@pytest.mark.parametrize("flag", ["--api-k", "--hf-t", "--hf-to"])
def test_an_abbreviated_secret_of_a_command_is_never_shown(
    flag: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "r.yaml"
    file.write_text(f"model: org/m\nruntime: vllm\ncontainer: a/b:1\ncommand: vllm serve org/m {flag} {CANARY}\n")
    for words in (["show", str(file)], ["run", str(file), "--dry-run"], ["run", str(file), "--dry-run", "--json"]):
        run(words, open_app=lambda demo, cluster, query: 0)
        told = capsys.readouterr()
        assert CANARY not in told.out + told.err, words
        assert "org/m" in told.out, words
