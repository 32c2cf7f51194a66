"""Commands built from the chain of a recipe that has none."""

from __future__ import annotations

import shlex

import pytest

from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.engines.checks.validation import validate
from sparkrun_tui.engines.dumps import load_flags
from sparkrun_tui.engines.family import Family
from sparkrun_tui.engines.registry import FAMILIES, engine_for
from sparkrun_tui.recipe.model import Severity

from .samples import plan, rendered, scripts


def command(
    runtime: str, defaults: str, model: str = "acme/Falcon-30B", container: str = "x:1", **overrides: str
) -> list[str]:
    lines = "\n".join(f"  {line}" for line in defaults.splitlines())
    text = f"model: {model}\nruntime: {runtime}\ncontainer: {container}\ndefaults:\n{lines}\n"
    what = rendered(text, **overrides)
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
    with pytest.raises(LaunchError, match="not a value of --kv-cache-dtype") as caught:
        command("sglang", "kv_cache_dtype: int8")
    assert caught.value.spot is not None
    assert "fp8_e4m3" in caught.value.remedy


def test_llama() -> None:
    defaults = "ctx_size: 8192\nn_gpu_layers: 99\nflash_attn: true\njinja: true\nno_webui: true\ncont_batching: false"
    assert command("llama-cpp", defaults, "acme/F-GGUF:Q8_0") == [
        *("llama-server", "-hf", "acme/F-GGUF:Q8_0", "--ctx-size", "8192", "--n-gpu-layers", "99"),
        *("--flash-attn", "on", "--jinja", "--no-webui", "--no-cont-batching"),
    ]


@pytest.mark.parametrize(
    ("image", "defaults", "words"),
    [
        ("x/llama:b8076-cu131", "mmap: false", ["--no-mmap"]),
        ("x/llama:b8076-cu131", "no_mmap: true", ["--no-mmap"]),
        ("ghcr.io/ggml-org/llama.cpp:server-cuda-b11669", "mmap: false", ["-lm", "none"]),
        ("x/llama:latest", "no_mmap: true", ["-lm", "none"]),
        ("x/llama:latest", "mmap: true\nwebui: true", []),
        ("x/llama:b8076", "webui: false", ["--no-webui"]),
        ("x/llama:b8076", "temperature: 0.7\nspec_draft_p_min: 0.5", ["--temp", "0.7", "--draft-p-min", "0.5"]),
        ("x/llama:b11669", "temp: 0.7", ["--temp", "0.7"]),
    ],
)
def test_a_built_command_is_for_the_version_in_the_image(image: str, defaults: str, words: list[str]) -> None:
    assert command("llama-cpp", defaults, "acme/F-GGUF:Q8_0", image)[3:] == words


@pytest.mark.parametrize(("version", "words"), [("0.9.2", []), ("0.31.0", ["--no-enable-request-id-headers"])])
def test_a_switch_is_not_switched_off_where_the_version_has_no_word_for_it(version: str, words: list[str]) -> None:
    assert command("vllm", "enable_request_id_headers: false", container=f"vllm/vllm-openai:v{version}")[3:] == words


def test_a_folder_of_the_hosts_has_no_revision() -> None:
    text = "model: {model}\nmodel_revision: v2\nruntime: vllm\ncontainer: x:1\n"
    for model, given in (("acme/Falcon-30B", True), ("/srv/models/falcon", False)):
        recipe = rendered(text.format(model=model)).recipe
        assert ("--revision" in engine_for("vllm").command(rendered(text.format(model=model)))) is given
        written = rendered(text.format(model=model) + "command: vllm serve {model}\n").recipe
        assert [problem.code for problem in validate(recipe) if problem.code.startswith("revision")] == []
        assert ("revision-unused" in [problem.code for problem in validate(written)]) is given


@pytest.mark.parametrize(
    ("runtime", "image", "default", "said"),
    [
        ("vllm", "vllm/vllm-openai:v0.31.0", "kv_cache_memory_bytes: 8X", "(131,072), not `8X`"),
        ("vllm", "vllm/vllm-openai:v0.31.0", "dtype: float99", "does not take `float99`"),
        ("vllm", "vllm/vllm-openai:v0.10.1", "moe_backend: triton", "was added in vLLM 0.17.0"),
        ("llama-cpp", "ghcr.io/ggml-org/llama.cpp:server-b8076", "split_mode: sideways", "does not take `sideways`"),
    ],
)
def test_a_built_command_is_checked_as_a_written_one_is(runtime: str, image: str, default: str, said: str) -> None:
    text = f"model: acme/F-GGUF:Q8_0\nruntime: {runtime}\ncontainer: {image}\ndefaults:\n  port: 1\n  {default}\n"
    found = [problem for problem in validate(rendered(text).recipe) if said in problem.message]
    assert [problem.severity for problem in found] == [Severity.WARNING]
    assert found[0].spot is not None
    assert (found[0].spot.line, found[0].code[:4]) == (6, "flag")


def test_a_key_that_is_spelt_otherwise_in_an_older_version() -> None:
    defaults = "max_cudagraph_capture_size: 8"
    assert command("sglang", defaults, container="lmsysorg/sglang:v0.5.10")[-2] == "--cuda-graph-max-bs"
    assert command("sglang", defaults, container="lmsysorg/sglang:v0.5.23")[-2] == "--cuda-graph-max-bs-decode"


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES.keys())
def test_no_built_flag_is_refused_by_the_newest_version(family: Family) -> None:
    flags = load_flags(family)
    for row in family.flags.declared:
        assert row.later or row.in_command in flags.by_spelling, row.key


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


def test_other_keys_follow_where_the_engine_has_their_flag() -> None:
    got = command(
        "sglang",
        "gpu_memory_utilization: 0.5\nmem_fraction_static: 0.38\nmax_running_requests: 4\nenable_metrics: true\n"
        "skip_tokenizer_init: false\nmodel_path: x\nstream_interval: '1{n}'\nn: 3\nrandom_seed: ",
    )
    assert got[3:] == [
        *("--model-path", "acme/Falcon-30B", "--mem-fraction-static", "0.5", "--max-running-requests", "4"),
        *("--enable-metrics", "--stream-interval", "13"),
    ]
    got = command("vllm", "async_scheduling: false\nallowed_origins: [a, b]")
    assert got[3:] == ["--no-async-scheduling", "--allowed-origins", '["a","b"]']
    assert command("llama-cpp", "mlock: true\nno_warmup: true", "acme/Falcon-GGUF:Q8_0")[3:] == ["--no-warmup"]


def test_keys_without_a_flag_are_reported() -> None:
    what = rendered(
        "model: a/b\nruntime: sglang\ncontainer: x:1\ndefaults:\n  max_num_seqs: 4\n  model_path: x\n  cpuset: 0-3\n",
        bogus="1",
    )
    found = [problem for problem in engine_for("sglang").check(what) if problem.code == "unused-default"]
    assert [(problem.message.partition(" ")[0], problem.spot and problem.spot.line) for problem in found] == [
        ("`model_path`", 6),
        ("`cpuset`", 7),
        ("`bogus`", None),
    ]


def test_the_bound_of_the_request_table_is_seen_however_it_is_written() -> None:
    base = "model: a/b\nruntime: sglang\ncontainer: x:1\n"
    for text in (
        "command: sglang serve {model} --max-running-requests=4\n",
        "command: sglang serve {model} --max-running-requests 4\n",
        "defaults: {max_running_requests: 4}\n",
        "defaults: {max_num_seqs: 4}\n",
    ):
        assert engine_for("sglang").check(rendered(base + text)) == ()
    (found,) = engine_for("sglang").check(rendered(base + "command: sglang serve {model}\n"))
    assert found.code == "request-table" and found.spot is not None and found.spot.line == 4


def test_sglang_passes_every_key_that_it_has_a_flag_for() -> None:
    defaults = "enforce_eager: true\nseed: 5\ndata_parallel: 2\nblock_size: 64\nmoe_backend: triton"
    words = command("sglang", defaults)
    for flag in ("--disable-cuda-graph", "--random-seed", "--dp-size", "--page-size", "--moe-runner-backend"):
        assert flag in words


def test_a_degree_that_the_built_command_passes_counts_for_the_hosts() -> None:
    text = "model: a/b\nruntime: sglang\ncontainer: x:1\ndefaults: {data_parallel: 2}\n"
    engine = engine_for("sglang")
    assert "--dp-size 2" in engine.command(rendered(text))
    assert engine.host_count(rendered(text), 4, 1)[0] == 2


def test_a_key_without_a_flag_does_not_count_for_the_hosts() -> None:
    text = "model: a/b:Q4_0\nruntime: llama-cpp\ncontainer: x:1\nmax_nodes: 1\ndefaults: {data_parallel: 2}\n"
    assert "data" not in engine_for("llama-cpp").command(rendered(text))
