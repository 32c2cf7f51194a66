"""What SGLang prints while it starts: the phases, and the figures of memory."""

from __future__ import annotations

import re
from collections.abc import Mapping

from sparkrun_tui.base.reading.patterns import GAP
from sparkrun_tui.base.units import GIB
from sparkrun_tui.engines.logs.rules import Figures, LogMark, LogRules, fact_rules, number_in, one, times, total
from sparkrun_tui.engines.plan import Phase

_MARKS: tuple[LogMark, ...] = (
    LogMark(Phase.START, r"server_args="),
    LogMark(Phase.START, r"^Init (?:parallel|torch distributed) begin", detail="waiting for the other ranks"),
    LogMark(Phase.START, r"^Init (?:parallel|torch distributed) ends", done=True),
    LogMark(Phase.LOAD, r"^Load weight begin\."),
    LogMark(
        Phase.LOAD,
        r"^Loading [\w ]+: +\d+%|^Multi-thread loading (?:pt checkpoint )?shards: +\d+%",
        progress=r": +(\d+)%",
    ),
    LogMark(Phase.LOAD, r"^Load weight end\.", done=True),
    LogMark(Phase.COMPILE, r"KV Cache is allocated\.|^Mamba Cache is allocated\.|^DSV4 pool sizes", detail="pools"),
    LogMark(Phase.COMPILE, r"^Memory pool end\.", done=True),
    LogMark(Phase.COMPILE, r"DeepGEMM|[Aa]utotun", detail="autotuning"),
    LogMark(Phase.GRAPHS, rf"^Capture {GAP}(?:CUDA|cuda) graph (?:begin|end)"),
    LogMark(Phase.GRAPHS, r"^Capturing (?:batches|num tokens)", progress=r"(?<!\d)(\d++)%\|"),
    LogMark(Phase.GRAPHS, r"^max_total_num_tokens=", done=True),
    LogMark(Phase.READY, r"Uvicorn running on https?://", detail="warm-up request"),
    LogMark(Phase.READY, r"The server is fired up and ready to roll!|Dummy health check server started", done=True),
)


def _totals(match: re.Match[str], _: Mapping[str, float]) -> Figures:
    tokens, length = number_in(match[1]), number_in(match[2])
    concurrency = None
    if tokens is not None and length:
        concurrency = tokens / length
    return {"kv_tokens": tokens, "max_model_len": length, "concurrency": concurrency}


def _pool(match: re.Match[str], facts: Mapping[str, float]) -> Figures:
    sizes = []
    for group in (2, 3, 4):
        size = times(match[group], GIB)
        if size is not None:
            sizes.append(size)
    found: dict[str, float | None] = {}
    if sizes:
        found["kv_bytes"] = facts.get("kv_bytes", 0.0) + sum(sizes)
    if "kv_tokens" not in facts:
        found["kv_tokens"] = number_in(match[1])
    return found


_FACTS = fact_rules(
    (rf"^Load weight end\.{GAP}?mem usage=([\d.]+) GB", total("weights_bytes", GIB)),
    (r"^Load weight end\. elapsed=([\d.]+) s", one("load_seconds")),
    (
        rf"KV Cache is allocated\.{GAP}?(?:#tokens: (\d+), )?"
        r"(?:K size: ([\d.]+) GB, V size: ([\d.]+) GB|KV size: ([\d.]+) GB)",
        _pool,
    ),
    (rf"^Capture {GAP}graph end\.{GAP}?mem usage=([\d.]+) GB", total("graphs_bytes", GIB)),
    (rf"^max_total_num_tokens=(\d+),{GAP}context_len=(\d+)", _totals),
)


LOG = LogRules(marks=_MARKS, facts=_FACTS)
