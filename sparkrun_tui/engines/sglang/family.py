"""SGLang as an inference server: its start, and how it reads its command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sparkrun_tui.base.reading.numbers import whole_of
from sparkrun_tui.engines.family import Dialect, Family, KeyPlaces, MetricNames, Starter
from sparkrun_tui.engines.image_version import is_older, version_in_tag
from sparkrun_tui.engines.sglang.causes import CAUSES
from sparkrun_tui.engines.sglang.flags import FLAGS, LONG_FLAGS
from sparkrun_tui.engines.sglang.log import LOG
from sparkrun_tui.engines.values import SGLANG_LONG
from sparkrun_tui.memory.settings import MAX_DEGREE
from sparkrun_tui.recipe.model import Mode, Value
from sparkrun_tui.recipe.values.rendered import ChainValue, Origin, Rendered

_ATTENTION_FLAG_SINCE = "0.5.23"
"""The version from which `--attn-dp-size` replaces `--dp-size N --enable-dp-attention`."""
_MODULES = frozenset({"sglang.launch_server", "sglang.launch_server_deterministic"})


def first_argument(words: Sequence[str]) -> int | None:
    """The index after `sglang serve` or the module of the server."""
    for at, word in enumerate(words):
        is_program = word.rpartition("/")[2] == "sglang"
        if is_program and at + 1 < len(words) and words[at + 1] == "serve":
            return at + 2
        if word in _MODULES or word.endswith("sglang/launch_server.py"):
            return at + 1
    return None


def loose(words: Sequence[str], has_model_flag: bool) -> int:
    """The positional words allowed: one for `sglang serve` without a flag for the model, else none."""
    if has_model_flag:
        return 0
    start = first_argument(words)
    if start is not None and words[start - 1] == "serve":
        return 1
    return 0


def replicas_of_attention(rendered: Rendered) -> Rendered:
    """Values with which `data_parallel` can be served by several hosts.

    SGLang refuses replicas of the whole model over several hosts ("multi-node data-parallel replicas are not
    supported"). What it accepts are replicas of attention, which divide the tensor-parallel ranks: with T ranks and D
    replicas wanted, T x D ranks whose attention is divided into D groups. Recipes for one host keep their replicas.
    """
    recipe, chain = rendered.recipe, rendered.chain
    wanted = _number(rendered, "data_parallel")
    if wanted == 1 or recipe.mode is Mode.SOLO or recipe.max_nodes == 1:
        return rendered
    if "attn_dp_size" in chain or "attention_data_parallel_size" in chain:
        return rendered
    tensor = _number(rendered, "tensor_parallel")
    changed = dict(chain)
    asked = chain.get("enable_dp_attention")
    divided = asked is not None and asked.value.data is True
    if divided and "tensor_parallel" in chain:
        return rendered
    changed["tensor_parallel"] = _derived(tensor * wanted)
    version = version_in_tag(SGLANG, recipe.container)
    if version and not is_older(version, _ATTENTION_FLAG_SINCE):
        changed["attn_dp_size"] = _derived(wanted)
        for key in ("data_parallel", "dp", "enable_dp_attention"):
            changed.pop(key, None)
    else:
        changed["enable_dp_attention"] = ChainValue(Value(True, "true"), Origin.MODEL)
    return replace(rendered, chain=changed)


def _number(rendered: Rendered, key: str) -> int:
    """A parallel degree of the chain, 1 where it has none."""
    row = FLAGS.by_key[key]
    for name in (row.key, *row.aliases):
        number = whole_of(rendered.get(name), least=1, most=MAX_DEGREE)
        if number is not None:
            return number
    return 1


def _derived(number: int) -> ChainValue:
    """A number that follows from the recipe's values."""
    return ChainValue(Value(number, str(number)), Origin.MODEL)


SGLANG = Family(
    name="sglang",
    title="SGLang",
    program="SGLang",
    known_version="0.5.23",
    first_version="0.4",
    flags=FLAGS,
    dialect=Dialect(
        first_argument,
        model_flag="--model-path",
        loose=loose,
        long_numbers=SGLANG_LONG,
        long_flags=LONG_FLAGS,
    ),
    start=("python3", "-m", "sglang.launch_server", "--model-path"),
    starter=Starter(
        "python3 -m sglang.launch_server",
        (
            ("model",),
            ("served_model_name",),
            ("host", "port"),
            ("tensor_parallel",),
            ("gpu_memory_utilization",),
            ("max_model_len",),
            ("max_num_seqs",),
        ),
    ),
    divides_ranks=("sglang.dp_attention", "sglang.attn_dp_size"),
    prepared=replicas_of_attention,
    # It reads its keys (`--api-key`, `--admin-api-key`) only from flags. The variable is what its clients read, and
    # what start scripts in images pass on as the flag.
    offers=(("--is-embedding", "", "embedding"),),
    keys=KeyPlaces(flags=("--api-key",), variables=("SGLANG_API_KEY",)),
    image_words="sglang|sgl",
    official_images=("lmsysorg/sglang", "nvcr.io/nvidia/sglang"),
    # `sglang serve` starts another server for diffusion models, with a parser of its own (sglang/multimodal_gen).
    fork_flags=frozenset(
        {
            "--cfg-parallel-size",
            "--dit-cpu-offload",
            "--dit-layerwise-offload",
            "--enable-cfg-parallel",
            "--image-encoder-cpu-offload",
            "--num-gpus",
            "--pin-cpu-memory",
            "--ring-degree",
            "--sp-degree",
            "--text-encoder-cpu-offload",
            "--ulysses-degree",
            "--use-fsdp-inference",
            "--vae-cpu-offload",
        }
    ),
    caches={
        "sglang": "/root/.cache/sglang",
        "flashinfer": "/root/.cache/flashinfer",
        "deep_gemm": "/root/.cache/deep_gemm",
        "triton": "/root/.triton",
    },
    log_words=("sglang", "sgl_kernel", "sgl-kernel", "Scheduler hit an exception", " TP0]"),
    modules=("sglang",),
    rank_flags=frozenset({"--nnodes", "--node-rank"}),
    log=LOG,
    causes=CAUSES,
    # python/sglang/srt/metrics/collector.py
    metrics=MetricNames(
        running=("sglang:num_running_reqs",),
        waiting=("sglang:num_queue_reqs",),
        kv_usage=("sglang:token_usage",),
        generated=("sglang:generation_tokens_total",),
        prompted=("sglang:prompt_tokens_total",),
        throughput=("sglang:gen_throughput",),
    ),
    metrics_flag="--enable-metrics",
)
