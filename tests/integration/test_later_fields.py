"""Hooks and container options of a recipe, on real hosts: what they did is looked for where they did it."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cluster import Host
from cluster.generations import on_both
from cluster.workstation import Workstation
from fetching import ask

Run = Callable[..., subprocess.CompletedProcess[str]]

FIELDS = """
pre_exec:
  - |
    echo "it's {served_model_name} on $HOSTNAME" >/tmp/before
    cp /tmp/before /later/before
  - grep -q "it's tiny" /tmp/before
post_exec:
  - grep -q tiny /tmp/before && echo "{base_url} {container_name}" >/later/after
post_commands:
  - echo "{head_host} {head_ip} {port}" >"$HOME/notified"; echo told here
executor_config:
  shm_size: 10gb
  ulimit: ["nofile=1024:2048"]
  user: root
  volumes: ["~/later:/later", "/etc/hostname:/their-name:ro"]
  cap_add: [SYS_PTRACE]
  ipc: private
"""


@pytest.fixture
def recipe(recipes: Path, tmp_path: Path) -> Callable[[str], str]:
    """A recipe for vLLM with more fields, as a file: its path."""

    def write(fields: str) -> str:
        path = tmp_path / "later.yaml"
        path.write_text((recipes / "tiny-vllm.yaml").read_text() + fields)
        return str(path)

    return write


def test_every_field_does_what_it_says(
    hosts: list[Host], sparkrun: Run, recipe: Callable[[str], str], workstation: Workstation
) -> None:
    head, worker = hosts
    path = recipe(FIELDS)
    checked = sparkrun("recipe", "validate", path)
    assert checked.returncode == 0 and "not carried out" not in checked.stdout + checked.stderr
    targets = ("-H", f"{head.name},{worker.name}", "--tp", "2")
    dry = sparkrun("run", path, *targets, "--dry-run")
    assert '-v "$HOME"/later:/later' in dry.stdout and "--ulimit nofile=1024:2048" in dry.stdout
    assert "/later/after" in dry.stdout and "notified" in dry.stdout

    done = sparkrun("run", path, *targets, "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning" not in done.stdout, done.stdout
    assert ask(head, "/health")[0] == 200
    for host in hosts:
        (name,) = host.containers()
        assert "it's tiny on" in host.path("/root/later/before").read_text()
        settings = host.inspect(name)["HostConfig"]
        assert settings["ShmSize"] == 10 << 30 and settings["IpcMode"] == "private"
        assert {"Name": "nofile", "Soft": 1024, "Hard": 2048} in settings["Ulimits"]
        assert settings["CapAdd"] in (["SYS_PTRACE"], ["CAP_SYS_PTRACE"])
        assert host.docker("exec", name, "cat", "/their-name") == host.name
    (name,) = head.containers()
    assert head.path("/root/later/after").read_text() == f"http://{head.ip}:8000/v1 {name}\n"
    assert not worker.path("/root/later/after").exists()
    assert not (workstation.home / "notified").exists(), "nothing of a recipe runs here"
    assert head.path("/root/notified").read_text() == f"{head.name} {head.ip} 8000\n"
    logs = sparkrun("logs", "later", "-H", head.name).stdout
    assert "pre_exec 1 of 2 (later.yaml:" in logs, logs
    state = workstation.home / ".local/state"
    assert any("told here" in file.read_text() for file in state.rglob("*.log")), list(state.rglob("*"))
    kept = [json.loads(file.read_text()) for file in state.rglob("measured/*.json")]
    assert any(isinstance(item, list) and item[0]["host"] == head.name for item in kept), "figures of the engine's log"
    assert sparkrun("stop", "later", "-H", f"{head.name},{worker.name}").returncode == 0


def test_a_failing_first_command_fails_the_launch_and_is_named(
    hosts: list[Host], sparkrun: Run, recipe: Callable[[str], str]
) -> None:
    path = recipe("pre_exec:\n  - echo first\n  - echo cannot find it >&2; exit 3\n")
    done = sparkrun("run", path, "-H", hosts[0].name, "--yes")
    assert done.returncode == 1
    told = done.stdout + done.stderr
    assert "pre_exec 2 of 2 (later.yaml:" in told and "exit code 3" in told and "cannot find it" in told
    assert hosts[0].containers() == []


def test_a_failing_last_command_is_a_warning(hosts: list[Host], sparkrun: Run, recipe: Callable[[str], str]) -> None:
    path = recipe("post_exec: [echo looking, exit 4]\npost_commands: [touch never]\n")
    done = sparkrun("run", path, "-H", hosts[0].name, "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "post_exec 2 of 2" in done.stdout and "exit code 4" in done.stdout
    assert "not run because of that: post_commands" in done.stdout
    assert ask(hosts[0], "/health")[0] == 200
    assert sparkrun("stop", "later", "-H", hosts[0].name).returncode == 0


@on_both
def test_a_launch_that_is_kept_serves_again_after_a_power_cut(
    hosts: list[Host], sparkrun: Run, recipe: Callable[[str], str]
) -> None:
    head = hosts[0]
    done = sparkrun("run", recipe(""), "-H", head.name, "--keep", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    (name,) = head.containers()
    assert head.inspect(name)["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"
    head.power_cut()
    head.power_on()
    deadline = time.monotonic() + 60
    while _health(head) != 200:
        assert time.monotonic() < deadline, head.docker("logs", name)
        time.sleep(0.5)
    (workload,) = json.loads(sparkrun("status", "-H", head.name, "--json").stdout)["workloads"]
    assert workload["health"] == "serving"
    assert sparkrun("stop", "later", "-H", head.name).returncode == 0
    assert head.containers() == []


def test_a_server_that_docker_starts_again_and_again_is_named_and_stopped(
    hosts: list[Host], sparkrun: Run, recipe: Callable[[str], str]
) -> None:
    head = hosts[0]
    assert sparkrun("run", recipe(""), "-H", head.name, "--keep", "--yes").returncode == 0
    (name,) = head.containers()
    deadline = time.monotonic() + 60
    while head.inspect(name)["RestartCount"] < 4:
        # Docker counts a process that dies by itself, and waits twice as long each time.
        process = head.inspect(name)["State"]["Pid"]
        if process:
            # It is 0 between two starts, and that would mean everything in our own group.
            head.run("kill", "-9", str(process), check=False)
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert sparkrun("stop", "later", "-H", head.name).returncode == 0
    assert head.containers() == []


def _health(host: Host) -> int:
    """The status of the server's health page; 0 while nothing answers."""
    try:
        return int(ask(host, "/health")[0])
    except OSError:
        return 0
