"""The plan as steps and commands, the dry run, and that a launch does what they say and nothing else."""

from __future__ import annotations

import json
import shlex
import subprocess
from dataclasses import replace

import pytest

from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.base.shell import path_word
from sparkrun_tui.base.user.settings import Cluster
from sparkrun_tui.engines.plan import ContainerSpec, HostView, Mount, Phase
from sparkrun_tui.launch.plan import dry_run as dryrun
from sparkrun_tui.launch.plan.archive import container_files
from sparkrun_tui.launch.plan.containers import create_body, run_command
from sparkrun_tui.launch.plan.plan import build_plan
from sparkrun_tui.launch.sizing.sizing import attention_heads
from tests.launch.fakes import LLAMA, RAY_TWO, SOLO, FakeCluster, rendered
from tests.launch.virtual import virtual_time


def test_the_steps_of_a_plan_come_in_the_order_of_a_launch(cluster: FakeCluster) -> None:
    plan = cluster.launcher().plan(rendered(RAY_TWO), cluster.cluster)
    phases = [step.phase for step in plan.steps]
    assert phases[:3] == [Phase.CHECK, Phase.IMAGE, Phase.MODEL]
    assert phases[3:-1] == [Phase.START] * 4
    assert phases[-1] is Phase.READY
    assert "wait for 10.0.0.1:46379" not in plan.steps[3].detail, "unprobed hosts are known by name alone"
    assert "wait for spark-1:46379" in plan.steps[3].detail
    assert "2 Ray nodes" in plan.steps[4].detail


def test_solo_takes_the_first_host_alone(cluster: FakeCluster) -> None:
    plan = cluster.launcher().plan(rendered(SOLO), cluster.cluster, hosts=("spark-2", "spark-1"), solo=True)
    assert plan.host_names == ("spark-2",)


def test_no_hosts_is_an_error_that_says_what_to_do(cluster: FakeCluster) -> None:
    with pytest.raises(LaunchError, match="no host") as error:
        cluster.launcher().plan(rendered(SOLO), Cluster("empty", ()))
    assert "-H" in error.value.remedy


def test_a_plan_with_errors_is_not_launched(cluster: FakeCluster) -> None:
    launcher = cluster.launcher()
    plan = launcher.plan(rendered(SOLO + "  --max-model-len {lenght}\n"), cluster.cluster)
    assert plan.errors
    with pytest.raises(LaunchError, match="lenght"):
        launcher.launch(plan)


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ("env:\n  MODEL: {model}\n", "env-type"),
        ("mode: several\n", "mode"),
        ("metadata: {model_params: lots}\n", "model-params"),
        ("model: not a model\n", "model-id"),
        ("container: NOT/an:image:x\n", "container"),
        ("defaults: {port: 8000, served_model_name: x, gpu_memory_utilization: 108}\n", "value-gpu-memory-utilization"),
    ],
)
def test_errors_of_the_recipe_stop_a_launch(cluster: FakeCluster, more: str, code: str) -> None:
    launcher = cluster.launcher()
    plan = launcher.plan(rendered(SOLO + more), cluster.cluster)
    assert code in [problem.code for problem in plan.errors]
    with pytest.raises(LaunchError) as stopped:
        launcher.launch(plan)
    assert stopped.value.spot is not None
    assert cluster.running == []


def test_ranks_that_do_not_share_out_the_heads_stop_a_launch(cluster: FakeCluster) -> None:
    text = RAY_TWO.replace("org/tiny", "Qwen/Qwen3-1.7B")
    assert not cluster.launcher().plan(rendered(text), cluster.cluster).errors
    three = text.replace("tensor_parallel: 2", "tensor_parallel: 3").replace("-tp 2", "-tp 3")
    assert "parallel-heads" in [
        problem.code for problem in cluster.launcher().plan(rendered(three), cluster.cluster).errors
    ]
    heads = attention_heads(rendered(text))
    assert heads == 16
    views = [HostView(f"host-{number}", f"10.0.0.{number}") for number in range(3)]
    plan = build_plan(rendered(three), cluster.cluster, views, launch_id="abcdefgh", attention_heads=heads)
    assert "parallel-heads" in [problem.code for problem in plan.errors]
    assert not build_plan(rendered(three), cluster.cluster, views, launch_id="abcdefgh").errors


def test_warnings_about_the_recipe_are_in_the_plan_and_stop_nothing(cluster: FakeCluster) -> None:
    plan = cluster.launcher().plan(rendered(SOLO + "executor: podman\nenv: {A: '${NOT_SET_HERE}'}\n"), cluster.cluster)
    assert not plan.errors
    codes = [problem.code for problem in plan.problems]
    assert "later-field" in codes and codes.count("env-unset") == 1
    assert any(line.startswith("# warning: `executor`") for line in dryrun.lines(plan))


def test_a_placeholder_without_a_value_is_reported_as_that(cluster: FakeCluster) -> None:
    with pytest.raises(LaunchError, match=r"`\{prot\}` has no value") as error:
        cluster.launcher().plan(rendered(SOLO.replace("{port}", "{prot}")), cluster.cluster)
    assert error.value.spot is not None and error.value.spot.line == 7


def test_the_dry_run_groups_commands_by_host_and_shows_no_secret(cluster: FakeCluster) -> None:
    text = SOLO + "env: {HF_TOKEN: '${HF_TOKEN}', MODE: fast}\n"
    token = "hf_canary_0123456789abcdef"
    plan = cluster.launcher({"HF_TOKEN": token}).plan(rendered(text), cluster.cluster)
    lines = dryrun.lines(plan)
    joined = "\n".join(lines)
    assert token not in joined
    assert "-e HF_TOKEN \\" in joined
    assert "-e MODE=fast" in joined
    heads = [line for line in lines if line.startswith("# ----")]
    assert heads == ["# ---- on this machine (workstation)", "# ---- on spark-1"]
    assert (
        lines.index("hf download org/tiny") < lines.index(heads[1]) < lines.index("docker pull registry.test/engine:1")
    )


def test_everything_in_a_dry_run_but_the_commands_is_a_comment(cluster: FakeCluster) -> None:
    plan = cluster.launcher().plan(rendered(RAY_TWO), cluster.cluster)
    script = "\n".join(dryrun.lines(plan)) + "\n"
    checked = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_the_pasted_command_asks_for_what_the_api_is_asked(cluster: FakeCluster) -> None:
    spec = ContainerSpec(
        name="c",
        image="i:1",
        script="echo 'a \"b\" $HOME'\n",
        labels={"l": "with space"},
        env={"A": "1 2"},
        mounts=(Mount("~/x y", "/x"), Mount("/r", "/r", read_only=True)),
        devices=("/dev/infiniband",),
        cap_add=("IPC_LOCK",),
        privileged=True,
        user="1000",
    )
    words = shlex.split(run_command(spec).replace("\\\n", " "))
    body = create_body(spec)
    host = body["HostConfig"]
    assert words[:2] == ["docker", "run"]

    def values(flag: str) -> list[str]:
        return [words[at + 1] for at, word in enumerate(words) if word == flag]

    assert values("--name") == ["c"]
    assert values("-e") == body["Env"]
    assert values("--label") == [f"{key}={value}" for key, value in body["Labels"].items()]
    assert [item.replace("$HOME", "~") for item in values("-v")] == host["Binds"]
    assert values("--device") == [item["PathOnHost"] for item in host["Devices"]]
    assert values("--cap-add") == host["CapAdd"]
    assert values("--ulimit") == [f"{item['Name']}={item['Soft']}" for item in host["Ulimits"]]
    assert values("--shm-size") == [str(host["ShmSize"])]
    assert (values("--network"), values("--ipc")) == ([host["NetworkMode"]], [host["IpcMode"]])
    assert values("--user") == [body["User"]]
    assert ("--privileged" in words, "--gpus" in words, "--init" in words) == (True, True, True)
    assert words[-3:] == ["i:1", "-c", spec.script]
    assert host["AutoRemove"] is False and host["RestartPolicy"] == {"Name": "no"}
    assert "--rm" not in words and "--restart" not in words


def test_paths_under_home_are_left_to_the_hosts_own_shell() -> None:
    assert path_word("~/a b") == "\"$HOME\"/'a b'"
    assert path_word("~") == '"$HOME"'
    assert path_word("/a b") == "'/a b'"
    assert path_word("~other/x") == "'~other/x'"


def test_the_script_reaches_the_container_byte_for_byte() -> None:
    import io
    import tarfile

    script = "x='it''s' \"$HOME\" $(date) `id` {\"a\": [1]}\n\ttab é \\\n  next\n"
    spec = ContainerSpec("c", "i", script)
    with tarfile.open(fileobj=io.BytesIO(container_files(spec, {}))) as tar:
        member = tar.extractfile("run/sparkrun/serve.sh")
        assert member is not None
        assert member.read().decode() == script


@virtual_time
async def test_once_probed_the_plan_knows_the_hosts_own_paths(cluster: FakeCluster) -> None:
    cluster[1].facts = replace(cluster[1].facts, home="/home/other", hf_cache="/data/hf")
    launcher = cluster.launcher()
    await launcher.probe(cluster.cluster)
    plan = launcher.plan(rendered(SOLO), cluster.cluster)
    mounts = plan.serve.ranks[0].container.mounts
    assert mounts[0].source == "/data/hf"
    assert all(mount.source.startswith("/home/other/") for mount in mounts[1:])


@virtual_time
async def test_a_gguf_is_opened_where_the_transfer_put_it(cluster: FakeCluster) -> None:
    launcher = cluster.launcher()
    launch = launcher.launch(launcher.plan(rendered(LLAMA), cluster.cluster))
    await launch.wait_ready()
    script = next(iter(cluster[1].containers.values())).files["/run/sparkrun/serve.sh"]
    path = "/root/.cache/huggingface/hub/models--org--tiny/snapshots/c0ffee/tiny-Q8_0.gguf"
    assert f"-m {path}" in script
    await launch.stop()


@virtual_time
async def test_secrets_reach_the_container_by_file_and_nothing_else(cluster: FakeCluster) -> None:
    token = "hf_canary_0123456789abcdef"
    launcher = cluster.launcher({"HF_TOKEN": token})
    launch = launcher.launch(launcher.plan(rendered(SOLO + "env: {HF_TOKEN: '${HF_TOKEN}'}\n"), cluster.cluster))
    await launch.wait_ready()
    container = next(iter(cluster[1].containers.values()))
    assert token in container.files["/run/sparkrun/env"]
    assert token not in json.dumps(container.body)
    assert not any(token in action for action in cluster[1].actions)
    await launch.stop()
