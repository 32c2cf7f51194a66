"""What the tests of engines have in common: getting a model onto hosts by plain means, and asking an endpoint."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from cluster import Host
from cluster.workstation import Workstation

ENGINE_OPTIONS = [
    "--gpus", "all", "--network", "host", "--ipc", "host", "--shm-size", "10.24gb", "--ulimit", "memlock=-1",
    "--volume", "/root/.cache/huggingface:/root/.cache/huggingface",
]  # fmt: skip
"""How an engine's container is started by hand."""


def download(repository: str, pattern: str = "*") -> Path:
    """The real huggingface_hub, in a process of its own because it reads its environment when imported."""
    code = "import sys, huggingface_hub as hub; print(hub.snapshot_download(sys.argv[1], allow_patterns=sys.argv[2]))"
    done = subprocess.run(
        [sys.executable, "-c", code, repository, pattern], capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return Path(done.stdout.strip().splitlines()[-1])


def give_model(workstation: Workstation, hosts: Iterable[Host], repository: str, pattern: str = "*") -> None:
    """Download on the workstation, rsync to each host."""
    download(repository, pattern)
    source = workstation.home / ".cache/huggingface/hub"
    for host in hosts:
        options = ["-a", "--rsh=ssh -o BatchMode=yes -o ConnectTimeout=10"]
        command = ["rsync", *options, f"{source}/", f"{host.name}:/root/.cache/huggingface/hub"]
        try:
            subprocess.run(command, check=True, timeout=60)
        except subprocess.TimeoutExpired:
            pytest.fail(f"rsync to {host.name} hangs\n{_network_of_both(host)}\n{host.logs()}")


def _network_of_both(host: Host) -> str:
    """Connections and neighbours as the workstation and as the host see them."""
    script = "ss -tnpi; ip neigh; ps -ef f | tail -n 30"
    here = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False).stdout
    return f"--- workstation\n{here}\n--- {host.name}\n{host.run(script, check=False)}"


def ask(host: Host, path: str, body: object = None, port: int = 8000, timeout: float = 30) -> tuple[int, Any]:
    """Status and answer of an endpoint; 0 when nobody listens."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        f"http://{host.ip}:{port}{path}", data, {"Content-Type": "application/json"} if data else {}
    )
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            text, status = answer.read().decode(), answer.status
    except urllib.error.HTTPError as error:
        text, status = error.read().decode(), error.code
    except (urllib.error.URLError, ConnectionError):
        return 0, None
    try:
        return status, json.loads(text)
    except ValueError:
        return status, text


def wait_for(host: Host, path: str, status: int, port: int = 8000, seconds: float = 60) -> None:
    """Wait until an endpoint answers with `status`."""
    deadline = time.monotonic() + seconds
    while ask(host, path, port=port)[0] != status:
        if time.monotonic() > deadline:
            logs = "\n".join(f"--- {name}\n{host.run('docker', 'logs', name)}" for name in host.containers())
            raise TimeoutError(f"{host.name}:{port}{path} is not {status}\n{logs[-5000:]}")
        time.sleep(0.1)


def logs(host: Host, container: str) -> str:
    """Both streams of a container's log."""
    return host.run(f"docker logs {container} 2>&1")


def wait_until_exited(host: Host, container: str, seconds: float = 40) -> int:
    """Wait for a container's end; its exit code."""
    return int(host.docker("wait", container, timeout=seconds))
