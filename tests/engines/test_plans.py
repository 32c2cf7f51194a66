"""Plans compared as values: containers, environment, stages, labels and readiness of each engine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.base.secrets import Secret
from sparkrun_tui.base.user.settings import Cluster
from sparkrun_tui.engines.layout.common import container_name, secret_file, split_env
from sparkrun_tui.engines.plan import (
    LABEL,
    ContainerExec,
    Mount,
    PortWait,
    RayNodesWait,
    ReadyCheck,
    Role,
    ServePlan,
    Stage,
)
from sparkrun_tui.engines.registry import ENGINES, engine_for
from sparkrun_tui.launch.plan import dry_run as dryrun
from sparkrun_tui.launch.plan.plan import build_plan
from sparkrun_tui.launch.plan.shapes import PlanEnv

from .samples import VLLM, host, hosts, plan, rendered, scripts, with_command

SOLO = VLLM.replace("tensor_parallel: 2", "tensor_parallel: 1")


def test_vllm_alone() -> None:
    serve = plan(rendered(SOLO))
    assert serve.stages == (Stage("Start vLLM", start=(0,)),)
    assert serve.ready == ReadyCheck("spark-1", 8001, "falcon")
    (rank,) = serve.ranks
    assert (rank.role, rank.host) == (Role.SOLO, "spark-1")
    box = rank.container
    assert box.name == container_name("k3v9wxyz", 0) == "sparkrun-tui-k3v9wxyz-0"
    assert box.script == ("vllm serve acme/Falcon-30B -tp 1 \\\n    --served-model-name falcon \\\n    --port 8001\n")
    assert box.env == {"HF_HOME": "/root/.cache/huggingface", "TINI_KILL_PROCESS_GROUP": "1"}
    assert box.mounts[0] == Mount("/home/ada/.cache/huggingface", "/root/.cache/huggingface")
    assert Mount("/home/ada/.cache/sparkrun-tui/engine/vllm/vllm", "/root/.cache/vllm") in box.mounts
    assert box.devices == ("/dev/infiniband",)
    assert (box.gpus, box.network, box.ipc, box.privileged) == (True, "host", "host", False)
    assert box.ulimits == {"memlock": -1, "stack": 67_108_864}
    assert [need.repo for need in serve.models] == ["acme/Falcon-30B"]


@pytest.mark.parametrize(
    ("metadata", "count", "raised"),
    [
        ({"model_params": "120B", "model_dtype": "mxfp4"}, 1, True),
        ({"model_params": "120B", "model_dtype": "bf16"}, 2, True),
        ({"model_params": "120B", "model_dtype": "fp8"}, 4, False),
        ({"model_params": "8B", "model_dtype": "bf16"}, 1, False),
        ({"model_params": "30B"}, 1, True),
        # A size that only the name suggests is none that is known.
        ({}, 1, False),
    ],
)
def test_the_limit_of_a_start_is_raised_where_large_weights_are_loaded(
    metadata: Mapping[str, str], count: int, raised: bool
) -> None:
    text = SOLO if count == 1 else VLLM.replace("tensor_parallel: 2", f"tensor_parallel: {count}")
    block = "".join(f"  {key}: {value}\n" for key, value in metadata.items())
    if block:
        text += f"metadata:\n{block}"
    serve = plan(rendered(text), count)
    found = {rank.container.env.get("VLLM_ENGINE_READY_TIMEOUT_S") for rank in serve.ranks}
    assert found == ({"3600"} if raised else {None})
    own = plan(rendered(text), count, env={"VLLM_ENGINE_READY_TIMEOUT_S": "99"})
    assert own.ranks[0].container.env["VLLM_ENGINE_READY_TIMEOUT_S"] == "99"


def test_vllm_through_ray() -> None:
    serve = plan(rendered(VLLM), 3)
    head = "10.0.0.1:46379"
    assert serve.stages[0].start == (0,)
    assert serve.stages[0].wait == PortWait("10.0.0.1", 46379)
    assert serve.stages[1].start == (1, 2)
    assert serve.stages[1].wait == RayNodesWait(0, 3, head)
    (execution,) = serve.stages[2].execs
    assert isinstance(execution, ContainerExec)
    assert (execution.rank, execution.to_log) == (0, True)
    assert execution.script.endswith("--port 8001 --distributed-executor-backend ray\n")
    starts = [rank.container.script for rank in serve.ranks]
    assert starts == [
        "ray start --block --head --port 46379 --node-ip-address 10.0.0.1 --disable-usage-stats\n",
        f"ray start --block --address={head} --node-ip-address 10.0.0.2\n",
        f"ray start --block --address={head} --node-ip-address 10.0.0.3\n",
    ]
    assert [rank.role for rank in serve.ranks] == [Role.HEAD, Role.WORKER, Role.WORKER]
    env = serve.ranks[1].container.env
    assert env["VLLM_HOST_IP"] == "10.0.0.2"
    assert env["RAY_memory_monitor_refresh_ms"] == "0"
    assert env["RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S"] == "0", "a stop waits for nothing that cannot move"
    assert env["NCCL_IB_HCA"] == "rocep1s0f0,roceP2p1s0f0"
    assert env["UCX_NET_DEVICES"] == "rocep1s0f0:1,roceP2p1s0f0:1"
    assert env["NCCL_IB_GID_INDEX"] == "3"
    assert env["NCCL_SOCKET_IFNAME"] == env["GLOO_SOCKET_IFNAME"] == "enP7s7"


def test_a_taken_port_means_the_next_free_one() -> None:
    views = (host(1, used_ports=frozenset({46379, 46380})), host(2))
    serve = plan(rendered(VLLM), views=views)
    assert serve.stages[0].wait == PortWait("10.0.0.1", 46381)
    assert "--address=10.0.0.1:46381" in serve.ranks[1].container.script


def test_the_recipe_wins_over_nccl_and_engine() -> None:
    serve = plan(rendered(VLLM), 2, env={"NCCL_IB_HCA": "mlx5_0", "RAY_memory_monitor_refresh_ms": "500"})
    for rank in serve.ranks:
        assert rank.container.env["NCCL_IB_HCA"] == "mlx5_0"
        assert rank.container.env["RAY_memory_monitor_refresh_ms"] == "500"


def test_without_rdma_only_the_sockets_are_tied_down() -> None:
    views = tuple(replace(view, rdma=None, has_infiniband=False) for view in hosts(2))
    box = plan(rendered(VLLM), views=views).ranks[0].container
    assert box.env["NCCL_SOCKET_IFNAME"] == "enP7s7"
    assert not any(name.startswith("NCCL_IB") for name in box.env)
    assert box.devices == ()


def test_labels_find_and_describe_a_workload() -> None:
    serve = plan(rendered(VLLM, port="8123"), 2)
    labels = [rank.container.labels for rank in serve.ranks]
    for rank, found in enumerate(labels):
        own = {key.removeprefix(LABEL): value for key, value in found.items()}
        assert own["launch"] == "k3v9wxyz"
        assert own["rank"] == str(rank)
        assert own["role"] == ("worker" if rank else "head")
        assert (own["nodes"], own["port"], own["served"], own["model"]) == ("2", "8123", "falcon", "acme/Falcon-30B")
        assert json.loads(own["settings"]) == {"port": "8123"}
        assert own["recipe-digest"] == serve.recipe.digest
        assert sum(len(key) + len(value) for key, value in found.items()) < 2048
    assert labels[0][f"{LABEL}plan"] == labels[1][f"{LABEL}plan"]


def test_the_plan_label_tells_plans_apart() -> None:
    def digest(serve: ServePlan) -> str:
        return serve.ranks[0].container.labels[f"{LABEL}plan"]

    assert digest(plan(rendered(SOLO))) == digest(plan(rendered(SOLO)))
    assert digest(plan(rendered(SOLO))) != digest(plan(rendered(SOLO, port="9")))


def test_sglang_over_two_hosts() -> None:
    command = "python3 -m sglang.launch_server --model-path {model} --tp-size 2 --max-running-requests 16"
    serve = plan(with_command(command, "sglang"), 2)
    assert serve.stages == (Stage("Start SGLang on all hosts", start=(0, 1)),)
    assert serve.ready == ReadyCheck("spark-1", 30000, "acme/Falcon-30B")
    for rank in serve.ranks:
        assert rank.container.env["NCCL_CUMEM_ENABLE"] == "0"
        assert rank.container.env["SGLANG_ENABLE_TP_MEMORY_INBALANCE_CHECK"] == "0"
    addresses = [rank.container.env["SGLANG_HOST_IP"] for rank in serve.ranks]
    assert addresses == ["10.0.0.1", "10.0.0.2"], "ranks must not find the address of the default route"
    assert serve.problems == ()


def test_sglang_on_one_host_finds_its_own_address() -> None:
    command = "python3 -m sglang.launch_server --model-path {model} --max-running-requests 16"
    (rank,) = plan(with_command(command, "sglang"), 1).ranks
    assert "SGLANG_HOST_IP" not in rank.container.env


def test_sglang_refuses_vllms_word_for_fp8() -> None:
    command = "sglang serve {model} --kv-cache-dtype fp8 --max-running-requests 4"
    (problem,) = plan(with_command(command, "sglang")).problems
    assert (problem.severity, problem.code) == ("error", "kv-cache-dtype")


def test_more_ranks_than_gpus_is_an_error_before_the_launch() -> None:
    (problem,) = plan(rendered(VLLM), 1).problems
    assert problem.severity == "error"
    assert problem.message == "tensor_parallel 2 needs 2 GPUs; chosen: 1 host with 1 GPU in all"
    assert plan(rendered(VLLM), views=(host(1, gpus=2),)).problems == ()


def test_fewer_hosts_than_the_recipe_needs() -> None:
    text = VLLM.replace("defaults:", "min_nodes: 2\ndefaults:")
    with pytest.raises(LaunchError, match="at least 2 hosts"):
        plan(rendered(text), 1)
    with pytest.raises(LaunchError, match="at least 2 hosts"):
        engine_for("vllm").host_count(rendered(text), 1, 1)


@pytest.mark.parametrize(
    ("change", "available", "gpus", "count"),
    [("", 4, 1, 2), ("", 4, 2, 1), ("", 1, 1, 1), ("max_nodes: 1\n", 4, 1, 1), ("min_nodes: 3\n", 4, 1, 3)],
)
def test_how_many_hosts(change: str, available: int, gpus: int, count: int) -> None:
    found, reason = engine_for("vllm").host_count(rendered(change + VLLM), available, gpus)
    assert found == count
    assert reason


@pytest.mark.parametrize(
    ("command", "port", "name"),
    [
        ("vllm serve {model}", 8000, "acme/Falcon-30B"),
        ("vllm serve /models/falcon --port=81", 81, "/models/falcon"),
        ("vllm serve {model} --served-model-name one two --port 80 --port 82", 82, "one"),
        ('N=falcon; P=83\nvllm serve {model} --served-model-name $N --port "${P:-1}"', 83, "falcon"),
        ("export P\nvllm serve {model} --port ${P:-84}", 84, "acme/Falcon-30B"),
        ("vllm serve $FROM_ENV --port 85", 85, "acme/other"),
        ("vllm serve {model} --port $(cat port)", 8000, "acme/Falcon-30B"),
        ("python3 -m vllm.entrypoints.openai.api_server --model x/y --port 86", 86, "x/y"),
    ],
)
def test_where_and_as_what_it_will_answer(command: str, port: int, name: str) -> None:
    ready = plan(with_command(command), env={"FROM_ENV": "acme/other"}).ready
    assert (ready.port, ready.served_name) == (port, name)


def test_draft_models_are_needed_too() -> None:
    command = """vllm serve {model} --speculative-config '{"model": "acme/draft", "num_speculative_tokens": 3}'"""
    assert [need.repo for need in plan(with_command(command)).models] == ["acme/Falcon-30B", "acme/draft"]
    local = plan(with_command("vllm serve /models/x", model="/models/x"))
    assert local.models == ()


def test_an_image_left_open_is_pointed_out() -> None:
    text = SOLO.replace("container: acme/vllm:1.2\n", "")
    serve = plan(rendered(text))
    assert serve.image.endswith(":latest")
    assert "no-container" in [problem.code for problem in serve.problems]


def test_every_runtime_word_has_an_engine() -> None:
    assert {"vllm", "vllm-distributed", "sglang", "llama-cpp", "eugr-vllm"} <= set(ENGINES)
    with pytest.raises(LaunchError, match="is not an engine that can be launched"):
        engine_for("atlas")


def test_secrets_are_told_by_name_and_by_content() -> None:
    plain, secret = split_env(
        {"A": "1", "HF_TOKEN": "hf_abc", "PROXY": "http://u:topsecret1@x"}, {"PASSWD": Secret("topsecret1")}
    )
    assert plain == {"A": "1"}
    assert set(secret) == {"HF_TOKEN", "PROXY", "PASSWD"}
    assert secret_file({"A": Secret("it's $HOME")}) == "A='it'\"'\"'s $HOME'\n"


COMMANDS = {
    "vllm": ("vllm serve {model} -tp 2", 2),
    "vllm-distributed": ("vllm serve {model} -tp 2", 2),
    "sglang": ("python3 -m sglang.launch_server --model-path {model} --tp-size 2", 2),
    "llama-cpp": ("llama-server -hf {model}", 1),
    "eugr-vllm": ("vllm serve {model} -tp 2", 2),
}
SECRETS = st.text(st.characters(codec="utf-8", exclude_characters="\0\n"), min_size=9, max_size=60).map(
    lambda text: f"s3cr3t{text}"
)


@given(
    engine=st.sampled_from(sorted(COMMANDS)),
    value=SECRETS,
    name=st.sampled_from(["HF_TOKEN", "OPENAI_API_KEY", "DB_PASSWORD", "AUTH"]),
)
def test_no_secret_in_any_text_of_a_plan(engine: str, value: str, name: str) -> None:
    command, count = COMMANDS[engine]
    model = "acme/Falcon-GGUF:Q4_K_M" if engine == "llama-cpp" else "acme/Falcon-30B"
    what = with_command(command, engine, model)
    what = replace(what, overrides={"api_key": value, "port": "8000"})
    serve = plan(what, count, env={"PLAIN": "1", "URL": f"https://x/{value}"}, secret_env={name: Secret(value)})
    shown = [repr(serve), *scripts(serve), *serve.notes, *_host_scripts(serve)]
    for rank in serve.ranks:
        shown += [*rank.container.env.values(), *rank.container.labels.values()]
    assert not any(value in text for text in shown)
    whole = build_plan(
        what,
        Cluster("lab", tuple(view.name for view in hosts(count))),
        hosts(count),
        launch_id="k3v9wxyz",
        env=PlanEnv({"PLAIN": "1"}, {name: Secret(value)}),
    )
    assert not any(value in line for line in dryrun.lines(whole))
    boxes = [rank.container.secret_env for rank in serve.ranks]
    files = [file for stage in serve.stages for script in stage.scripts for file in script.secret_files.values()]
    assert any(box[name].reveal() == value and "URL" in box for box in [*boxes, *files])


def _host_scripts(serve: ServePlan) -> list[str]:
    found = [script for stage in serve.stages for script in stage.scripts]
    return [text for script in found for text in (script.script, *script.files.values())]


COPIES = """\
model: acme/Falcon-30B
runtime: {runtime}
container: acme/x:1
defaults: {{data_parallel: 2}}
command: {command}
"""


@pytest.mark.parametrize(
    ("runtime", "command", "ray", "warned"),
    [
        ("vllm", "vllm serve {model} -dp {data_parallel}", False, False),
        ("vllm", "vllm serve {model} -dp 2 --data-parallel-backend ray", True, False),
        ("vllm", "vllm serve {model} -dp 2 --distributed-executor-backend ray", True, True),
        ("vllm-ray", "vllm serve {model} -dp {data_parallel}", True, True),
        ("vllm-distributed", "vllm serve {model} -dp {data_parallel}", False, False),
    ],
)
def test_copies_of_a_model_are_spread_over_hosts_without_ray(
    runtime: str, command: str, ray: bool, warned: bool
) -> None:
    serve = plan(rendered(COPIES.format(runtime=runtime, command=command)), 2)
    assert serve.asks_ray is ray
    assert ("copies-over-ray" in [problem.code for problem in serve.problems]) is warned
    assert any("--node-rank 1" in script for script in scripts(serve)) is not ray
