"""Values of `env` with `{config.KEY}` and `{launch.FIELD}`, and what hooks learn about their launch."""

from __future__ import annotations

import subprocess

import pytest

from sparkrun_tui.base.secrets import Secret
from sparkrun_tui.base.user.settings import Cluster
from sparkrun_tui.engines.checks.validation import validate
from sparkrun_tui.engines.layout.common import hook_text, start_script
from sparkrun_tui.engines.layout.hook_env import HOOK_VARIABLES
from sparkrun_tui.engines.plan import Hook, HostView
from sparkrun_tui.launch.plan.dry_run import lines, offline_plan
from sparkrun_tui.launch.plan.environment import plan_env
from sparkrun_tui.launch.plan.plan import build_plan
from sparkrun_tui.recipe.format.loader import load_text
from sparkrun_tui.recipe.model import Severity
from sparkrun_tui.recipe.values.overrides import render
from tests.engines.samples import plan, rendered

HEAD = """\
model: org/m
runtime: vllm-distributed
container: a/b:1
defaults: {port: 8000, tensor_parallel: 2, share: 0.80, eager: true, list: [1], api_key: sk-0123456789abcdef}
command: vllm serve {model} --port {port} -tp {tensor_parallel} --x {share}
"""


def env_of(value: str, rank: int = 0, **overrides: str) -> str:
    what = render(load_text(f"{HEAD}env:\n  A: {value!r}\n"), overrides)
    found = offline_plan(what, Cluster("lab", ("spark-1", "me@spark-2")), "abcd2345", {"HOME": "/h"})
    spec = found.serve.ranks[rank].container
    if "A" in spec.secret_env:
        return "secret " + spec.secret_env["A"].reveal()
    return spec.env["A"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("{config.port}", "8000"),
        ("{config.share}", "0.80"),
        ("{config.eager}", "true"),
        ("{config.model}", "org/m"),
        ("x{config.port}y{config.share}", "x8000y0.80"),
        ("{launch.node_rank}", "0"),
        ("{launch.num_nodes}", "2"),
        ("{launch.node_host}", "spark-1"),
        ("{launch.cluster_id}", "abcd2345"),
        ("{launch.runtime_cache_dir}/x", "/cache/runtime/x"),
        ("{{config.port}}", "{config.port}"),
        ("{{launch.node_rank}}", "{launch.node_rank}"),
        ("{{{config.port}}}", "{{config.port}}"),
        ("{config.port}}", "8000}"),
        ("{port}", "{port}"),
        ('{"a": {"b": 1}}', '{"a": {"b": 1}}'),
        ("${config.port}", "${config.port}"),
        ("{configs.port}", "{configs.port}"),
        ("$HOME", "/h"),
        ("secret-{config.api_key}", "secret secret-sk-0123456789abcdef"),
    ],
)
def test_values(value: str, text: str) -> None:
    assert env_of(value) == text


def test_each_host_gets_its_own() -> None:
    assert env_of("{launch.node_rank} {launch.node_host}", rank=1) == "1 me@spark-2"


@pytest.mark.parametrize(
    ("key", "text"), [("share", "{launch.node_rank}"), ("share", "{config.port}"), ("share", "$HOME")]
)
def test_what_is_put_in_is_not_read_again(key: str, text: str) -> None:
    assert env_of("a {config.share} b", share=text) == f"a {text} b"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("{config.nothing}", "`{config.nothing}` has no value"),
        ("{config.list}", "a list"),
        ("{launch.rank}", "not a value of a launch"),
        ("{config.port:>5}", "not the name of a value"),
        ("{launch.}", "not the name of a value"),
        ("{config.port", "no closing brace"),
    ],
)
def test_wrong_fields_are_errors(value: str, words: str) -> None:
    what = load_text(f"{HEAD}env:\n  A: {value!r}\n")
    found = [problem for problem in validate(what, None, {}) if problem.code == "env-field"]
    assert found and words in found[0].message
    assert found[0].severity is Severity.ERROR and found[0].spot is not None and found[0].spot.line == 7


def test_there_is_no_folder_where_nothing_is_kept() -> None:
    what = load_text(f"{HEAD}env: {{A: '{{launch.runtime_cache_dir}}'}}\nruntime_cache: false\n")
    assert any(problem.code == "env-field" for problem in validate(what, None, {}))


def test_a_key_that_only_a_variable_reads_is_used() -> None:
    text = HEAD.replace("share: 0.80", "share: 0.80, other: 1")
    used = validate(load_text(text + "env: {A: '{config.other}'}\n"), None, {})
    assert not any("`other`" in problem.message for problem in used)
    assert any("`other`" in problem.message for problem in validate(load_text(text), None, {}))


def test_the_model_is_named_once_it_is_there() -> None:
    what = render(load_text(HEAD + "env: {A: '{launch.model_path}', B: '{launch.model_revision}'}\n"), {})
    cluster = Cluster("lab", ("a", "b"))
    hosts = [HostView("a", "10.0.0.1"), HostView("b", "10.0.0.2")]
    env = plan_env(what, {})
    before = build_plan(what, cluster, hosts, launch_id="abcd2345", env=env)
    assert before.serve.ranks[0].container.env["A"] == "<launch.model_path>"
    after = build_plan(what, cluster, hosts, launch_id="abcd2345", env=env, model_path="/hf/x", model_commit="c0ffee")
    assert {name: after.serve.ranks[1].container.env[name] for name in "AB"} == {"A": "/hf/x", "B": "c0ffee"}


def test_a_secret_of_the_values_is_in_no_output() -> None:
    what = render(load_text(HEAD + "env: {PLAIN: 'k={config.api_key}'}\n"), {})
    plan_ = offline_plan(what, None, "abcd2345", {})
    assert isinstance(plan_.serve.ranks[0].container.secret_env["PLAIN"], Secret)
    assert "sk-0123456789abcdef" not in "\n".join(lines(plan_))


HOOKED = """\
model: org/m
runtime: vllm
container: a/b:1
defaults: {port: 8000, tensor_parallel: 1}
pre_exec: [echo first, {command: "echo {port}", timeout: 90}]
post_exec: [{command: "ask {base_url}", timeout: 0.5}]
post_commands: [{command: tell, timeout: 0}]
command: vllm serve {model} --port {port} -tp {tensor_parallel}
"""


def test_every_command_learns_about_its_launch() -> None:
    serve = plan(rendered(HOOKED, tensor_parallel="2"), 2)
    for rank, place in enumerate(serve.ranks):
        for hook in place.container.before:
            assert tuple(hook.env) == HOOK_VARIABLES
            assert hook.env["SPARKRUN_NODE_RANK"] == str(rank)
            assert hook.env["SPARKRUN_NODE_HOST"] == f"spark-{rank + 1}"
            assert hook.env["SPARKRUN_NODE_ROLE"] == ("head", "worker")[rank]
            assert hook.env["SPARKRUN_IS_HEAD"] == ("1", "0")[rank]
            assert hook.env["SPARKRUN_HEAD_IP"] == hook.env["SPARKRUN_BASE_URL"] == ""
            assert hook.env["SPARKRUN_RUNTIME_CACHE_DIR"] == "/cache/runtime"
    (after,) = serve.after
    assert after.env["SPARKRUN_HOOK"] == "post_exec" and after.env["SPARKRUN_NODE_RANK"] == "0"
    assert after.env["SPARKRUN_BASE_URL"] == "http://10.0.0.1:8000/v1"
    (on_head,) = serve.host_after
    assert (on_head.env["SPARKRUN_NODE_ROLE"], on_head.env["SPARKRUN_NODE_RANK"]) == ("control", "")


def test_limits_are_kept_and_said() -> None:
    serve = plan(rendered(HOOKED))
    first, second = serve.ranks[0].container.before
    assert (first.timeout, second.timeout) == (None, 90)
    script = start_script(before=(first, second))
    assert "bash /run/sparkrun/before-1.sh" in script and "timeout -k 10 90 bash /run/sparkrun/before-2.sh" in script
    assert "timeout -k 10 90" not in script.split("before-1.sh")[0]
    said = "\n".join(serve.notes)
    assert "for at most 90 s: echo 8000" in said and "for as long as it takes: tell" in said


def test_a_command_sees_its_variables() -> None:
    hook = Hook(
        "pre_exec",
        'printf %s "$SPARKRUN_NODE_HOST|$SPARKRUN_RECIPE_NAME"',
        env={"SPARKRUN_NODE_HOST": "a b", "SPARKRUN_RECIPE_NAME": "it's $(touch x)"},
    )
    done = subprocess.run(["bash", "-c", hook_text(hook)], capture_output=True, text=True, check=True, timeout=20)
    assert done.stdout == "a b|it's $(touch x)"


@pytest.mark.parametrize(
    "entry",
    [
        "{run: x}",
        "{command: [x]}",
        "{command: ''}",
        "{command: x, timeout: yes}",
        "{command: x, timeout: '60'}",
        "{command: x, timeout: -1}",
        "{command: x, timeout: .inf}",
        "{command: x, colour: red}",
        "{command: x, copy: y}",
        "7",
        "[a]",
    ],
)
@pytest.mark.parametrize("key", ["pre_exec", "post_exec", "post_commands"])
def test_wrong_entries_are_errors(key: str, entry: str) -> None:
    found = validate(rendered(f"{HEAD}{key}: [echo, {entry}]\n").recipe, None, {})
    errors = [problem for problem in found if problem.severity is Severity.ERROR]
    assert [problem.code for problem in errors] == ["hook"]
    assert errors[0].spot is not None and errors[0].spot.line == 6
