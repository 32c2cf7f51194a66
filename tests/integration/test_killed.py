"""The workstation dies (SIGKILL) at moments of a launch by chance: a new start shows the truth, and all can be undone.

Four moments in CI, twenty with SPARKRUN_TUI_LONG=1. The moments are drawn from a fixed seed, so a failure comes again.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import time
from pathlib import Path

import pytest
from cluster import Host
from cluster.generations import Generation, on
from cluster.images import Images
from cluster.workstation import Workstation
from fetching import ask
from test_cli_vllm import SMALL, Run, begin

MOMENTS = 20 if os.environ.get("SPARKRUN_TUI_LONG") else 4
LONGEST = 12.0
"""Seconds in which a launch that has to pull and send everything comes to serve here, and a little more."""

LEFT = "ls -A ~/.cache/sparkrun-tui ~/.cache/sparkrun-tui/jobs ~/.local/state/sparkrun-tui/jobs 2>/dev/null"
PROCESSES = "ps -eo args | grep -E '[d]ocker pull|[r]sync --server' || true"


def moments() -> list[float]:
    """When each launch is killed, in seconds from its start: one in each part of the time."""
    chance = random.Random(20)
    part = LONGEST / MOMENTS
    return [round((number + chance.random()) * part, 2) for number in range(MOMENTS)]


def launches_on(hosts: list[Host]) -> set[str]:
    """The launches that have a container, by asking Docker itself."""
    found: set[str] = set()
    for host in hosts:
        shown = host.docker("ps", "--all", "--format", '{{.Label "io.sparkrun-tui.launch"}}')
        found.update(line for line in shown.splitlines() if line)
    return found


def children(home: Path) -> list[str]:
    """The transfers of the person whose home this is: command lines on this machine that name it."""
    shown = subprocess.run(["ps", "-ewwo", "args"], capture_output=True, text=True, check=True).stdout
    return [line for line in shown.splitlines() if "rsync" in line and str(home) in line]


@pytest.mark.parametrize("moment", moments())
@on(Generation.MIXED)
def test_a_new_start_shows_the_truth_and_goes_on_or_cleans_up(
    hosts: list[Host], sparkrun: Run, recipes: Path, all_images: Images, workstation: Workstation, moment: float
) -> None:
    names = ",".join(host.name for host in hosts)
    recipe = str(recipes / "tiny-sglang.yaml")
    for host in hosts:
        host.remove_images()
        host.faults.slow("200mbit")
    running = begin("run", recipe, "--tp", "2", *SMALL, "-H", names)
    time.sleep(moment)
    running.kill()
    running.communicate()
    for host in hosts:
        host.faults.full_speed()

    # The truth: what Docker has, and nothing that serves without an answer.
    told = sparkrun("status", "-H", names, "--json")
    assert told.returncode == 0, told.stderr
    found = json.loads(told.stdout)["workloads"]
    assert {item["launch_id"] for item in found} == launches_on(hosts)
    for item in found:
        if item["health"] == "serving":
            assert ask(hosts[0], "/health", port=item["port"])[0] == 200
        else:
            assert item["health"] in ("starting", "degraded"), item

    # On: the same command launches, or says what is there already.
    again = sparkrun("run", recipe, "--tp", "2", *SMALL, "-H", names)
    assert again.returncode == 0 or "already runs with these settings" in again.stderr, again.stdout + again.stderr

    # Back: stopping leaves nothing of any of them.
    stopped = sparkrun("stop", "--all", "--yes", "-H", names)
    assert stopped.returncode == 0, stopped.stderr
    assert launches_on(hosts) == set()
    for host in hosts:
        assert host.run(PROCESSES).strip() == ""
        assert "lock" not in host.run(LEFT, check=False).split()
    assert children(workstation.home) == []
