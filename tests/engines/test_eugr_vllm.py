"""The delegation to spark-vllm-docker: the file, the scripts run with stand-ins, secrets passed and removed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from sparkrun_tui.base.secrets import Secret
from sparkrun_tui.engines.plan import HostScript, ReadyCheck, ServePlan
from sparkrun_tui.engines.registry import engine_for

from .samples import host, plan, rendered

RECIPE = """\
recipe_version: "1"
name: falcon
model: acme/Falcon-30B
container: vllm-node
mods: [mods/fix-falcon]
defaults:
  port: 8000
  host: 0.0.0.0
  tensor_parallel: 2
  max_model_len: 4096
env:
  OMP_NUM_THREADS: 4
command: |
  vllm serve acme/Falcon-30B --port {port} --host {host} \\
    --max-model-len {max_model_len} -tp {tensor_parallel} \\
    --speculative-config '{{"method": "mtp"}}'
"""
SOLO = RECIPE.replace("tensor_parallel: 2", "tensor_parallel: 1")


def only_script(serve: ServePlan) -> HostScript:
    return serve.stages[-1].scripts[0]


def file_of(serve: ServePlan) -> dict[str, object]:
    (text,) = only_script(serve).files.values()
    body: dict[str, object] = yaml.safe_load(text)
    return body


def test_the_file_holds_every_override_in_its_defaults() -> None:
    body = file_of(
        plan(rendered(RECIPE, port="9000", max_model_len="8192", extra="x"), 2, env={"A": 'say "hi" $HOME `id`'})
    )
    assert body["recipe_version"] == "1"
    assert (body["name"], body["container"], body["mods"]) == ("falcon", "vllm-node", ["mods/fix-falcon"])
    defaults = body["defaults"]
    assert isinstance(defaults, dict)
    assert (defaults["port"], defaults["max_model_len"], defaults["extra"]) == (9000, 8192, "x")
    command = body["command"]
    assert isinstance(command, str)
    assert "{max_model_len}" in command
    filled = command.format(**defaults)
    assert "--port 9000" in filled
    assert '--speculative-config \'{"method": "mtp"}\'' in filled
    assert body["env"] == {"A": 'say \\"hi\\" $HOME \\`id\\`'}


def test_a_command_that_pythons_format_would_spoil_is_written_out() -> None:
    text = SOLO.replace('\'{{"method": "mtp"}}\'', '\'{"method": "mtp"}\' --note ${HOME}')
    body = file_of(plan(rendered(text.replace('recipe_version: "1"', "runtime: eugr-vllm"))))
    command = body["command"]
    assert isinstance(command, str)
    assert '\'{"method": "mtp"}\' --note ${HOME}' in command.format()


def test_the_plan_says_what_is_foreign() -> None:
    serve = plan(rendered(RECIPE), 2)
    assert serve.ranks == ()
    assert serve.delegated == "sparkrun-tui-k3v9wxyz"
    assert serve.ready == ReadyCheck("spark-1", 8000, "acme/Falcon-30B")
    assert not serve.pull_image
    assert [stage.title.split()[0] for stage in serve.stages] == ["Build", "Launch"]
    assert [problem.code for problem in serve.problems] == ["delegated"]
    pulled = plan(rendered(SOLO.replace("vllm-node", "acme/vllm:1")))
    assert pulled.pull_image
    assert len(pulled.stages) == 1


def test_a_cache_elsewhere_is_pointed_out() -> None:
    serve = plan(rendered(SOLO), views=(host(1, hf_cache="/data/hf"),))
    assert "hf-cache" in [problem.code for problem in serve.problems]


SSH = "cat >/dev/null\ncase $* in *boot_id) echo boot-2 ;; esac"


@pytest.mark.parametrize("count", [1, 2])
def test_the_script_run_with_stand_ins(tmp_path: Path, count: int) -> None:
    """git, docker, ssh and run-recipe.sh write down how they were called; ssh runs its command in another folder."""
    views = tuple(host(number, app_cache=str(tmp_path / "cache"), home=str(tmp_path)) for number in range(1, count + 1))
    serve = plan(rendered(RECIPE if count == 2 else SOLO), views=views, secret_env={"HF_TOKEN": Secret("s3cr3t-value")})
    (script,) = serve.stages[-1].scripts
    (secret_path,) = script.secret_files
    calls = tmp_path / "calls"
    clone = tmp_path / "cache" / "spark-vllm-docker"
    (clone / ".git").mkdir(parents=True)
    Path(secret_path).parent.mkdir(parents=True)
    Path(secret_path).write_text("HF_TOKEN=s3cr3t-value\n")
    run = clone / "run-recipe.sh"
    note = f'echo "$(basename "$0") $*" >>{calls}'
    run.write_text(
        f'#!/bin/sh\n{note}\necho "args $VLLM_SPARK_EXTRA_DOCKER_ARGS" >>{calls}\ncat {secret_path} >>{calls}\n'
    )
    run.chmod(0o755)
    for name, body in {"git": "echo 1f2e of 2026-03-01", "docker": "true", "ssh": SSH}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{note}\n{body}\n")
        (tmp_path / name).chmod(0o755)
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    done = subprocess.run(["sh", "-c", script.script], env=env, capture_output=True, text=True, check=False, timeout=20)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "spark-vllm-docker at 1f2e of 2026-03-01\n"
    output = calls.read_text()
    where = "-n 10.0.0.1,10.0.0.2 --master-port 29501" if count == 2 else "--solo --tensor-parallel 1"
    (file,) = script.files
    assert f"run-recipe.sh {file} -d --name sparkrun-tui-k3v9wxyz {where}\n" in output
    assert f"--env-file {secret_path}" in output
    assert "--label io.sparkrun-tui.launch=k3v9wxyz" in output
    assert ("ssh -a -x -o BatchMode=yes -o ConnectTimeout=5 -- 10.0.0.2 cat" in output) == (count == 2)
    assert not Path(secret_path).exists()
    assert output.count("s3cr3t-value") == 1, "only in the file, while the scripts run"


def test_a_missing_image_stops_it_with_words(tmp_path: Path) -> None:
    serve = plan(rendered(SOLO), views=(host(1, app_cache=str(tmp_path)),))
    (tmp_path / "spark-vllm-docker" / ".git").mkdir(parents=True)
    for name, code in {"git": 0, "docker": 1}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\nexit {code}\n")
        (tmp_path / name).chmod(0o755)
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["sh", "-c", only_script(serve).script], env=env, capture_output=True, text=True, check=False, timeout=20
    )
    assert done.returncode == 1
    assert "the image vllm-node is not on this host" in done.stderr


def test_an_image_left_open_is_told() -> None:
    what = rendered("model: a/b\nruntime: eugr-vllm\ncommand: vllm serve {model}\n")
    found = [problem for problem in engine_for("eugr-vllm").check(what) if problem.code == "no-container"]
    assert len(found) == 1 and "vllm-node" in found[0].message and found[0].spot is not None
