"""Rank arguments reach the engine whatever the author's command looks like, checked by running it in bash."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.engines.command.shell_edit import find_serve, insert_after
from sparkrun_tui.engines.llama_cpp.family import LLAMA_CPP
from sparkrun_tui.engines.vllm.family import VLLM as VLLM_FAMILY
from sparkrun_tui.recipe.values.shell_scanner import simple_commands

from .samples import plan, scripts, with_command, words_of

COMMANDS = {
    "plain": "vllm serve a/b --port 8000",
    "comment": "vllm serve a/b --port 8000  # the usual port, don't change",
    "comment line after": "vllm serve a/b --port 8000\n# that's all; vllm serve it",
    "trailing backslash": "vllm serve a/b \\\n  --port 8000 \\",
    "tee": "vllm serve a/b --port 8000 2>&1 | tee log.txt",
    "redirect without blank": "vllm serve a/b --port 8000 --dtype auto>log.txt",
    "later commands": "export A=1\nvllm serve a/b --port 8000\necho finished",
    "and then": "mkdir -p x && vllm serve a/b --port 8000 && echo done",
    "subshell": "(cd . && vllm serve a/b --port 8000)",
    "background": "vllm serve a/b --port 8000 &\nwait $!",
    "exec": "set -e\nexec vllm serve a/b --port 8000",
    "variables": 'P=8000\nvllm serve "a/b" --port "${P:-1}"',
    "json": 'vllm serve a/b --port 8000 --speculative-config \'{"method": "mtp", "n": 3}\'',
    "quoted hash": "vllm serve a/b --port 8000 --note '# not a comment'",
    "bash -c single": "bash -c 'vllm serve a/b --port 8000'",
    "bash -lc double": 'bash -ec "export A=1; vllm serve a/b --port 8000 | cat"',
    "assignment": "CUDA_VISIBLE_DEVICES=0 vllm serve a/b --port 8000",
    "conditional": "if true; then\n  vllm serve a/b --port 8000\nfi",
    "heredoc": "cat >cfg <<EOF\nvllm serve wrong\nEOF\nvllm serve a/b --port 8000",
    "heredoc after": "vllm serve a/b --port 8000 <<EOF\nsome input\nEOF",
    "substitution": 'vllm serve a/b --port "$(printf %s 8000)"',
    "quotes in substitution": 'vllm serve a/b --note "$(printf %s "a (b" \'"\')" --port 8000',
    "arithmetic": "vllm serve a/b --note $((1 + (2 * 3))) --port 8000",
    "case": "case x in\n  x) vllm serve a/b --port 8000 ;;\nesac",
    "function": "go() {\n  vllm serve a/b --port 8000\n}\ngo",
    "here string": "vllm serve a/b --port 8000 <<<input",
    "array": 'A=(--port 8000)\nvllm serve a/b "${A[@]}"',
    "echo before": "echo starting vllm serve now\nvllm serve a/b --port 8000",
    "crlf": "vllm serve a/b \\\r\n --port 8000".replace("\r\n", "\n"),
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS.keys())
def test_ray_backend_and_ranks_arrive(command: str, tmp_path: Path) -> None:
    over_ray = words_of(scripts(plan(with_command(command), 2))[0], tmp_path)
    assert over_ray[:2] == ["serve", "a/b"]
    assert over_ray[-2:] == ["--distributed-executor-backend", "ray"]
    assert over_ray[over_ray.index("--port") + 1] == "8000"

    head, worker = scripts(plan(with_command(command, "vllm-distributed"), 2))
    ranks = ["--nnodes", "2", "--node-rank", "0", "--master-addr", "10.0.0.1", "--master-port", "25000"]
    assert words_of(head, tmp_path)[-8:] == ranks
    ranks[3] = "1"
    assert words_of(worker, tmp_path)[-9:] == [*ranks, "--headless"]


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS.keys())
def test_alone_the_command_stays_byte_for_byte(command: str) -> None:
    what = with_command(command)
    (script,) = scripts(plan(what))
    assert script.rstrip("\n") == (what.command or "").rstrip("\n")


@pytest.mark.parametrize("said", ["--distributed-executor-backend ray", "--distributed-executor-backend=ray"])
def test_a_backend_that_is_said_is_not_said_twice(said: str, tmp_path: Path) -> None:
    (script,) = scripts(plan(with_command(f"vllm serve a/b {said}"), 2))
    assert words_of(script, tmp_path) == ["serve", "a/b", *said.split()]


def test_the_local_backend_over_several_hosts_is_laid_out_without_ray() -> None:
    serve = plan(with_command("vllm serve a/b -tp 2 --distributed-executor-backend mp"), 2)
    assert [stage.start for stage in serve.stages] == [(0, 1)]
    assert "--node-rank 1" in scripts(serve)[1]
    assert "without Ray" in serve.notes[0]


def test_sglang_ranks(tmp_path: Path) -> None:
    command = "python3 -m sglang.launch_server --model-path a/b --tp-size 2 # two"
    serve = plan(with_command(command, "sglang"), 2)
    expected = ["--dist-init-addr", "10.0.0.1:25000", "--nnodes", "2", "--node-rank"]
    for rank, script in enumerate(scripts(serve)):
        words = words_of(script, tmp_path, "python3")
        assert words[:2] == ["-m", "sglang.launch_server"]
        assert words[-6:] == [*expected, str(rank)]


def test_a_command_without_the_engine_cannot_be_spread() -> None:
    with pytest.raises(LaunchError, match="does not call vLLM"):
        plan(with_command("./my-start.sh --port 8000"), 2)
    assert plan(with_command("./my-start.sh --port 8000")).ready.port == 8000


def test_an_open_quote_is_told_before_anything_starts() -> None:
    with pytest.raises(LaunchError, match="not valid shell"):
        plan(with_command("vllm serve 'a/b --port 8000"), 2)
    assert plan(with_command("vllm serve 'a/b --port 8000")).ready.port == 8000


@given(st.lists(st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=20), max_size=6))
def test_quoted_words_come_back_as_they_were(words: list[str]) -> None:
    (command,) = simple_commands(shlex.join(["vllm", "serve", *words]))
    assert [word.text for word in command] == ["vllm", "serve", *words]


@given(st.text(st.sampled_from("ab '\"\\$(){}`<>|&;#\n\t=-0"), max_size=60))
def test_any_text_is_split_or_refused_in_words(text: str) -> None:
    try:
        commands = simple_commands(text)
    except ValueError as error:
        assert "unbalanced" in str(error)
        return
    for command in commands:
        for word in command:
            assert 0 <= word.start < word.end <= len(text)


def test_the_last_start_of_several_counts() -> None:
    script = "vllm serve first --x 1 || vllm serve second"
    found = find_serve(script, VLLM_FAMILY.dialect.starts)
    assert found is not None
    assert insert_after(script, found, ["--y"]) == f"{script} --y"


def test_words_know_their_places() -> None:
    script = "A=1 /opt/llama-server -m 'x y' --port 80 | cat"
    found = find_serve(script, LLAMA_CPP.dialect.starts)
    assert found is not None
    assert [word.text for word in found] == ["A=1", "/opt/llama-server", "-m", "x y", "--port", "80"]
    assert [script[word.start : word.end] for word in found][3] == "'x y'"
