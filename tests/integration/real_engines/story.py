"""A launch as a person does it on the command line, and what the program says of it on the way."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster import Host

Run = Callable[..., subprocess.CompletedProcess[str]]

SLOW = 540.0
"""Seconds that the start of a real engine may take here, where most of it is Python's imports on few processors."""

LEFT = """\
docker ps --all --format 'container {{.Names}}'
find /root/.cache/sparkrun-tui -name '*lease*' -type f 2>/dev/null
ls -dlh /dev/shm/* 2>/dev/null
ss -Hltn | awk '$4 !~ /:22$/ {print "listens " $4}'
ps -eo args= | grep -E '[v]llm|[r]aylet|[g]cs_server|[l]lama-server'
true
"""
"""Prints what a stopped launch may not leave on a host."""


@dataclass(frozen=True, slots=True)
class Story:
    """One launch: its events, and the hosts that it used."""

    recipe: str
    hosts: Sequence[Host]
    events: Sequence[Mapping[str, Any]]
    sparkrun: Run

    @property
    def at(self) -> str:
        """The value of `-H`."""
        return ",".join(host.name for host in self.hosts)

    def of_kind(self, kind: str) -> list[Mapping[str, Any]]:
        """The events of a kind."""
        return [event for event in self.events if event["kind"] == kind]

    def endpoint(self) -> Mapping[str, Any]:
        """The one endpoint."""
        (found,) = self.of_kind("endpoint")
        return found

    def phases(self, host: Host) -> dict[str, str]:
        """The phases of a host in the order in which each began, with the last state of each."""
        states: dict[str, str] = {}
        for event in self.of_kind("step"):
            if event["host"] == host.name:
                states[event["phase"]] = event["state"]
        return states

    def facts(self) -> Mapping[str, float]:
        """The figures that were read from the engine's log."""
        return {event["name"]: event["value"] for event in self.of_kind("fact")}

    def workload(self) -> dict[str, Any]:
        """What `status` says of it."""
        done = self.sparkrun("status", "-H", self.at, "--json")
        assert done.returncode == 0, done.stderr
        (found,) = json.loads(done.stdout)["workloads"]
        return dict(found)

    def ask(self, text: str = "Hello") -> str:
        """What `ask` prints."""
        done = self.sparkrun("ask", self.recipe, text, "-H", self.at, "--max-tokens", "20")
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def logs(self) -> str:
        """What `logs` prints."""
        done = self.sparkrun("logs", self.recipe, "-H", self.at)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def stop(self) -> None:
        """Stops it, and checks that nothing is left of it."""
        done = self.sparkrun("stop", self.recipe, "-H", self.at)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.strip().endswith(": stopped")
        for host in self.hosts:
            left = host.run(LEFT).splitlines()
            assert left == [], f"left on {host.name}: {left}"
        told = self.sparkrun("status", "-H", self.at, "--json")
        assert json.loads(told.stdout)["workloads"] == []


def launch(sparkrun: Run, recipe: Path, hosts: Sequence[Host], *words: str) -> Story:
    """Launches a recipe and waits until it serves; what went wrong is in the assertion."""
    names = ",".join(host.name for host in hosts)
    # The recipes mount a folder of the hosts, to which a person agrees once.
    done = sparkrun("run", str(recipe), "-H", names, "--json", "--yes", *words, timeout=SLOW)
    assert done.returncode == 0, f"{done.stdout[-6000:]}\n{done.stderr}"
    events = [json.loads(line) for line in done.stdout.splitlines()]
    story = Story(recipe.stem, hosts, events, sparkrun)
    for host in hosts:
        print(f"{host.name}: {story.phases(host)}")
    print(f"facts: {story.facts()}")
    return story
