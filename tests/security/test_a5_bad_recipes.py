"""A5: a bad recipe costs only itself: every command ends soon, in little memory, and in plain words."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

HEAD = "model: org/m\nruntime: vllm\ncontainer: a/b:1\n"
GOOD = HEAD + 'defaults: {port: 8000}\ncommand: "vllm serve {model} --port {port}"\n'
DIGITS = "9" * 5000
_DOUBLED = "A0=xxxxxxxxxx\n" + "\n".join(f"A{n + 1}=$A{n}$A{n}" for n in range(45)) + "\nvllm serve org/m --port $A45"
"""Variables of a script that are made of one another, each twice as long as the one before."""
_MANY = ", ".join(f"k{number}: 1" for number in range(4800))
_PLACES = "".join(f"{{? {'k' * 1000}{level} : " for level in range(46)) + f"{{{_MANY}}}" + "}" * 46
"""Thousands of mappings within others, whose keys are long."""
ROWS = {
    "superscript": HEAD + 'defaults: {tensor_parallel: "²"}\ncommand: vllm serve org/m\n',
    "digits": HEAD + f'defaults: {{tensor_parallel: "{DIGITS}"}}\n',
    "layers": HEAD + "metadata: {model_params: 8B, num_layers: 300000000, num_kv_heads: 8, head_dim: 128}\n",
    "slots": HEAD + "defaults: {a: [1]}\ncommand: 'vllm serve " + "{a} " * 30_000 + "'\n",
    "growing": HEAD + f"defaults: {{a: {'x' * 100_000}}}\ncommand: 'vllm serve {'{a}' * 30_000}'\n",
    "long": HEAD + f"defaults: {{a: {'x' * 100_000}}}\ncommand: 'vllm serve {'{a}' * 200_000}'\n",
    "shm": HEAD + f"executor_config: {{shm_size: '{'9' * 400}'}}\n",
    "ulimit": HEAD + f"executor_config: {{ulimit: nofile={DIGITS}}}\n",
    "port": HEAD + f"defaults: {{port: '{DIGITS}'}}\n",
    "flags": HEAD + "command: 'vllm serve org/m " + "--x " * 30_000 + "'\n",
    "comments": HEAD + "command: " + json.dumps("vllm serve org/m " + "#\\\n" * 40_000) + "\n",
    "variables": HEAD + "command: " + json.dumps(_DOUBLED) + "\n",
    "secrets": HEAD + f"defaults: {{api_key: [{', '.join(f's3cr3tv{n}x' for n in range(4000))}]}}\n"
    "command: vllm serve org/m {api_key}\n",
    "environment": HEAD + f"env: {{X: '{'$PATH' * 20_000}'}}\ncommand: vllm serve org/m\n",
    "unknown": HEAD + "command: vllm serve org/m\n" + "".join(f"modl{n}: 1\n" for n in range(4500)),
    "mapping": HEAD + "defaults: {max_model_len: {a: 1}, tensor_parallel: {b: 2}, max_num_seqs: [3]}\n",
    "keys": HEAD + "? " * 40 + "a\n",
    "long key": HEAD + f"x: {{? {'k' * 120_000} : {{{_MANY}}}}}\n",
    "places": HEAD + f"x: {_PLACES}\n",
    "infinite": HEAD + "defaults: {max_model_len: .inf, gpu_memory_utilization: .nan, port: 1e400}\n",
}
COMMANDS = {
    "show": ["show"],
    "validate": ["recipe", "validate"],
    "vram": ["recipe", "vram"],
    "dry run": ["run", "--dry-run", "-H", "a,b"],
}
MEMORY = 700 << 20
"""Bytes of address space: the program alone takes about half of it."""
SECONDS = 6
"""Processor seconds, of which starting Python takes one on a busy machine."""


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))


def _cli(arguments: list[str], home: Path) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "HOME": str(home)}
    env |= {f"XDG_{kind}_HOME": str(home / kind.lower()) for kind in ("CONFIG", "CACHE", "STATE", "DATA")}
    words = [sys.executable, "-m", "sparkrun_tui", *arguments]
    return subprocess.run(
        words, env=env, cwd=home, preexec_fn=_limit, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "good.yaml").write_text(GOOD)
    for name, text in ROWS.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", ROWS)
def test_a_bad_recipe_is_told_in_plain_words(home: Path, name: str, command: str) -> None:
    done = _cli([*COMMANDS[command], str(home / f"{name}.yaml")], home)
    said = done.stdout[-2000:] + done.stderr[-2000:]
    assert done.returncode in (0, 1), said
    assert "internal error" not in said
    assert "unexpected" not in said
    assert "Traceback" not in said


def test_what_is_wrong_is_among_the_findings(home: Path) -> None:
    for name, word in {
        "layers": "num_layers",
        "growing": "longer than",
        "long": "at most",
        "shm": "shm_size",
        "ulimit": "ulimit",
        "port": "port",
        "environment": "env.X",
        "keys": "levels deep",
        "long key": "120,000 characters",
    }.items():
        done = _cli(["recipe", "validate", str(home / f"{name}.yaml")], home)
        assert done.returncode == 1, name
        assert word in done.stdout, name


def test_judging_takes_little_time_and_memory() -> None:
    from sparkrun_tui.base.errors import RecipeError
    from sparkrun_tui.launch.sizing.evaluation import Target, evaluate
    from sparkrun_tui.recipe.format.loader import load_text

    for name, text in ROWS.items():
        before, most = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        try:
            evaluation = evaluate(load_text(text), {}, Target())
        except RecipeError:
            assert name in ("long", "keys", "long key")
            continue
        assert all(problem.code != "internal-error" for problem in evaluation.problems), name
        # KiB on Linux; a second each for values, problems and size on a busy machine.
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - most < 200 << 10, name
        assert time.process_time() - before < 3, name


def test_a_defect_is_a_problem_of_its_recipe_and_not_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    from sparkrun_tui.launch.sizing import evaluation
    from sparkrun_tui.memory.result import Level
    from sparkrun_tui.recipe.format.loader import load_text

    def broken(*_: object, **__: object) -> object:
        raise ZeroDivisionError("a mistake")

    monkeypatch.setattr(evaluation, "validate", broken)
    monkeypatch.setattr(evaluation, "size", broken)
    found = evaluation.evaluate(load_text(GOOD), {}, evaluation.Target())
    (problem,) = [problem for problem in found.problems if problem.code == "internal-error"]
    assert "internal error" in problem.message and "a mistake" in problem.message
    assert "report" in problem.remedy
    assert found.estimate.level is Level.UNKNOWN
    assert "a mistake" in found.estimate.starts.detail
