"""The load of a serving engine from its Prometheus page: requests, KV cache in use, and tokens per second."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import chain

from sparkrun_tui.base.reading.numbers import decimal
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.base.text import decode
from sparkrun_tui.engines.registry import FAMILIES
from sparkrun_tui.fleet.asking import ask_head
from sparkrun_tui.fleet.model import Workload
from sparkrun_tui.remote.ports.services import HostServices

# No part matches past the end of its line: otherwise a page of open braces would take quadratic time.
_SAMPLE = late_regex(r"^([A-Za-z_:][A-Za-z0-9_:]*)(\{[^}\n]*\})?[ \t]+(\S{1,64})", re.MULTILINE)
_SHARED = late_regex(r'(?:tp|pp|moe_ep)_rank="[^"]*",?')
"""Labels of ranks that serve the same requests: with `--enable-metrics-for-all-schedulers` each of SGLang's reports."""

_NAMES = tuple(family.metrics for family in FAMILIES.values())
_RUNNING = tuple(chain.from_iterable(names.running for names in _NAMES))
_WAITING = tuple(chain.from_iterable(names.waiting for names in _NAMES))
_KV_USAGE = tuple(chain.from_iterable(names.kv_usage for names in _NAMES))
_GENERATED = tuple(chain.from_iterable(names.generated for names in _NAMES))
_PROMPT = tuple(chain.from_iterable(names.prompted for names in _NAMES))
_THROUGHPUT = tuple(chain.from_iterable(names.throughput for names in _NAMES))
_WANTED = frozenset((*_RUNNING, *_WAITING, *_KV_USAGE, *_GENERATED, *_PROMPT, *_THROUGHPUT))

_MOST_BYTES = 1 << 20
"""The most bytes of a page; vLLM's has a few hundred thousand."""
_MOST_COUNTED = 1e15
"""The largest plausible figure: a token counter takes years to reach it."""
_FULL = 1.01
"""The largest plausible share of a KV cache in use: engines round, so a little above 1."""


@dataclass(frozen=True, slots=True)
class Metrics:
    """One reading. Counters are tokens since the engine started; `kv_usage` is a fraction; None where unknown."""

    taken: float
    running: float | None = None
    waiting: float | None = None
    kv_usage: float | None = None
    generated: float | None = None
    prompted: float | None = None
    throughput: float | None = None
    """Generated tokens per second, where the engine reports a rate itself."""


def parse(text: str, taken: float) -> Metrics:
    """A Prometheus page as a reading at Unix time `taken`; samples of one name are added up (data parallel ranks).

    Of ranks that serve the same requests the one that says most counts. A sum is unknown when one of its samples is
    negative, implausibly large or not a number.
    """
    samples: dict[tuple[str, str], float] = {}
    absurd: set[str] = set()
    for match in _SAMPLE.finditer(text):
        if match[1] not in _WANTED:
            continue
        value = decimal(match[3], least=0.0, most=_MOST_COUNTED)
        if value is None:
            absurd.add(match[1])
            continue
        place = (match[1], _SHARED.sub("", match[2] or ""))
        samples[place] = max(samples.get(place, 0.0), value)
    totals: dict[str, float] = {}
    counts: dict[str, int] = {}
    for (name, _), value in samples.items():
        totals[name] = totals.get(name, 0.0) + value
        counts[name] = counts.get(name, 0) + 1
    for name in absurd:
        totals.pop(name, None)
    return Metrics(
        taken=taken,
        running=_first(_RUNNING, totals),
        waiting=_first(_WAITING, totals),
        kv_usage=_mean_usage(totals, counts),
        generated=_first(_GENERATED, totals),
        prompted=_first(_PROMPT, totals),
        throughput=_first(_THROUGHPUT, totals),
    )


def _mean_usage(totals: Mapping[str, float], counts: Mapping[str, int]) -> float | None:
    """The share of the KV cache in use, averaged over all ranks; None when not reported, or not a plausible share."""
    name = next((name for name in _KV_USAGE if name in totals), None)
    if name is None:
        return None
    usage = totals[name] / counts[name]
    return min(usage, 1.0) if usage <= _FULL else None


def _first(names: tuple[str, ...], totals: Mapping[str, float]) -> float | None:
    return next((totals[name] for name in names if name in totals), None)


def tokens_per_second(earlier: Metrics | None, later: Metrics) -> float | None:
    """Tokens generated per second between two readings; where they give no rate, the one that the engine reports."""
    rate = None
    if earlier is not None:
        rate = _rate(earlier, later, earlier.generated, later.generated)
    return later.throughput if rate is None else rate


def prompt_tokens_per_second(earlier: Metrics | None, later: Metrics) -> float | None:
    """Tokens of prompts that were read per second between two readings; None where it is not known."""
    if earlier is None:
        return None
    return _rate(earlier, later, earlier.prompted, later.prompted)


def _rate(earlier: Metrics, later: Metrics, before: float | None, after: float | None) -> float | None:
    """How much a counter grew a second; None when it is not known, or the engine was restarted in between."""
    seconds = later.taken - earlier.taken
    if before is None or after is None or seconds <= 0 or restarted(earlier, later):
        return None
    return (after - before) / seconds


def restarted(earlier: Metrics, later: Metrics) -> bool:
    """Whether the engine was restarted between two readings: its counters begin at zero again."""
    pairs = ((earlier.generated, later.generated), (earlier.prompted, later.prompted))
    return any(before is not None and after is not None and after < before for before, after in pairs)


async def read(workload: Workload, services: HostServices) -> Metrics | None:
    """The metrics of the head's server; None when it gives none."""
    if workload.port is None or not workload.ranks:
        return None
    reply = await ask_head(workload, services, "/metrics", _MOST_BYTES)
    if reply is None:
        return None
    return parse(decode(reply.body), services.clock())
