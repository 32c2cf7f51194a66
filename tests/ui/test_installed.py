"""The installed app on a terminal: from the first start to the stop of a launch, with resizes between."""

from __future__ import annotations

import os
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.terminal import Terminal

ROOT = Path(__file__).resolve().parents[2]
ESCAPE, ENTER = "\x1b", "\r"


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """The app, installed in a folder of its own, without any settings."""
    site = tmp_path / "site"
    install = ["-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--target", str(site), str(ROOT)]
    done = subprocess.run([sys.executable, *install], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    home = tmp_path / "home"
    home.mkdir()
    environment = {
        "HOME": str(home),
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(site),
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
        "LANG": "C.UTF-8",
        "TEXTUAL_ANIMATIONS": "none",
    }
    opened = Terminal([sys.executable, "-m", "sparkrun_tui"], (80, 24), environment, home)
    yield opened
    opened.close()


def whole(terminal: Terminal) -> None:
    """The screen is drawn from its first row to its last one, for the size that it has now."""
    rows = terminal.text.splitlines()
    assert "sparkrun-tui" in rows[0], terminal.text
    assert "help" in rows[-1], terminal.text
    assert "Traceback" not in terminal.text


def test_from_the_first_start_to_the_stop(terminal: Terminal) -> None:
    terminal.until("Recipes", "No cluster yet: try the demo", "enter choose")
    terminal.type(ENTER)
    terminal.until("demo: spark-1 ● spark-2 ●", "DEMO", "help", gone="No cluster yet")
    whole(terminal)

    terminal.type("/")
    terminal.until("tab complete")
    terminal.type("qwen3-1.7b-vllm")
    terminal.until("Recipes 1 of")
    terminal.type(ENTER)
    terminal.resize(120, 40)
    terminal.until("Overrides", "✓ starts")
    whole(terminal)

    terminal.type("p")
    terminal.until("Plan: qwen3-1.7b-vllm on demo", "checked on the hosts")
    terminal.resize(100, 30)
    terminal.until("Plan: qwen3-1.7b-vllm on demo")
    whole(terminal)
    terminal.type(ENTER)
    terminal.until("qwen3-1.7b-vllm on demo", "memory left")
    for size in ((60, 20), (140, 45), (80, 24)):
        terminal.resize(*size)
        terminal.until("› launch", "help")
        whole(terminal)
    terminal.until("✓ ready", "✓ http://")

    terminal.type("f")
    terminal.until("qwen3-1.7b-vllm :8000")
    terminal.resize(200, 50)
    terminal.until("› fleet", "GPU load")
    whole(terminal)
    terminal.type(ESCAPE)
    terminal.until("› launch")
    terminal.type("x")
    terminal.until("Stop qwen3-1.7b-vllm on spark-1?")
    terminal.type("y")
    terminal.until("stopped", gone="Stop qwen3-1.7b-vllm on")
    whole(terminal)

    terminal.type("\x11")
    assert terminal.ended() == 0
    assert termios.tcgetattr(terminal.line) == terminal.before
