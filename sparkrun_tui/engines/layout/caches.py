"""The folders that containers keep on a host: the Hugging Face cache, and what engines compile (`runtime_cache`)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from sparkrun_tui.engines.plan import HostView, Mount
from sparkrun_tui.recipe.names.images import image_on
from sparkrun_tui.recipe.names.local_model import CACHE_TARGETS
from sparkrun_tui.recipe.values.rendered import Rendered

HF_HOME = CACHE_TARGETS[0]
"""The mount point of the host's Hugging Face cache in every container."""
RUNTIME_CACHE = "/cache/runtime"
"""Where recipes of the format find a folder that is kept on the host."""
_LABEL = 48
"""The most characters of a folder's name that only a person reads."""


def engine_folder(host: HostView, engine: str, rendered: Rendered) -> str:
    """The folder of a host for the caches of an engine, by model and image where the recipe asks for that."""
    cache = rendered.recipe.runtime_cache
    parts = [f"{host.app_cache}/engine/{engine}"]
    if cache.key_by_image:
        image = image_on(rendered.recipe, host.name)
        parts.append(_named(image.rpartition("/")[2], image))
    if cache.key_by_model:
        model = rendered.recipe.model
        parts.append(_named(model, f"{model}@{rendered.recipe.model_revision}"))
    return "/".join(parts)


def runtime_cache_folder(host: HostView, engine: str, rendered: Rendered) -> str:
    """The folder of a host that is mounted at `RUNTIME_CACHE`."""
    return f"{engine_folder(host, engine, rendered)}/runtime"


def cache_mounts(host: HostView, engine: str, targets: Mapping[str, str], rendered: Rendered) -> tuple[Mount, ...]:
    """The Hugging Face cache, and the engine's own caches (name to folder in the container), which save compiling."""
    whole = Mount(host.hf_cache, HF_HOME)
    if not rendered.recipe.runtime_cache.enabled:
        return (whole,)
    folder = engine_folder(host, engine, rendered)
    own = (Mount(f"{folder}/{name}", target) for name, target in targets.items())
    return (whole, *own)


def _named(label: str, identity: str) -> str:
    """A name of a folder that a person recognises, and that differs where the identity does."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", label)[:_LABEL].strip("-._") or "unknown"
    return f"{plain}-{hashlib.sha256(identity.encode()).hexdigest()[:8]}"
