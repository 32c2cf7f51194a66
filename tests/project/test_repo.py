"""Rules of the repository that no linter knows."""

from __future__ import annotations

import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ("requirements.lock", "requirements-dev.lock")
PIN = re.compile(r"(?P<name>[a-z0-9][a-z0-9.-]*)==(?P<version>[^ ;\\]+)(?: ; [^\\]+)? \\")
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}(?: \\)?")


def lock_lines(lock: str) -> list[str]:
    """The lines of a lock."""
    return (ROOT / lock).read_text(encoding="utf-8").splitlines()


def pins(lock: str) -> set[tuple[str, str]]:
    """Name and version of every distribution in a lock."""
    return {(pin["name"], pin["version"]) for line in lock_lines(lock) if (pin := PIN.fullmatch(line))}


@pytest.mark.parametrize("lock", LOCKS)
def test_locks_hold_exact_versions_and_hashes_and_nothing_else(lock: str) -> None:
    lines = lock_lines(lock)
    assert pins(lock)
    assert [line for line in lines if not (PIN.fullmatch(line) or HASH.fullmatch(line))] == []
    for line, following in pairwise(lines):
        if PIN.fullmatch(line):
            assert HASH.fullmatch(following), f"{lock}: no hash for {line}"


def test_the_development_lock_contains_the_run_lock() -> None:
    assert pins("requirements.lock") <= pins("requirements-dev.lock")


def test_top_level_layout() -> None:
    for name in ("dev", ".ci/run", "README.md", "CHANGELOG.md", "LICENSE", "pyproject.toml", "recipes", "styles"):
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize(("shell", "script"), [("sh", "dev"), ("bash", ".ci/run")])
def test_scripts_are_executable_and_parse(shell: str, script: str) -> None:
    program = shutil.which(shell)
    assert program is not None
    assert (ROOT / script).stat().st_mode & 0o111
    done = subprocess.run([program, "-n", ROOT / script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_readme_opens_with_the_two_commands() -> None:
    top = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:8]
    commands = [line.split("#")[0].strip() for line in top if line.startswith("./dev")]
    assert commands == ["./dev run", "./dev test"]


def sources() -> list[Path]:
    """Every module of the package."""
    return sorted((ROOT / "sparkrun_tui").rglob("*.py"))


def test_no_module_promises_work_for_later() -> None:
    promise = re.compile(r"\b(TODO|FIXME|XXX)\b|\braise NotImplementedError\b")
    found = [str(path.relative_to(ROOT)) for path in sources() if promise.search(path.read_text(encoding="utf-8"))]
    assert found == []
