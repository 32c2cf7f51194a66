"""A skipped integration test is a failure in CI, and one of a real engine everywhere; so is a test that hangs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONFTEST = ROOT / "tests" / "conftest.py"
SKIPS = {
    "test": "import pytest\n\ndef test_cluster():\n    pytest.skip('no dockerd')\n",
    "mark": "import pytest\n\n@pytest.mark.skipif(True, reason='no dockerd')\ndef test_cluster():\n    assert False\n",
    "module": "import pytest\n\npytest.skip('no dockerd', allow_module_level=True)\n",
}


HANGS = """\
import threading

def test_hangs():
    threading.Event().wait()

def test_passes():
    assert True
"""


def pytest_run(folder: Path, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Runs the tests in a folder as CI or a person would, without plugins that are not named."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", folder, *words]
    env = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **environ}
    return subprocess.run([*command, folder], cwd=folder, env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("kind", SKIPS)
@pytest.mark.parametrize(
    ("folder", "ci", "fails"),
    [("integration", "true", True), ("integration", "", False), ("integration/real_engines", "", True)],
)
def test_skips(tmp_path: Path, kind: str, folder: str, ci: str, fails: bool) -> None:
    shutil.copy(CONFTEST, tmp_path)
    (tmp_path / folder).mkdir(parents=True)
    (tmp_path / folder / "test_it.py").write_text(SKIPS[kind] + "\n", encoding="utf-8")
    (tmp_path / "test_other.py").write_text(SKIPS["test"] + "\ndef test_passes():\n    assert True\n", encoding="utf-8")
    done = pytest_run(tmp_path, "-q", CI=ci)
    assert (done.returncode != 0) == fails, done.stdout
    assert ("is not accepted here: Skipped: no dockerd" in done.stdout) == fails


@pytest.mark.parametrize(
    ("folder", "found"), [(".", "test_plain"), ("integration", "test_hosts"), ("integration/real_engines", "test_vllm")]
)
def test_each_tier_has_its_own_tests(tmp_path: Path, folder: str, found: str) -> None:
    tiers = {"test_plain": ".", "test_hosts": "integration", "test_vllm": "integration/real_engines"}
    for name, place in tiers.items():
        (tmp_path / place).mkdir(parents=True, exist_ok=True)
        (tmp_path / place / f"{name}.py").write_text("def test_it():\n    assert True\n", encoding="utf-8")
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pytest"]["ini_options"]
    folders = " ".join(settings["norecursedirs"])
    done = pytest_run(tmp_path / folder, "--collect-only", "-q", "-o", f"norecursedirs={folders}")
    listed = [line for line in done.stdout.splitlines() if "::" in line]
    assert [line.partition(".py::")[0].rpartition("/")[2] for line in listed] == [found], done.stdout


@pytest.mark.parametrize("words", [(), ("-p", "xdist.plugin", "-n", "1")], ids=["in one process", "with workers"])
def test_a_test_that_hangs_is_ended_and_named(tmp_path: Path, words: tuple[str, ...]) -> None:
    shutil.copy(CONFTEST, tmp_path)
    (tmp_path / "test_it.py").write_text(HANGS, encoding="utf-8")
    done = pytest_run(tmp_path, "-v", *words, SPARKRUN_TUI_TEST_LIMIT="3")
    assert done.returncode != 0
    assert "in test_hangs" in done.stderr, "where it hung"
    assert "test_it.py::test_hangs" in done.stdout
    assert ("1 failed, 1 passed" in done.stdout) == bool(words), "only a run with workers can go on"
