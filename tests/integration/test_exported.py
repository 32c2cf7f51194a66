"""A recipe written for Docker Compose, started on a real host by Compose itself."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from cluster import Host
from fetching import ask

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_compose_serves_what_a_launch_served(hosts: list[Host], sparkrun: Run, recipes: Path) -> None:
    head = hosts[0]
    recipe = str(recipes / "tiny-llama.yaml")
    # The launch brings image and model, which Compose finds on the host then.
    assert sparkrun("run", recipe, "-H", head.name).returncode == 0
    assert sparkrun("stop", "tiny-llama", "-H", head.name).returncode == 0

    written = sparkrun("recipe", "export", recipe, "--as", "compose", "--port", "8124")
    assert written.returncode == 0, written.stderr
    head.path("/root/compose.yaml").write_text(written.stdout)
    compose = ("docker-compose", "-f", "/root/compose.yaml")
    head.run(*compose, "config", "--quiet")
    try:
        head.run(*compose, "up", "-d")
        end = time.monotonic() + 120
        while head.inspect("tiny-llama")["State"]["Health"]["Status"] != "healthy":
            assert time.monotonic() < end, head.docker("logs", "tiny-llama")
            time.sleep(1)
        question = {"model": "tiny", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4}
        status, answer = ask(head, "/v1/chat/completions", question, port=8124)
        assert status == 200, answer
        assert answer["choices"][0]["message"]["role"] == "assistant"
    finally:
        head.run(*compose, "down", check=False)
    assert head.containers() == []
