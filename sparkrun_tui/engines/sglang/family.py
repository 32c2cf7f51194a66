"""SGLang as an inference server: how it is started and how it reads its command line."""

from __future__ import annotations

from collections.abc import Sequence

from sparkrun_tui.engines.family import Dialect, Family, MetricNames, Starter
from sparkrun_tui.engines.sglang.causes import CAUSES
from sparkrun_tui.engines.sglang.flags import FLAGS
from sparkrun_tui.engines.sglang.log import LOG

_MODULES = frozenset({"sglang.launch_server", "sglang.launch_server_deterministic"})


def first_argument(words: Sequence[str]) -> int | None:
    """The index behind `sglang serve` or the module of the server."""
    for at, word in enumerate(words):
        following = words[at + 1] if at + 1 < len(words) else ""
        if word.rpartition("/")[2] == "sglang" and following == "serve":
            return at + 2
        if word in _MODULES or word.endswith("sglang/launch_server.py"):
            return at + 1
    return None


def loose(words: Sequence[str], has_model_flag: bool) -> int:
    """Only `sglang serve` takes the model as a word, and only where no flag names it."""
    start = first_argument(words)
    short = start is not None and words[start - 1] == "serve"
    return 1 if short and not has_model_flag else 0


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
    # It reads its keys (`--api-key`, `--admin-api-key`) from no variable.
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
