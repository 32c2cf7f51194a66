"""What `./dev` runs, seen with a Python that only writes down how it was called."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_LOCK = "requirements-dev.lock"
_PYTHON = """\
#!/bin/sh
printf '%s [%s]\\n' "$*" "${SPARKRUN_TUI_LONG:-}" >>"$CALLS"
case "$*" in *"$FAILS"*) [ -z "$FAILS" ] || exit 1 ;; esac
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose environment is complete, as `./dev` sees it."""
    for name in ("dev", _LOCK):
        shutil.copy(ROOT / name, tmp_path / name)
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(_PYTHON, encoding="utf-8")
    python.chmod(0o755)
    sum_of = subprocess.run(["cksum"], stdin=(tmp_path / _LOCK).open("rb"), capture_output=True, text=True, check=True)
    stamp = f"{sum_of.stdout.strip()} {tmp_path.resolve()}\n"
    (tmp_path / ".venv" / f".stamp-{_LOCK}").write_text(stamp, encoding="utf-8")
    return tmp_path


def dev(checkout: Path, *words: str, fails: str = "") -> tuple[int, list[str], str]:
    """The exit code of `./dev`, the calls of Python, and what was said."""
    calls = checkout / "calls"
    env = {"PATH": "/usr/bin:/bin", "CALLS": str(calls), "FAILS": fails}
    done = subprocess.run([checkout / "dev", *words], env=env, capture_output=True, text=True, check=False)
    return done.returncode, calls.read_text(encoding="utf-8").splitlines() if calls.exists() else [], done.stderr


def test_check_runs_no_hostile_input(checkout: Path) -> None:
    code, calls, _ = dev(checkout, "check")
    assert code == 0
    assert len(calls) == 5
    assert not any("fuzz" in call or "security" in call for call in calls)


def test_the_figures_of_the_structure_fail_no_check(checkout: Path) -> None:
    code, calls, said = dev(checkout, "check", fails="benchmarks.structure")
    assert code == 0
    assert calls[-1].startswith("-m benchmarks.structure")
    assert "check passed" in said


@pytest.mark.parametrize(("words", "minutes"), [((), "60"), (("5",), "5")])
def test_a_long_check_also_runs_all_of_the_hostile_input(
    checkout: Path, words: tuple[str, ...], minutes: str
) -> None:  # fmt: skip
    code, calls, _ = dev(checkout, "check", "--long", *words)
    assert code == 0
    assert calls[4:6] == ["-m pytest tests/security [1]", f"-m tests.fuzz --minutes {minutes} [1]"]


def test_a_long_check_goes_on_after_a_failure_and_fails(checkout: Path) -> None:
    code, calls, said = dev(checkout, "check", "--long", "1", fails="tests/security")
    assert code == 1
    assert any(call.startswith("-m tests.fuzz") for call in calls)
    assert "check failed: security" in said


@pytest.mark.parametrize("words", [("--long", "soon"), ("--long", "1", "2"), ("--short",)])
def test_check_refuses_what_it_does_not_know(checkout: Path, words: tuple[str, ...]) -> None:
    code, calls, said = dev(checkout, "check", *words)
    assert (code, calls) == (1, [])
    assert "check" in said
