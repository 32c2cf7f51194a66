"""vLLM on real hosts through the command line: over Ray, failing, crashing in service, followed, and let go."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cluster import Host
from cluster.generations import on_both, on_pairs
from fetching import ask

Run = Callable[..., subprocess.CompletedProcess[str]]

SMALL = ("--gpu-mem", "0.05")
"""Little memory, since these hosts are parts of one small machine."""


@pytest.fixture
def both(hosts: list[Host]) -> str:
    """The option's value for both hosts."""
    return ",".join(host.name for host in hosts)


def behaving(recipes: Path, where: Path, mode: str, name: str = "tiny-vllm") -> str:
    """A copy of a recipe whose engine behaves as `mode` says."""
    text = (recipes / f"{name}.yaml").read_text()
    copy = where / f"{name}.yaml"
    copy.write_text(f'{text}\nenv:\n  STANDIN_MODE: "{mode}"\n')
    return str(copy)


def only_workload(sparkrun: Run, hosts: str) -> dict[str, Any]:
    told = sparkrun("status", "-H", hosts, "--json")
    (found,) = json.loads(told.stdout)["workloads"]
    return dict(found)


def begin(*arguments: str) -> subprocess.Popen[str]:
    """The program left running, its output to be read from pipes."""
    argv = [sys.executable, "-u", "-P", "-m", "sparkrun_tui", *arguments]
    return subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
    )


def read_until(process: subprocess.Popen[str], text: str, seconds: float = 90) -> list[str]:
    """Lines of its output up to the first with `text` in it."""
    assert process.stdout is not None
    lines: list[str] = []
    deadline = time.monotonic() + seconds
    for line in process.stdout:
        lines.append(line)
        if text in line:
            return lines
        assert time.monotonic() < deadline, "".join(lines)
    pytest.fail(f"it ended without {text!r}:\n{''.join(lines)}{process.communicate()[1]}")


def eventually(condition: Callable[[], bool], seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


@on_pairs
def test_vllm_serves_on_two_hosts_through_ray(hosts: list[Host], both: str, sparkrun: Run, recipes: Path) -> None:
    done = sparkrun("run", str(recipes / "tiny-vllm.yaml"), "--tp", "2", *SMALL, "-H", both)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"ready: http://{hosts[0].ip}:8000/v1 (model tiny)" in done.stdout
    assert [len(host.containers()) for host in hosts] == [1, 1]
    status, answer = ask(hosts[0], "/v1/completions", {"model": "tiny", "prompt": "Hi", "max_tokens": 3})
    assert (status, answer["model"]) == (200, "tiny")

    found = only_workload(sparkrun, both)
    assert (found["health"], found["expected_ranks"]) == ("serving", 2)
    assert [rank["role"] for rank in found["ranks"]] == ["head", "worker"]

    logs = sparkrun("logs", "tiny-vllm", "-H", both)
    assert {line.partition(":")[0] for line in logs.stdout.splitlines()} == {host.name for host in hosts}
    worker = sparkrun("logs", "tiny-vllm", "-H", both, "--host", hosts[1].name)
    assert worker.stdout and not worker.stdout.startswith(f"{hosts[1].name}: ")

    stopped = sparkrun("stop", found["launch_id"], "-H", both)
    assert stopped.returncode == 0, stopped.stderr
    assert [host.containers() for host in hosts] == [[], []]


def test_a_cache_that_does_not_fit_is_diagnosed_and_cleaned_up(
    hosts: list[Host], both: str, sparkrun: Run, recipes: Path, tmp_path: Path
) -> None:
    recipe = behaving(recipes, tmp_path, "kv")
    done = sparkrun("run", recipe, *SMALL, "-H", both)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "KV cache" in done.stderr
    assert "  > " in done.stderr
    assert "try: -o " in done.stderr
    assert hosts[0].containers() == []
    logs = sparkrun("logs", "tiny-vllm", "-H", both)
    assert logs.returncode == 0, logs.stderr
    assert "KV cache" in logs.stdout
    assert "last known state: failed" in logs.stderr


@on_both
def test_a_crash_in_service_is_seen_though_its_exit_code_is_zero(
    hosts: list[Host], both: str, sparkrun: Run, recipes: Path, tmp_path: Path
) -> None:
    recipe = behaving(recipes, tmp_path, "crash_after:3")
    done = sparkrun("run", recipe, *SMALL, "-H", both)
    assert done.returncode == 0, done.stdout + done.stderr
    assert eventually(lambda: only_workload(sparkrun, both)["health"] == "exited")
    found = only_workload(sparkrun, both)
    assert found["detail"] == "ended with exit code 0"
    logs = sparkrun("logs", found["launch_id"], "-H", both)
    assert "EngineDeadError" in logs.stdout or "EngineCore" in logs.stdout
    assert sparkrun("ask", found["launch_id"], "-H", both).returncode == 1
    assert sparkrun("stop", found["launch_id"], "-H", both).returncode == 0
    assert hosts[0].containers() == []


def test_following_tells_of_a_crash_and_how_it_came(
    hosts: list[Host], both: str, sparkrun: Run, recipes: Path, tmp_path: Path
) -> None:
    recipe = behaving(recipes, tmp_path, "crash_after:3")
    done = sparkrun("run", recipe, *SMALL, "-H", both, "--follow")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "failed" in done.stdout
    assert hosts[0].containers() == []


def test_leaving_and_coming_back_to_its_logs(hosts: list[Host], both: str, sparkrun: Run, recipes: Path) -> None:
    running = begin("run", str(recipes / "tiny-vllm.yaml"), *SMALL, "-H", both, "--follow")
    read_until(running, "serves tiny at")
    running.send_signal(signal.SIGHUP)
    assert running.wait(30) == 0
    running.communicate()
    assert only_workload(sparkrun, both)["health"] == "serving"

    again = begin("logs", "tiny-vllm", "-f", "-H", both)
    lines = read_until(again, "Application startup complete")
    assert len(lines) == len(set(lines)) or len(lines) > 5
    ask(hosts[0], "/v1/completions", {"model": "tiny", "prompt": "Hi", "max_tokens": 3})
    again.send_signal(signal.SIGINT)
    assert again.wait(30) == 0
    again.communicate()
    assert only_workload(sparkrun, both)["health"] == "serving"
    assert sparkrun("stop", "tiny-vllm", "-H", both).returncode == 0


def test_ctrl_c_cancels_and_leaves_nothing(
    hosts: list[Host], both: str, sparkrun: Run, recipes: Path, tmp_path: Path
) -> None:
    recipe = behaving(recipes, tmp_path, "hang")
    running = begin("run", recipe, *SMALL, "-H", both)
    read_until(running, "load ...")
    running.send_signal(signal.SIGINT)
    _, told = running.communicate(timeout=60)
    assert running.returncode == 130, told
    assert "cancelling after" in told
    assert hosts[0].containers() == []


def test_a_lost_link_is_neither_success_nor_failure(hosts: list[Host], both: str, sparkrun: Run, recipes: Path) -> None:
    done = sparkrun("run", str(recipes / "tiny-vllm.yaml"), "--tp", "2", *SMALL, "-H", both)
    assert done.returncode == 0, done.stdout + done.stderr
    hosts[1].faults.link_down()
    told = sparkrun("status", "-H", both)
    assert told.returncode == 3
    assert "cannot be asked" in told.stdout
    stopped = sparkrun("stop", "tiny-vllm", "-H", both)
    assert stopped.returncode == 3, stopped.stdout + stopped.stderr
    assert f"not known on {hosts[1].name}" in stopped.stdout
    assert hosts[0].containers() == []
    refused = sparkrun("run", str(recipes / "tiny-vllm.yaml"), "--tp", "2", *SMALL, "-H", both)
    assert refused.returncode == 3
    hosts[1].faults.link_up()
    assert eventually(lambda: sparkrun("stop", "tiny-vllm", "-H", both).returncode == 0)
    assert hosts[1].containers() == []


def test_a_second_ctrl_c_does_not_wait_for_a_silent_host(
    hosts: list[Host], both: str, sparkrun: Run, recipes: Path, tmp_path: Path
) -> None:
    recipe = behaving(recipes, tmp_path, "hang")
    running = begin("run", recipe, "--tp", "2", *SMALL, "-H", both)
    read_until(running, "load ...")
    hosts[1].faults.link_down()
    running.send_signal(signal.SIGINT)
    read_until(running, "cancelling")
    running.send_signal(signal.SIGINT)
    out, told = running.communicate(timeout=30)
    assert running.returncode == 130, told
    assert "forcing" in told
    assert f"containers may be left on {hosts[1].name}" in out
    assert hosts[0].containers() == []
    hosts[1].faults.link_up()
    assert eventually(lambda: sparkrun("stop", "tiny-vllm", "-H", both).returncode == 0)
    assert hosts[1].containers() == []


def test_sigterm_lets_go_of_a_launch_that_is_starting(
    hosts: list[Host], both: str, sparkrun: Run, recipes: Path, tmp_path: Path
) -> None:
    recipe = behaving(recipes, tmp_path, "hang")
    running = begin("run", recipe, *SMALL, "-H", both)
    read_until(running, "load ...")
    running.send_signal(signal.SIGTERM)
    _, told = running.communicate(timeout=30)
    assert running.returncode == 130, told
    assert "detached before it was ready" in told
    found = only_workload(sparkrun, both)
    assert found["health"] == "starting"
    assert sparkrun("stop", found["launch_id"], "-H", both).returncode == 0
    assert hosts[0].containers() == []
