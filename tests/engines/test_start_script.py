"""The start script in a real bash: secrets come in and vanish, exit codes pass through, SIGTERM reaches the engine."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from sparkrun_tui.base.secrets import Secret
from sparkrun_tui.engines.layout.common import secret_file, start_script


def start(folder: Path, serve: str, secrets: str | None = None) -> subprocess.Popen[str]:
    paths = {name: folder / name for name in ("start.sh", "serve.sh", "env")}
    paths["serve.sh"].write_text(serve)
    if secrets is not None:
        paths["env"].write_text(secrets)
    paths["start.sh"].write_text(start_script(str(paths["serve.sh"]), str(paths["env"])))
    return subprocess.Popen(["bash", str(paths["start.sh"])], stdout=subprocess.PIPE, text=True, start_new_session=True)


@pytest.mark.parametrize("value", ["plain", "it's", 'a "b" $HOME `id` \\', "ends with \\"])
def test_secrets_reach_the_engine_and_the_file_is_gone(tmp_path: Path, value: str) -> None:
    secrets = secret_file({"HF_TOKEN": Secret(value)})
    out, _ = start(tmp_path, "bash -c 'printf %s \"$HF_TOKEN\"'", secrets).communicate(timeout=20)
    assert out == value
    assert not (tmp_path / "env").exists()


def test_without_secrets_it_just_runs(tmp_path: Path) -> None:
    out, _ = start(tmp_path, "echo 'a \"b\"' $((1 + 1))").communicate(timeout=20)
    assert out == 'a "b" 2\n'


@pytest.mark.parametrize(("serve", "code"), [("(exit 3)", 3), ("exit 4", 4), ("set -e\nfalse\ntrue", 1), ("true", 0)])
def test_the_exit_code_is_the_engines(tmp_path: Path, serve: str, code: int) -> None:
    assert start(tmp_path, serve).wait(timeout=20) == code


def test_on_sigterm_the_engine_ends_in_its_own_time(tmp_path: Path) -> None:
    engine = "bash -c 'trap \"echo bye; exit 5\" TERM; echo up; while :; do sleep 0.05; done'"
    process = start(tmp_path, engine)
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    os.killpg(process.pid, signal.SIGTERM)
    assert process.stdout.read() == "bye\n"
    assert process.wait(timeout=20) == 5
