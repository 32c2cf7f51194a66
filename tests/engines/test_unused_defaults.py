"""What is said of a default that the command does not use."""

from __future__ import annotations

import pytest

from sparkrun_tui.engines.checks.validation import validate
from sparkrun_tui.recipe.format.loader import load_text
from sparkrun_tui.recipe.model import Problem, Severity
from sparkrun_tui.recipe.values.overrides import render

RECIPE = """\
model: acme/falcon
runtime: {runtime}
container: acme/engine:1
defaults:
  port: 8000
  {default}
command: {command} --port {{port}} {flags}
"""
COMMANDS = {
    "vllm": "vllm serve {model}",
    "sglang": "python3 -m sglang.launch_server --model-path {model}",
    "llama-cpp": "llama-server -hf {model}",
}


def found(default: str, flags: str, runtime: str = "vllm") -> Problem:
    recipe = load_text(RECIPE.format(runtime=runtime, default=default, command=COMMANDS[runtime], flags=flags))
    (problem,) = [entry for entry in validate(recipe, env={}) if entry.code == "unused-default"]
    assert problem.spot is not None
    assert problem.spot.line == 6
    return problem


@pytest.mark.parametrize(
    ("default", "flags", "shown"),
    [
        ("trust_remote_code: true", "--trust-remote-code", "--trust-remote-code"),
        ("trust_remote_code: true", "--trust_remote_code", "--trust_remote_code"),
        ("enable_prefix_caching: false", "--no-enable-prefix-caching", "--no-enable-prefix-caching"),
        ("no_scheduler_reserve_full_isl: true", "--no-scheduler-reserve-full-isl", "--no-scheduler-reserve-full-isl"),
        ("enable_flashinfer_autotune: true", "--enable-flashinfer-autotune", "--enable-flashinfer-autotune"),
        ("max_model_len: 32768", "--max-model-len 32768", "--max-model-len 32768"),
        ("max_model_len: 32768", "--max-model-len=4096 --max-model-len=32768", "--max-model-len=32768"),
        ("served_model_name: a b", "--served-model-name a b", "--served-model-name a b"),
    ],
)
def test_a_default_that_the_command_repeats_is_a_note(default: str, flags: str, shown: str) -> None:
    key = default.partition(":")[0]
    problem = found(default, flags)
    assert problem.severity is Severity.NOTE
    assert problem.message == f"`{key}` is not used by the command, which has `{shown}` of its own"


@pytest.mark.parametrize(
    ("default", "flags", "shown", "remedy"),
    [
        (
            "max_model_len: 32768",
            "--max-model-len 4096",
            "--max-model-len 4096",
            "write `--max-model-len {max_model_len}`",
        ),
        ("max_num_seqs: 4", "--max-num-seqs=8", "--max-num-seqs=8", "write `--max-num-seqs={max_num_seqs}`"),
        ("enable_prefix_caching: true", "--no-enable-prefix-caching", "--no-enable-prefix-caching", ""),
        ("async_scheduling: true", "--no-async-scheduling", "--no-async-scheduling", ""),
    ],
)
def test_a_default_that_the_command_contradicts_is_a_warning(default: str, flags: str, shown: str, remedy: str) -> None:
    key = default.partition(":")[0]
    problem = found(default, flags)
    assert problem.severity is Severity.WARNING
    assert problem.message == f"`{key}` is not used by the command, which says `{shown}`"
    assert problem.remedy == remedy


@pytest.mark.parametrize(
    ("default", "runtime", "remedy"),
    [
        ("served_model_name: falcon", "vllm", "add `--served-model-name {served_model_name}` to the command"),
        (
            "served_model_name: falcon org/falcon",
            "vllm",
            "add `--served-model-name {served_model_name}` to the command",
        ),
        ("served_model_name: two words", "sglang", "add `--served-model-name '{served_model_name}'` to the command"),
        ("served_model_name: falcon", "llama-cpp", "add `--alias {served_model_name}` to the command"),
        ("max_model_len: 4096", "sglang", "add `--context-length {max_model_len}` to the command"),
        ("trust_remote_code: true", "vllm", "add `--trust-remote-code` to the command"),
        ("trust_remote_code: false", "vllm", ""),
        (
            'speculative_config: \'{"method": "mtp"}\'',
            "vllm",
            "add `--speculative-config '{speculative_config}'` to the command",
        ),
        ("colour: red", "vllm", ""),
    ],
)
def test_a_default_that_is_nowhere_in_the_command_says_how_to_use_it(default: str, runtime: str, remedy: str) -> None:
    key = default.partition(":")[0]
    problem = found(default, "", runtime)
    assert problem.severity is Severity.WARNING
    assert problem.message == f"`{key}` is not used by the command"
    assert problem.remedy == remedy


def test_the_remedy_makes_the_default_count() -> None:
    default = 'speculative_config: \'{"method": "mtp"}\''
    words = found(default, "").remedy.split("`")[1]
    text = RECIPE.format(runtime="vllm", default=default, command=COMMANDS["vllm"], flags=words)
    argv = render(load_text(text), {}).argv
    assert argv[-2:] == ("--speculative-config", '{"method": "mtp"}')


def test_a_secret_of_the_command_is_not_repeated() -> None:
    problem = found("api_key: '1'", "--api-key canary-0123456789")
    assert "canary" not in problem.message + problem.remedy
    assert "`--api-key`" in problem.message
