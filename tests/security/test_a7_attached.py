"""A7: who attaches later does not know what was typed, and hides it all the same in the logs of the container."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from sparkrun_tui.base.disk import paths
from sparkrun_tui.base.reading.decoded import Decoded
from sparkrun_tui.base.secrets import Redactor, Secret, secrets_given, without_named
from sparkrun_tui.base.user.settings import Settings
from sparkrun_tui.launch.launcher import Launcher
from sparkrun_tui.launch.record.events import LaunchStatus
from sparkrun_tui.launch.record.logs import LogLine, safe_line
from sparkrun_tui.launch.run import given_secrets
from sparkrun_tui.launch.run.given_secrets import secrets_of_recipe_called
from sparkrun_tui.remote.docker import processes
from sparkrun_tui.remote.docker.types import container_from_inspect
from tests.launch.fakes import SOLO, FakeCluster, FakeContainer, FakeHost, journal_text, rendered
from tests.launch.virtual import virtual_time

TYPED = "canary-typed-Zq8vT3"
SETTING = "canary-setting-Zq8vT3"
FLAG = "canary-flag-Zq8vT3"
WRITTEN = "canary-written-Zq8vT3"
CANARIES = (TYPED, SETTING, FLAG, WRITTEN)
KEYED = SOLO.replace("--port {port}", "--port {port} --api-key {api_key}") + ("env: {SERVICE_TOKEN: $SERVICE_TOKEN}\n")


@dataclass(frozen=True, slots=True)
class _Rank:
    host: str
    container_id: str


@dataclass(frozen=True, slots=True)
class _Workload:
    launch_id: str
    ranks: tuple[_Rank, ...]


async def _tells_all(host: FakeHost, container: FakeContainer) -> int:
    """An engine that prints what it was given, now and later."""
    container.arguments = f"python3\nengine\n--admin-api-key\n{FLAG}\n--port\n8000"
    port = int(container.info.labels["io.sparkrun-tui.port"])
    for _ in range(20):
        host.say(container, f"args: {TYPED} {SETTING} {FLAG} {WRITTEN}")
        host.say(container, f"non-default args: {{'api_key': ['{TYPED}'], 'model': 'org/tiny'}}")
        host.open(port, container.info.labels["io.sparkrun-tui.served"])
        await asyncio.sleep(5)
    await asyncio.sleep(10_000_000)
    return 0


def leaks(text: str) -> list[str]:
    return [canary for canary in CANARIES if canary in text]


@virtual_time
async def test_what_an_engine_prints_of_its_secrets_is_hidden_from_whoever_attaches(tmp_path: Path) -> None:
    cluster = FakeCluster("spark-1", "spark-2")
    for host in cluster.hosts.values():
        host.program = _tells_all
    first = cluster.launcher({"SERVICE_TOKEN": SETTING})
    plan = first.plan(rendered(KEYED, api_key=TYPED), cluster.cluster)
    launch = first.launch(plan)
    await launch.wait_ready()
    await first.close()
    shutil.rmtree(paths.state_dir())

    folder = tmp_path / "recipes"
    folder.mkdir()
    name = plan.rendered.recipe.name
    written = KEYED.replace("defaults: {port: 8000", f"defaults: {{port: 8000, api_key: {WRITTEN}")
    (folder / f"{name}.yaml").write_text(written)
    settings = Settings(clusters=(cluster.cluster,), recipe_dirs=(folder,))
    second = Launcher(settings, cluster.services, {})
    (item,) = cluster[1].containers.values()
    again = await second.attach(_Workload(launch.launch_id, (_Rank("spark-1", item.info.id),)), cluster.cluster)
    assert (await again.wait_ready()).status is LaunchStatus.READY
    await asyncio.sleep(12)
    told = "\n".join(line.text for line in again.logs["spark-1"].since(0))
    assert told.count("args: ••• ••• ••• •••") > 2, told
    assert leaks(told) == []
    await second.close()
    assert leaks(journal_text(paths.state_dir())) == []


def test_docker_tells_what_a_container_was_made_with() -> None:
    answer = {
        "Id": "abc",
        "Name": "/sparkrun_x_solo",
        "State": {"Status": "running"},
        "Config": {
            "Image": "i",
            "Env": [f"HF_TOKEN={TYPED}", "PATH=/bin", f"URL=http://user:{SETTING}@h/"],
            "Cmd": ["serve", "--api-key", FLAG],
        },
        "Args": ["serve", f"--password={WRITTEN}"],
    }
    info = container_from_inspect(Decoded(answer))
    assert set(info.secrets) >= {Secret(TYPED), Secret(FLAG), Secret(WRITTEN)}
    assert leaks(repr(info)) == []
    assert leaks(Redactor(info.secrets)(" ".join([*answer["Config"]["Env"], FLAG, WRITTEN]))) == []  # type: ignore[index]


def test_a_container_cannot_make_the_list_of_its_secrets_long() -> None:
    many = [f"A{number}_TOKEN={'x' * 10}{number}" for number in range(10_000)] + [f"B_KEY={'y' * 100_000}"]
    info = container_from_inspect(Decoded({"Id": "a", "State": {"Status": "running"}, "Config": {"Env": many}}))
    assert len(info.secrets) <= 64


def test_the_processes_of_a_container_are_read_as_they_are() -> None:
    """The script that is run in containers, run here on a process of this test's own."""
    words = [sys.executable, "-c", "import time; time.sleep(60)", "--api-key", FLAG]
    process = subprocess.Popen(words, env={**os.environ, "SOME_TOKEN": f"{TYPED}\nsecond line", "PLAIN": "1"})
    try:
        # Until the child is the program and no copy of this process.
        place = Path(f"/proc/{process.pid}/cmdline")
        deadline = time.monotonic() + 10
        while FLAG.encode() not in place.read_bytes() and time.monotonic() < deadline:
            time.sleep(0.01)
        script = processes.READ[2].replace("/proc/[0-9]*", f"/proc/{process.pid}")
        told = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    finally:
        process.kill()
        process.wait()
    read = processes.read(told.stdout)
    found = secrets_given(read.variables, read.words)
    assert Secret(f"{TYPED}\nsecond line") in found
    assert Secret(FLAG) in found
    assert Secret("1") not in found


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "~/.ssh/id", ".hidden", "a/b", "", "x\ny"])
def test_a_name_that_a_host_says_leads_to_no_file(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def find(*_: object) -> None:
        raise AssertionError("it was looked for")

    monkeypatch.setattr(given_secrets, "find_recipe", find)
    assert secrets_of_recipe_called(name, Settings(defaults={"api_key": SETTING})) == [SETTING]


def test_saved_overrides_of_the_recipe_are_hidden_too(tmp_path: Path) -> None:
    from sparkrun_tui.recipe.search.sources import find_recipe
    from sparkrun_tui.recipe.values.saved_overrides import save_overrides

    (tmp_path / "mine.yaml").write_text("model: a/b\nruntime: vllm\ncommand: vllm serve a/b\n")
    settings = Settings(recipe_dirs=(tmp_path,))
    save_overrides(find_recipe("mine", settings), {"api_key": TYPED, "port": "8000"})
    assert secrets_of_recipe_called("mine", settings) == [TYPED]


@pytest.mark.parametrize(
    "line",
    [
        f"non-default args: {{'host': '0.0.0.0', 'api_key': ['{TYPED}']}}",
        f"ServerArgs(model_path='m', api_key='{TYPED}', admin_api_key=None)",
        f'{{"password": "{TYPED}", "port": 1}}',
        f"VLLM_API_KEY={TYPED} vllm serve m",
        f"argv: llama-server -m x --api-key {TYPED} --port 1",
        f"argv: ['vllm', 'serve', '--api-key', '{TYPED}']",
        f"GET /v1/models Authorization: Bearer {TYPED}",
        f"HF_TOKEN={TYPED}",
    ],
)
def test_a_value_that_a_log_calls_a_secret_itself_is_hidden(line: str) -> None:
    """Also where the container is gone, and with it all that could say what its secrets were."""
    kept = safe_line(LogLine(1.0, "stdout", line), Redactor()).text
    assert TYPED not in kept
    assert "•••" in kept
    assert len(kept) == len(line) - len(TYPED) + 3, "nothing else is hidden"


@pytest.mark.parametrize(
    "line",
    [
        "ServerArgs(api_key=None, admin_api_key=None)",
        "bos_token='<s>' eos_token='</s>' pad_token='<pad>'",
        "INFO api_server.py:12 password authentication failed",
        'run: -o api_key="$API_KEY"',
        "API key authentication is off; api-keys are not checked",
        "--api-key --port 8000",
        "Bearer auth",
    ],
)
def test_other_words_of_a_log_stay(line: str) -> None:
    assert without_named(line) == line


def test_long_lines_of_a_log_are_searched_quickly() -> None:
    for piece in ("api_key=", "api_key='", "--api-key ", "Bearer ", "password: [", "api_key \t", "secret_key'"):
        line = piece * (65_536 // len(piece))
        start = time.process_time()
        without_named(line)
        # A pattern that looks at each rest of the line anew takes minutes.
        assert time.process_time() - start < 10, piece
    assert json.loads(without_named('{"api_key": "abcdefgh"}')) == {"api_key": "•••"}


def test_a_container_that_has_ended_is_asked_no_more() -> None:
    async def ask() -> tuple[Secret, ...]:
        info = container_from_inspect(
            Decoded({"Id": "a", "State": {"Status": "exited"}, "Config": {"Env": [f"X_KEY={TYPED}"]}})
        )
        return await given_secrets.secrets_of_container(None, replace(info))  # type: ignore[arg-type]

    assert asyncio.run(ask()) == (Secret(TYPED),)
