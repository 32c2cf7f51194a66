"""The images that the tests launch: a tiny one, a real llama-server, and the stand-in for vLLM, Ray and SGLang."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from cluster.layers import Layer, LayerCache
from cluster.registry import Image

STANDIN = Path(__file__).parent.parent / "standin"
PYTHON_SUITE = "bookworm"
PYTHON_PACKAGES = ("python3", "base-files", "bash", "dash", "coreutils", "grep", "sed", "procps", "iproute2")
LLAMA_SUITE = "sid"
"""llama.cpp is packaged there only; it brings its own libc, which is why it is in an image."""

LLAMA_PACKAGES = ("llama.cpp-tools", "base-files", "bash", "dash", "coreutils", "findutils", "grep", "sed")

_BUSYBOX_PROGRAMS = (
    "sh",
    "cat",
    "echo",
    "env",
    "false",
    "id",
    "ip",
    "ls",
    "sleep",
    "test",
    "true",
    "ulimit",
    "wc",
    "yes",
)


@dataclass(frozen=True, slots=True)
class Images:
    """All images of the tests, ready to push."""

    busybox: Image
    """`spark-tests/busybox:1`, 1 MB: for whatever only needs a container."""

    llama: Image
    """`spark-tests/llama-cpp:1`: Debian's llama-server."""

    standin: Image
    """`spark-tests/vllm:1`: `vllm`, `ray` and `python3 -m sglang.launch_server`, all of them pretending."""

    def all(self) -> tuple[Image, ...]:
        """Every image."""
        return (self.busybox, self.llama, self.standin)


def prepare(cache: LayerCache) -> Images:
    """Build the layers that the cache lacks. Needs the Debian mirror, so: before joining the cluster's network."""
    base = base_layer(cache)
    home = {"HOME": "/root"}
    return Images(
        busybox=Image("spark-tests/busybox", "1", (base, _busybox_layer(cache)), home, ("sh",)),
        llama=Image(
            "spark-tests/llama-cpp",
            "1",
            (cache.debian(LLAMA_SUITE, LLAMA_PACKAGES), base),
            # On a busy machine the default of one thread per core is a hundred times slower.
            home | {"LLAMA_ARG_THREADS": "1"},
            ("bash",),
        ),
        standin=Image(
            "spark-tests/vllm",
            "1",
            (cache.debian(PYTHON_SUITE, PYTHON_PACKAGES), base, _standin_layer(cache)),
            home | {"PYTHONDONTWRITEBYTECODE": "1"},
            ("bash",),
        ),
    )


def base_layer(cache: LayerCache) -> Layer:
    """What unpacking packages does not make: a root user and the directories that programs count on."""
    return cache.files(
        {
            "etc/passwd": b"root:x:0:0:root:/root:/bin/bash\n",
            "etc/group": b"root:x:0:\n",
            "root/": b"",
            "run/": b"",
            "tmp/": b"",
        }
    )


def _busybox_layer(cache: LayerCache) -> Layer:
    program = shutil.which("busybox") or "/bin/busybox"
    members: dict[str, bytes | Path] = {"bin/busybox": Path(program)}
    for name in _BUSYBOX_PROGRAMS:
        members[f"bin/{name}"] = f'#!/bin/busybox sh\nexec /bin/busybox {name} "$@"\n'.encode()
    members["bin/sh"] = Path(program)
    return cache.files(members, frozenset(members))


def _standin_layer(cache: LayerCache) -> Layer:
    """The commands go to /usr/local/bin, the modules where Debian's Python looks."""
    members: dict[str, bytes | Path] = {}
    programs = set()
    for source in sorted(STANDIN.rglob("*")):
        relative = source.relative_to(STANDIN)
        if not source.is_file() or any(part.startswith((".", "__pycache__")) for part in relative.parts):
            continue
        if relative.parts[0] == "bin":
            name = f"usr/local/bin/{source.name}"
            programs.add(name)
        else:
            name = f"usr/lib/python3/dist-packages/{relative}"
        members[name] = source
    return cache.files(members, frozenset(programs))
