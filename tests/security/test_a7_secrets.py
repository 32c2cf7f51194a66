"""A7: a canary of each origin is in nothing that comes out: output, files, argument lists, screens, reports."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from sparkrun_tui.base.disk import paths
from sparkrun_tui.base.secrets import Redactor
from sparkrun_tui.base.user.settings import Settings
from sparkrun_tui.cli.gate import Gate
from sparkrun_tui.cli.main import run
from sparkrun_tui.demo.cluster import DemoCluster
from sparkrun_tui.launch.launcher import Launcher
from sparkrun_tui.launch.record.events import LaunchStatus
from sparkrun_tui.launch.record.journal import read_state
from sparkrun_tui.recipe.format.loader import load_text
from sparkrun_tui.recipe.registry import git
from sparkrun_tui.recipe.values.masking import concealed, quote_references
from sparkrun_tui.recipe.values.overrides import render
from sparkrun_tui.ui.app.app import SparkrunApp
from sparkrun_tui.ui.app.session import Session
from tests.demo import samples

CANARIES = {
    "file": "canary-file-Zq8vT3",
    "env": "canary-env-Zq8vT3",
    "typed": "canary-typed-Zq8vT3",
    "settings": "canary-settings-Zq8vT3",
    "url": "canary-url-Zq8vT3",
    "hub": "canary-hub-Zq8vT3",
    "short": "x7q!",
}
KEYED = samples.VLLM.replace(
    "  served_model_name: falcon\n",
    f"  served_model_name: falcon\n  api_key: {CANARIES['file']}\n  admin_password: {CANARIES['short']}\n",
).replace("--port {port}", "--port {port} --api-key {api_key} --admin {admin_password} --extra '{extra_token}'") + (
    f"env:\n  HF_TOKEN: ${{HF_TOKEN}}\n  SERVICE_TOKEN: {CANARIES['env']}\n"
    f"  MIRROR: https://user:{CANARIES['url']}@mirror.test/x\n"
)


@pytest.fixture
def keyed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The path of a recipe with secrets in all its places; the user's settings and environment hold one, too."""
    monkeypatch.setenv("HF_TOKEN", CANARIES["hub"])
    config = paths.config_dir() / "config.yaml"
    config.parent.mkdir(parents=True)
    config.write_text(f"defaults:\n  extra_token: {CANARIES['settings']}\n")
    path = tmp_path / "keyed.yaml"
    path.write_text(KEYED)
    return str(path)


def leaked(text: str) -> list[str]:
    """Which canaries stand in a text."""
    return [name for name, value in CANARIES.items() if value in text]


def _no_app(demo: bool, cluster: str, query: str) -> int:
    raise AssertionError("no app is opened here")


@pytest.mark.parametrize(
    "words",
    [
        ("show",),
        ("show", "--json"),
        ("recipe", "vram"),
        ("recipe", "vram", "--json"),
        ("recipe", "export"),
        ("run", "--dry-run"),
        ("run", "--dry-run", "--json"),
        ("run", "--dry-run", "-o", "api_key=another"),
        ("run", "--nonsense"),
    ],
)
def test_no_command_prints_a_canary(keyed: str, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]) -> None:
    at = 2 if words[0] == "recipe" else 1
    run([*words[:at], keyed, "-o", f"api_key={CANARIES['typed']}", *words[at:]], open_app=_no_app)
    told = capsys.readouterr()
    assert told.out or told.err
    assert leaked(told.out + told.err) == []


def test_validate_prints_no_canary(keyed: str, capsys: pytest.CaptureFixture[str]) -> None:
    run(["recipe", "validate", keyed], open_app=_no_app)
    assert leaked("".join(capsys.readouterr())) == []


def test_an_exported_recipe_asks_a_variable(keyed: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "mine.yaml"
    words = ["recipe", "export", keyed, "-o", f"api_key={CANARIES['typed']}", "--output", str(target)]
    assert run(words, open_app=_no_app) == 0
    assert CANARIES["typed"] not in target.read_text()
    assert "$API_KEY" in capsys.readouterr().err
    assert stat.S_IMODE(target.stat().st_mode) == 0o600, "what the author wrote there is still in it"


async def test_a_launch_leaves_no_canary_anywhere(keyed: str) -> None:
    recipe = load_text(KEYED, samples.recipe(samples.VLLM).source)
    rendered = render(recipe, {"api_key": CANARIES["typed"]}, {"extra_token": CANARIES["settings"]})
    async with DemoCluster(50.0, Settings(), [recipe], visitors=False) as demo:
        launcher = Launcher(Settings(), demo.services, dict(os.environ))
        launch = launcher.launch(launcher.plan(rendered, demo.cluster))
        state = await launch.wait_ready()
        assert state.status is LaunchStatus.READY, state.diagnosis or state.detail
        bodies = [repr(item.body) for host in demo.site.hosts for item in host.containers.values()]
        assert bodies
        assert leaked("\n".join(bodies)) == []
        assert leaked(repr(launch.state)) == []
        assert leaked("\n".join(line.text for log in launch.logs.values() for line in log.since(0))) == []
        await launch.stop()
        await launcher.close()
    kept = list(_files(paths.state_dir()))
    assert any(path.name == "events.jsonl" for path in kept)
    for path in kept:
        assert leaked(path.read_text(errors="replace")) == [], path
    assert stat.S_IMODE(paths.state_dir().stat().st_mode) == 0o700


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def test_journals_of_earlier_versions_are_read_without_their_secrets(tmp_path: Path) -> None:
    began = {
        "kind": "began", "seq": 1, "time": 1.0, "launch_id": "x", "recipe": "r", "engine": "vllm", "model": "m",
        "cluster": "c", "hosts": ["h"], "port": 1, "settings": {"api_key": CANARIES["typed"], "port": "1"},
    }  # fmt: skip
    (tmp_path / "events.jsonl").write_text(json.dumps(began) + "\n")
    settings = read_state(tmp_path).settings
    assert CANARIES["typed"] not in repr(settings)
    assert settings["port"] == "1"


@pytest.mark.parametrize(
    "form",
    [
        "echo {api_key}", 'echo "{api_key}"', "echo '{api_key}'", "bash -c 'echo {api_key}'", "echo a{api_key}b",
        "echo $'a{api_key}\\x62'", 'echo "$(echo "{api_key}")"', "echo $(echo ')' >/dev/null; echo '{api_key}')",
        'echo "${NONE:-{api_key}}"', "cat <(echo '{api_key}')", 'echo "`echo {api_key}`"',
        "A=(x '{api_key}'); echo ${A[1]}",
    ],
)  # fmt: skip
def test_the_shell_gets_the_value_that_the_command_does_not_hold(form: str) -> None:
    recipe = load_text(f"model: a/b\nruntime: vllm\ncommand: |\n  {form}\ndefaults: {{api_key: secret-Zq8vT3}}\n")
    hidden = concealed(render(recipe, {}))
    command = hidden.rendered.command
    assert command is not None
    assert "secret-Zq8vT3" not in command
    values = {name: secret.reveal() for name, secret in hidden.secrets.items()}
    done = subprocess.run(["bash", "-c", command], env={**os.environ, **values}, capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.strip().strip("ab") == "secret-Zq8vT3"
    assert quote_references("echo plain") == "echo plain"


def test_credentials_of_git_are_not_among_its_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = f"http://user:{CANARIES['url']}@127.0.0.1:9"
    (Path.home() / ".gitconfig").write_text(f"[http]\n\tproxy = {proxy}\n")
    seen: list[list[str]] = []
    given: list[dict[str, str]] = []
    real = subprocess.Popen

    def spy(words: list[str], **options: object) -> object:
        seen.append(list(words))
        given.append(dict(options.get("env") or {}))  # type: ignore[call-overload]
        return real(words, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "Popen", spy)
    with pytest.raises(Exception, match=r"127\.0\.0\.1") as caught:
        git.remote_commit("https://127.0.0.1:9/x")
    assert leaked(str(caught.value)) == []
    assert leaked(repr(seen)) == []
    assert any(proxy in env.values() for env in given), "git still gets it"


async def test_the_report_of_a_crash_shows_no_locals_and_no_canary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", CANARIES["hub"])
    app = SparkrunApp(Session())
    reports: list[Any] = []
    real = app.panic

    def panic(*shown: Any) -> None:
        reports.extend(shown)
        real(*shown)

    monkeypatch.setattr(app, "panic", panic)

    def defect() -> None:
        held = CANARIES["typed"]
        raise ValueError(f"{CANARIES['hub']} {len(held)}")

    with pytest.raises(ValueError, match="canary"):
        async with app.run_test() as pilot:
            app.call_later(defect)
            await pilot.pause()
    # What Textual prints once the terminal is its own again.
    console = Console(record=True, file=io.StringIO(), width=200)
    for shown in reports:
        console.print(shown)
    report = console.export_text()
    assert "ValueError" in report
    assert "in defect" in report
    assert "locals" not in report
    assert leaked(report) == []


def test_json_escapes_what_steers_a_terminal_or_has_no_encoding() -> None:
    text = Gate({}).json({"name": "a\x9bb\u202ec\udcff"})
    assert text.isascii()
    assert json.loads(text) == {"name": "a\x9bb\u202ec\udcff"}


def test_short_secrets_are_hidden_as_words() -> None:
    assert Redactor(["x7q!"])("key x7q! of x7q!more") == "key ••• of x7q!more"
