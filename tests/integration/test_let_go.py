"""Launches that were let go or killed at a bad moment: what is said of them, and what may start beside them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from cluster import Host
from cluster.generations import Generation, on
from fetching import ask, wait_for
from test_cli_vllm import SMALL, Run, begin, behaving, read_until

LOCK = "ls -d ~/.cache/sparkrun-tui/lock 2>/dev/null || true"


def names_of(hosts: list[Host]) -> str:
    return ",".join(host.name for host in hosts)


def workloads(sparkrun: Run, hosts: str) -> dict[str, dict[str, Any]]:
    """What `status` says, by launch."""
    told = sparkrun("status", "-H", hosts, "--json")
    return {item["launch_id"]: item for item in json.loads(told.stdout)["workloads"]}


def let_go(process: subprocess.Popen[str], number: signal.Signals) -> None:
    process.send_signal(number)
    process.communicate(timeout=30)


def with_label(host: Host, container: str, launch: str) -> None:
    """A second container like `container`, of another launch, that is made and not started."""
    info = host.inspect(container)
    labels = dict(info["Config"]["Labels"]) | {"io.sparkrun-tui.launch": launch}
    options = [f"--label={key}={value}" for key, value in labels.items() if key.startswith("io.sparkrun-tui.")]
    host.docker("create", "--name", f"sparkrun-tui-{launch}-0", *options, info["Config"]["Image"], "sleep", "600")


@on(Generation.NEWER)
def test_what_was_never_started_is_not_called_serving(hosts: list[Host], sparkrun: Run, recipes: Path) -> None:
    head = hosts[0]
    assert sparkrun("run", str(recipes / "tiny-llama.yaml"), "-H", head.name).returncode == 0
    (container,) = head.containers()
    with_label(head, container, "abcd2345")
    found = workloads(sparkrun, head.name)
    never = found.pop("abcd2345")
    assert (never["health"], never["detail"]) == (
        "degraded",
        f"rank 0 on {head.name} was never started: stop it, and launch again",
    )
    (serving,) = found.values()
    assert serving["health"] == "serving"
    head.docker("pause", container)
    (paused,) = [item for item in workloads(sparkrun, head.name).values() if item["launch_id"] != "abcd2345"]
    assert paused["health"] == "degraded" and "is paused" in paused["detail"]
    head.docker("unpause", container)
    # Two that run and claim one port: an answer there is no proof for either.
    head.docker("start", "sparkrun-tui-abcd2345-0")
    assert {item["health"] for item in workloads(sparkrun, head.name).values()} == {"unknown"}
    assert sparkrun("stop", "abcd2345", "-H", head.name).returncode == 0
    assert {item["health"] for item in workloads(sparkrun, head.name).values()} == {"serving"}


def test_a_second_engine_is_not_let_onto_a_port_while_the_first_loads(
    hosts: list[Host], sparkrun: Run, recipes: Path, tmp_path: Path
) -> None:
    head = hosts[0]
    recipe = behaving(recipes, tmp_path, "hang", "tiny-sglang")
    running = begin("run", recipe, *SMALL, "-H", head.name)
    read_until(running, "start ok")
    let_go(running, signal.SIGHUP)
    port = json.loads(sparkrun("status", "-H", head.name, "--json").stdout)["workloads"][0]["port"]
    assert ask(head, "/health", port=port)[0] == 0
    again = sparkrun("run", recipe, *SMALL, "-H", head.name)
    assert again.returncode == 1 and "already runs with these settings" in again.stderr
    other = sparkrun("run", str(recipes / "tiny-llama.yaml"), "--port", str(port), "-H", head.name)
    assert other.returncode == 1 and f"port {port} is in use" in other.stderr, other.stderr
    assert len(head.containers()) == 1
    assert sparkrun("stop", "tiny-sglang", "-H", head.name).returncode == 0


@on(Generation.MIXED)
def test_a_ray_launch_that_was_let_go_before_its_engine_began_says_so(
    hosts: list[Host], sparkrun: Run, recipes: Path
) -> None:
    names = names_of(hosts)
    # What the launch needs is there, so that the window is the time that Ray needs.
    first = sparkrun("run", str(recipes / "tiny-vllm.yaml"), "--tp", "2", *SMALL, "-H", names)
    assert first.returncode == 0, first.stderr
    assert sparkrun("stop", "tiny-vllm", "-H", names).returncode == 0
    running = begin("run", str(recipes / "tiny-vllm.yaml"), "--tp", "2", *SMALL, "-H", names)
    deadline = time.monotonic() + 60
    while not (worker := hosts[1].docker("ps", "--quiet", "--filter", "label=io.sparkrun-tui.rank=1")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    # A worker that stands still cannot join Ray, so that the engine is not started before the launch is let go.
    hosts[1].docker("pause", worker)
    time.sleep(1)
    let_go(running, signal.SIGHUP)
    hosts[1].docker("unpause", worker)
    (found,) = workloads(sparkrun, names).values()
    assert found["health"] == "degraded" and "its engine was not started" in found["detail"]
    followed = begin("logs", found["launch_id"], "-f", "-H", names)
    time.sleep(5)
    let_go(followed, signal.SIGINT)
    assert sparkrun("stop", found["launch_id"], "-H", names).returncode == 0
    assert [host.containers() for host in hosts] == [[], []]


@on(Generation.NEWER)
def test_a_lease_does_not_outlive_its_launch(hosts: list[Host], sparkrun: Run, recipes: Path, tmp_path: Path) -> None:
    head = hosts[0]
    running = begin("run", str(recipes / "tiny-sglang.yaml"), *SMALL, "-H", head.name)
    read_until(running, "start ok")
    let_go(running, signal.SIGKILL)
    assert head.run(LOCK).strip()
    shown = sparkrun("status", "-H", head.name)
    assert "is being prepared here" in shown.stdout
    port = json.loads(sparkrun("status", "-H", head.name, "--json").stdout)["workloads"][0]["port"]
    wait_for(head, "/health", 200, port=port)
    # The engine serves by itself; another one on another port is let in.
    other = sparkrun("run", str(recipes / "tiny-llama.yaml"), "--port", "8001", "-H", head.name)
    assert other.returncode == 0, other.stderr
    assert head.run(LOCK).strip() == ""
    assert sparkrun("stop", "--all", "--yes", "-H", head.name).returncode == 0
    assert head.containers() == []


def test_the_lease_of_a_launch_without_containers_is_ended_by_its_id(
    hosts: list[Host], sparkrun: Run, recipes: Path
) -> None:
    head = hosts[0]
    head.run(
        "mkdir -p ~/.cache/sparkrun-tui/lock && cd ~/.cache/sparkrun-tui/lock && date +%s >renewed && cat >owner.json",
        input=json.dumps({"launch": "dead2345", "user": "ann@desk", "machine": "another", "pid": 1, "began": "1"}),
    )
    refused = sparkrun("run", str(recipes / "tiny-llama.yaml"), "-H", head.name)
    assert refused.returncode == 1 and "sparkrun-tui stop dead2345" in refused.stderr
    ended = sparkrun("stop", "dead2345", "-H", head.name)
    assert ended.returncode == 0, ended.stderr
    assert head.run(LOCK).strip() == ""
    assert sparkrun("run", str(recipes / "tiny-llama.yaml"), "-H", head.name).returncode == 0


def test_two_that_watch_one_launch_keep_each_line_once(
    hosts: list[Host], sparkrun: Run, recipes: Path, tmp_path: Path
) -> None:
    head = hosts[0]
    text = (recipes / "tiny-sglang.yaml").read_text()
    recipe = tmp_path / "talks.yaml"
    recipe.write_text(f'{text}\nenv:\n  STANDIN_LINES: "2000:8:3"\n')
    running = begin("run", str(recipe), *SMALL, "-H", head.name, "--follow")
    read_until(running, "serves tiny at")
    watching = begin("logs", "talks", "-f", "-H", head.name)
    last = f"numbered line {2000 * 8 - 1:08}"
    read_until(running, last)
    read_until(watching, last)
    let_go(watching, signal.SIGINT)
    let_go(running, signal.SIGINT)
    kept = Path(os.environ["XDG_STATE_HOME"]).rglob("hosts/*.log")
    lines = [line for path in kept for line in path.read_text().splitlines() if "numbered line" in line]
    assert sorted(line.rpartition(" ")[2] for line in lines) == [f"{number:08}" for number in range(2000 * 8)]
    assert sparkrun("stop", "talks", "-H", head.name).returncode == 0
    after = sparkrun("logs", "talks", "-H", head.name)
    assert last in after.stdout


def test_a_launch_of_which_a_rank_is_gone_is_not_said_to_run(hosts: list[Host], sparkrun: Run, recipes: Path) -> None:
    names = names_of(hosts)
    recipe = str(recipes / "tiny-vllm-ranks.yaml")
    done = sparkrun("run", recipe, *SMALL, "-H", names)
    assert done.returncode == 0, done.stderr
    # vLLM's head does not notice before its next request.
    hosts[1].docker("kill", *hosts[1].containers())
    again = sparkrun("run", recipe, *SMALL, "-H", names)
    assert again.returncode == 1 and "but it is degraded" in again.stderr, again.stderr
    assert f"rank 1 on {hosts[1].name}" in again.stderr
    assert sparkrun("stop", "tiny-vllm-ranks", "-H", names).returncode == 0
    assert [host.containers() for host in hosts] == [[], []]
