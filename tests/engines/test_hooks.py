"""Hooks of recipes: where they stand in a plan, that they run first, and that the first failure ends it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from sparkrun_tui.engines.layout.common import hook_script, start_script
from sparkrun_tui.engines.layout.hooks import TIME_FOR_HOOKS
from sparkrun_tui.engines.plan import Hook, PortWait, RayNodesWait
from sparkrun_tui.recipe.model import Severity

from .samples import VLLM, hosts, plan, rendered, with_command

HOOKS = """\
pre_exec:
  - pip install fastokens=={version}
  - |
    cat <<'E'
    it's {served_model_name}
    E
post_exec: curl -s {base_url}/models
post_commands: ["notify {head_host} {head_ip} {port} {cluster_id} {container_name}"]
"""
RECIPE = VLLM.replace("defaults:\n", "defaults:\n  version: 1.2\n") + HOOKS


@pytest.mark.parametrize("runtime", ["vllm", "vllm-distributed", "sglang"])
def test_every_container_runs_them_first(runtime: str) -> None:
    text = RECIPE.replace("runtime: vllm", f"runtime: {runtime}")
    if runtime == "sglang":
        text = text.replace("vllm serve {model} -tp", "python3 -m sglang.launch_server --model-path {model} --tp-size")
    serve = plan(rendered(text), 2)
    for rank in serve.ranks:
        commands = [hook.command for hook in rank.container.before]
        assert commands == ["pip install fastokens==1.2", "cat <<'E'\nit's falcon\nE"]
    titles = [hook.title for hook in serve.ranks[0].container.before]
    assert titles == ["pre_exec 1 of 2 (sample.yaml:14)", "pre_exec 2 of 2 (sample.yaml:15)"]
    (after,) = serve.after
    assert (after.title, after.command) == ("post_exec (sample.yaml:19)", "curl -s http://10.0.0.1:8001/v1/models")
    (local,) = serve.host_after
    assert local.command == "notify spark-1 10.0.0.1 8001 k3v9wxyz sparkrun-tui-k3v9wxyz-0"
    assert any("pip install fastokens==1.2" in note and "in every container" in note for note in serve.notes)
    assert any("notify spark-1" in note and "on the head host" in note for note in serve.notes)


def test_llama_server_too() -> None:
    serve = plan(with_command("llama-server -hf org/x:Q4_K_M", "llama-cpp", "org/x:Q4_K_M", "pre_exec: [echo hi]"))
    assert [hook.title for hook in serve.ranks[0].container.before] == ["pre_exec (sample.yaml:4)"]


def test_waits_leave_them_time() -> None:
    plain, slow = plan(rendered(VLLM), 2), plan(rendered(RECIPE), 2)
    for before, after in zip(plain.stages, slow.stages, strict=True):
        assert type(before.wait) is type(after.wait)
        if isinstance(before.wait, PortWait | RayNodesWait) and isinstance(after.wait, PortWait | RayNodesWait):
            assert after.wait.timeout == before.wait.timeout + TIME_FOR_HOOKS


def test_another_hook_is_another_plan() -> None:
    labels = [
        plan(rendered(text)).ranks[0].container.labels["io.sparkrun-tui.plan"]
        for text in (VLLM + "max_nodes: 1\n", RECIPE, RECIPE.replace("pip", "uv pip"))
    ]
    assert len(set(labels)) == 3


def test_what_cannot_be_run_is_told_in_the_plan() -> None:
    serve = plan(rendered(VLLM + "pre_exec: [{run: /x}, echo a]\npost_exec: {a: b}\n"))
    severities = [problem.severity for problem in serve.problems if problem.code == "hook"]
    assert severities == [Severity.ERROR, Severity.ERROR]
    assert [hook.command for hook in serve.ranks[0].container.before] == ["echo a"]


def _run(script: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-c", script], cwd=cwd, capture_output=True, text=True, check=False, timeout=20)


@pytest.mark.parametrize("key", ["pre_exec", "post_exec", "post_commands"])
def test_one_command_needs_no_list(key: str) -> None:
    entry = {"command": "echo a", "timeout": 5}
    alone, listed = (plan(rendered(f"{VLLM}{key}: {json.dumps(value)}\n")) for value in (entry, [entry]))
    for serve in (alone, listed):
        [hook] = [*serve.ranks[0].container.before, *serve.after, *serve.host_after]
        assert (hook.command, hook.timeout) == ("echo a", 5)


HOSTILE = Hook('pre_exec 1 of 1 (it\'s $(touch pwned) "x".yaml:3)', "x='a b'; test \"$x\" = 'a b' && exit 7")


def test_a_failed_hook_ends_the_start_with_its_code_and_its_name(tmp_path: Path) -> None:
    done = _run(hook_script([Hook("pre_exec 1 of 2", "echo one"), HOSTILE]) + "echo served\n", tmp_path)
    assert done.returncode == 7
    assert done.stdout.splitlines()[:2] == ["sparkrun-tui: pre_exec 1 of 2: echo one", "one"]
    assert "served" not in done.stdout
    assert done.stderr == f"sparkrun-tui: {HOSTILE.title} ended with exit code 7\n"
    assert not (tmp_path / "pwned").exists()


def test_a_hook_has_a_shell_of_its_own_with_the_secrets(tmp_path: Path) -> None:
    (tmp_path / "env").write_text("HF_TOKEN='s3 cr3t'\n")
    (tmp_path / "serve.sh").write_text('echo "serves in $PWD with ${leaked:-nothing}"\n')
    hook = tmp_path / "before-1.sh"
    hook.write_text('cd / && leaked=1 && printf %s "$HF_TOKEN" >' + f"{tmp_path}/seen\n")
    script = start_script(str(tmp_path / "serve.sh"), str(tmp_path / "env"), [Hook("pre_exec", "cd /\nx")])
    done = _run(script.replace("/run/sparkrun", str(tmp_path)), tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["sparkrun-tui: pre_exec: cd / …", f"serves in {tmp_path} with nothing"]
    assert (tmp_path / "seen").read_text() == "s3 cr3t"
    assert not (tmp_path / "env").exists()


def test_the_scripts_of_eugr_get_them_as_a_mod(tmp_path: Path) -> None:
    text = RECIPE.replace("runtime: vllm", "runtime: eugr-vllm\nmods: [mods/fix]")
    serve = plan(rendered(text), 2)
    files = serve.stages[-1].scripts[0].files
    recipe = next(text for path, text in files.items() if path.endswith("k3v9wxyz.yaml"))
    folder = "/home/ada/.cache/sparkrun-tui/eugr/k3v9wxyz-before"
    assert yaml.safe_load(recipe)["mods"] == ["mods/fix", folder]
    run = files[f"{folder}/run.sh"].replace("pip install", "echo installs")
    done = _run(run, tmp_path)
    assert done.returncode == 0 and "installs fastokens==1.2" in done.stdout and "it's falcon" in done.stdout
    assert [hook.command for hook in serve.after] == ["curl -s http://10.0.0.1:8001/v1/models"]
    assert serve.host_after[0].command.endswith(" sparkrun-tui-k3v9wxyz")
    assert plan(rendered(VLLM.replace("runtime: vllm", "runtime: eugr-vllm")), 2).stages[-1].scripts[
        0
    ].files.keys() == {"/home/ada/.cache/sparkrun-tui/eugr/k3v9wxyz.yaml"}


def test_without_hooks_nothing_is_added() -> None:
    serve = plan(rendered(VLLM), views=hosts(2))
    assert serve.after == serve.host_after == serve.ranks[0].container.before == ()
    assert not any("exec" in note for note in serve.notes)
