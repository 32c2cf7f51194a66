"""What vLLM prints while it starts: the phases, and the figures of memory."""

from __future__ import annotations

import re
from collections.abc import Mapping

from sparkrun_tui.base.reading.patterns import GAP
from sparkrun_tui.base.units import GIB
from sparkrun_tui.engines.logs.rules import Figures, LogMark, LogRules, fact_rules, number_in, one
from sparkrun_tui.engines.plan import Phase

_SHARDS = r"^(?:Loading [\w ]+|Multi-thread loading (?:pt checkpoint )?shards): +"

_MARKS: tuple[LogMark, ...] = (
    LogMark(Phase.START, r"^non-default args: \{|vLLM API server version"),
    LogMark(Phase.START, r"^Resolved architecture: ", detail="architecture known"),
    LogMark(Phase.START, r"^Initializing a V1 LLM engine|^Launching vLLM \(v\S+\) headless", detail="engine starts"),
    LogMark(Phase.START, r"Connecting to existing Ray cluster", detail="joining Ray"),
    LogMark(Phase.START, r"placement group", detail="Ray places the ranks"),
    LogMark(Phase.START, r"^world_size=1 rank="),
    LogMark(Phase.START, r"^world_size=\d+ rank=", detail="waiting for the other ranks"),
    LogMark(Phase.LOAD, r"^rank \d+ in world size \d+ is assigned as", detail="ranks have met"),
    LogMark(Phase.LOAD, r"^Starting to load model |^Loading model from scratch"),
    LogMark(Phase.LOAD, r"^Loading drafter model", detail="drafter"),
    LogMark(Phase.LOAD, rf"{_SHARDS}\d+% Completed", progress=r": +(\d+)% Completed"),
    LogMark(Phase.LOAD, r"^Loading weights took |^Model loading took ", done=True),
    LogMark(Phase.COMPILE, r"^Warming up model for the compilation", detail="warm-up"),
    LogMark(Phase.COMPILE, r"^(?:\[\w+\] )?Starting torch\.compile|Using cache directory: ", detail="torch.compile"),
    LogMark(Phase.COMPILE, r"Dynamo bytecode transform time|Compiling a graph for", detail="torch.compile"),
    LogMark(Phase.COMPILE, r"Directly load the compiled graph", detail="compiled graphs from the cache"),
    LogMark(Phase.COMPILE, r"^DeepGEMM warmup", progress=r"^DeepGEMM warmup: +(\d+)%", detail="DeepGEMM"),
    LogMark(Phase.COMPILE, r"\[Autotuner\]", detail="autotuning"),
    LogMark(Phase.COMPILE, r"torch\.compile (?:takes|took) [\d.]+ s in total", detail="profiling"),
    LogMark(
        Phase.COMPILE, rf"^Available KV cache memory: |^Explicitly set {GAP} GiB for KV cache", detail="KV cache sized"
    ),
    LogMark(Phase.COMPILE, r"KV cache size: [\d,]+ tokens", done=True),
    LogMark(Phase.GRAPHS, r"^Capturing CUDA graphs", progress=r"(?<!\d)(\d++)%"),
    LogMark(Phase.GRAPHS, r"^Graph capturing finished in |^CUDA graph pool memory: |^init engine \(", done=True),
    LogMark(Phase.READY, r"^Starting vLLM (?:API )?server"),
    LogMark(Phase.READY, r"Application startup complete\.", done=True),
)


def _kv_line(match: re.Match[str], _: Mapping[str, float]) -> Figures:
    return {
        "kv_tokens": number_in(match[1]),
        "max_model_len": number_in(match[2]),
        "concurrency": number_in(match[3]),
    }


_FACTS = fact_rules(
    (r"^Using max model len (\d+)", one("max_model_len")),
    (r"Checkpoint size: ([\d.]+) GiB", one("checkpoint_bytes", GIB)),
    (r"^Loading weights took ([\d.]+) seconds", one("load_seconds")),
    (r"^Model loading took ([\d.]+) GiB", one("weights_bytes", GIB)),
    (r"^Available KV cache memory: (-?[\d.]+) GiB", one("kv_bytes", GIB)),
    (r"^Explicitly set \(([\d.]+)/[\d.]+\) GiB for KV cache", one("kv_bytes", GIB)),
    (
        r"KV cache size: ([\d,]+) tokens(?:, Maximum concurrency for ([\d,]+) tokens per request: ([\d.,]+)x)?",
        _kv_line,
    ),
    (r"^Maximum concurrency for [\d,]+ tokens per request: ([\d.,]+)x", one("concurrency")),
    (r"^Graph capturing finished in \d+ secs, took (-?[\d.]+) GiB", one("graphs_bytes", GIB)),
    (r"^CUDA graph pool memory: ([\d.]+) GiB \(actual\)", one("graphs_bytes", GIB)),
    (r"^init engine \([^)]*\) took ([\d.]+) s", one("init_seconds")),
    (r"and ([\d.]+) GiB for CUDAGraph memory", one("graphs_bytes", GIB)),
    (r"(?<![\d.])([\d.]++) GiB for peak activation", one("activation_bytes", GIB)),
)


LOG = LogRules(marks=_MARKS, facts=_FACTS)
