"""What a container and its host do, from their counters."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparkrun_tui.base.units import MIB
from sparkrun_tui.remote.local_transport import LocalTransport
from sparkrun_tui.remote.probe.activity import Activity, activity_of, read_activity
from tests.support.counters import counters

CONTAINER = "c" * 64


def test_rates_are_between_two_readings() -> None:
    found = read_activity(counters(cores=1.5, disk=200, network=30, gpu=97, programs=("nvcc", "cicc", "bash")))
    assert found.cores == pytest.approx(1.5) and found.disk == pytest.approx(200 * MIB)
    assert found.network == pytest.approx(30 * MIB) and found.gpu == 97
    assert found.compilers == ("nvcc", "cicc")


@pytest.mark.parametrize(
    "text", ["", "end\n", "time\tx\ntime\ty\nend", "gpu\t[N/A]\nhz\t0\ntime\t1\nticks\t9\n", "\x00\n"]
)
def test_what_is_not_said_is_not_known(text: str) -> None:
    assert read_activity(text) == Activity()


def test_a_counter_that_goes_back_is_not_known() -> None:
    text = counters(disk=5).replace("sectors\t9000", "sectors\t99999999999")
    assert read_activity(text).disk is None


def test_a_container_that_has_no_process_has_no_cores() -> None:
    assert read_activity(counters(cores=1).replace("processes\t4", "processes\t0")).cores is None


async def test_a_real_shell_reads_the_counters_of_one_container(tmp_path: Path) -> None:
    files = {
        "proc/uptime": "100.00 200.00\n",
        "proc/12/cgroup": f"0::/system.slice/docker-{CONTAINER}.scope\n",
        "proc/12/stat": "12 (VLLM::Worker (0)) R 1 " + " ".join(map(str, range(5, 40))) + "\n",
        "proc/13/cgroup": f"0::/system.slice/docker-{CONTAINER}.scope\n",
        "proc/13/stat": "13 (ptxas) R 1 " + " ".join(map(str, range(5, 40))) + "\n",
        "proc/14/cgroup": "0::/user.slice\n",
        "proc/14/stat": "14 (other) R 1 " + " ".join(map(str, range(5, 40))) + "\n",
        "sys/block/nvme0n1/stat": "  1 2 4000 4 5 6\n",
        "sys/block/loop0/stat": "  1 2 99999 4 5 6\n",
        "proc/net/dev": "Inter-| Receive\n face |bytes\n    lo: 9 0 0 0 0 0 0 0 9 0 0 0 0 0 0 0\n"
        "enP7s7:500 0 0 0 0 0 0 0 70 0 0 0 0 0 0 0\n",
        "sys/class/infiniband/roce/ports/1/counters/port_rcv_data": "25\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    said: list[str] = []

    class Listening(LocalTransport):
        async def run(self, *arguments: object, **more: object) -> object:
            result = await LocalTransport.run(self, *arguments, **more)
            said.append(result.stdout)
            return result

    found = await activity_of(Listening(), CONTAINER, str(tmp_path))
    lines = said[0].splitlines()
    # The clock stands still, so that there are no rates; the counters are those of the container and of real devices.
    assert found.cores is None and found.compilers == ("ptxas",)
    assert lines.count("ticks\t58") == 2 and lines.count("processes\t2") == 2
    assert lines.count("sectors\t4000") == 2 and lines.count("bytes\t570") == 2 and lines.count("words\t25") == 2
    assert "program\tVLLM::Worker (0)" in lines and "program\tother" not in lines
