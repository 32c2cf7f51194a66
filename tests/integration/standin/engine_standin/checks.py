"""What a launcher must have provided: a GPU, the model's files, addresses that are this host's, shared memory."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

MIN_SHARED_MEMORY = 2**30


class Refused(Exception):
    """The start fails with this text."""


def cache_directory() -> Path:
    """The Hugging Face cache as the real libraries find it."""
    home = os.environ.get("HF_HOME")
    base = Path(home) if home else Path(os.path.expanduser("~")) / ".cache/huggingface"
    return Path(os.environ.get("HF_HUB_CACHE") or base / "hub")


def find_model(model: str) -> Path:
    """The directory of the model's files; raises `Refused` with the libraries' own words where it is not complete."""
    if model.startswith(("/", ".")):
        directory = Path(model)
        if not directory.is_dir():
            raise Refused(
                "huggingface_hub.errors.HFValidationError: Repo id must be in the form 'repo_name' or "
                f"'namespace/repo_name': '{model}'."
            )
    else:
        directory = _snapshot(model)
    for name in _needed_files(directory):
        if not (directory / name).is_file():  # a dangling link is missing too
            raise Refused(f"FileNotFoundError: Weight files referenced in index but missing: {{'{name}'}}")
    return directory


def _snapshot(model: str) -> Path:
    repository = cache_directory() / f"models--{model.replace('/', '--')}"
    reference = repository / "refs/main"
    snapshot = repository / "snapshots" / (reference.read_text().strip() if reference.is_file() else "none")
    if (snapshot / "config.json").is_file():
        return snapshot
    if os.environ.get("HF_HUB_OFFLINE") == "1":
        raise Refused(
            "huggingface_hub.errors.LocalEntryNotFoundError: Cannot find an appropriate cached snapshot folder for the "
            "specified revision on the local disk and outgoing traffic has been disabled."
        )
    raise Refused(
        "OSError: We couldn't connect to 'https://huggingface.co' to load the files, and couldn't find them in the "
        f"cached files. ({model} in {repository})"
    )


def _needed_files(directory: Path) -> list[str]:
    index = directory / "model.safetensors.index.json"
    if index.is_file():
        return sorted(set(json.loads(index.read_text())["weight_map"].values()))
    shards = sorted(path.name for path in directory.glob("*.safetensors"))
    return shards or ["model.safetensors"]


def shards(directory: Path) -> list[Path]:
    """The weight files."""
    return [directory / name for name in _needed_files(directory)]


def configuration(directory: Path) -> dict[str, Any]:
    """The model's config.json."""
    found: dict[str, Any] = json.loads((directory / "config.json").read_text())
    return found


def has_gpu() -> bool:
    """Whether the container was given a GPU: then Docker put nvidia-smi into it."""
    program = shutil.which("nvidia-smi")
    return program is not None and subprocess.run([program, "-L"], capture_output=True, check=False).returncode == 0


def own_address() -> str:
    """VLLM_HOST_IP, which must be set over several hosts and must be an address of this host."""
    address = os.environ.get("VLLM_HOST_IP", "")
    if not address:
        raise Refused("RuntimeError: engine stand-in: VLLM_HOST_IP is not set, and this runs over several hosts")
    try:
        with socket.socket() as probe:
            probe.bind((address, 0))
    except OSError as error:
        raise Refused(f"RuntimeError: engine stand-in: VLLM_HOST_IP={address} is not this host's: {error}") from error
    return address


def check_shared_memory() -> None:
    """NCCL needs more than Docker's 64 MB."""
    size = shutil.disk_usage("/dev/shm").total
    if size < MIN_SHARED_MEMORY:
        raise Refused(f"RuntimeError: engine stand-in: /dev/shm holds {size >> 20} MiB; start with --ipc host")


def call_record(model: str, directory: Path, arguments: list[str]) -> dict[str, Any]:
    """How this process was called, for tests to ask for; tokens are only said to be there."""
    prefixes = ("VLLM_", "NCCL_", "HF_", "RAY_", "STANDIN_", "GLOO_", "TP_", "SGLANG_", "UCX_")
    shown = {name: value for name, value in os.environ.items() if name.startswith(prefixes)}
    for name in shown:
        if "TOKEN" in name:
            shown[name] = "(set)"
    return {
        "arguments": arguments,
        "environment": shown,
        "model": model,
        "directory": str(directory),
        "host": socket.gethostname(),
        "pid": os.getpid(),
    }
