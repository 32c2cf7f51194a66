"""vLLM as an inference server: its start, and how it reads its command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sparkrun_tui.engines.family import Dialect, Family, KeyPlaces, MetricNames, Starter, Variable
from sparkrun_tui.engines.values import VLLM_LONG
from sparkrun_tui.engines.vllm.causes import CAUSES
from sparkrun_tui.engines.vllm.flags import FLAGS, LONG_FLAGS
from sparkrun_tui.engines.vllm.log import LOG
from sparkrun_tui.recipe.model import Value
from sparkrun_tui.recipe.values.rendered import ChainValue, Rendered


def first_argument(words: Sequence[str]) -> int | None:
    """The index after `vllm serve` or the module of the API server."""
    for at, word in enumerate(words):
        is_program = word.rpartition("/")[2] == "vllm" or word == "vllm.entrypoints.cli.main"
        if is_program and at + 1 < len(words) and words[at + 1] == "serve":
            return at + 2
        if word == "vllm.entrypoints.openai.api_server":
            return at + 1
    return None


def loose(words: Sequence[str], has_model_flag: bool) -> int:
    """The positional words allowed: the model, and after `vllm serve` only where no flag gives it.

    `vllm serve A --model B` is read as `vllm serve B A`, and `A` is refused (FlexibleArgumentParser.parse_args in
    vllm/utils/argparse_utils.py, 0.11.1 to 0.33.0).
    """
    start = first_argument(words)
    if has_model_flag and start is not None and words[start - 1] == "serve":
        return 0
    return 1


def experts_as_switch(rendered: Rendered) -> Rendered:
    """Values with `expert_parallel` as the switch that vLLM has: a number above 1 switches it on."""
    link = rendered.chain.get("expert_parallel")
    if link is None or isinstance(link.value.data, bool) or not isinstance(link.value.data, int):
        return rendered
    on = link.value.data > 1
    value = Value(on, str(on).lower(), link.value.spot)
    return replace(rendered, chain={**rendered.chain, "expert_parallel": ChainValue(value, link.origin)})


VLLM = Family(
    name="vllm",
    title="vLLM",
    program="vLLM",
    known_version="0.33.0",
    first_version="0.6",
    flags=FLAGS,
    dialect=Dialect(
        first_argument,
        underscores=True,
        nested=True,
        model_flag="--model",
        loose=loose,
        model_once=True,
        long_numbers=VLLM_LONG,
        long_flags=LONG_FLAGS,
        # Until 0.11.0 parse_args in vllm/utils raised a ValueError for it.
        model_flag_since="0.11.1",
        gone={
            "--disable-log-requests": "leave it out: requests are logged only with `--enable-log-requests`",
            "--gpu-memory-utilization-gb": "only an image with a patch for it does; else give "
            "`--gpu-memory-utilization` a share of the memory",
        },
    ),
    start=("vllm", "serve"),
    starter=Starter(
        "vllm serve {model}",
        (
            ("served_model_name",),
            ("host", "port"),
            ("tensor_parallel",),
            ("gpu_memory_utilization",),
            ("max_model_len",),
            ("max_num_seqs",),
        ),
    ),
    image_words="vllm",
    official_images=("vllm/vllm-openai", "nvcr.io/nvidia/vllm"),
    prepared=experts_as_switch,
    caches={"vllm": "/root/.cache/vllm", "flashinfer": "/root/.cache/flashinfer", "triton": "/root/.triton"},
    log_words=("vllm", "(EngineCore", "(APIServer", "(Worker", "RayWorkerWrapper", "VllmWorker"),
    modules=("vllm",),
    dated_tags=True,
    # Versions inside NVIDIA's monthly images, where a public start-up log states both.
    tag_versions={"26.08": "0.27.1"},
    variables=(Variable("VLLM_KV_CACHE_LAYOUT", "kv_cache_layout", str.upper),),
    rank_flags=frozenset({"--nnodes", "--node-rank", "--master-addr"}),
    log=LOG,
    causes=CAUSES,
    # Builds for other devices and for other models than language models, and a build with its own kernels.
    fork_flags=frozenset({"--omni"}),
    forks=("omni", "ascend", "gaudi", "neuron", "-tpu", "-xpu", "aphrodite", "b12x", "gfx906"),
    # vllm/v1/metrics/loggers.py
    metrics=MetricNames(
        running=("vllm:num_requests_running",),
        waiting=("vllm:num_requests_waiting",),
        kv_usage=("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"),
        generated=("vllm:generation_tokens_total",),
        prompted=("vllm:prompt_tokens_total",),
    ),
    # build_app in entrypoints/openai/api_server.py: one key of the variable is used where no flag gives any.
    secret_variables={"--api-key": "VLLM_API_KEY"},
    offers=(
        ("--convert", "classify", "score"),
        ("--task", "score", "score"),
        ("--task", "classify", "classify"),
        ("--task", "reward", "pooling"),
        ("--task", "transcription", "transcription"),
        ("--task", "embed", "embedding"),
        ("--task", "embedding", "embedding"),
        ("--convert", "embed", "embedding"),
        ("--runner", "pooling", "embedding"),
    ),
    keys=KeyPlaces(flags=("--api-key",), variables=("VLLM_API_KEY",)),
)
