"""What holds for every test: no test sees or touches the settings, keys, caches or tokens of the person running it.

No test runs for ever. And one rule for CI: an integration test that is skipped there has failed, since a skip proves
nothing. For the tests of real engines, which only run when somebody wants to know, that holds everywhere.
"""

from __future__ import annotations

import faulthandler
import os
import sys
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings

# A machine that does other things as well is slow now and then: how long one example takes proves nothing.
settings.register_profile("sparkrun-tui", deadline=None)
settings.load_profile("sparkrun-tui")

_INTEGRATION = Path(__file__).parent / "integration"
_ENGINES = _INTEGRATION / "real_engines"
_PRIVATE = ("HF_TOKEN", "HF_TOKEN_PATH", "HUGGING_FACE_HUB_TOKEN", "SSH_AUTH_SOCK", "NO_COLOR")


_LIMIT = float(os.environ.get("SPARKRUN_TUI_TEST_LIMIT", "600"))
"""Seconds that a test may take, on a machine that does other things as well."""

_INTEGRATION_LIMIT = 2 * _LIMIT
"""An integration test also waits for what it is the first to need: images, daemons, hosts."""

_LONG = 60
"""Characters or bytes of a value that the name of a test may hold."""

_STDERR = pytest.StashKey[int]()


def pytest_configure(config: pytest.Config) -> None:
    """Keeps the way to the terminal: while a test runs, its own stderr is captured."""
    assert sys.__stderr__ is not None
    config.stash[_STDERR] = os.dup(sys.__stderr__.fileno())


def pytest_unconfigure(config: pytest.Config) -> None:
    """Closes it."""
    os.close(config.stash[_STDERR])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Ends the process of a test that hangs, and prints where. pytest-xdist names the test and goes on with the rest.

    A hang may be deep inside of a library or hold the interpreter's lock, so nothing gentler is sure to work.
    """
    limit = _INTEGRATION_LIMIT if item.path.is_relative_to(_INTEGRATION) else _LIMIT
    faulthandler.dump_traceback_later(limit, exit=True, file=item.config.stash[_STDERR])
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


def pytest_make_parametrize_id(val: object) -> str | None:
    """A short name for a long value: a report must not be megabytes of what a test was fed with."""
    if not isinstance(val, str | bytes) or len(val) <= _LONG:
        return None
    return f"{val[:_LONG]!a}... of {len(val)}"


@pytest.fixture(autouse=True)
def private_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own for each test, with its XDG directories and Hugging Face cache."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / ".config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / ".cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(home / ".local" / "state"))
    monkeypatch.setenv("XDG_DATA_HOME", str(home / ".local" / "share"))
    monkeypatch.setenv("HF_HOME", str(home / ".cache" / "huggingface"))
    for name in _PRIVATE:
        monkeypatch.delenv(name, raising=False)
    return home


def _in_ci() -> bool:
    return os.environ.get("CI", "").lower() in ("1", "true", "yes")


def _skip_is_failure(path: Path) -> bool:
    if path.is_relative_to(_ENGINES):
        return True
    return _in_ci() and path.is_relative_to(_INTEGRATION)


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    return report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turns a skip that proves nothing into a failure."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and _skip_is_failure(item.path):
        report.longrepr = f"skipped, which is not accepted here: {_reason(report)}"
        report.outcome = "failed"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a whole module that skips itself."""
    report = yield
    if report.skipped and _skip_is_failure(collector.path):
        report.longrepr = f"module skipped, which is not accepted here: {_reason(report)}"
        report.outcome = "failed"
    return report
