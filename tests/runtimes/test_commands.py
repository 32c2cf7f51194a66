"""Commands built from the chain of a recipe that has none."""

from __future__ import annotations

import shlex

import pytest

from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.runtimes.registry import engine_for

from .samples import plan, rendered, scripts


def command(runtime: str, defaults: str, model: str = "acme/Falcon-30B", **overrides: str) -> list[str]:
    lines = "\n".join(f"  {line}" for line in defaults.splitlines())
    what = rendered(f"model: {model}\nruntime: {runtime}\ncontainer: x:1\ndefaults:\n{lines}\n", **overrides)
    return shlex.split(engine_for(runtime).command(what).replace("\\\n", " "))


def test_vllm() -> None:
    defaults = """\
port: 8001
host: 0.0.0.0
tensor_parallel: 2
gpu_memory_utilization: 0.80
max_model_len: 32768
served_model_name: my falcon
trust_remote_code: true
enforce_eager: false
enable_prefix_caching: false
kv_cache_dtype: fp8
speculative_config: {method: mtp, num_speculative_tokens: 2}
unknown_key: 3"""
    assert command("vllm", defaults) == [
        *("vllm", "serve", "acme/Falcon-30B", "-tp", "2", "--port", "8001", "--host", "0.0.0.0"),
        *("--gpu-memory-utilization", "0.80", "--max-model-len", "32768", "--served-model-name", "my falcon"),
        *("--no-enable-prefix-caching", "--trust-remote-code", "--kv-cache-dtype", "fp8"),
        *("--speculative-config", '{"method":"mtp","num_speculative_tokens":2}'),
    ]


def test_sglang() -> None:
    defaults = (
        "tensor_parallel: 2\ngpu_memory_utilization: 0.8\nmax_model_len: 4096\nmax_num_seqs: 8\nkv_cache_dtype: fp8"
    )
    assert command("sglang", defaults) == [
        *("python3", "-m", "sglang.launch_server", "--model-path", "acme/Falcon-30B", "--tp-size", "2"),
        *("--mem-fraction-static", "0.8", "--context-length", "4096", "--max-running-requests", "8"),
        *("--kv-cache-dtype", "fp8_e4m3"),
    ]


def test_sglang_refuses_words_it_does_not_know() -> None:
    with pytest.raises(LaunchError, match="not a word for --kv-cache-dtype") as caught:
        command("sglang", "kv_cache_dtype: int8")
    assert caught.value.spot is not None
    assert "fp8_e4m3" in caught.value.remedy


def test_llama() -> None:
    defaults = "ctx_size: 8192\nn_gpu_layers: 99\nflash_attn: true\njinja: true\nno_webui: true\ncont_batching: false"
    assert command("llama-cpp", defaults, "acme/F-GGUF:Q8_0") == [
        *("llama-server", "-hf", "acme/F-GGUF:Q8_0", "--ctx-size", "8192", "--n-gpu-layers", "99"),
        *("--flash-attn", "on", "--jinja", "--no-webui", "--no-cont-batching"),
    ]


def test_an_override_is_in_the_command_and_odd_values_are_quoted() -> None:
    words = command("vllm", "port: 8000\nserved_model_name: x", port="9000", served_model_name="a'b; rm -rf $HOME")
    assert words[words.index("--port") + 1] == "9000"
    assert words[words.index("--served-model-name") + 1] == "a'b; rm -rf $HOME"


def test_values_may_refer_to_values() -> None:
    words = command("vllm", 'size: 30b\nserved_model_name: "falcon-{size}"')
    assert words[-1] == "falcon-30b"


def test_a_switch_wants_a_boolean() -> None:
    with pytest.raises(LaunchError, match="is a switch"):
        command("vllm", "enforce_eager: maybe")


def test_the_built_command_knows_its_port_and_name_and_takes_ranks() -> None:
    what = rendered(
        "model: a/b\nruntime: vllm\ncontainer: x:1\ndefaults:\n  port: 9001\n  tensor_parallel: 2\n"
        "  served_model_name: nine\n"
    )
    serve = plan(what, 2)
    assert (serve.ready.port, serve.ready.served_name) == (9001, "nine")
    assert shlex.split(scripts(serve)[0])[-2:] == ["--distributed-executor-backend", "ray"]


@pytest.mark.parametrize("port", ["0", "65536", "http"])
def test_a_port_that_is_none(port: str) -> None:
    with pytest.raises(LaunchError, match="is not a port"):
        plan(rendered("model: a/b\nruntime: vllm\ncontainer: x:1\n", port=port))
