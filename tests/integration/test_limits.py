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


def kept() -> list[Path]:
    """The logs that are kept here, one for each host."""
    return list(Path(os.environ["XDG_STATE_HOME"]).rglob("hosts/*.log"))


def parts(path: Path) -> list[Path]:
    """The files of a log in order: a long one goes on in others."""
    return [part for part in (path, Path(f"{path}.old"), Path(f"{path}.new")) if part.exists()]


def ends_with(path: Path, line: str) -> bool:
    """Whether a line is among the last of a log."""
    newest = parts(path)[-1]
    with newest.open("rb") as file:
        file.seek(max(newest.stat().st_size - 65_536, 0))
        return line.encode() in file.read()


def until_all_is_here(running: subprocess.Popen[bytes]) -> tuple[float, float]:
    """Wait until the last line of every host is on disk; the memory and time that it took to keep them."""
    last = f"numbered line {RATE * SECONDS - 1:08}"
    deadline = time.monotonic() + SECONDS + 300
    time.sleep(SECONDS)
    while sum(ends_with(path, last) for path in kept()) < HOSTS:
        assert running.poll() is None, "the launch has ended"
        assert time.monotonic() < deadline, [(path.name, path.read_text()[-200:]) for path in kept()]
        time.sleep(1)
    return memory_and_time(running.pid)


def test_every_line_of_a_flood_is_on_disk(
    hosts: list[Host], cluster: Cluster, workstation: Workstation, sparkrun: Run, recipes: Path, tmp_path: Path
) -> None:
    chosen = list(hosts)
    if len(chosen) < HOSTS:
        chosen += cluster.add_hosts(*[HostSpec()] * (HOSTS - len(chosen)))
        workstation.know_hosts()
    names = ",".join(host.name for host in chosen)
    text = (recipes / "tiny-vllm-ranks.yaml").read_text()
    text = text.replace("max_nodes: 2", f"max_nodes: {HOSTS}").replace("min_nodes: 2", f"min_nodes: {HOSTS}")
    # The model has four heads, and two layers.
    tensor = min(HOSTS, 4)
    text = text.replace("-tp {tensor_parallel}", f"-tp {{tensor_parallel}} -pp {HOSTS // tensor}")
    recipe = tmp_path / "flood.yaml"
    recipe.write_text(f'{text}\nenv:\n  STANDIN_LINES: "{RATE}:{SECONDS}:8"\n')
    # Its own output, a copy of all lines, goes where it takes no reader's time.
    argv = ["run", str(recipe), "--tp", str(tensor), *SMALL, "-H", names, "--follow"]
    running = subprocess.Popen([sys.executable, "-P", "-m", "sparkrun_tui", *argv], stdout=subprocess.DEVNULL)
    try:
        peak, took = until_all_is_here(running)
        running.send_signal(signal.SIGINT)
        running.wait(60)
    finally:
        running.kill()
        running.wait()
    for path in kept():
        rows = [row for part in parts(path) for row in part.read_text().splitlines()]
        lines = [row for row in rows if "numbered line" in row]
        assert [line.rpartition(" ")[2] for line in lines] == [f"{number:08}" for number in range(RATE * SECONDS)]
    total = RATE * SECONDS * HOSTS
    print(f"\n{HOSTS} hosts x {RATE} lines/s x {SECONDS} s: {total} lines on disk, none lost, doubled or out of order;")
    print(f"peak memory of `run --follow` {peak:.0f} MB, processor {took:.1f} s ({took / total * 1e6:.0f} us a line)")
    assert peak < 300
    assert sparkrun("stop", "flood", "-H", names).returncode == 0
