"""The real vLLM, launched from the command line: on one host and two, without and with Ray, closed, for embeddings."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import pytest
from cluster import Host
from fetching import ask
from real_engines.story import Run, Story, launch

QUESTION = {"model": "tiny", "prompt": "Hello", "max_tokens": 5, "ignore_eos": True}
KEY = "typed-key-Zq8vT3"
PHASES = {"check", "image", "model", "start", "load", "compile", "graphs", "ready"}


def test_one_host(hosts: list[Host], sparkrun: Run, recipes: Path) -> None:
    head = hosts[0]
    story = launch(sparkrun, recipes / "chat.yaml", [head])
    check_text(story)
    workload = story.workload()
    assert (workload["engine"], workload["expected_ranks"]) == ("vllm", 1)
    assert "Application startup complete" in story.logs()
    story.stop()


def test_two_hosts_without_ray(hosts: list[Host], sparkrun: Run, recipes: Path) -> None:
    words = ("--tp", "2", "-o", "distributed_executor_backend=mp")
    story = launch(sparkrun, recipes / "chat.yaml", hosts, *words)
    check_text(story)
    check_both(story)
    logs = story.logs()
    assert "world_size=2" in logs
    assert "RayWorkerProc" not in logs
    story.stop()


def test_two_hosts_with_ray(hosts: list[Host], sparkrun: Run, recipes: Path) -> None:
    head = hosts[0]
    story = launch(sparkrun, recipes / "chat.yaml", hosts, "--tp", "2")
    check_text(story)
    check_both(story)
    assert "RayWorkerProc" in story.logs()
    # Without the password of this launch nobody gets into its Ray.
    (container,) = head.containers()
    status = f"docker exec {container} ray status --address {head.ip}:46379 2>&1"
    assert "Active:" not in head.run(status, check=False)
    story.stop()


def test_a_server_with_a_key(hosts: list[Host], sparkrun: Run, recipes: Path, tmp_path: Path) -> None:
    """The key is typed, goes by a variable, and is read from the container by `ask`, which runs on its own."""
    head = hosts[0]
    recipe = tmp_path / "closed.yaml"
    recipe.write_text((recipes / "chat.yaml").read_text().rstrip() + " \\\n      --api-key {api_key}\n")
    story = launch(sparkrun, recipe, [head], "-o", f"api_key={KEY}")
    assert story.endpoint()["wants_key"] is True
    assert KEY not in json.dumps(story.events)
    assert ask(head, "/v1/completions", QUESTION)[0] == 401
    assert completion_with_key(head) == 200

    said = story.ask()
    assert said.strip()
    workload = story.workload()
    assert workload["health"] == "serving"
    for shown in (said, json.dumps(workload), story.logs(), head.run("docker inspect $(docker ps -q)")):
        assert KEY not in shown
    assert KEY not in head.run("ps -eo args")
    story.stop()


@pytest.mark.parametrize(
    ("recipe", "words"),
    [("embedding", ()), ("chat", ("--runner", "pooling"))],
    ids=["by its architecture", "by a flag"],
)
def test_a_server_of_embeddings(
    hosts: list[Host], sparkrun: Run, recipes: Path, tmp_path: Path, recipe: str, words: tuple[str, ...]
) -> None:
    head = hosts[0]
    text = (recipes / f"{recipe}.yaml").read_text().rstrip()
    path = tmp_path / "embed.yaml"
    path.write_text(" ".join([text, *words]) + "\n")
    story = launch(sparkrun, path, [head])
    assert story.endpoint()["offers"] == "embedding"
    assert story.phases(head)["ready"] == "ok"
    status, answer = ask(head, "/v1/embeddings", {"model": "tiny", "input": "Hello"})
    assert (status, len(answer["data"][0]["embedding"])) == (200, 128)
    assert ask(head, "/v1/completions", QUESTION)[0] != 200
    assert "an embedding of 128 numbers" in story.ask()
    assert story.workload()["health"] == "serving"
    story.stop()


def check_text(story: Story) -> None:
    """The endpoint answers with texts, under the name and address that the program says, and it says how it came."""
    head = story.hosts[0]
    endpoint = story.endpoint()
    assert (endpoint["url"], endpoint["model"]) == (f"http://{head.ip}:8000/v1", "tiny")
    assert endpoint["offers"] in ("completion", "chat")
    assert endpoint["wants_key"] is False
    phases = story.phases(head)
    assert set(phases) == PHASES
    assert set(phases.values()) <= {"ok", "skipped"}
    assert phases["ready"] == "ok"
    assert story.facts()["kv_tokens"] > 0
    status, answer = ask(head, "/v1/completions", QUESTION)
    assert (status, answer["model"], answer["usage"]["completion_tokens"]) == (200, "tiny", 5)
    assert story.ask().strip()
    assert story.workload()["health"] == "serving"


def check_both(story: Story) -> None:
    """Each host has one rank, and the logs of both are there."""
    workload = story.workload()
    assert workload["expected_ranks"] == 2
    names = [host.name for host in story.hosts]
    assert [(rank["host"], rank["role"], rank["state"]) for rank in workload["ranks"]] == [
        (names[0], "head", "running"),
        (names[1], "worker", "running"),
    ]
    assert hosts_of(story.logs()) == set(names)


def hosts_of(logs: str) -> set[str]:
    """The hosts before the first colon of each line."""
    lines: Sequence[str] = logs.splitlines()
    return {line.partition(":")[0] for line in lines}


def completion_with_key(head: Host) -> int:
    """The status of a request that sends the key."""
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"}
    address = f"http://{head.ip}:8000/v1/completions"
    request = urllib.request.Request(address, json.dumps(QUESTION).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
