"""Facts of models on the hosts, read from their own files there and kept for later estimates."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from sparkrun_tui.base.errors import LaunchError, SparkrunError
from sparkrun_tui.base.reading.json_text import parse_json
from sparkrun_tui.engines.llama_cpp.gguf_files import choose, quants_in
from sparkrun_tui.engines.plan import ModelNeed
from sparkrun_tui.launch.sizing.sizing import digest_folder
from sparkrun_tui.models.digest import Digest, digest_config
from sparkrun_tui.models.digest_cache import host_digest_path, write_digest
from sparkrun_tui.models.facts import WeightFacts
from sparkrun_tui.models.gguf.header import GgufError, read_first_keys
from sparkrun_tui.models.gguf.keys import plain_keys
from sparkrun_tui.models.safetensors_header import least_size
from sparkrun_tui.models.snapshot import whole_bytes
from sparkrun_tui.models.store import cached_key
from sparkrun_tui.recipe.names.local_model import LocalModel
from sparkrun_tui.remote.hub.facts_worker import weight_files
from sparkrun_tui.remote.hub.model_facts import HubFacts
from sparkrun_tui.remote.probe.cached_model import CachedModel, Wanted
from sparkrun_tui.remote.probe.model_path import PathKind, PathSeen, look_at
from sparkrun_tui.remote.transport import Transport


async def look_at_model(transport: Transport, model: LocalModel) -> PathSeen:
    """What a host has of a model on its path. Raises `LinkLost`, `HostError`."""
    return await look_at(transport, model.source, model.files)


def remember_model(model: LocalModel, seen: PathSeen, host: str, folder: Path | None = None) -> bool:
    """Keep the facts of a model as a host has it, for the estimates to come; False where it says nothing.

    Raises `OSError` where they cannot be kept.
    """
    digest = digest_of(model, seen, host)
    if digest is None:
        return False
    write_digest(host_digest_path(folder or digest_folder(), model.path), digest)
    return True


def digest_of(model: LocalModel, seen: PathSeen, host: str) -> Digest | None:
    """The digest of a model by its own files on a host; None where they do not describe one."""
    total = sum(seen.sizes.values())
    if seen.kind is PathKind.FOLDER:
        # A repository may hold its weights a second time, in another layout.
        total = sum(seen.sizes[name] for name in weight_files(list(seen.sizes)))
    weights = None
    if total and not seen.lacks:
        weights = WeightFacts(total, "files")
    if seen.first:
        return _of_gguf(model, seen, host, weights)
    config = _json(seen.config)
    if config is None:
        return None
    small = digest_config(config, _json(seen.companion))
    return Digest(model.path, f"config.json on {host}", config=small, weights=weights)


def _of_gguf(model: LocalModel, seen: PathSeen, host: str, weights: WeightFacts | None) -> Digest | None:
    if seen.kind is not PathKind.FILE:
        return None
    digest = _by_first_keys(model.path, seen.first, host)
    if digest is None:
        return None
    quants = quants_in([model.path.rpartition("/")[2]])
    if quants:
        digest = replace(digest, quant=quants[0])
    return replace(digest, weights=weights)


def _by_first_keys(model: str, first: bytes, host: str) -> Digest | None:
    """The digest of a GGUF by its first bytes; None where they do not describe a model."""
    try:
        keys = plain_keys(read_first_keys(first))
    except GgufError:
        return None
    kept = {key: value for key, value in keys.items() if not key.startswith(("general.", "split.", "quantize."))}
    if not kept.get("arch"):
        return None
    return Digest(model, f"GGUF header on {host}", gguf=kept)


def _json(data: bytes) -> Mapping[str, object] | None:
    """A JSON object in bytes from a host; None where it is none."""
    if not data:
        return None
    try:
        found = parse_json(data)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def wanted_of(needs: Sequence[ModelNeed], cache: str) -> list[Wanted]:
    """What a probe asks for the models that a plan needs; `cache` is the folder that the cluster names, or empty."""
    return [Wanted(need.repo, need.revision, need.gguf_quant, cache) for need in needs]


async def remember_cached(found: Mapping[Wanted, CachedModel], host: str, folder: Path | None = None) -> None:
    """Keep what a host's cache says of models, for the estimates to come. What describes no model is left out.

    Raises `OSError` where it cannot be kept.
    """
    for wanted, seen in found.items():
        digest = await cached_digest(wanted, seen, host)
        if digest is not None:
            path = host_digest_path(folder or digest_folder(), cached_key(digest.model, wanted.revision))
            await asyncio.to_thread(write_digest, path, digest)


async def cached_digest(wanted: Wanted, seen: CachedModel, host: str) -> Digest | None:
    """The digest of a model in a host's cache; None where its files do not describe one."""
    if wanted.quant:
        return await asyncio.to_thread(_cached_gguf, wanted, seen, host)
    small = {name: data for name, data in seen.starts.items() if name.endswith(".json")}
    if "config.json" not in small:
        return None
    weights = weight_files(list(seen.sizes))
    total = whole_bytes({name: seen.sizes[name] for name in weights})
    if any(_is_cut_off(name, seen) for name in weights):
        total = None
    whole = {"model": wanted.repo, "commit": seen.commit, "source": f"headers on {host}"}
    if total and all(name in seen.starts for name in weights):
        try:
            return await HubFacts().of_starts(whole, {**small, **{name: seen.starts[name] for name in weights}})
        except SparkrunError:
            # What its headers are worth is not known: the sizes of the files are counted, and said.
            pass
    config = await asyncio.to_thread(_json, small["config.json"])
    if config is None:
        return None
    companion = _json(small.get("hf_quant_config.json", b""))
    digest = Digest(wanted.repo, f"config.json on {host}", seen.commit, digest_config(config, companion))
    return replace(digest, weights=WeightFacts(total, "files")) if total else digest


def _is_cut_off(name: str, seen: CachedModel) -> bool:
    """Whether a weight file is shorter than its own header says, as far as its beginning was read."""
    start = seen.starts.get(name)
    if start is None:
        # No file of weights is empty, or shorter than the length of its header.
        return seen.sizes[name] < 8
    least = least_size(lambda first, length: start[first : first + length])
    return least is not None and least > seen.sizes[name]


def _cached_gguf(wanted: Wanted, seen: CachedModel, host: str) -> Digest | None:
    names = [name for name in seen.sizes if name.endswith(".gguf")]
    try:
        chosen = choose(names, wanted.quant)
    except LaunchError:
        # The host has none of that quantisation.
        return None
    first = seen.starts.get(chosen.first or "", b"")
    digest = _by_first_keys(f"{wanted.repo}:{wanted.quant}", first, host)
    if digest is None:
        return None
    total = sum(seen.sizes[name] for name in chosen.files)
    weights = WeightFacts(total, "files") if total else None
    return replace(digest, commit=seen.commit, quant=wanted.quant, weights=weights)
