"""A7: keys that a serve command gives by flags reach the engine by its variable, and are no argument of any process."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from sparkrun_tui.base.user.settings import Cluster
from sparkrun_tui.engines.plan import HostView
from sparkrun_tui.launch.plan.dry_run import lines
from sparkrun_tui.launch.plan.environment import plan_env
from sparkrun_tui.launch.plan.plan import LaunchPlan, build_plan
from sparkrun_tui.recipe.format.loader import load_text
from sparkrun_tui.recipe.model import Source, SourceKind
from sparkrun_tui.recipe.values.overrides import render

KEY = "key-Zq8vT3xW"
OTHER = "other-Zq8vT3xW"


def plan(command: str, *, runtime: str = "vllm", hosts: int = 1, more: str = "", **overrides: str) -> LaunchPlan:
    """A launch of a recipe with this command, whose default `api_key` is `KEY`."""
    body = "\n".join(f"  {line}" for line in command.split("\n"))
    text = (
        f"model: org/m\nruntime: {runtime}\ncontainer: a/b:1\n"
        f"defaults: {{api_key: {KEY}, port: 8000, tensor_parallel: {hosts}}}\n{more}command: |\n{body}\n"
    )
    rendered = render(load_text(text, Source(SourceKind.PATH, "r.yaml")), overrides)
    views = [HostView(f"spark-{number}", f"10.0.0.{number}") for number in range(1, hosts + 1)]
    cluster = Cluster("lab", tuple(view.name for view in views))
    return build_plan(rendered, cluster, views, launch_id="abcd2345", env=plan_env(rendered, {}))


def served(found: LaunchPlan, folder: Path) -> tuple[list[str], dict[str, str]]:
    """Arguments and environment of the server that the head's script starts, run by bash with a stand-in for it."""
    spec = found.serve.ranks[0].container
    for name in ("vllm", "llama-server"):
        program = folder / name
        program.write_text('#!/bin/sh\nprintf "%s\\n" "$0" "$@" >"$WHERE/arguments"\nenv >"$WHERE/environment"\n')
        program.chmod(0o755)
    given = {name: secret.reveal() for name, secret in spec.secret_env.items()}
    environment = {"PATH": f"{folder}:{os.environ['PATH']}", "WHERE": str(folder), **spec.env, **given}
    subprocess.run(["bash", "-c", spec.script], env=environment, check=True, cwd=folder, timeout=20)
    told = (folder / "environment").read_text().splitlines()
    pairs = (line.partition("=") for line in told)
    return (folder / "arguments").read_text().splitlines()[1:], {name: value for name, _, value in pairs}


@pytest.mark.parametrize(
    "command",
    [
        "vllm serve {model} --api-key {api_key} --port {port}",
        "vllm serve {model} --port {port} --api-key={api_key}",
        "vllm serve {model} --api_key '{api_key}' --port {port}",
        'vllm serve {model} \\\n  --api-key "{api_key}" \\\n  --port {port}',
        f"vllm serve {{model}} --api-key {KEY} --port {{port}}",
        "bash -c 'vllm serve {model} --api-key {api_key} --port {port}'",
        'bash -c "exec vllm serve {model} --port {port} --api-key {api_key}"',
        "cd . && exec env A=b vllm serve {model} --port {port} --api-key {api_key}>log",
    ],
)
def test_vllm_gets_its_key_by_a_variable(command: str, tmp_path: Path) -> None:
    found = plan(command)
    arguments, environment = served(found, tmp_path)
    assert arguments == ["serve", "org/m", "--port", "8000"]
    assert environment["VLLM_API_KEY"] == KEY
    told = "\n".join(lines(found))
    assert KEY not in told
    assert "# note: --api-key is passed by the variable VLLM_API_KEY" in told
    assert "# note: set VLLM_API_KEY before you paste a command" in told
    assert "SPARKRUN_SECRET" not in told, "nothing refers to it any more"


def test_llama_server_gets_its_key_by_a_variable(tmp_path: Path) -> None:
    found = plan("llama-server -hf org/m --api-key {api_key} --port {port}", runtime="llama-cpp")
    arguments, environment = served(found, tmp_path)
    assert "--api-key" not in arguments
    assert environment["LLAMA_API_KEY"] == KEY


def test_a_typed_key_wins_and_is_handed_over(tmp_path: Path) -> None:
    found = plan("vllm serve {model} --api-key {api_key}", api_key=OTHER)
    arguments, environment = served(found, tmp_path)
    assert arguments == ["serve", "org/m"]
    assert environment["VLLM_API_KEY"] == OTHER


def test_a_command_that_is_built_from_the_defaults_has_no_key(tmp_path: Path) -> None:
    text = f"model: org/m\nruntime: vllm\ncontainer: a/b:1\ndefaults: {{api_key: {KEY}, port: 8000}}\n"
    rendered = render(load_text(text, Source(SourceKind.PATH, "r.yaml")), {})
    cluster = Cluster("lab", ("spark-1",))
    found = build_plan(rendered, cluster, [HostView("spark-1", "10.0.0.1")], launch_id="abcd2345")
    arguments, environment = served(found, tmp_path)
    assert KEY not in arguments
    assert environment["VLLM_API_KEY"] == KEY


@pytest.mark.parametrize("runtime", ["vllm", "vllm-distributed", "eugr-vllm"])
def test_several_hosts_have_it_in_no_script(runtime: str) -> None:
    found = plan("vllm serve {model} --api-key {api_key} -tp {tensor_parallel}", runtime=runtime, hosts=2)
    texts = [rank.container.script for rank in found.serve.ranks]
    texts += [execution.script for stage in found.serve.stages for execution in stage.execs]
    for stage in found.serve.stages:
        for script in stage.scripts:
            texts += [script.script, *script.files.values()]
    assert texts
    assert not any("--api-key" in text or KEY in text for text in texts)
    secrets = [rank.container.secret_env for rank in found.serve.ranks]
    secrets += [values for stage in found.serve.stages for s in stage.scripts for values in s.secret_files.values()]
    assert secrets
    assert all(values["VLLM_API_KEY"].reveal() == KEY for values in secrets)


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("env -i vllm serve {model} --api-key {api_key}", "may not pass its environment on"),
        ("sudo vllm serve {model} --api-key {api_key}", "may not pass its environment on"),
        ("ssh other 'vllm serve {model} --api-key {api_key}'", ""),
        ("env -i bash -c 'vllm serve {model} --api-key {api_key}'", "may not pass its environment on"),
        ("unset VLLM_API_KEY; vllm serve {model} --api-key {api_key}", "sets VLLM_API_KEY as well"),
        ("vllm serve {model} --api-key {api_key} --api-key second-Zq8vT3", "several values"),
        ("vllm serve {model} --api-key {api_key} second-Zq8vT3", "several values"),
        ("vllm serve a/b --port 1 &\nvllm serve {model} --api-key {api_key}", "more than one server"),
        ('vllm serve {model} --api-key "$(cat /key)"', "worked out by the command's own shell"),
    ],
)
def test_the_key_stays_where_the_server_might_be_left_without_it(command: str, why: str) -> None:
    found = plan(command)
    script = found.serve.ranks[0].container.script
    assert "--api-key" in script
    assert "VLLM_API_KEY" not in found.serve.ranks[0].container.secret_env
    told = "\n".join(lines(found))
    assert KEY not in told
    assert "second-Zq8vT3" not in told
    warnings = [problem.message for problem in found.problems if problem.code == "secret-argument"]
    assert all(why in text and "in the list of processes" in text for text in warnings)
    assert bool(warnings) is bool(why)


def test_that_an_engine_takes_its_key_by_a_flag_only_is_a_warning() -> None:
    command = "python3 -m sglang.launch_server --model-path {model} --api-key {api_key} --max-running-requests 4"
    found = plan(command, runtime="sglang")
    warnings = [problem.message for problem in found.problems if problem.code == "secret-argument"]
    assert warnings
    assert "the engine reads it only from there" in warnings[0]
    assert KEY not in found.serve.ranks[0].container.script


def test_a_variable_of_the_recipe_is_handed_over_by_its_value(tmp_path: Path) -> None:
    found = plan('vllm serve {model} --api-key "$SERVICE_KEY"', more=f"env: {{SERVICE_KEY: {OTHER}}}\n")
    arguments, environment = served(found, tmp_path)
    assert arguments == ["serve", "org/m"]
    assert environment["VLLM_API_KEY"] == OTHER


def test_a_file_of_keys_is_no_key() -> None:
    found = plan("llama-server -hf org/m --api-key-file /run/keys", runtime="llama-cpp")
    assert "--api-key-file /run/keys" in found.serve.ranks[0].container.script
    assert not any(problem.code == "secret-argument" for problem in found.problems)


@pytest.mark.parametrize(
    ("runtime", "command", "variable"),
    [
        ("vllm", f"export VLLM_API_KEY={KEY}\nvllm serve {{model}} --port {{port}}", "VLLM_API_KEY"),
        ("vllm", f"VLLM_API_KEY='{KEY}' vllm serve {{model}} --port {{port}}", "VLLM_API_KEY"),
        ("vllm", f"vllm serve {{model}} --port {{port}} --api-ke {KEY}", "VLLM_API_KEY"),
        ("vllm", f"vllm serve {{model}} --port {{port}} --api-key {KEY} {OTHER}", "SPARKRUN_SECRET_API_KEY"),
    ],
)
def test_what_is_written_in_clear_comes_from_a_variable(
    runtime: str, command: str, variable: str, tmp_path: Path
) -> None:
    """The commands to paste work without the secret: they take it from a variable."""
    found = plan(command, runtime=runtime)
    told = "\n".join(lines(found))
    assert KEY not in told
    assert OTHER not in told
    assert f"-e {variable}" in told
    arguments, environment = served(found, tmp_path)
    assert KEY in (environment.get("VLLM_API_KEY"), *arguments)
    assert found.serve.ready.key.secret is not None
    assert found.serve.ready.key.secret.reveal() == KEY


@pytest.mark.parametrize(
    "command",
    [
        f"bash -c 'export VLLM_API_KEY={KEY}; vllm serve {{model}}'",
        f'bash -c "vllm serve {{model}} --api-key {KEY} {OTHER}"',
        f'bash -c "VLLM_API_KEY={KEY} vllm serve {{model}}"',
        f"echo '--api-key {KEY}' >/dev/null\nvllm serve {{model}}",
    ],
)
def test_what_cannot_be_a_variable_is_dots(command: str) -> None:
    told = "\n".join(lines(plan(command, api_key="x")))
    assert KEY not in told
    assert OTHER not in told
    assert "•••" in told


def test_words_beside_a_flag_for_secrets_are_not_hidden() -> None:
    command = "# without --api-key anybody can ask\nvllm serve {model} --api-key {api_key}\nsleep infinity"
    told = "\n".join(lines(plan(command)))
    assert "without --api-key anybody can ask" in told
    assert "sleep infinity" in told
