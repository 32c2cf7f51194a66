"""Hosts that print thousands of lines a second: every line is on disk here, once and in order.

Two hosts for ten seconds in CI; eight for a minute with SPARKRUN_TUI_LONG=1. The figures are printed (`-s` shows them).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from cluster import Cluster, Host, HostSpec
from cluster.workstation import Workstation
from test_cli_vllm import SMALL, Run

LONG = bool(os.environ.get("SPARKRUN_TUI_LONG"))
HOSTS, SECONDS = (8, 60) if LONG else (2, 10)
RATE = 2000


def memory_and_time(pid: int) -> tuple[float, float]:
    """The most memory that a process has had, in MB, and the processor time that it has taken, in seconds."""
    status = Path(f"/proc/{pid}/status").read_text()
    peak = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = os.sysconf("SC_CLK_TCK")
    return int(peak) / 1024, (int(fields[11]) + int(fields[12])) / ticks


def texts() -> dict[str, str]:
    """The logs that are kept here, by host."""
    return {path.stem: path.read_text() for path in Path(os.environ["XDG_STATE_HOME"]).rglob("hosts/*.log")}


def test_every_line_of_a_flood_is_on_disk(
    hosts: list[Host], cluster: Cluster, workstation: Workstation, sparkrun: Run, recipes: Path, tmp_path: Path
) -> None:
    more = cluster.add_hosts(*[HostSpec()] * (HOSTS - len(hosts))) if len(hosts) < HOSTS else []
    workstation.know_hosts()
    chosen = [*hosts, *more]
    names = ",".join(host.name for host in chosen)
    text = (recipes / "tiny-vllm-ranks.yaml").read_text()
    text = text.replace("max_nodes: 2", f"max_nodes: {HOSTS}").replace("min_nodes: 2", f"min_nodes: {HOSTS}")
    recipe = tmp_path / "flood.yaml"
    recipe.write_text(f'{text}\nenv:\n  STANDIN_LINES: "{RATE}:{SECONDS}:8"\n')
    # Its own output, a copy of all lines, goes where it takes no reader's time.
    argv = ["run", str(recipe), "--tp", str(HOSTS), *SMALL, "-H", names, "--follow"]
    running = subprocess.Popen([sys.executable, "-P", "-m", "sparkrun_tui", *argv], stdout=subprocess.DEVNULL)
    time.sleep(SECONDS)
    last = f"numbered line {RATE * SECONDS - 1:08}"
    deadline = time.monotonic() + 120
    while sum(last in text for text in texts().values()) < HOSTS:
        assert time.monotonic() < deadline and running.poll() is None, "lines are still missing"
        time.sleep(1)
    peak, took = memory_and_time(running.pid)
    running.send_signal(signal.SIGINT)
    running.wait(60)
    for text in texts().values():
        lines = [line for line in text.splitlines() if "numbered line" in line]
        assert [line.rpartition(" ")[2] for line in lines] == [f"{number:08}" for number in range(RATE * SECONDS)]
    total = RATE * SECONDS * HOSTS
    print(f"\n{HOSTS} hosts x {RATE} lines/s x {SECONDS} s: {total} lines on disk, none lost, doubled or out of order;")
    print(f"peak memory of `run --follow` {peak:.0f} MB, processor {took:.1f} s ({took / total * 1e6:.0f} us a line)")
    assert peak < 300
    assert sparkrun("stop", "flood", "-H", names).returncode == 0
    for host in more:
        cluster.remove_host(host)
