"""A temporary environment with one release of an engine, as far as its planning code needs it.

Compiled modules of the engine are not unpacked: nothing here has a GPU. Packages that the judge replaces are not
installed. Needs a package index and about 2 GB of disk.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TORCH = "2.13.0"
"""Shapes need no particular PyTorch. pip takes a CPU build of it where one is at hand."""

BINARIES = (".so", ".cubin", ".cu", ".a", ".pyd")

LEFT_OUT = frozenset(
    {
        "apache-tvm-ffi",
        "av",
        "blobfile",
        "build",
        "cuda-python",
        "cuda-tile",
        "datasets",
        "decord2",
        "deepseek-recipe",
        "fastsafetensors",
        "flash-attn-4",
        "flashinfer-cubin",
        "flashinfer-python",
        "helion",
        "humming-kernels",
        "instanttensor",
        "ipython",
        "kernels",
        "llguidance",
        "lm-format-enforcer",
        "mcp",
        "modelscope",
        "ninja",
        "numba",
        "nvidia-cudnn-frontend",
        "nvidia-cutlass-dsl",
        "nvshmem4py-cu13",
        "nvtx",
        "opentelemetry-exporter-otlp",
        "outlines",
        "outlines-core",
        "py-spy",
        "pynvvideocodec",
        "quack-kernels",
        "ray",
        "setuptools",
        "sgl-deep-ep",
        "sgl-deep-gemm",
        "sgl-flash-mla",
        "sglang-kernel",
        "smg-grpc-servicer",
        "soundfile",
        "tilelang",
        "timm",
        "tml-renderers",
        "tokenspeed-mla",
        "torch",
        "torch-memory-saver",
        "torchao",
        "torchaudio",
        "torchcodec",
        "torchvision",
        "triton",
        "xgrammar",
    }
)
"""Requirements that no plan depends on, or that only run on a GPU; the judges answer for them (`absent.py`)."""

ADDED = {"sglang": ("dill",)}
"""What an engine imports and gets through a requirement that is left out."""


class JudgeError(Exception):
    """A release could not be installed or judged; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Environment:
    """An installed release: its interpreter, and the names of its compiled modules."""

    python: Path
    compiled: list[str]


@contextmanager
def environment(package: str, version: str, torch: str = TORCH, kept: Path | None = None) -> Iterator[Environment]:
    """Install ``package==version`` without its compiled modules, and remove it afterwards.

    With ``kept`` the environment is made in that folder, used again when it is complete, and never removed.
    Raises `JudgeError` when pip fails.
    """
    folder = kept or Path(tempfile.mkdtemp(prefix=f"judge-{package}-{version}-"))
    done = folder / "installed.json"
    try:
        if not done.exists() or json.loads(done.read_text())["version"] != version:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            compiled = _install(folder, package, version, torch)
            done.write_text(json.dumps({"version": version, "compiled": compiled}))
        yield Environment(_python(folder), json.loads(done.read_text())["compiled"])
    finally:
        if kept is None:
            shutil.rmtree(folder, ignore_errors=True)


def _install(folder: Path, package: str, version: str, torch: str) -> list[str]:
    """Make the environment; returns the names of the compiled modules that were left out."""
    venv.create(folder / "env", with_pip=True)
    downloads = folder / "downloads"
    pip = [str(_python(folder)), "-m", "pip", "--disable-pip-version-check", "--no-input"]
    _run([*pip, "download", "--quiet", "--no-deps", "--dest", str(downloads), f"{package}=={version}"])
    (wheel,) = downloads.glob("*.whl")
    needed = [f"torch=={torch}", "setuptools<81", *ADDED.get(package, ()), *requirements(wheel)]
    listed = folder / "requirements.txt"
    listed.write_text("".join(f"{line}\n" for line in needed))
    _run([*pip, "install", "--quiet", "--no-cache-dir", "--requirement", str(listed)])
    (site,) = (folder / "env").glob("lib/python3*/site-packages")
    compiled = unpack(wheel, site)
    shutil.rmtree(downloads)
    return compiled


def requirements(wheel: Path) -> list[str]:
    """What a wheel requires without extras, but for `LEFT_OUT`."""
    with zipfile.ZipFile(wheel) as packed:
        name = next(name for name in packed.namelist() if name.endswith(".dist-info/METADATA"))
        lines = packed.read(name).decode().splitlines()
    found = []
    for line in lines:
        requirement = line.removeprefix("Requires-Dist: ")
        if requirement == line or "extra ==" in requirement:
            continue
        project = re.split(r"[ \[=<>!~;(]", requirement)[0].lower().replace("_", "-")
        if project not in LEFT_OUT and not project.startswith("nvidia-"):
            found.append(requirement)
    return found


def unpack(wheel: Path, folder: Path) -> list[str]:
    """Put a wheel's files into ``folder`` but for binaries; returns the names of the modules among those."""
    compiled = []
    with zipfile.ZipFile(wheel) as packed:
        for entry in packed.infolist():
            name = entry.filename
            if name.endswith(".so"):
                compiled.append(re.sub(r"(\.abi3|\.cpython-[^/]*)?\.so$", "", name).replace("/", "."))
            if not name.endswith(BINARIES) and ".so." not in name:
                packed.extract(entry, folder)
    return compiled


def _python(folder: Path) -> Path:
    return folder / "env/bin/python"


def _run(command: list[str]) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stdout + done.stderr)[-3000:]
        raise JudgeError(f"{' '.join(command[2:8])} failed:\n{said}\nNeeds {sys.platform} wheels on the package index.")
