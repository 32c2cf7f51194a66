"""A7: a secret that is typed as an override is nowhere in clear, whatever letters it has."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sparkrun_tui.base.disk import paths
from sparkrun_tui.cli.main import run
from sparkrun_tui.launch.plan.dry_run import as_data, lines
from sparkrun_tui.launch.record.codec import to_json
from sparkrun_tui.launch.record.events import LaunchStatus
from tests.launch.fakes import SOLO, FakeCluster, journal_text, rendered
from tests.launch.virtual import virtual_time

TYPED = {
    "long": "canary-typed-Zq8vT3",
    "dollar": "canary$typed-Zq8vT3",
    "dollar word": "Zq8vT3$w0rdcanary",
    "capitals": "Zq8$CANARYvT3",
    "blank and quotes": "canary 'Zq8' \"vT3\"",
    "braces": "canary{Zq8}vT3",
    "backtick": "canary`Zq8vT3`",
    "digits": "8273645182736451",
    "letters": "canaryZqvTxyz",
}
KEYED = SOLO.replace("--port {port}", "--port {port} --api-key {api_key}") + (
    "pre_exec: ['echo {api_key} >/dev/null']\npost_exec: ['echo \"{api_key}\" >/dev/null']\n"
)
VARIABLE = KEYED.replace("command: vllm", "command: K={api_key} vllm")
PLACES = {"flag and hooks": KEYED, "no place": SOLO, "variable": VARIABLE}
LAUNCHED = {name: value for name, value in TYPED.items() if "{" not in value}
"""Braces in a value are placeholders, so such a launch is refused."""


def _no_app(demo: bool, cluster: str, query: str) -> int:
    raise AssertionError("no app is opened here")


@pytest.mark.parametrize("text", PLACES.values(), ids=PLACES.keys())
@pytest.mark.parametrize("value", TYPED.values(), ids=TYPED.keys())
def test_no_dry_run_has_it(value: str, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "keyed.yaml"
    path.write_text(text)
    for more in ([], ["--json"]):
        run(["run", str(path), "-H", "a", "--dry-run", "-o", f"api_key={value}", *more], open_app=_no_app)
        told = capsys.readouterr()
        assert told.out
        for form in (value, json.dumps(value)[1:-1], json.dumps(json.dumps(value)[1:-1])[1:-1]):
            assert form not in told.out + told.err


@pytest.mark.parametrize("value", LAUNCHED.values(), ids=LAUNCHED.keys())
@virtual_time
async def test_no_launch_keeps_it(value: str, cluster: FakeCluster) -> None:
    """Events as `run --json` prints them, the journal, what Docker is told, scripts, and every file of this machine."""
    cluster.http.key = value
    launcher = cluster.launcher()
    launch = launcher.launch(launcher.plan(rendered(KEYED, api_key=value), cluster.cluster))
    state = await launch.wait_ready()
    assert state.status is LaunchStatus.READY, state.detail
    assert launch.key is not None and launch.key.reveal() == value
    container = next(iter(cluster[1].containers.values()))
    cluster[1].say(container, f"INFO the key is {value}")
    cluster[1].say(container, f"non-default args: {{'api_key': [{value!r}]}}", "stderr")
    events = []
    await launch.stop()
    async for event in launch.events():
        events.append(json.dumps(to_json(event), ensure_ascii=False))
    shown = [
        *events,
        repr(launch.state),
        repr(container.body),
        " ".join(cluster[1].actions),
        *(text for place, text in container.files.items() if not place.endswith("env")),
        *(line.text for log in launch.logs.values() for line in log.since(0)),
        *lines(launch.plan),
        json.dumps(as_data(launch.plan), ensure_ascii=False),
        journal_text(paths.state_dir()),
    ]
    escaped = json.dumps(value)[1:-1]
    for text in shown:
        assert value not in text
        assert escaped not in text
