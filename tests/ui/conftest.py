"""An app on fakes: three recipes and a broken one in a folder of the test's own, two hosts that answer at once."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot

from sparkrun_tui.base.disk import paths
from sparkrun_tui.base.user.settings import Settings
from sparkrun_tui.ui.app.app import SparkrunApp
from sparkrun_tui.ui.app.session import Session

from .fakes import LAB_SETTINGS, FakeBackend

os.environ["TEXTUAL_ANIMATIONS"] = "none"

ALPHA = """\
recipe_version: "2"
name: alpha-8b
model: acme/alpha-8b
runtime: vllm
container: vllm/vllm-openai:v0.14.0
metadata:
  description: A small model for tests [/b] with odd [brackets
  model_params: 8B
  model_dtype: bf16
  num_layers: 32
  num_kv_heads: 8
  head_dim: 128
defaults:
  port: 8000
  host: 0.0.0.0
  tensor_parallel: 1
  gpu_memory_utilization: 0.80
  max_model_len: 32768
  kv_cache_dtype: auto
command: |
  vllm serve {model} \\
    --max-model-len {max_model_len} \\
    --gpu-memory-utilization {gpu_memory_utilization} \\
    --kv-cache-dtype {kv_cache_dtype} \\
    -tp {tensor_parallel} --host {host} \\
    --port {port}
"""
BETA = ALPHA.replace("alpha-8b", "beta-70b").replace("8B", "70B").replace("tensor_parallel: 1", "tensor_parallel: 2")
GAMMA = ALPHA.replace("alpha-8b", "gamma-sg").replace("runtime: vllm", "runtime: sglang").replace(
    "vllm serve {model}", "python3 -m sglang.launch_server --model-path {model}"
)  # fmt: skip
BROKEN = "name: broken\nmodel: [unclosed\n"

Pilots = Callable[..., AbstractAsyncContextManager[Pilot[int]]]


@pytest.fixture
def recipe_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with recipes; the bundled ones are out of sight."""
    folder = tmp_path / "recipes"
    folder.mkdir()
    for name, text in (("alpha", ALPHA), ("beta", BETA), ("gamma", GAMMA), ("broken", BROKEN)):
        (folder / f"{name}.yaml").write_text(text)
    monkeypatch.setattr(paths, "bundled_recipes", lambda: tmp_path / "none")
    return folder


@pytest.fixture
def backend() -> FakeBackend:
    """The engine's double."""
    return FakeBackend()


@pytest.fixture
def settings(recipe_dir: Path) -> Settings:
    """One cluster of two hosts, and the folder of recipes."""
    return replace(LAB_SETTINGS, recipe_dirs=(recipe_dir,))


@pytest.fixture
def open_app(settings: Settings, backend: FakeBackend) -> Pilots:
    """Opens the app and waits until recipes are read and hosts have answered."""

    @asynccontextmanager
    async def opened(
        size: tuple[int, int] = (120, 40), toasts: bool = False, **changes: object
    ) -> AsyncIterator[Pilot[int]]:
        session = replace(Session(settings, backend=backend), **changes)  # type: ignore[arg-type]
        backend.settings = session.settings
        app = SparkrunApp(session)
        async with app.run_test(size=size, notifications=toasts) as pilot:
            await settle(pilot)
            yield pilot

    return opened


async def settle(pilot: Pilot[int]) -> None:
    """Wait until what was begun in the background is done and painted."""
    app = pilot.app
    assert isinstance(app, SparkrunApp)
    for _ in range(200):
        await pilot.pause()
        if app.loaded and app.opened.is_set() and not any(worker.is_running for worker in app.workers):
            break
    await pilot.pause()


async def until(pilot: Pilot[int], condition: Callable[[], object]) -> None:
    """Wait until `condition` holds, and what was begun is painted."""
    for _ in range(300):
        await pilot.pause()
        if condition():
            await pilot.pause()
            return
    raise AssertionError(f"it did not come so far:\n{screen_text(pilot)}")


async def press(pilot: Pilot[int], *keys: str) -> None:
    """Press keys and wait for what they begin."""
    for key in keys:
        await pilot.press(key)
    await pilot.pause()
    await pilot.pause()


def screen_text(pilot: Pilot[int]) -> str:
    """What the terminal shows now, as text."""
    strips = pilot.app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in strips)


def lines_with(pilot: Pilot[int], text: str) -> list[str]:
    """The lines of the terminal that hold `text`."""
    return [line for line in screen_text(pilot).splitlines() if text in line]
