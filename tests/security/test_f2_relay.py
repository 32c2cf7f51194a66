"""A host that is asked by another host for its boot, and prints without end, does not fill the other one's memory."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from sparkrun_tui.remote.transfer.relay import reach_script
from tests.engines.samples import host
from tests.engines.test_eugr_vllm import RECIPE, plan, rendered

BOOT = "5a9d4d6e-6d0b-4a0e-9a53-6d1f6b6f4c11"
ENDLESS = f"#!/bin/sh\necho {BOOT}\nwhile echo {'a' * 100}; do :; done\n"


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in {"ssh": ENDLESS, "git": "#!/bin/sh\necho x\n", "rsync": "#!/bin/sh\n"}.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}", "HOME": str(tmp_path)}


def run(script: str, env: dict[str, str]) -> int:
    """The exit code of a script on a host. Fails when it does not end."""
    process = subprocess.Popen(
        ["sh", "-c", script],
        env=env, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        return process.wait(timeout=3)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_a_relay_reads_no_more_than_a_boot(env: dict[str, str]) -> None:
    assert run(reach_script("192.0.2.7", BOOT), env) == 1


def test_the_scripts_of_an_image_read_no_more_than_a_boot(env: dict[str, str], tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    (cache / "spark-vllm-docker" / ".git").mkdir(parents=True)
    views = (
        host(1, app_cache=str(cache), home=str(tmp_path)),
        host(2, app_cache=str(cache), home=str(tmp_path), address="192.0.2.7", boot_id=BOOT),
    )
    serve = plan(rendered(RECIPE), views=views)
    asking = [script.script for stage in serve.stages for script in stage.scripts if "boot_id" in script.script]
    assert asking
    for script in asking:
        assert run(script, env) == 1
