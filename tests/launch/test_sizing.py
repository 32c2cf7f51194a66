"""The memory estimate of a rendered recipe where no host is given."""

from __future__ import annotations

from sparkrun_tui.launch.sizing.sizing import MAX_ASSUMED, size
from tests.launch.fakes import rendered


def test_a_slip_of_the_hand_is_not_worked_out_host_by_host() -> None:
    text = "model: Qwen/Qwen3-1.7B\nruntime: vllm\ncontainer: x:1\ndefaults: {tensor_parallel: 900}\n"
    for more in (
        "command: vllm serve {model} -tp {tensor_parallel}\n",
        "command: it's not split\n",
        "min_nodes: 5000000\n",
    ):
        estimate = size(rendered(text + more), ())
        assert 1 < len(estimate.hosts) <= MAX_ASSUMED


def test_as_many_hosts_are_assumed_as_the_ranks_need() -> None:
    text = "model: Qwen/Qwen3-1.7B\nruntime: vllm\ncontainer: x:1\ncommand: vllm serve {model} -tp 2 -pp 2\n"
    assert [picture.host.name for picture in size(rendered(text), ()).hosts] == [f"spark-{n}" for n in (1, 2, 3, 4)]


def test_more_ranks_than_any_cluster_has_are_not_counted() -> None:
    text = "model: Qwen/Qwen3-1.7B\nruntime: {}\ncontainer: x:1\ncommand: {}\n"
    for runtime, command in (("vllm", "vllm serve {model}"), ("sglang", "sglang serve {model}")):
        for flag in ("tp", "pp"):
            spelt = f"--{flag}-size" if runtime == "sglang" else f"-{flag}"
            estimate = size(rendered(text.format(runtime, f"{command} {spelt} 999999999999999999999")), ())
            assert len(estimate.hosts) == 1
            assert any("is more than any cluster has" in note for note in estimate.notes)
