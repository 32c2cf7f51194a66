"""Measurements of earlier launches for estimates: kept when a launch serves, used when the settings agree."""

from __future__ import annotations

import time as clock
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from sparkrun_tui.launch.sizing.image_label import digest_of, version_of
from sparkrun_tui.launch.sizing.measured_store import ImageFacts, Record, image_facts, learn_image, records
from sparkrun_tui.memory.engines import model_of
from sparkrun_tui.memory.measured import Measured
from sparkrun_tui.memory.result import HostMemory
from sparkrun_tui.memory.settings import EngineSettings
from sparkrun_tui.recipe.values.rendered import Rendered

if TYPE_CHECKING:
    from sparkrun_tui.remote.docker.types import ImageInfo

KEPT = ("weights_bytes", "kv_bytes", "kv_tokens", "concurrency", "graphs_bytes", "activation_bytes", "max_model_len")
"""The figures of an engine's log that are kept."""

_DECIDING = {
    "tensor_parallel": "tensor parallel {}",
    "pipeline_parallel": "pipeline parallel {}",
    "data_parallel": "data parallel {}",
    "utilisation": "utilisation {}",
    "max_num_batched_tokens": "{} batched tokens",
    "max_num_seqs": "{} sequences",
}
"""Settings that must agree, and how the note of an estimate names those that are set."""

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
"""Settings that change how many tokens fit into a KV cache of the same size."""


def deciding(settings: EngineSettings) -> dict[str, Any]:
    """The settings that must agree for a measurement to apply, as plain values."""
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
    """What the engine on a host printed, as a record; None when it printed neither weights nor KV cache."""
    kept = {name: figures[name] for name in KEPT if name in figures}
    if "weights_bytes" not in kept and "kv_bytes" not in kept:
        return None
    utilisation = model_of(settings.engine).share(settings)
    return Record(host.name, now, image, host.total, utilisation, deciding(settings), kept, digest)


def measured_on(
    rendered: Rendered, settings: EngineSettings, image: str, hosts: Sequence[HostMemory], now: float | None = None
) -> tuple[dict[str, Measured], tuple[str, ...]]:
    """What earlier launches of this recipe measured, by host, and notes that say where it comes from.

    A record applies when the image (by name, and by digest where both are known) and the deciding settings agree. A
    host without a record gets that of another host with as much memory. `now` is Unix time.
    """
    kept = records(rendered.recipe.digest)
    if not kept:
        return {}, ()
    if now is None:
        now = clock.time()
    digest, values = image_facts(image).digest, deciding(settings)
    usable = [record for record in kept if _applies(record, values, image, digest)]
    found: dict[str, Measured] = {}
    notes: dict[str, None] = {}
    for host in hosts:
        own = [record for record in usable if record.host == host.name]
        for record in own or usable:
            if _as_large(record, host):
                measured = _measured(record, values, now)
                found[host.name] = measured
                notes[f"{measured.source}: same image, {_words(values)}"] = None
                break
    return found, tuple(notes)


def remember_image(engine: str, image: str, info: ImageInfo | None) -> None:
    """Keep what a host reports about an image. A failure to write is ignored: only estimates use these facts."""
    if info is not None:
        with suppress(OSError):
            learn_image(image, ImageFacts(digest_of(info), version_of(engine, info)))


def ago(seconds: float) -> str:
    """How long ago, in words: `just now`, `5 minutes ago`, `2 days ago`."""
    for unit, length in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        count = int(seconds // length)
        if count >= 1:
            return f"{count} {unit}{'s' * (count != 1)} ago"
    return "just now"


def _applies(record: Record, values: Mapping[str, Any], image: str, digest: str) -> bool:
    if record.image != image:
        return False
    if digest and record.image_digest and digest != record.image_digest:
        return False
    return all(record.settings.get(key) == value for key, value in values.items() if key not in _POOL)


def _as_large(record: Record, host: HostMemory) -> bool:
    return abs(record.total - host.total) <= host.total // 100


def _measured(record: Record, values: Mapping[str, Any], now: float) -> Measured:
    figures = record.figures
    found = Measured(
        source=f"measured on {record.host}, {ago(now - record.time)}",
        utilisation=record.utilisation or 0.0,
        total=record.total,
        weights=_whole(figures.get("weights_bytes")),
        graphs=_whole(figures.get("graphs_bytes")),
        batched_tokens=values["max_num_batched_tokens"],
    )
    if record.utilisation is not None and values["kv_cache_memory_bytes"] is None:
        # Without a fraction, or with a KV cache of a stated size, the cache's size says nothing about the rest.
        found = replace(found, available_kv=_whole(figures.get("kv_bytes")))
    same_pool = all(record.settings.get(key) == values[key] for key in _POOL)
    if same_pool:
        found = replace(found, pool_tokens=_whole(figures.get("kv_tokens")), concurrency=figures.get("concurrency"))
    return found


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def _words(values: Mapping[str, Any]) -> str:
    return ", ".join(text.format(values[name]) for name, text in _DECIDING.items() if values[name] is not None)
