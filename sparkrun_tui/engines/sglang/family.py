"""SGLang as an inference server: its start, and how it reads its command line."""

from __future__ import annotations

from collections.abc import Sequence

from sparkrun_tui.engines.family import Dialect, Family, KeyPlaces, MetricNames, Starter
from sparkrun_tui.engines.sglang.causes import CAUSES
from sparkrun_tui.engines.sglang.flags import FLAGS
from sparkrun_tui.engines.sglang.log import LOG

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


SGLANG = Family(
    name="sglang",
    title="SGLang",
    program="SGLang",
    known_version="0.5.23",
    first_version="0.4",
    flags=FLAGS,
    dialect=Dialect(first_argument, model_flag="--model-path", loose=loose),
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
    # It reads its keys (`--api-key`, `--admin-api-key`) only from flags. The variable is what its clients read, and
    # what start scripts in images pass on as the flag.
    offers=(("--is-embedding", "", "embedding"),),
    keys=KeyPlaces(flags=("--api-key",), variables=("SGLANG_API_KEY",)),
    image_words="sglang|sgl",
    modules=("sglang",),
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
)
