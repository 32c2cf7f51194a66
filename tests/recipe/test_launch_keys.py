"""Overrides beside the values of the command: image, variables, parts of mappings, flags for the engine."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping

import pytest

from sparkrun_tui.engines.checks.flags import check_flags
from sparkrun_tui.engines.layout.common import settings_label
from sparkrun_tui.launch.sizing.evaluation import Target, evaluate
from sparkrun_tui.recipe.format.export import command_line, exported, left_as_variables
from sparkrun_tui.recipe.format.hooks import container_options
from sparkrun_tui.recipe.format.loader import load_text
from sparkrun_tui.recipe.model import Recipe, Source, SourceKind
from sparkrun_tui.recipe.values.conditional import Hardware, Surroundings, in_force
from sparkrun_tui.recipe.values.environment import expand_env, wanted
from sparkrun_tui.recipe.values.launch_keys import Kind, kind_of, own_value
from sparkrun_tui.recipe.values.masking import concealed, redactor, shown_settings
from sparkrun_tui.recipe.values.overrides import changed, render

BASE = """\
model: Qwen/Qwen3-1.7B
runtime: vllm
container: vllm/vllm-openai:v0.31.0
defaults:
  port: 8000
  speculative_config: {method: eagle, num_speculative_tokens: 3, layers: [1, 2]}
  text_config: '{"method": "eagle", "depth": {"a": 1}}'
env:
  LEVEL: INFO  # loud
"""
COMMAND = """\
command: |
  export A=1
  vllm serve {model} --port {port} \\
    --speculative-config '{speculative_config}' --hf-overrides {text_config}
  echo done
"""


def recipe(text: str = BASE + COMMAND) -> Recipe:
    return load_text(text, Source(SourceKind.PATH, "a.yaml"))


def with_command(command: str, runtime: str = "vllm") -> Recipe:
    lines = "".join(f"  {line}\n" for line in command.split("\n"))
    return recipe(f"model: a/b\nruntime: {runtime}\ncontainer: x/y:1\ncommand: |\n{lines}")


def test_image_and_variables_are_those_of_the_recipe_that_runs() -> None:
    found = render(recipe(), {"container": "other/image:2", "env.LEVEL": "DEBUG", "env.NEW": "a b"})
    assert not found.errors
    assert found.recipe.container == "other/image:2"
    assert expand_env(found.recipe, {}) == {"LEVEL": "DEBUG", "NEW": "a b"}
    assert found.original.container == "vllm/vllm-openai:v0.31.0"
    assert evaluate(recipe(), {"container": "other/image:2"}, Target()).recipe.container == "other/image:2"


def test_what_the_user_refers_to_is_read_without_a_question() -> None:
    foreign = load_text(BASE + COMMAND, Source(SourceKind.REGISTRY, "a.yaml", registry="r"))
    found = render(foreign, {"env.MINE": "${HOME_SECRET_TOKEN}"}).recipe
    assert expand_env(found, {"HOME_SECRET_TOKEN": "v"}, consented=frozenset())["MINE"] == "v"
    assert all(want.allowed for want in wanted(found, {}))
    theirs = load_text(f"{BASE}  T: ${{HOME_SECRET_TOKEN}}\n{COMMAND}", foreign.source)
    both = render(theirs, {"env.MINE": "${HOME_SECRET_TOKEN}"}).recipe
    assert expand_env(both, {"HOME_SECRET_TOKEN": "v"}, consented=frozenset())["T"] == "${HOME_SECRET_TOKEN}"
    assert not all(want.allowed for want in wanted(both, {}))


@pytest.mark.parametrize(
    ("key", "text", "root", "data"),
    [
        ("speculative_config.method", "mtp", "speculative_config", {"method": "mtp"}),
        ("speculative_config.num_speculative_tokens", "1", "speculative_config", {"num_speculative_tokens": 1}),
        ("speculative_config.new", "true", "speculative_config", {"new": True}),
        ("speculative_config.layers.1", "7", "speculative_config", {"layers": [1, 7]}),
        ("speculative_config.deep.er", "x", "speculative_config", {"deep": {"er": "x"}}),
        ("speculative_config.more", '{"a": [1]}', "speculative_config", {"more": {"a": [1]}}),
        ("text_config.depth.a", "2", "text_config", {"depth": {"a": 2}}),
        ("fresh.part", "0.5", "fresh", {"part": 0.5}),
    ],
)
def test_a_dotted_key_sets_one_part(key: str, text: str, root: str, data: Mapping[str, object]) -> None:
    found = render(recipe(), {key: text})
    value = found.chain[root].value.data
    if isinstance(value, str):
        value = json.loads(value)
    assert {name: value[name] for name in data} == data
    if root == "speculative_config":
        assert value["method"] == data.get("method", "eagle")
        words = found.argv
        assert json.loads(words[words.index("--speculative-config") + 1]) == value


@pytest.mark.parametrize(
    "key", ["port.x", "speculative_config.method.x", "speculative_config.layers.2", "speculative_config.layers.x"]
)
def test_a_dotted_key_that_leads_nowhere_is_an_error(key: str) -> None:
    found = render(recipe(), {key: "1"})
    assert [problem.code for problem in found.errors] == ["override-part"]


def test_a_restart_policy_of_one_launch_is_an_option_of_its_container() -> None:
    own = recipe(BASE + "executor_config: {user: '1000', restart_policy: 'on-failure:2'}\n")
    assert container_options(render(own, {}).recipe).restart_policy == "on-failure:2"
    changed = render(own, {"restart_policy": "unless-stopped"})
    options = container_options(changed.recipe)
    assert (options.restart_policy, options.user) == ("unless-stopped", "1000")
    assert container_options(render(own, {"restart_policy": "no"}).recipe).restart_policy == ""
    value = own_value(own, "restart_policy")
    assert value is not None and value.text == "on-failure:2"
    assert own_value(recipe(BASE), "restart_policy") is None
    named = recipe(BASE.replace("defaults:", "defaults:\n  restart_policy: mine\n", 1))
    assert kind_of(named, "restart_policy") is Kind.VALUE


@pytest.mark.parametrize(
    "has", ["", "executor_config: {user: '1000'}\n", "executor_config:\n  restart_policy: always\n"]
)
def test_a_new_recipe_keeps_the_restart_policy(has: str) -> None:
    text = exported(recipe(BASE + has), {"restart_policy": "unless-stopped"})
    assert container_options(recipe(text)).restart_policy == "unless-stopped"


def test_two_parts_of_one_value_are_both_set_in_a_built_command() -> None:
    found = evaluate(recipe(BASE), {"speculative_config.method": "mtp", "speculative_config.layers.0": "9"}, Target())
    assert '"method":"mtp"' in found.command
    assert '"layers":[9,2]' in found.command


@pytest.mark.parametrize(
    ("command", "result"),
    [
        ("vllm serve m --port 1", "vllm serve m --port 1 --x 'a b'"),
        ("vllm serve m --port 80 >log", "vllm serve m --port 80 --x 'a b' >log"),
        ("vllm serve m --a b 2>&1 | tee log", "vllm serve m --a b --x 'a b' 2>&1 | tee log"),
        ("vllm serve m &\nwait", "vllm serve m --x 'a b' &\nwait"),
        ("pip install vllm && exec vllm serve m # last", "pip install vllm && exec vllm serve m --x 'a b' # last"),
        ("A=1 python3 -m vllm.entrypoints.openai.api_server --model m", None),
        ("python3 -m sglang.launch_server --model m;", "python3 -m sglang.launch_server --model m --x 'a b';"),
        ("sglang serve --model-path m", "sglang serve --model-path m --x 'a b'"),
        ("/app/llama-server -m x \\\n  -c 1\n", "/app/llama-server -m x \\\n  -c 1 --x 'a b'\n"),
        ("if true; then vllm serve m; fi", "if true; then vllm serve m --x 'a b'; fi"),
        ("(vllm serve m)", "(vllm serve m --x 'a b')"),
    ],
)
def test_flags_follow_the_arguments_of_the_engine(command: str, result: str | None) -> None:
    found = render(with_command(command), {"extra_flags": "--x 'a b'"})
    assert not found.errors
    assert found.command is not None
    assert found.command.strip() == (f"{command} --x 'a b'" if result is None else result.strip())
    assert subprocess.run(["bash", "-n"], input=found.command, text=True, check=False).returncode == 0


def test_flags_go_into_a_quoted_script_where_they_need_no_quotes() -> None:
    inner = with_command("bash -lc 'vllm serve m'")
    assert render(inner, {"extra_flags": "--seed 3"}).command == "bash -lc 'vllm serve m --seed 3'\n"
    refused = render(inner, {"extra_flags": "--x 'a b'"})
    assert [problem.code for problem in refused.errors] == ["extra-flags"]


@pytest.mark.parametrize(
    ("command", "flags"), [("./serve.sh", "--x"), ("vllm serve m", "x"), ("vllm serve m", "--x 'a")]
)
def test_flags_without_a_place_are_an_error(command: str, flags: str) -> None:
    assert [problem.code for problem in render(with_command(command), {"extra_flags": flags}).errors] == ["extra-flags"]


def test_flags_are_checked_and_estimated_as_the_commands_own() -> None:
    wrong = render(with_command("vllm serve m"), {"extra_flags": "--max-model-len many"})
    assert any("--max-model-len" in problem.message for problem in check_flags(wrong, "0.31.0"))
    plain = "model: Qwen/Qwen3-1.7B\nruntime: vllm\ncontainer: vllm/vllm-openai:v0.31.0\n"
    for text in (plain, plain + "command: vllm serve {model}\n"):
        before = evaluate(recipe(text), {}, Target()).estimate
        after = evaluate(recipe(text), {"extra_flags": "--max-model-len 2048"}, Target()).estimate
        assert before.max_context != after.max_context or before.context != after.context
        assert (
            "--max-model-len 2048" in evaluate(recipe(text), {"extra_flags": "--max-model-len 2048"}, Target()).command
        )
    built = render(recipe(plain), {"extra_flags": "--max-model-lne 3"})
    assert any("--max-model-lne" in problem.message for problem in check_flags(built, "0.31.0"))


def test_a_part_of_a_user_s_own_value_is_the_same_without_secrets_and_under_conditions() -> None:
    text = BASE.replace("  port: 8000\n", "  port: 8000\n  api_key: a-secret-of-the-recipe\n")
    command = "vllm serve {model} --api-key {api_key} --speculative-config {speculative_config}"
    layered = f"{text}command: {command}\noverrides:\n  - when: {{nodes: 1}}\n    defaults: {{max_num_seqs: 8}}\n"
    overrides = {"speculative_config.num_speculative_tokens": "5"}
    users = {"speculative_config": {"method": "mtp", "num_speculative_tokens": 2}}
    rendered = render(recipe(layered), overrides, users)
    wanted = {"method": "mtp", "num_speculative_tokens": 5}
    for found in (rendered, concealed(rendered).rendered, in_force(rendered, Surroundings((Hardware("a", ""),)))):
        assert json.loads(found.argv[-1]) == wanted
        assert found.get("speculative_config") == wanted


def test_a_recipe_s_own_keys_win() -> None:
    own = recipe(
        "model: a/b\nruntime: vllm\ncontainer: x/y:1\ndefaults: {container: c, extra_flags: --a}\n"
        "command: vllm serve {model} {extra_flags} --name {container}\n"
    )
    found = render(own, {"container": "d", "extra_flags": "--b"})
    assert found.command == "vllm serve a/b --b --name d"
    assert found.recipe.container == "x/y:1"


SECRETS = {
    "env.MY_API_KEY": "canary-env-0123456789",
    "extra_flags": "--api-key canary-flag-0123456789 --seed 3",
    "speculative_config.api_key": "canary-part-0123456789",
}


@pytest.mark.parametrize("text", [BASE, BASE + COMMAND])
def test_no_secret_is_shown_written_or_pasted(text: str) -> None:
    rendered = render(recipe(text), SECRETS)
    redact = redactor(rendered=rendered, environ={})
    assert "canary" not in redact(str(rendered.command) + str(SECRETS))
    hidden = concealed(rendered)
    assert "canary" not in str(hidden.rendered.command) + str(hidden.rendered.extra) + settings_label(hidden.rendered)
    revealed = {secret.reveal() for secret in hidden.secrets.values()}
    assert {"canary-flag-0123456789", "canary-part-0123456789"} <= revealed
    assert "canary" not in str(shown_settings(SECRETS))
    line = command_line(recipe(text), SECRETS)
    assert "canary" not in line
    assert line.endswith('-- --api-key "${API_KEY}" --seed 3')
    assert "canary" not in evaluate(recipe(text), SECRETS, Target()).command


def test_an_exported_recipe_has_everything() -> None:
    overrides = {
        "container": "other/image:2",
        "env.LEVEL": "DEBUG",
        "env.NEW": "a: b",
        "speculative_config.method": "mtp",
        "extra_flags": "--seed 3 --x '{\"a\": 1}'",
        "port": "9000",
    }
    text = exported(recipe(), overrides)
    again = recipe(text)
    assert render(again, {}).command == render(recipe(), overrides).command
    assert again.container == "other/image:2"
    assert {key: value.text for key, value in again.env.items()} == {"LEVEL": "DEBUG", "NEW": "a: b"}
    assert "# loud" in text
    assert "{model}" in text and "{port}" in text
    assert changed(again, overrides | {"extra_flags": ""}) == {"extra_flags": ""}


def test_an_exported_recipe_asks_variables_for_secrets() -> None:
    text = exported(recipe(), SECRETS)
    assert "canary" not in text
    assert left_as_variables(recipe(), SECRETS) == {
        "env.MY_API_KEY": "MY_API_KEY",
        "speculative_config.api_key": "SPECULATIVE_CONFIG_API_KEY",
        "--api-key": "API_KEY",
    }
    assert recipe(text).env["MY_API_KEY"].text == "${MY_API_KEY}"


@pytest.mark.parametrize(
    "command", ["command: vllm serve {model}", 'command: "vllm serve {model}"', "command: >\n  vllm serve\n  {model}"]
)
def test_flags_are_exported_into_commands_of_any_form(command: str) -> None:
    one = recipe(f"model: a/b\nruntime: vllm\ncontainer: x/y:1\n{command}\nmetadata: {{description: d}}\n")
    overrides = {"extra_flags": "--seed 3"}
    again = recipe(exported(one, overrides))
    assert again.metadata.description == "d"
    assert render(again, {}).argv == ("vllm", "serve", "a/b", "--seed", "3")
