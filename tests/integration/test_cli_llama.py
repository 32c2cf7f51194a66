"""The whole story of a recipe on the command line: launched on a real host, asked, looked at, read, and stopped."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

from cluster import Host
from cluster.generations import on_both
from fetching import ask

Run = Callable[..., subprocess.CompletedProcess[str]]


@on_both
def test_a_llama_is_launched_asked_and_stopped(hosts: list[Host], sparkrun: Run, recipes: Path) -> None:
    head = hosts[0]
    recipe = str(recipes / "tiny-llama.yaml")
    done = sparkrun("run", recipe, "--solo", "-H", head.name)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"ready: http://{head.ip}:8000/v1 (model tiny)" in done.stdout
    assert f"{head.name}: model ok" in done.stdout

    status, answer = ask(head, "/v1/chat/completions", {
        "model": "tiny", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4,
    })  # fmt: skip
    assert status == 200
    assert answer["choices"][0]["message"]["role"] == "assistant"

    told = sparkrun("status", "-H", head.name, "--json")
    assert told.returncode == 0, told.stderr
    (workload,) = json.loads(told.stdout)["workloads"]
    assert (workload["recipe"], workload["health"], workload["port"]) == ("tiny-llama", "serving", 8000)
    assert [(rank["host"], rank["state"]) for rank in workload["ranks"]] == [(head.name, "running")]
    identity = workload["launch_id"]

    logs = sparkrun("logs", identity[:4], "-H", head.name)
    assert logs.returncode == 0, logs.stderr
    assert "all slots are idle" in logs.stdout
    short = sparkrun("logs", "tiny-llama", "-H", head.name, "--tail", "2")
    assert short.stdout.splitlines() == logs.stdout.splitlines()[-2:]

    said = sparkrun("ask", "tiny-llama", "Hello", "-H", head.name, "--max-tokens", "5")
    assert said.returncode == 0, said.stderr
    assert said.stdout.strip()

    stopped = sparkrun("stop", "tiny-llama", "-H", head.name)
    assert (stopped.returncode, stopped.stdout.strip()) == (0, f"{identity}: stopped"), stopped.stderr
    assert head.containers() == []
    assert json.loads(sparkrun("status", "-H", head.name, "--json").stdout)["workloads"] == []
    assert "all slots are idle" in sparkrun("logs", identity, "-H", head.name).stdout


@on_both
def test_a_second_launch_finds_everything_there(hosts: list[Host], sparkrun: Run, recipes: Path) -> None:
    head = hosts[0]
    recipe = str(recipes / "tiny-llama.yaml")
    assert sparkrun("run", recipe, "-H", head.name).returncode == 0
    again = sparkrun("run", recipe, "-H", head.name)
    assert again.returncode == 1
    assert "already runs with these settings" in again.stderr
    assert sparkrun("stop", "tiny-llama", "-H", head.name).returncode == 0
    third = sparkrun("run", recipe, "-H", head.name, "-o", "port=8123", "--json")
    assert third.returncode == 0, third.stderr
    events = [json.loads(line) for line in third.stdout.splitlines()]
    assert events[0]["kind"] == "began"
    steps = {(event["phase"], event["state"]) for event in events if event["kind"] == "step"}
    assert ("model", "skipped") in steps or ("model", "ok") in steps
    assert ask(head, "/health", port=8123)[0] == 200


def test_a_server_that_listens_on_one_address_only(hosts: list[Host], sparkrun: Run, recipes: Path) -> None:
    head = hosts[0]
    done = sparkrun("run", str(recipes / "tiny-llama.yaml"), "-H", head.name, "-o", f"host={head.ip}")
    assert done.returncode == 0, done.stdout + done.stderr
    (workload,) = json.loads(sparkrun("status", "-H", head.name, "--json").stdout)["workloads"]
    assert workload["health"] == "serving"
    assert sparkrun("ask", "tiny-llama", "-H", head.name).returncode == 0
    assert sparkrun("stop", "tiny-llama", "-H", head.name).returncode == 0


def test_a_server_with_a_key_is_ready_and_asked(
    hosts: list[Host], sparkrun: Run, recipes: Path, tmp_path: Path
) -> None:
    """The key is typed, goes by a variable, and is read from the container by `ask`, which runs on its own."""
    head, key = hosts[0], "typed-key-Zq8vT3"
    text = (recipes / "tiny-llama.yaml").read_text()
    recipe = tmp_path / "keyed.yaml"
    recipe.write_text("name: keyed\n" + text.rstrip() + " \\\n      --api-key {api_key} --metrics\n")
    done = sparkrun("run", str(recipe), "-H", head.name, "-o", f"api_key={key}")
    assert done.returncode == 0, done.stdout + done.stderr
    body = {"model": "tiny", "prompt": "Hi", "max_tokens": 2}
    assert ask(head, "/v1/completions", body)[0] == 401
    said = sparkrun("ask", "keyed", "Hello", "-H", head.name, "--max-tokens", "5")
    assert said.returncode == 0, said.stderr
    assert said.stdout.strip()
    told = sparkrun("status", "-H", head.name, "--json")
    (workload,) = json.loads(told.stdout)["workloads"]
    assert workload["health"] == "serving"
    logs = sparkrun("logs", "keyed", "-H", head.name)
    for shown in (done, said, told, logs):
        assert key not in shown.stdout + shown.stderr
    assert sparkrun("stop", "keyed", "-H", head.name).returncode == 0


def test_a_server_with_a_file_of_keys(hosts: list[Host], sparkrun: Run, recipes: Path, tmp_path: Path) -> None:
    head = hosts[0]
    text = (recipes / "tiny-llama.yaml").read_text()
    recipe = tmp_path / "filed.yaml"
    command = text.replace("  llama-server", "  printf 'first-key\\nsecond-key\\n' >/run/keys\n  llama-server")
    recipe.write_text("name: filed\n" + command.rstrip() + " \\\n      --api-key-file /run/keys\n")
    done = sparkrun("run", str(recipe), "-H", head.name)
    assert done.returncode == 0, done.stdout + done.stderr
    said = sparkrun("ask", "filed", "Hello", "-H", head.name, "--max-tokens", "5")
    assert said.returncode == 0, said.stderr
    assert sparkrun("stop", "filed", "-H", head.name).returncode == 0


def test_a_server_of_embeddings(hosts: list[Host], sparkrun: Run, recipes: Path, tmp_path: Path) -> None:
    head = hosts[0]
    text = (recipes / "tiny-llama.yaml").read_text()
    recipe = tmp_path / "embed.yaml"
    recipe.write_text("name: embed\n" + text.rstrip() + " \\\n      --embeddings --pooling mean\n")
    done = sparkrun("run", str(recipe), "-H", head.name)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "answers: embedding" in done.stdout
    said = sparkrun("ask", "embed", "Hello", "-H", head.name)
    assert said.returncode == 0, said.stderr
    assert "an embedding of" in said.stdout
    assert sparkrun("stop", "embed", "-H", head.name).returncode == 0
