"""A7: every command of the program, plain and as JSON: no secret in its output, its files, or a child's arguments."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from sparkrun_tui.cli.main import cli, run
from sparkrun_tui.launch import services
from tests.launch.fakes import FakeCluster
from tests.launch.virtual import VirtualLoop
from tests.security.canaries import (
    CANARIES,
    NAMES,
    Machine,
    children_watched,
    furnish,
    holding_files,
    leaked,
    tells_all,
)

HOSTS = ("spark-1", "spark-2", "spark-3")
REAL_RUN = asyncio.run
KEY = ("-o", f"api_key={CANARIES['typed']}")
ON = ("-H", ",".join(HOSTS))
ENV = ("-e", f"GIVEN_API_KEY={CANARIES['typed']}", "-e", "SERVICE_TOKEN")
FLAGS = ("--", "--admin-api-key", CANARIES["saved"], f"--api-key={CANARIES['typed']}")

WALK: dict[tuple[str, ...], list[tuple[str, ...]]] = {
    ("list",): [(), ("--json",), ("canary",)],
    ("search",): [("org",), ("org", "--json")],
    ("show",): [(name, *more) for name in NAMES for more in ((*KEY,), (*KEY, "--json"), ())],
    ("recipe", "validate"): [NAMES, (*NAMES, "--json")],
    ("recipe", "vram"): [("keyed", *KEY), ("literal", *KEY, "--json")],
    ("recipe", "export"): [
        ("literal", *ENV, *FLAGS),
        ("keyed", *KEY),
        ("literal", *KEY),
        ("foreign", *KEY),
        ("sg", "-o", f"admin_api_key={CANARIES['typed']}"),
        ("keyed", *KEY, "--output", "exported.yaml"),
        ("literal", *ENV, "--json", *FLAGS),
    ],
    ("recipe", "new"): [("org/tiny", "--offline", "--json"), (f"org/{CANARIES['hub']}", "--offline")],
    ("run",): [
        *[
            (name, *KEY, *ON, "--dry-run", *more)
            for name in ("keyed", "literal", "foreign")
            for more in ((), ("--json",))
        ],
        ("keyed", *KEY, "-o", f"api_key={CANARIES['saved']}", "--dry-run"),
        ("keyed", "-o", CANARIES["typed"], "--dry-run"),
        ("sg", *ON, "--dry-run"),
        ("sg", *ON, *ENV, "--dry-run", *FLAGS),
        ("sg", *ON, *ENV, "--dry-run", "--json", *FLAGS),
        ("keyed", *KEY, "-H", "spark-1"),
        ("literal", "-H", "spark-2", "--json"),
        ("sg", "-H", "spark-3", "--json"),
    ],
    ("history", "list"): [(), ("--json",)],
    ("history", "show"): [("sg",), ("sg", "--json"), ("sg", "--report"), ("keyed", "--report")],
    ("history", "replay"): [("sg", "--speed", "0", "--logs"), ("keyed", "--speed", "0", "--logs", "--json")],
    ("status",): [ON, (*ON, "--json")],
    ("logs",): [
        ("keyed", *ON),
        ("keyed", *ON, "--json"),
        ("literal", *ON),
        ("sg", *ON, "--tail", "5"),
        ("keyed", *ON, "-f"),
        ("literal", *ON, "-f", "--json"),
    ],
    ("models", "list"): [ON, (*ON, "--json")],
    ("models", "verify"): [ON, (*ON, "--json")],
    ("models", "prune"): [(*ON, "--unused", "--dry-run"), (*ON, "--unused", "--yes", "--json")],
    ("images", "list"): [ON, (*ON, "--json")],
    ("images", "verify"): [ON, (*ON, "--json")],
    ("images", "prune"): [(*ON, "--unused", "--dry-run"), (*ON, "--unused", "--yes", "--json")],
    ("diagnose",): [("sg",), ("keyed", "--json"), ("literal",)],
    ("snippet",): [("keyed", *ON), ("keyed", *ON, "--as", "litellm", "--json")],
    ("bench", "run"): [("keyed", *ON), ("keyed", *ON, "--json")],
    ("bench", "list"): [(), ("--json",)],
    ("bench", "show"): [("tiny",), ("tiny", "--json")],
    ("bench", "compare"): [("tiny", "tiny"), ("tiny", "tiny", "--json")],
    ("ask",): [("keyed", "hello", *ON), ("keyed", "hello", *ON, "--json")],
    ("history", "export"): [
        ("keyed", "--as", "compose", "--yes"),
        ("sg", "--as", "kubernetes", "--yes", "--json"),
        ("literal", "--as", "systemd", "--yes"),
    ],
    ("stop",): [("keyed", *ON), ("--all", *ON, "--yes", "--json")],
    ("cluster", "add"): [("den", "one,two", "--description", "x", "--json")],
    ("cluster", "check"): [("lab",), ("lab", "--json")],
    ("cluster", "list"): [(), ("--json",)],
    ("cluster", "show"): [("lab",), ("lab", "--json")],
    ("cluster", "use"): [("lab", "--json")],
    ("cluster", "remove"): [("den", "--json")],
    ("registry", "add"): [
        ("REPOSITORY", "--name", "local", "--json"),
        (f"https://user:{CANARIES['address']}@127.0.0.1:9/y.git", "--name", "away"),
    ],
    ("registry", "list"): [(), ("--json",)],
    ("registry", "update"): [("mine",), ("local", "--json")],
    ("registry", "disable"): [("local", "--json")],
    ("registry", "enable"): [("local", "--json")],
    ("registry", "remove"): [("mine", "--json")],
    ("config", "path"): [(), ("--all", "--json")],
    ("completion",): [("bash",), ("zsh",), ("fish",)],
    ("demo-story",): [("--speed", "2000")],
}
"""Every command, in the order of a life with the program, with what to give it."""


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """All commands of the program, as its parser knows them."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


def test_the_walk_has_every_command_and_its_json() -> None:
    known = dict(commands(cli))
    assert set(WALK) == set(known), "a command that the walk below does not take is not tested for secrets"
    for path, command in known.items():
        if any("--json" in parameter.opts for parameter in command.params):
            assert any("--json" in words for words in WALK[path]), path


@pytest.fixture
def machine(private_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A furnished machine, its hosts in memory, in virtual time."""
    cluster = FakeCluster(*HOSTS)
    for host in cluster.hosts.values():
        host.program = tells_all

    async def for_a_while(main: Coroutine[Any, Any, Any]) -> Any:
        """Whoever follows a log follows it to its end: here that comes."""

        async def end() -> None:
            await asyncio.sleep(4000)
            running = [(host, item) for host in cluster.hosts.values() for item in host.containers.values()]
            for host, item in running[:1]:
                host.end(item, 0)

        ending = asyncio.create_task(end())
        try:
            return await main
        finally:
            ending.cancel()

    def run_virtually(main: Coroutine[Any, Any, Any]) -> Any:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            return runner.run(for_a_while(main))

    monkeypatch.setattr(services, "real_services", lambda ask=None: cluster.services)
    monkeypatch.setattr(asyncio, "run", run_virtually)
    monkeypatch.setenv("HF_TOKEN", CANARIES["hub"])
    monkeypatch.setenv("SERVICE_TOKEN", CANARIES["environ"])
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return furnish(private_home, tmp_path, HOSTS)


def _no_app(demo: bool, cluster: str, query: str) -> int:
    raise AssertionError("no app is opened here")


def test_no_command_lets_a_secret_out(
    machine: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: dict[str, str] = {}
    codes: dict[str, int] = {}
    with children_watched(machine.started):
        for path, calls in WALK.items():
            if path == ("demo-story",):
                # It has hosts of its own, which live in real time.
                monkeypatch.setattr(asyncio, "run", REAL_RUN)
            for words in calls:
                given = [str(machine.repository) if word == "REPOSITORY" else word for word in words]
                codes[" ".join((*path, *words))] = run([*path, *given], open_app=_no_app)
                out, err = capsys.readouterr()
                told[" ".join((*path, *words))] = out + err
    out_of = {call: names for call, text in told.items() if (names := leaked(text))}
    assert out_of == {}
    launched = [call for call in told if call.startswith("run ") and "--dry-run" not in call]
    assert launched
    assert [(call, told[call]) for call in launched if codes[call]] == []
    logs = {call: text for call, text in told.items() if call.startswith("logs ")}
    assert {call: text.count("args: --api-key •••") > 1 for call, text in logs.items()} == dict.fromkeys(logs, True)
    plain = {call: text.count("plain •••") > 0 for call, text in logs.items() if "--tail" not in call}
    assert plain == dict.fromkeys(plain, True)
    silent = [call for call, text in told.items() if not text]
    assert silent == []
    assert any("git" in words for words in machine.started), "children were seen"
    assert leaked("\n".join(machine.started)) == []
    allowed = [*machine.allowed, tmp_path / "work" / "exported.yaml"]
    assert holding_files(machine.home, allowed) == {}
    assert holding_files(tmp_path, allowed) == {}
    exported = (tmp_path / "work" / "exported.yaml").read_text()
    assert set(leaked(exported)) <= {"file", "env", "url"}, "what the author of the recipe wrote, and no more"
