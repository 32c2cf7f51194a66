"""The image for the real vLLM: Debian's Python and the commands, which find vLLM itself in the mounted folder."""

from __future__ import annotations

from pathlib import Path

from cluster.images import base_layer
from cluster.layers import Layer, LayerCache
from cluster.registry import Image
from real_engines.vllm_cpu import IN_CONTAINER, VERSION, VllmCpu, suite

PACKAGES = (
    "python3", "base-files", "bash", "dash", "coreutils", "findutils", "grep", "sed", "procps", "hostname", "iproute2",
    # The CPU worker reads lscpu; torch is linked with the libraries.
    "util-linux", "libnuma1", "libgomp1", "libstdc++6",
)  # fmt: skip

COMMANDS = {"vllm": "vllm.entrypoints.cli.main", "ray": "ray.scripts.scripts"}
"""Commands, and the module whose `main` each calls."""

_COMMAND = """\
#!{python}
import sys

from {module} import main

# Processes that it starts import this file again.
if __name__ == "__main__":
    sys.exit(main())
"""


def vllm_image(cache: LayerCache, installed: VllmCpu) -> Image:
    """`spark-tests/vllm-cpu`, for containers with the folder mounted at IN_CONTAINER. Needs the Debian mirror."""
    environment = {
        "HOME": "/root",
        "LANG": "C.UTF-8",
        "PYTHONPATH": f"{IN_CONTAINER}/added",
        "OMP_NUM_THREADS": "1",
        # The image has no compiler, and a part of the sharded model would be compiled in eager mode too.
        "TORCHDYNAMO_DISABLE": "1",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "VLLM_NO_USAGE_STATS": "1",
    }
    layers = (cache.debian(suite(), PACKAGES), base_layer(cache), _commands(cache, installed))
    return Image("spark-tests/vllm-cpu", VERSION, layers, environment, ("bash",))


def _commands(cache: LayerCache, installed: VllmCpu) -> Layer:
    """The commands, and the metadata of Ray, which the program under test reads in a container without mounts."""
    python = f"{IN_CONTAINER}/{installed.python.relative_to(installed.folder)}"
    members: dict[str, bytes | Path] = {}
    for name, module in COMMANDS.items():
        members[f"usr/local/bin/{name}"] = _COMMAND.format(python=python, module=module).encode()
    programs = frozenset(members)
    (ray,) = installed.packages.glob("ray-*.dist-info")
    members[f"usr/lib/python3/dist-packages/{ray.name}/METADATA"] = ray / "METADATA"
    return cache.files(members, programs)
