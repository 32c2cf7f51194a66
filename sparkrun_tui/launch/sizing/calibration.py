"""What engines printed goes into the next estimate: kept when a launch serves, and used where the settings agree."""

from __future__ import annotations

import time as clock
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from sparkrun_tui.launch.sizing.image_label import digest_of, version_of
from sparkrun_tui.launch.sizing.measured_store import ImageFacts, Record, image_facts, learn_image, records
from sparkrun_tui.memory.engines import model_of
from sparkrun_tui.memory.measured import Measured
from sparkrun_tui.memory.result import HostMemory
from sparkrun_tui.memory.settings import EngineSettings
from sparkrun_tui.recipe.values.rendered import Rendered
from sparkrun_tui.remote.docker.types import ImageInfo

KEPT = ("weights_bytes", "kv_bytes", "kv_tokens", "concurrency", "graphs_bytes", "activation_bytes", "max_model_len")
"""Figures of an engine's log that are kept."""

_DECIDING = {
    "tensor_parallel": "tensor parallel {}",
    "pipeline_parallel": "pipeline parallel {}",
    "data_parallel": "data parallel {}",
    "utilisation": "utilisation {}",
    "max_num_batched_tokens": "{} batched tokens",
    "max_num_seqs": "{} sequences",
}
"""Settings that decide, and how an estimate that uses a measurement names those that are set."""

_ALSO = (
    "expert_parallel",
    "context_parallel",
    "dtype",
    "quantization",
    "load_format",
    "enforce_eager",
    "attention_backend",
    "text_only",
    "cpu_offload_gib",
    "speculative",
    "kv_cache_memory_bytes",
)
_POOL = ("kv_cache_dtype", "block_size", "max_model_len", "hybrid_kv_cache", "prefix_caching")
"""Settings that change what a cache of the same size holds."""


def deciding(settings: EngineSettings) -> dict[str, Any]:
    """The settings that must agree for figures to carry over, as plain values."""
    values = asdict(settings)
    found = {name: values[name] for name in (*_DECIDING, *_ALSO, *_POOL)}
    model = model_of(settings.engine)
    if model.options:
        own = values[model.options]
        found[model.options] = {key: value for key, value in own.items() if key not in model.idle_options}
    return found


def record_of(
    settings: EngineSettings, host: HostMemory, image: str, digest: str, figures: Mapping[str, float], now: float
) -> Record | None:
    """What a host's engine printed as a record; None when it printed nothing of use."""
    kept = {name: figures[name] for name in KEPT if name in figures}
    if "weights_bytes" not in kept and "kv_bytes" not in kept:
        return None
    utilisation = model_of(settings.engine).share(settings)
    return Record(host.name, now, image, host.total, utilisation, deciding(settings), kept, digest)


def measured_on(
    rendered: Rendered, settings: EngineSettings, image: str, hosts: Sequence[HostMemory], now: float | None = None
) -> tuple[dict[str, Measured], tuple[str, ...]]:
    """What earlier launches of this recipe measured, by host, and notes that say where it comes from.

    A record holds where the image (by name, and by digest where both are known) and the deciding settings agree. A
    host without one takes that of another host with as much memory.
    """
    kept = records(rendered.recipe.digest)
    if not kept:
        return {}, ()
    digest, values = image_facts(image).digest, deciding(settings)
    usable = [record for record in kept if _holds(record, values, image, digest)]
    found: dict[str, Measured] = {}
    notes: dict[str, None] = {}
    for host in hosts:
        own = [record for record in usable if record.host == host.name] or usable
        record = next((record for record in own if _as_large(record, host)), None)
        if record is not None:
            found[host.name] = _measured(record, values, clock.time() if now is None else now)
            notes[f"{found[host.name].source}: same image, {_words(values)}"] = None
    return found, tuple(notes)


def remember_image(engine: str, image: str, info: ImageInfo | None) -> None:
    """Keep what a host says of an image it holds; that it cannot be kept changes nothing."""
    if info is not None:
        with suppress(OSError):
            learn_image(image, ImageFacts(digest_of(info), version_of(engine, info)))


def ago(seconds: float) -> str:
    """How long ago, in the words of people: `just now`, `5 minutes ago`, `2 days ago`."""
    for unit, length in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        count = int(seconds // length)
        if count >= 1:
            return f"{count} {unit}{'s' * (count != 1)} ago"
    return "just now"


def _holds(record: Record, values: Mapping[str, Any], image: str, digest: str) -> bool:
    if record.image != image or (digest and record.image_digest and digest != record.image_digest):
        return False
    return all(record.settings.get(key) == value for key, value in values.items() if key not in _POOL)


def _as_large(record: Record, host: HostMemory) -> bool:
    return abs(record.total - host.total) <= host.total // 100


def _measured(record: Record, values: Mapping[str, Any], now: float) -> Measured:
    figures = record.figures
    same_pool = all(record.settings.get(key) == values[key] for key in _POOL)
    # Without a fraction, or with a cache of a stated size, what the cache got says nothing about the rest.
    of_budget = record.utilisation is not None and values["kv_cache_memory_bytes"] is None
    return Measured(
        source=f"measured on {record.host}, {ago(now - record.time)}",
        utilisation=record.utilisation or 0.0,
        total=record.total,
        weights=_whole(figures.get("weights_bytes")),
        available_kv=_whole(figures.get("kv_bytes")) if of_budget else None,
        graphs=_whole(figures.get("graphs_bytes")),
        pool_tokens=_whole(figures.get("kv_tokens")) if same_pool else None,
        concurrency=figures.get("concurrency") if same_pool else None,
        batched_tokens=values["max_num_batched_tokens"],
    )


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def _words(values: Mapping[str, Any]) -> str:
    return ", ".join(text.format(values[name]) for name, text in _DECIDING.items() if values[name] is not None)
