"""`models` and `images` on real hosts: what a running workload keeps, what is cut off, and what goes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cluster import Host
from cluster.workstation import Workstation

Run = Callable[..., subprocess.CompletedProcess[str]]

MODEL, IMAGE = "tiny-lab/tiny-chat", "spark-tests/vllm:1"
FOLDER = ".cache/huggingface/hub/models--tiny-lab--tiny-chat"
ONE_FILE = f"$(ls ~/{FOLDER}/snapshots/*/model-00001-of-00002.safetensors)"


def by_host(listed: dict[str, Any], kind: str, name: str) -> dict[str, dict[str, Any]]:
    """What each host has of a model or an image."""
    (found,) = [thing for thing in listed[kind] if thing[kind.removesuffix("s")] == name]
    return {on["host"]: on for on in found["on"]}


def as_user(host: Host, command: str) -> str:
    """Run a command as the user who logs in."""
    done = subprocess.run(["ssh", host.name, command], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout


def test_what_is_used_stays_and_what_went_is_gone(
    hosts: list[Host], sparkrun: Run, recipes: Path, workstation: Workstation
) -> None:
    both = ("-H", ",".join(host.name for host in hosts))
    for host in hosts:
        # Other tests may have left another build under this name: both hosts pull it anew.
        as_user(host, f"docker image rm -f {IMAGE} >/dev/null 2>&1 || true")
    started = sparkrun("run", str(recipes / "tiny-vllm-ranks.yaml"), "--gpu-mem", "0.05", *both)
    assert started.returncode == 0, started.stderr

    listed = json.loads(sparkrun("models", *both, "--json").stdout)
    on = by_host(listed, "models", MODEL)
    assert set(on) == {hosts[0].name, hosts[1].name, "workstation"}
    sizes = {host: model["size"] for host, model in on.items()}
    assert min(sizes.values()) > 4 << 20 and max(sizes.values()) - min(sizes.values()) < 1 << 20
    for host in hosts:
        assert [use["kind"] for use in on[host.name]["used_by"] if use["holds"]] == ["container"]
        assert as_user(host, f"ls ~/{FOLDER}/snapshots").strip() == on[host.name]["revisions"][0]["commit"]
    assert set(by_host(json.loads(sparkrun("images", *both, "--json").stdout), "images", IMAGE)) >= {
        host.name for host in hosts
    }

    verified = sparkrun("models", "verify", *both)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert verified.stdout.count("and the Hub's list") == 3
    images = json.loads(sparkrun("images", "verify", IMAGE, *both, "--json").stdout)["checked"]
    assert {checked["detail"] for checked in images if checked["host"] != "workstation"} == {"as the registry has it"}

    refused = sparkrun("models", "prune", MODEL, *both, "--dry-run")
    assert refused.returncode == 1 and refused.stdout.count("stays: container") == 2
    assert sparkrun("images", "prune", IMAGE, *both, "--dry-run").stdout.count("stays: container") == 2

    assert sparkrun("stop", "tiny-vllm-ranks", *both).returncode == 0
    as_user(hosts[0], f"touch -d '2 hours ago' ~/{FOLDER}/blobs/left.incomplete")
    as_user(hosts[1], f"truncate -s 1000 {ONE_FILE}")
    verified = sparkrun("models", "verify", *both)
    assert verified.returncode == 1
    assert f"✗ {hosts[1].name}: {MODEL} faulty" in verified.stdout and "model-00001-of" in verified.stdout
    pruned = sparkrun("models", "prune", *both, "--yes")
    assert pruned.returncode == 0 and f"{hosts[0].name}: unfinished download of {MODEL}" in pruned.stdout
    assert "left.incomplete" not in as_user(hosts[0], f"ls ~/{FOLDER}/blobs")

    gone = sparkrun("models", "prune", MODEL, *both, "--yes")
    assert gone.returncode == 0, gone.stdout + gone.stderr
    assert gone.stdout.count(": gone") == 3
    for host in hosts:
        assert "models--" not in as_user(host, "ls ~/.cache/huggingface/hub")
        assert "lock" not in as_user(host, "ls ~/.cache/sparkrun-tui").split()
    assert sparkrun("images", "prune", IMAGE, *both, "--yes").returncode == 0
    assert IMAGE not in hosts[0].docker("images", "--format", "{{.Repository}}:{{.Tag}}")


def test_what_is_being_transferred_stays(hosts: list[Host], sparkrun: Run) -> None:
    on = ("-H", hosts[0].name)
    as_user(hosts[0], f"mkdir -p ~/{FOLDER}/blobs && touch ~/{FOLDER}/blobs/now.incomplete")
    told = sparkrun("models", "prune", MODEL, *on, "--yes")
    assert told.returncode == 1 and "it is being downloaded" in told.stdout
    assert "now.incomplete" in as_user(hosts[0], f"ls ~/{FOLDER}/blobs")
