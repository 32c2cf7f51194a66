"""Secrets on real hosts: in no list of processes, in nothing that Docker tells, and in no log that is read later."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from cluster import Host
from test_cli_vllm import SMALL, begin, eventually, only_workload

Run = Callable[..., subprocess.CompletedProcess[str]]

KEY = "canary-key-Zq8vT3"
SETTING = "canary-setting-Zq8vT3"
WRITTEN = "canary-written-Zq8vT3"
TOKEN = "canary-hub-Zq8vT3"
CANARIES = (KEY, SETTING, WRITTEN, TOKEN)


def keyed(recipes: Path, where: Path) -> str:
    """A copy of the tests' recipe with a key, a token and a hook that prints all that its container was given."""
    text = (recipes / "tiny-vllm.yaml").read_text()
    text = text.replace("--port {port}", "--port {port} --api-key {api_key}")
    text += f"\nenv:\n  SERVICE_TOKEN: {WRITTEN}\n  HF_TOKEN: $HF_TOKEN\n"
    text += 'pre_exec:\n  - env | cut -d= -f2-\n  - echo "{other_secret}" >/dev/null\n'
    copy = where / "keyed.yaml"
    copy.write_text(text)
    return str(copy)


def processes(host: Host) -> str:
    """The arguments of every process of a host, its containers' too."""
    return host.run("cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\n\\0' ' \\n'; true")


def own_processes() -> str:
    """The list of processes of the workstation, as everybody on it sees it."""
    return subprocess.run(["ps", "-ef", "-ww"], capture_output=True, text=True, check=True).stdout


def leaked(text: str) -> list[str]:
    return [canary for canary in CANARIES if canary in text]


@pytest.mark.parametrize("tensor_parallel", ["1", "2"])
def test_no_process_anywhere_has_a_secret_among_its_arguments(
    hosts: list[Host],
    sparkrun: Run,
    recipes: Path,
    tmp_path: Path,
    private_home: Path,
    monkeypatch: pytest.MonkeyPatch,
    tensor_parallel: str,
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    config = private_home / ".config" / "sparkrun-tui" / "config.yaml"
    config.parent.mkdir(parents=True, exist_ok=True)
    # The person's own command line is theirs; what is under test is what the program makes of a key.
    config.write_text(yaml.safe_dump({"defaults": {"api_key": KEY, "other_secret": SETTING}}))
    both = ",".join(host.name for host in hosts)
    running = begin("run", keyed(recipes, tmp_path), "--tp", tensor_parallel, *SMALL, "-H", both, "--yes")
    seen: dict[str, list[str]] = {"workstation": [], **{host.name: [] for host in hosts}}
    deadline = time.monotonic() + 120
    while running.poll() is None and time.monotonic() < deadline:
        seen["workstation"].append(own_processes())
        for host in hosts:
            seen[host.name].append(processes(host))
        time.sleep(0.1)
    out, err = running.communicate(timeout=30)
    assert running.returncode == 0, out + err
    for host in hosts:
        seen[host.name].append(processes(host))
    for place, texts in seen.items():
        lines = {line for text in texts for line in text.splitlines() if leaked(line)}
        assert lines == set(), place
    assert any("rsync" in text for text in seen["workstation"]), "the transfer was seen"
    assert "vllm" in seen[hosts[0].name][-1], "the server was seen"
    assert leaked(out + err) == []

    names = {host: host.containers() for host in hosts}
    for host, containers in names.items():
        for name in containers:
            assert leaked(host.docker("inspect", name)) == []
    # The engine has its key all the same: the environment of its process says so, to root of the host alone.
    assert f"VLLM_API_KEY={KEY}" in hosts[0].run("cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'; true")

    # Another run of the program, which is told nothing of them: without the recipe, the settings, and what was kept.
    config.unlink()
    monkeypatch.delenv("HF_TOKEN")
    found = only_workload(sparkrun, both)
    raw = hosts[0].docker("logs", names[hosts[0]][0])
    assert {KEY, SETTING, WRITTEN, TOKEN} <= set(leaked(raw)), "the hook has printed them"
    for more in ((), ("--json",)):
        logs = sparkrun("logs", found["launch_id"], "-H", both, *more)
        assert logs.returncode == 0, logs.stderr
        assert leaked(logs.stdout + logs.stderr) == []
        assert logs.stdout
    following = begin("logs", found["launch_id"], "-f", "-H", both)
    try:
        time.sleep(5)
        stopped = sparkrun("stop", found["launch_id"], "-H", both)
        assert stopped.returncode == 0, stopped.stderr
        told = following.communicate(timeout=60)
    finally:
        following.kill()
    assert leaked("".join(told)) == []
    assert "•••" in told[0]
    assert eventually(lambda: hosts[0].containers() == [])
    state = private_home / ".local" / "state"
    kept = [path for path in state.rglob("*") if path.is_file()]
    assert kept
    assert [path for path in kept if leaked(path.read_text(errors="replace"))] == []
