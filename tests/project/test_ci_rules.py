"""A skipped integration test is a failure in CI, and only there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).resolve().parents[1] / "conftest.py"
SKIPS = {
    "test": "import pytest\n\ndef test_cluster():\n    pytest.skip('no dockerd')\n",
    "mark": "import pytest\n\n@pytest.mark.skipif(True, reason='no dockerd')\ndef test_cluster():\n    assert False\n",
    "module": "import pytest\n\npytest.skip('no dockerd', allow_module_level=True)\n",
}


def pytest_run(folder: Path, ci: str) -> subprocess.CompletedProcess[str]:
    """Runs the tests in a folder as CI or a person would, without this project's own plugins."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", "--rootdir", folder]
    env = {**os.environ, "CI": ci, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run([*command, folder], cwd=folder, env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("kind", SKIPS)
@pytest.mark.parametrize(("folder", "ci", "fails"), [("integration", "true", True), ("integration", "", False)])
def test_skips(tmp_path: Path, kind: str, folder: str, ci: str, fails: bool) -> None:
    shutil.copy(CONFTEST, tmp_path)
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "test_it.py").write_text(SKIPS[kind] + "\n", encoding="utf-8")
    (tmp_path / "test_other.py").write_text(SKIPS["test"] + "\ndef test_passes():\n    assert True\n", encoding="utf-8")
    done = pytest_run(tmp_path, ci)
    assert (done.returncode != 0) == fails, done.stdout
    assert ("CI does not accept: Skipped: no dockerd" in done.stdout) == fails
