"""The command line called in this process, on fake hosts where it needs some, in virtual time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sparkrun_tui.cli.main import run
from sparkrun_tui.launch import services
from tests.launch.fakes import SGLANG_TWO, SOLO, FakeCluster
from tests.launch.virtual import VirtualLoop
from tests.support.json_outputs import command_of, problems


@dataclass(frozen=True, slots=True)
class Done:
    """What a call of the command line left."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its output as one JSON document."""
        return json.loads(self.out)

    @property
    def events(self) -> list[dict[str, Any]]:
        """Its output as JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]


Cli = Callable[..., Done]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    """Call the command line: `cli("list", "--json")`. What it prints as JSON must be what its schema says."""

    def opened(demo: bool, cluster: str, query: str) -> int:
        print(f"app demo={demo} cluster={cluster} query={query}")
        return 0

    def call(*arguments: str) -> Done:
        capsys.readouterr()
        code = run(arguments, open_app=opened)
        told = capsys.readouterr()
        if "--json" in arguments:
            command = command_of(arguments)
            assert problems(command, told.out) == [], f"{command} does not print what docs/json says"
        return Done(int(code), told.out, told.err)

    return call


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    """Two fake hosts, `spark-1` and `spark-2`, behind every connection that the command line makes."""
    cluster = FakeCluster("spark-1", "spark-2")

    def run_virtually(main: Coroutine[Any, Any, Any]) -> Any:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            return runner.run(main)

    monkeypatch.setattr(asyncio, "run", run_virtually)
    monkeypatch.setattr(services, "real_services", lambda ask=None: cluster.services)
    return cluster


@pytest.fixture
def no_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails the test when anything asks for a connection."""

    def refuse(ask: object = None) -> None:
        raise AssertionError("a connection was asked for")

    monkeypatch.setattr(services, "real_services", refuse)


@pytest.fixture
def solo(tmp_path: Path) -> str:
    """The path of a recipe for one host."""
    path = tmp_path / "solo.yaml"
    path.write_text(SOLO)
    return str(path)


@pytest.fixture
def pair(tmp_path: Path) -> str:
    """The path of a recipe for two hosts."""
    path = tmp_path / "pair.yaml"
    path.write_text(SGLANG_TWO)
    return str(path)
