"""The load of a serving engine from its Prometheus page: requests, KV cache in use, and tokens per second."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.numbers import decimal
from sparkrun_tui.base.text import decode
from sparkrun_tui.fleet.model import Workload
from sparkrun_tui.remote.http.client import HttpCall
from sparkrun_tui.remote.ports.services import HostServices

# Each part ends with its line, or a page of opened braces would be searched to its end for every line.
_SAMPLE = re.compile(r"^([A-Za-z_:][A-Za-z0-9_:]*)(?:\{[^}\n]*\})?[ \t]+(\S{1,64})", re.MULTILINE)

# vllm/v1/metrics/loggers.py; python/sglang/srt/metrics/collector.py; llama.cpp tools/server (with --metrics).
_RUNNING = ("vllm:num_requests_running", "sglang:num_running_reqs", "llamacpp:requests_processing")
_WAITING = ("vllm:num_requests_waiting", "sglang:num_queue_reqs", "llamacpp:requests_deferred")
_KV_USAGE = (
    "vllm:kv_cache_usage_perc",
    "vllm:gpu_cache_usage_perc",
    "sglang:token_usage",
    "llamacpp:kv_cache_usage_ratio",
)
_GENERATED = ("vllm:generation_tokens_total", "sglang:generation_tokens_total", "llamacpp:tokens_predicted_total")
_PROMPT = ("vllm:prompt_tokens_total", "sglang:prompt_tokens_total", "llamacpp:prompt_tokens_total")
_THROUGHPUT = ("sglang:gen_throughput",)
_WANTED = frozenset((*_RUNNING, *_WAITING, *_KV_USAGE, *_GENERATED, *_PROMPT, *_THROUGHPUT))

_TIMEOUT = 5.0


@dataclass(frozen=True, slots=True)
class Metrics:
    """One reading. Counters count tokens since the engine began; `kv_usage` is a fraction; None where not given."""

    taken: float
    running: float | None = None
    waiting: float | None = None
    kv_usage: float | None = None
    generated: float | None = None
    prompted: float | None = None
    throughput: float | None = None
    """Generated tokens per second where the engine gives that itself."""


def parse(text: str, taken: float) -> Metrics:
    """A Prometheus page as a reading at Unix time `taken`; samples of one name are added up (data parallel ranks)."""
    totals: dict[str, float] = {}
    counts: dict[str, int] = {}
    for match in _SAMPLE.finditer(text):
        value = decimal(match[2]) if match[1] in _WANTED else None
        if value is None:
            continue
        totals[match[1]] = totals.get(match[1], 0.0) + value
        counts[match[1]] = counts.get(match[1], 0) + 1
    usage = _first(_KV_USAGE, totals)
    ranks = next((counts[name] for name in _KV_USAGE if name in counts), 1)
    return Metrics(
        taken=taken,
        running=_first(_RUNNING, totals),
        waiting=_first(_WAITING, totals),
        kv_usage=None if usage is None else usage / ranks,
        generated=_first(_GENERATED, totals),
        prompted=_first(_PROMPT, totals),
        throughput=_first(_THROUGHPUT, totals),
    )


def _first(names: tuple[str, ...], totals: Mapping[str, float]) -> float | None:
    return next((totals[name] for name in names if name in totals), None)


def tokens_per_second(earlier: Metrics | None, later: Metrics) -> float | None:
    """Tokens generated per second between two readings; the engine's own figure without an earlier one."""
    if earlier is not None and earlier.generated is not None and later.generated is not None:
        seconds = later.taken - earlier.taken
        # A counter that went back belongs to an engine that was started anew.
        if seconds > 0 and later.generated >= earlier.generated:
            return (later.generated - earlier.generated) / seconds
    return later.throughput


async def read(workload: Workload, services: HostServices) -> Metrics | None:
    """Ask the head's server for its metrics; None when it gives none."""
    if workload.port is None or not workload.ranks:
        return None
    call = HttpCall(workload.port, "/metrics", address=workload.address, timeout=_TIMEOUT)
    try:
        reply = await services.http.ask(services.connector(workload.head_host), call)
    except HostError:
        return None
    return parse(decode(reply.body), services.clock()) if reply.ok else None
