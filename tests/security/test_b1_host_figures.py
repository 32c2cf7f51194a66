"""Figures that a host or an engine made up do not end the app, fill its memory, or pass for a load."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import pytest
from rich.cells import cell_len

from sparkrun_tui.base.bars import level_of
from sparkrun_tui.cli.text.workloads import host_row, workload_row
from sparkrun_tui.fleet.load import MOST_OF_A_HOST, Load, measured, readings
from sparkrun_tui.fleet.metrics import Metrics, parse
from sparkrun_tui.fleet.model import FleetView, Health, HostStatus, Workload, WorkloadRank
from sparkrun_tui.launch.record.events import MemorySeen, Progressed
from sparkrun_tui.launch.record.fold import fold_all
from sparkrun_tui.launch.sizing.sizing import host_memory
from sparkrun_tui.memory.result import HostPicture
from sparkrun_tui.remote.http.client import HttpCall, HttpReply
from sparkrun_tui.remote.probe import parse as probe
from sparkrun_tui.remote.probe.facts import Gpu, HostFacts
from sparkrun_tui.remote.transport import LinkState, LinkStatus, Transport
from sparkrun_tui.ui.ink import cells_of, text_of
from sparkrun_tui.ui.paint.hosts.fleet_lines import fleet_rows
from sparkrun_tui.ui.paint.launch import phases
from sparkrun_tui.ui.paint.recipe.memory_bar import bar
from tests.launch.fakes import FakeCluster

ABSURD = (
    "0",
    "1",
    "-1",
    "-900",
    "101",
    "4096",
    "900000000000000",
    "999999999999999999",
    "[N/A]",
    "nan",
    "-inf",
    "1e999",
)
UP = LinkStatus(LinkState.UP, 0.0)


def facts_of(text: str) -> HostFacts:
    return probe.parse(text, name="a", taken=0.0, round_trip=0.0)


def fleet_of(facts: HostFacts, workloads: Sequence[Workload] = ()) -> FleetView:
    return FleetView("lab", 0.0, (HostStatus("spark-1", UP, facts),), tuple(workloads))


def serving(number: int, host: str = "spark-1") -> Workload:
    rank = WorkloadRank(host, f"{number}", f"c{number}", 0, "solo", "running", 1.0)
    return Workload(f"{number:08d}", "r", "vllm", "m", "m", 8000, (rank,), 1, Health.SERVING)


@pytest.mark.parametrize(("total", "available"), product(ABSURD, ABSURD))
def test_memory_that_cannot_be_is_painted_within_the_width(total: str, available: str) -> None:
    facts = facts_of(f"[[meminfo\nMemTotal: {total} kB\nMemAvailable: {available} kB\n]]")
    assert 0 <= facts.memory_available <= facts.memory_total
    tracemalloc.start()
    rows = fleet_rows(fleet_of(facts), 0.0, 120)
    host_row(HostStatus("a", UP, facts))
    bar(HostPicture(host_memory(facts), (), None, None, 0, 0), 40)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert cell_len(text_of(rows[0].line)) <= 120 and peak < 1 << 20


@pytest.mark.parametrize("figure", ABSURD)
def test_what_a_gpu_says_is_within_bounds_or_unknown(figure: str) -> None:
    facts = facts_of(f"[[gpus\nNVIDIA, 580.1, {figure}, {figure}, {figure}, {figure}\n]]")
    (gpu,) = facts.gpus
    assert gpu.utilisation is None or 0 <= gpu.utilisation <= 100
    assert gpu.power_watts is None or 0 <= gpu.power_watts <= 100_000
    assert cell_len(text_of(fleet_rows(fleet_of(facts), 0.0, 120)[0].line)) <= 120


def test_painting_does_not_rely_on_bounds_that_others_keep() -> None:
    facts = facts_of("")
    for share in (-1e300, -1.0, 2.0, 1e300, float("nan"), float("inf"), float("-inf")):
        gpu = Gpu("g", "1", None, share, share, share)
        painted = fleet_rows(fleet_of(replace(facts, gpus=(gpu,), memory_total=1, memory_available=10**18)), 0.0, 120)
        assert cell_len(text_of(painted[0].line)) <= 120
        assert 0 <= cells_of(share, 10) <= 10 and level_of(share, "abc") in "abc"


def test_a_host_of_very_many_parts_is_looked_at_within_bounds() -> None:
    gpus = "[[gpus\n" + "G, 1, 1, 1, 1, 1\n" * 50_000 + "]]\n"
    facts = facts_of(gpus + "rdma=a\tb\t1\n" * 50_000 + "".join(f"disk=/{n}\td 1 1 1 1 /\n" for n in range(50_000)))
    assert (len(facts.gpus), len(facts.rdma), len(facts.disks)) == (64, 64, 64)


def test_the_name_of_an_interface_passes_the_gate() -> None:
    facts = facts_of("[[route\ndefault via 10.0.0.1 dev eth\x1b]0;x\x07 metric 1\n]]")
    assert facts.default_interface == "eth␛]0;x␇"


def test_readings_of_a_launch_are_painted_within_the_width() -> None:
    for available, total, done in product((-(10**18), 0, 10**18), repeat=3):
        state = fold_all(
            [
                MemorySeen(host="a", available=available, total=total, time=1.0),
                Progressed(
                    host="a", phase=phases.Phase.IMAGE, done=float(done), total=float(total), rate=1e-9, time=1.0
                ),
            ]
        )
        assert all(cell_len(text_of(line)) <= 120 for line in phases.table(state, 2.0, 120, activity=True))


@pytest.mark.parametrize("figure", ["-1", "nan", "NaN", "+Inf", "-Inf", "1e308", "9" * 30, "0x1", "1_0", "²"])
def test_figures_of_an_engine_that_cannot_be_are_unknown(figure: str) -> None:
    names = ("num_requests_running", "num_requests_waiting", "kv_cache_usage_perc", "generation_tokens_total")
    page = "".join(f'vllm:{name}{{engine="0"}} {figure}\nvllm:{name}{{engine="1"}} 1\n' for name in names)
    assert parse(page, 5.0) == Metrics(5.0)


def test_a_share_above_one_and_a_counter_that_goes_back_tell_no_load() -> None:
    assert parse("vllm:kv_cache_usage_perc 40\n", 5.0).kv_usage is None
    assert parse("vllm:kv_cache_usage_perc 1.004\n", 5.0).kv_usage == 1.0
    before, after = Metrics(1.0, generated=1e9), Metrics(6.0, generated=5.0)
    assert measured(measured({}, {"x": before}), {"x": after})["x"].load == Load()
    assert measured(measured({}, {"x": after}), {"x": before})["x"].load == Load()


class _Servers:
    """Counts how many are asked, and answers with a page, or never."""

    def __init__(self, page: bytes | None) -> None:
        self.page = page
        self.calls: list[HttpCall] = []

    async def ask(self, transport: Transport, call: HttpCall) -> HttpReply:
        self.calls.append(call)
        if self.page is None:
            await asyncio.Event().wait()
        return HttpReply(200, self.page or b"")


async def test_a_host_with_hundreds_of_servers_costs_a_few_questions(cluster: FakeCluster) -> None:
    servers = _Servers(b"vllm:num_requests_running 1\n")
    services = replace(cluster.services, http=servers)  # type: ignore[arg-type]
    many = [serving(number) for number in range(256)]
    found = await readings(fleet_of(facts_of(""), [*many, serving(999, "spark-2")]), services)
    assert len(found) == len(servers.calls) == MOST_OF_A_HOST + 1
    assert "00000999" in found and max(call.most for call in servers.calls) <= 1 << 20


async def test_servers_that_never_answer_hold_up_no_look(cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sparkrun_tui.fleet.load._READING", 0.2)
    services = replace(cluster.services, http=_Servers(None))  # type: ignore[arg-type]
    assert await readings(fleet_of(facts_of(""), [serving(number) for number in range(100)]), services) == {}


async def test_a_page_that_was_cut_off_tells_nothing(cluster: FakeCluster) -> None:
    page = b"vllm:num_requests_running 1\n" + b"# " + b"x" * (2 << 20)
    services = replace(cluster.services, http=_Servers(page[: 1 << 20]))  # type: ignore[arg-type]
    assert await readings(fleet_of(facts_of(""), [serving(1)]), services) == {}


def test_rows_of_workloads_take_any_time() -> None:
    for started in (-6e10, 0.0, 3e10, 1e18):
        item = serving(1)
        item = replace(item, ranks=(replace(item.ranks[0], started=started),))
        workload_row(item)
        assert cell_len(text_of(fleet_rows(fleet_of(facts_of(""), [item]), 0.0, 100)[0].line)) <= 100
