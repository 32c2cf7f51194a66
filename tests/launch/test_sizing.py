"""The memory estimate of a rendered recipe where no host is given."""

from __future__ import annotations

from sparkrun_tui.launch.sizing.sizing import MAX_ASSUMED, engine_settings, size
from tests.launch.fakes import rendered


def test_absurd_numbers_of_hosts_are_not_worked_out_one_by_one() -> None:
    text = "model: Qwen/Qwen3-1.7B\nruntime: vllm\ncontainer: x:1\ndefaults: {tensor_parallel: 900}\n"
    for more in (
        "command: vllm serve {model} -tp {tensor_parallel}\n",
        "min_nodes: 5000000\n",
    ):
        estimate = size(rendered(text + more), ())
        assert 1 < len(estimate.hosts) <= MAX_ASSUMED


def test_a_command_that_cannot_be_read_has_no_estimate() -> None:
    text = "model: Qwen/Qwen3-1.7B\nruntime: vllm\ncontainer: x:1\ncommand: it's not split\n"
    estimate = size(rendered(text), ())
    assert estimate.level == "unknown"
    assert "cannot be read" in estimate.starts.detail


def test_an_engine_that_is_not_modelled_has_no_estimate() -> None:
    text = "model: Qwen/Qwen3-1.7B\nruntime: atlas\ncontainer: x:1\ncommand: atlas serve {model}\n"
    estimate = size(rendered(text), ())
    assert estimate.level == "unknown"
    assert "memory use of atlas is not modelled" in estimate.starts.detail


def test_a_built_command_is_sized_as_it_will_run() -> None:
    text = """\
model: ggml-org/gpt-oss-120b-GGUF:MXFP4
runtime: llama-cpp
container: scitrera/dgx-spark-llama-cpp:b11669
max_nodes: 1
defaults: {max_model_len: 4096, max_num_seqs: 16}
"""
    settings = engine_settings(rendered(text))
    assert (settings.llama.ctx_size, settings.llama.parallel) == (None, None)


def test_data_parallel_copies_need_hosts_of_their_own() -> None:
    text = "model: Qwen/Qwen3-1.7B\nruntime: vllm\ncontainer: x:1\ncommand: vllm serve {model} -dp 2\n"
    assert len(size(rendered(text), ()).hosts) == 2


def test_as_many_hosts_are_assumed_as_the_ranks_need() -> None:
    text = "model: Qwen/Qwen3-1.7B\nruntime: vllm\ncontainer: x:1\ncommand: vllm serve {model} -tp 2 -pp 2\n"
    assert [picture.host.name for picture in size(rendered(text), ()).hosts] == [f"spark-{n}" for n in (1, 2, 3, 4)]


def test_more_ranks_than_any_cluster_has_are_not_counted() -> None:
    text = "model: Qwen/Qwen3-1.7B\nruntime: {}\ncontainer: x:1\ncommand: {}\n"
    for runtime, command in (("vllm", "vllm serve {model}"), ("sglang", "sglang serve {model}")):
        for flag in ("tp", "pp"):
            spelt = f"--{flag}-size" if runtime == "sglang" else f"-{flag}"
            estimate = size(rendered(text.format(runtime, f"{command} {spelt} 999999999999")), ())
            assert len(estimate.hosts) == 1
            assert any("is more than any cluster has" in note for note in estimate.notes)
