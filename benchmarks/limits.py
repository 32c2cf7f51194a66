"""A launch on 64 simulated hosts: time, lines and the memory of the whole process, hosts and their SSH servers too."""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.made_recipes import home_with
from benchmarks.table import Row
from sparkrun_tui.base.user.settings import Settings
from sparkrun_tui.demo.cluster import DemoCluster
from sparkrun_tui.launch.launcher import Launcher
from sparkrun_tui.launch.record.events import LaunchStatus
from sparkrun_tui.recipe.format.loader import load_text
from sparkrun_tui.recipe.model import Source, SourceKind
from sparkrun_tui.recipe.values.overrides import render

_HOSTS = 64
_RECIPE = """\
name: sixty-four
model: acme/Falcon-180B
runtime: sglang
container: acme/sglang:1
min_nodes: 2
defaults: {port: 30001, tensor_parallel: 64, max_model_len: 8192, max_num_seqs: 8, gpu_memory_utilization: 0.6}
command: >-
  python3 -m sglang.launch_server --model-path {model} --port {port} --tp-size {tensor_parallel}
  --context-length {max_model_len} --max-running-requests {max_num_seqs} --mem-fraction-static {gpu_memory_utilization}
metadata: {model_params: 180B, model_dtype: bf16, kv_dtype: bf16, num_layers: 64, num_kv_heads: 64, head_dim: 128}
"""


async def _launch() -> None:
    """Launch, read the logs of all hosts, stop; print the figures, as words of one line."""
    recipe = load_text(_RECIPE, Source(SourceKind.PATH, "sixty-four.yaml"))
    async with DemoCluster(20.0, Settings(), [recipe], visitors=False, hosts=_HOSTS) as demo:
        launcher = Launcher(Settings(), demo.services, {})
        began = time.monotonic()
        launch = launcher.launch(launcher.plan(render(recipe, {}), demo.cluster))
        state = await launch.wait_ready()
        ready = time.monotonic() - began
        if state.status is not LaunchStatus.READY:
            raise RuntimeError(f"not ready: {state.status} {state.detail} {state.diagnosis}")
        streamed = len([name for name in demo.cluster.hosts if launch.logs[name].end])
        lines = sum(buffer.end for buffer in launch.logs.values())
        began = time.monotonic()
        ended = await launch.stop()
        stopped = time.monotonic() - began
        left = sum(len(host.containers) for host in demo.site.hosts)
        await launcher.close()
    if ended.status is not LaunchStatus.STOPPED or left:
        raise RuntimeError(f"not stopped: {ended.status} {ended.detail}, {left} containers left")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(ready, stopped, streamed, lines, peak)


def run(quick: bool = False) -> list[Row]:
    """Measure, in a process of its own, whose memory is this launch's alone."""
    root = str(Path(__file__).resolve().parent.parent)
    with tempfile.TemporaryDirectory() as folder:
        environment = home_with(Path(folder), 1) | {"PYTHONPATH": root}
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.limits"], env=environment, capture_output=True, text=True, check=False
        )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    ready, stopped, streamed, lines, peak = map(float, done.stdout.split())
    return [
        Row(f"{_HOSTS} hosts: from the launch until it serves", f"{ready:.1f} s"),
        Row(f"{_HOSTS} hosts: hosts whose log came / lines", f"{streamed:.0f} / {lines:.0f}", f"{_HOSTS}"),
        Row(f"{_HOSTS} hosts: stopped, nothing left", f"{stopped:.1f} s"),
        Row(f"{_HOSTS} hosts and this program: peak memory", f"{peak / (1 << 20):.0f} MiB", "<= 500 MB"),
    ]


if __name__ == "__main__":
    asyncio.run(_launch())
