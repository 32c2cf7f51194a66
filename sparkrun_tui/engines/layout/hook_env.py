"""What the commands of a recipe learn about their launch: variables that only they get, in the names of the format."""

from __future__ import annotations

from collections.abc import Mapping

from sparkrun_tui.engines.layout.caches import RUNTIME_CACHE
from sparkrun_tui.engines.layout.common import role_of
from sparkrun_tui.engines.plan import HostView, PlanRequest, ReadyCheck
from sparkrun_tui.recipe.names.local_model import MAX_PATH

HOOK_VARIABLES = (
    "SPARKRUN_HOOK", "SPARKRUN_CLUSTER_ID", "SPARKRUN_RECIPE_NAME", "SPARKRUN_RUNTIME", "SPARKRUN_MODEL",
    "SPARKRUN_MODEL_REVISION", "SPARKRUN_MODEL_PATH", "SPARKRUN_NUM_NODES", "SPARKRUN_NODE_RANK", "SPARKRUN_NODE_HOST",
    "SPARKRUN_NODE_ROLE", "SPARKRUN_IS_HEAD", "SPARKRUN_HEAD_HOST", "SPARKRUN_CONTAINER_NAME", "SPARKRUN_PORT",
    "SPARKRUN_HEAD_IP", "SPARKRUN_BASE_URL", "SPARKRUN_RUNTIME_CACHE_ENABLED", "SPARKRUN_RUNTIME_CACHE_DIR",
    "SPARKRUN_RUNTIME_CACHE_HOST_DIR", "SPARKRUN_RUNTIME_CACHE_HOST",
)  # fmt: skip
"""Their names; each command gets all of them, empty where it cannot have the value."""


def hook_env(
    request: PlanRequest, key: str, ready: ReadyCheck, *, rank: int | None, container: str, cache: str
) -> Mapping[str, str]:
    """The variables of a command of `key`. `rank` is None on the head host itself, and where no host is known.

    `cache` is the folder of the host that is mounted as the runtime cache, empty where none is.
    """
    rendered = request.rendered
    head = request.hosts[0]
    host: HostView | None = None
    role = "control"
    serves = key not in ("pre_exec", "mods")
    if rank is not None:
        host = request.hosts[rank]
        role = str(role_of(rank, len(request.hosts)))
    elif not serves:
        role = ""
    values = {
        "SPARKRUN_HOOK": "pre_exec" if key == "mods" else key,
        "SPARKRUN_CLUSTER_ID": request.launch_id,
        "SPARKRUN_RECIPE_NAME": rendered.recipe.name,
        "SPARKRUN_RUNTIME": rendered.recipe.runtime,
        "SPARKRUN_MODEL": _name(rendered.recipe.model),
        "SPARKRUN_MODEL_REVISION": _name(request.model_commit or rendered.recipe.model_revision),
        "SPARKRUN_MODEL_PATH": request.model_path if host is not None else "",
        "SPARKRUN_NUM_NODES": str(len(request.hosts)),
        "SPARKRUN_NODE_RANK": "" if rank is None else str(rank),
        "SPARKRUN_NODE_HOST": "" if host is None else host.name,
        "SPARKRUN_NODE_ROLE": role,
        "SPARKRUN_IS_HEAD": "1" if rank == 0 else "0",
        "SPARKRUN_HEAD_HOST": head.name,
        "SPARKRUN_CONTAINER_NAME": "" if host is None else container,
        "SPARKRUN_PORT": str(ready.port),
        "SPARKRUN_HEAD_IP": head.address if serves else "",
        "SPARKRUN_BASE_URL": f"http://{head.address}:{ready.port}/v1" if serves else "",
        "SPARKRUN_RUNTIME_CACHE_ENABLED": "1" if cache else "0",
        "SPARKRUN_RUNTIME_CACHE_DIR": RUNTIME_CACHE if cache and host is not None else "",
        "SPARKRUN_RUNTIME_CACHE_HOST_DIR": cache,
        "SPARKRUN_RUNTIME_CACHE_HOST": (host or head).name if cache else "",
    }
    return {name: values[name] for name in HOOK_VARIABLES}


def _name(text: str) -> str:
    """A name of the recipe; empty for a text that names nothing, which is an error of the recipe.

    Each command on each host gets a copy of it.
    """
    return text if len(text) <= MAX_PATH else ""
