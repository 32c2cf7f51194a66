"""More of the command line on real hosts: SGLang stopped from elsewhere, a killed program, and models on the Hub."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from cluster import Host
from cluster.generations import Generation, on, on_pairs
from fetching import ask

Run = Callable[..., subprocess.CompletedProcess[str]]

SMALL = ("--gpu-mem", "0.05")


def begin(*arguments: str) -> subprocess.Popen[str]:
    argv = [sys.executable, "-P", "-m", "sparkrun_tui", *arguments]
    return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def read_until(process: subprocess.Popen[str], words: str, seconds: float = 90) -> None:
    assert process.stdout is not None
    deadline = time.monotonic() + seconds
    told = ""
    for line in process.stdout:
        told += line
        if words in line:
            return
        assert time.monotonic() < deadline, told
    raise AssertionError(f"it ended without {words!r}:\n{told}")


@on_pairs
def test_sglang_on_two_hosts_stopped_from_elsewhere(hosts: list[Host], sparkrun: Run, recipes: Path) -> None:
    both = ",".join(host.name for host in hosts)
    following = begin("run", str(recipes / "tiny-sglang.yaml"), "--tp", "2", *SMALL, "-H", both, "--follow")
    read_until(following, "serves tiny at")
    body = {"model": "tiny", "prompt": "Hi", "max_tokens": 3}
    assert ask(hosts[0], "/v1/completions", body)[0] == 200
    stopped = sparkrun("stop", "tiny-sglang", "-H", both)
    assert stopped.returncode == 0, stopped.stderr
    told, _ = following.communicate(timeout=60)
    assert following.returncode == 0, told
    assert "stopped: " in told
    assert [host.containers() for host in hosts] == [[], []]


def test_a_killed_program_leaves_a_workload_that_can_be_found_and_stopped(
    hosts: list[Host], sparkrun: Run, recipes: Path
) -> None:
    both = ",".join(host.name for host in hosts)
    running = begin("run", str(recipes / "tiny-vllm-ranks.yaml"), *SMALL, "-H", both)
    read_until(running, "start ok")
    running.kill()
    running.communicate()
    deadline = time.monotonic() + 60
    health = ""
    while health != "serving" and time.monotonic() < deadline:
        (found,) = json.loads(sparkrun("status", "-H", both, "--json").stdout)["workloads"]
        health = found["health"]
    assert health == "serving"
    assert sparkrun("ask", "tiny-vllm-ranks", "-H", both).returncode == 0
    assert sparkrun("stop", "tiny-vllm-ranks", "-H", both).returncode == 0
    assert [host.containers() for host in hosts] == [[], []]


def test_a_recipe_is_started_from_what_the_hub_says(sparkrun: Run, tmp_path: Path) -> None:
    target = tmp_path / "started.yaml"
    done = sparkrun("recipe", "new", "tiny-lab/tiny-chat", "--output", str(target))
    assert done.returncode == 0, done.stderr
    text = target.read_text()
    assert "num_layers: " in text
    assert "model_dtype: bf16" in text
    assert sparkrun("recipe", "validate", str(target)).returncode == 0
    sized = sparkrun("recipe", "vram", str(target), "--json")
    assert json.loads(sized.stdout)["weights_bytes"] > 0


@on(*Generation)
def test_a_cluster_is_saved_and_checked(hosts: list[Host], sparkrun: Run) -> None:
    assert sparkrun("cluster", "add", "lab", *(host.name for host in hosts)).returncode == 0
    done = sparkrun("cluster", "check", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [(host["host"], host["docker_access"]) for host in found] == [(host.name, "ok") for host in hosts]
    assert [host["address"] for host in found] == [host.ip for host in hosts]
