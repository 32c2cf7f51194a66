"""Facts of models that lie on paths of the hosts, read from their own files there and kept for later estimates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from sparkrun_tui.base.json_text import parse_json
from sparkrun_tui.engines.llama_cpp.gguf_files import quants_in
from sparkrun_tui.launch.sizing.sizing import digest_folder
from sparkrun_tui.models.digest import Digest, digest_config
from sparkrun_tui.models.digest_cache import host_digest_path, write_digest
from sparkrun_tui.models.facts import WeightFacts
from sparkrun_tui.models.gguf.header import GgufError, read_first_keys
from sparkrun_tui.models.gguf.keys import plain_keys
from sparkrun_tui.recipe.names.local_model import LocalModel
from sparkrun_tui.remote.hub.facts_worker import weight_files
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
    try:
        keys = plain_keys(read_first_keys(seen.first))
    except GgufError:
        return None
    kept = {key: value for key, value in keys.items() if not key.startswith(("general.", "split.", "quantize."))}
    if not kept.get("arch"):
        return None
    quants = quants_in([model.path.rpartition("/")[2]])
    digest = Digest(model.path, f"GGUF header on {host}", gguf=kept, weights=weights)
    if quants:
        digest = replace(digest, quant=quants[0])
    return digest


def _json(data: bytes) -> Mapping[str, object] | None:
    """A JSON object in bytes from a host; None where it is none."""
    if not data:
        return None
    try:
        found = parse_json(data)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
