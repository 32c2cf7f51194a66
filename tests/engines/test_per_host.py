"""Values of a recipe in place of those that a launch finds out for each host: the rank, the network, the cache."""

from __future__ import annotations

import pytest

from sparkrun_tui.engines.checks.validation import validate
from sparkrun_tui.engines.layout.nccl import DEVICE_VARIABLES, nccl_env
from sparkrun_tui.engines.registry import engine_for
from sparkrun_tui.recipe.format.loader import load_text
from tests.engines.samples import host, plan, scripts, with_command

HEAD = "model: acme/Falcon-30B\nruntime: vllm\ncontainer: acme/vllm:1\ncommand: vllm serve {model}\n"
CODES = ("rank-flags", "network-device", "one-address", "model-cache")


def found(text: str) -> list[str]:
    return [problem.code for problem in validate(load_text(text)) if problem.code in CODES]


@pytest.mark.parametrize(
    ("runtime", "command", "first"),
    [
        ("vllm-distributed", "vllm serve {model} --nnodes 2 --node-rank 0 --master-addr 10.0.0.5", "--nnodes"),
        ("vllm", "vllm serve {model} -r 0", "-r"),
        ("sglang", "python3 -m sglang.launch_server --model-path {model} --node-rank=1", "--node-rank"),
        ("llama-cpp", "llama-server -hf {model} --rpc 10.0.0.5:50052", "--rpc"),
    ],
)
def test_a_rank_in_the_command_is_pointed_out(runtime: str, command: str, first: str) -> None:
    text = f"model: acme/Falcon-30B\nruntime: {runtime}\ncontainer: acme/x:1\ncommand: {command}\n"
    assert found(text) == ["rank-flags"]
    [problem] = [problem for problem in validate(load_text(text)) if problem.code == "rank-flags"]
    assert problem.spot is not None
    assert (problem.spot.line, problem.spot.column) == (4, len("command: ") + 1 + command.index(first))


def test_a_rank_from_a_variable_is_the_authors_business() -> None:
    assert found(HEAD.replace("{model}", "{model} --node-rank $SPARKRUN_NODE_RANK --nnodes $NODES")) == []


@pytest.mark.parametrize(
    ("runtime", "command"),
    [
        ("vllm-distributed", "vllm serve {model}"),
        ("sglang", "python3 -m sglang.launch_server --model-path {model}"),
        ("llama-cpp", "llama-server -hf {model}"),
    ],
)
def test_the_flags_of_the_check_are_those_that_a_plan_adds(runtime: str, command: str) -> None:
    head = scripts(plan(with_command(command, runtime), 2))[0].split()
    flags = engine_for(runtime).family.rank_flags
    assert flags and flags <= set(head)


def test_the_variables_of_the_check_are_those_that_name_devices() -> None:
    devices = {"enP7s7", "rocep1s0f0,roceP2p1s0f0", "rocep1s0f0:1,roceP2p1s0f0:1"}
    env = nccl_env(host(1), (host(1), host(2)))
    assert {name for name, value in env.items() if value in devices} == DEVICE_VARIABLES


def test_names_of_network_devices_are_pointed_out_where_several_hosts_may_run_it() -> None:
    env = "env: {NCCL_IB_HCA: rocep1s0f1, GLOO_SOCKET_IFNAME: eth0, NCCL_DEBUG: INFO}\n"
    assert found(HEAD + env) == ["network-device", "network-device"]
    assert found(HEAD + env + "max_nodes: 1\n") == []


@pytest.mark.parametrize(
    ("env", "codes"),
    [
        ("{VLLM_HOST_IP: 192.168.100.10}", ["one-address"]),
        ("{HOST_IP: 192.168.100.10, SGLANG_HOST_IP: 192.168.100.10}", ["one-address", "one-address"]),
        ("{VLLM_HOST_IP: '{launch.node_host}'}", []),
        ("{VLLM_HOST_IP: $MY_ADDRESS}", []),
    ],
)
def test_one_address_for_all_hosts_is_pointed_out(env: str, codes: list[str]) -> None:
    assert found(f"{HEAD}env: {env}\n") == codes
    assert found(f"{HEAD}env: {env}\nmax_nodes: 1\n") == []


@pytest.mark.parametrize(
    ("env", "codes"),
    [
        ("HF_HOME: /elsewhere", ["model-cache"]),
        ("HF_HUB_CACHE: /data/hub", []),
        ("HF_HOME: /database", ["model-cache"]),
        ("HF_HOME: /root/.cache/huggingface", []),
        ("HF_HUB_CACHE: /cache/huggingface/hub", []),
        ('HF_HOME: "${PLACE}"', []),
        ("XDG_CACHE_HOME: /elsewhere", []),
    ],
)
def test_a_cache_that_is_moved_to_where_nothing_is_mounted(env: str, codes: list[str]) -> None:
    mounts = 'executor_config: {volumes: ["/srv/data:/data"]}\n'
    assert found(f"{HEAD}{mounts}env: {{{env}}}\n") == codes
    assert found(f"{HEAD}{mounts}env: {{{env}}}\n".replace("acme/Falcon-30B", "/srv/models/falcon")) == []
