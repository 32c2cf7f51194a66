"""What engines find in a command, however its flags are spelt and wherever in the script it stands."""

from __future__ import annotations

import pytest

from sparkrun_tui.base import shell
from sparkrun_tui.engines.checks.flags import check_flags
from sparkrun_tui.engines.checks.validation import validate
from sparkrun_tui.engines.command import built
from sparkrun_tui.engines.registry import engine_for
from sparkrun_tui.launch.sizing.evaluation import Target, evaluate
from sparkrun_tui.launch.sizing.sizing import engine_settings
from sparkrun_tui.recipe.format.loader import load_text
from tests.engines.samples import with_command


def codes(command: str) -> set[str]:
    recipe = with_command(command, "sglang")
    return {problem.code for problem in engine_for("sglang").check(recipe)}


@pytest.mark.parametrize("flag", ["--kv-cache-dtype fp8", "--kv-cache-dt fp8", "--kv-cache-dtype=fp8"])
def test_vllms_word_for_an_fp8_cache_is_found_in_every_spelling(flag: str) -> None:
    assert "kv-cache-dtype" in codes(f"sglang serve {{model}} {flag}")
    assert "kv-cache-dtype" not in codes(f"sglang serve {{model}} {flag}_e4m3")


@pytest.mark.parametrize("flag", ["--max-running-requests 8", "--max-running-req 8", "--max-running-requests=8"])
def test_a_bounded_request_table_is_seen_in_every_spelling(flag: str) -> None:
    assert "request-table" not in codes(f"sglang serve {{model}} {flag}")
    assert "request-table" in codes("sglang serve {model}")


def test_the_command_of_a_script_is_the_one_that_starts_the_engine() -> None:
    script = "python3 /opt/prepare.py --max-model-len 1\nbash -c 'vllm serve {model} --max-model-len 4096 --nonsense 1'"
    recipe = with_command(script)
    assert engine_settings(recipe).max_model_len == 4096
    assert [problem.code for problem in check_flags(recipe, "0.33.0")] == ["unknown-flag"]


def test_a_command_is_built_once_for_an_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    script = shell.script

    def counted(template: str, **values: shell.Text) -> shell.Text:
        made.append(template)
        return script(template, **values)

    monkeypatch.setattr(built.shell, "script", counted)
    recipe = load_text("model: acme/Falcon-30B\nruntime: sglang\ncontainer: acme/x:1\ndefaults: {port: 1, tp: 1}\n")
    found = evaluate(recipe, {}, Target())
    assert "sglang.launch_server" in found.command
    # Once as it will run, once as it is shown, with secrets as variables.
    assert len(made) <= 2


def test_a_message_shows_that_it_cut_a_name() -> None:
    # A path of 84 letters that ends `-0731.gguf`: github.com/styles01/sparkrun-recipes, as of 2026-08.
    path = "/srv/gguf/" + "DeepSeek-V4-Flash-IQ2XXS-w2Q2K-AProjQ8-SExpQ8-OutQ8-chat-v2-imatrix-0731.gguf"
    text = f"model: {path}\nruntime: llama-cpp\ncontainer: acme/llama:1\ncommand: llama-server -m {{model}}\n"
    notes = [item.message for item in validate(load_text(text), env={}) if item.code == "model-path"]
    assert len(notes) == 1
    assert notes[0].startswith(f"`{path[:79]}…` is a path of the hosts")
