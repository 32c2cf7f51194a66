"""What llama-server prints while it starts: the phases, and the figures of memory."""

from __future__ import annotations

import re
from collections.abc import Mapping

from sparkrun_tui.base.reading.patterns import LinePattern
from sparkrun_tui.base.units import MIB
from sparkrun_tui.engines.logs.rules import Figures, LogMark, LogRules, fact_rules, first, number_in, total
from sparkrun_tui.engines.plan import Phase

_MARKS: tuple[LogMark, ...] = (
    LogMark(Phase.START, r"llama_server: initializing|\bsystem_info:|^build: \d"),
    LogMark(Phase.LOAD, r"load_model: loading model|load_tensors: loading model tensors|llama_model_loader: loaded"),
    LogMark(Phase.LOAD, r"load_tensors: +\S{1,100} model buffer size =", detail="weights"),
    LogMark(Phase.LOAD, r"KV buffer size =|llama_kv_cache: size =|threadpool init", done=True),
    LogMark(Phase.COMPILE, r"warming up the model with an empty run", detail="warm-up"),
    LogMark(Phase.COMPILE, r"load_model: initializing,? (?:n_)?slots", done=True),
    LogMark(Phase.READY, r"llama_server: model loaded|main: model loaded"),
    LogMark(Phase.READY, r"listening on https?://|all slots are idle", done=True),
)


def _slots(match: re.Match[str], facts: Mapping[str, float]) -> Figures:
    length = number_in(match[2])
    cells = facts.get("kv_tokens", 0.0)
    concurrency = None
    if cells and length:
        concurrency = cells / length
    return {"max_model_len": length, "concurrency": concurrency}


_FACTS = fact_rules(
    (r"load_tensors: +\S{1,100} model buffer size = +([\d.]+) MiB", total("weights_bytes", MIB)),
    (r"llama_kv_cache(?:_\w{1,40})?: size = +([\d.]+) MiB", total("kv_bytes", MIB)),
    (r"llama_memory_recurrent: size = +([\d.]+) MiB", total("kv_bytes", MIB)),
    (r"compute buffer size = +([\d.]+) MiB", total("activation_bytes", MIB)),
    (r"llama_context: n_ctx += (\d+)", first("kv_tokens")),
    (r"initializing, n_slots = (\d+), n_ctx_slot = (\d+)", _slots),
)


_REHEARSAL = LinePattern(r"\bno_alloc += ([01])")
"""llama-server plans the load once without allocating; the figures it prints meanwhile are not the final ones."""

LOG = LogRules(marks=_MARKS, facts=_FACTS, rehearsal=_REHEARSAL)
