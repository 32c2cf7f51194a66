"""Prometheus pages of the three engines, in short."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.fleet.load import OLD, SOON, Load, Measured, measured, readings
from sparkrun_tui.fleet.metrics import Metrics, parse, prompt_tokens_per_second, tokens_per_second
from sparkrun_tui.fleet.model import FleetView, Health, Workload, WorkloadRank
from sparkrun_tui.remote.http.client import HttpCall, HttpReply
from sparkrun_tui.remote.ports.services import HostServices

VLLM = """\
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="tiny"} 3.0
vllm:num_requests_running{engine="1",model_name="tiny"} 1.0
vllm:num_requests_waiting{engine="0",model_name="tiny"} 2.0
vllm:kv_cache_usage_perc{engine="0",model_name="tiny"} 0.5
vllm:kv_cache_usage_perc{engine="1",model_name="tiny"} 0.1
vllm:generation_tokens_total{engine="0",model_name="tiny"} 1200.0
vllm:generation_tokens_created{engine="0",model_name="tiny"} 1.76e+09
vllm:prompt_tokens_total{engine="0",model_name="tiny"} 40.0
"""
SGLANG = """\
sglang:num_running_reqs{model_name="m",tp_rank="0"} 1.0
sglang:num_queue_reqs{model_name="m",tp_rank="0"} 0.0
sglang:token_usage{model_name="m",tp_rank="0"} 0.25
sglang:gen_throughput{model_name="m",tp_rank="0"} 33.5
"""
LLAMA = """\
llamacpp:requests_processing 1
llamacpp:requests_deferred 4
llamacpp:tokens_predicted_total 77
llamacpp:prompt_tokens_total 5
"""


def test_vllm_adds_up_its_data_parallel_engines() -> None:
    read = parse(VLLM, 10.0)
    assert (read.running, read.waiting, read.generated, read.prompted) == (4.0, 2.0, 1200.0, 40.0)
    assert read.kv_usage == pytest.approx(0.3)


def test_sglang_reports_its_own_throughput() -> None:
    read = parse(SGLANG, 10.0)
    assert (read.running, read.waiting, read.kv_usage, read.throughput) == (1.0, 0.0, 0.25, 33.5)
    assert tokens_per_second(None, read) == 33.5


def test_ranks_of_sglang_that_serve_the_same_requests_count_once_and_data_parallel_ones_each() -> None:
    page = "".join(
        f'sglang:num_running_reqs{{model_name="m",tp_rank="{tp}",pp_rank="0",dp_rank="{dp}"}} {2 + dp}\n'
        for tp in (0, 1)
        for dp in (0, 1)
    )
    assert parse(page, 10.0).running == 5.0


def test_llama_cpp_has_no_cache_figure() -> None:
    read = parse(LLAMA, 10.0)
    assert (read.running, read.waiting, read.generated, read.kv_usage) == (1.0, 4.0, 77.0, None)


def test_a_rate_needs_two_readings_of_one_engine() -> None:
    earlier, later = Metrics(10.0, generated=100.0), Metrics(12.0, generated=150.0)
    assert tokens_per_second(earlier, later) == 25.0
    assert tokens_per_second(None, later) is None
    assert tokens_per_second(later, Metrics(14.0, generated=3.0)) is None
    assert tokens_per_second(later, replace_time(later)) is None


def replace_time(metrics: Metrics) -> Metrics:
    return Metrics(metrics.taken, generated=metrics.generated)


def test_garbage_is_no_reading() -> None:
    assert parse("<html>\n{}\nvllm:num_requests_running NaNsense\n", 1.0) == Metrics(1.0)


def found(earlier: Mapping[str, Measured], later: Mapping[str, Metrics]) -> dict[str, Load]:
    return {name: item.load for name, item in measured(earlier, later).items()}


def test_the_load_is_computed_from_two_readings_that_are_not_too_far_apart() -> None:
    first = measured({}, {"a": Metrics(10.0, generated=100.0, prompted=8.0), "b": Metrics(10.0, generated=5.0)})
    second = {"a": Metrics(15.0, 2.0, 1.0, 0.25, 305.0, 58.0), "c": Metrics(15.0, generated=7.0)}
    assert found(first, second) == {"a": Load(41.0, 2.0, 1.0, 0.25, 10.0), "c": Load()}
    late = Metrics(15.0 + OLD + 1, generated=400.0)
    assert found(measured(first, second), {"a": late}) == {"a": Load()}


def test_readings_that_follow_at_once_keep_the_rate_and_the_reading_it_counts_from() -> None:
    first = measured({}, {"a": Metrics(10.0, generated=100.0)})
    second = measured(first, {"a": Metrics(15.0, generated=300.0)})
    soon = measured(second, {"a": Metrics(15.0 + SOON / 2, 1.0, generated=300.0)})
    assert soon["a"].load == Load(40.0, 1.0)
    assert found(soon, {"a": Metrics(20.0, generated=400.0)}) == {"a": Load(20.0)}


def test_a_clock_that_was_set_back_does_not_hold_up_the_rates() -> None:
    first = measured({}, {"a": Metrics(5000.0, generated=100.0)})
    second = measured(first, {"a": Metrics(1000.0, generated=300.0)})
    assert second["a"].load == Load()
    assert found(second, {"a": Metrics(1010.0, generated=400.0)}) == {"a": Load(10.0)}


def test_a_counter_that_falls_is_a_restart_and_gives_no_rate_of_any_counter() -> None:
    before, after = Metrics(10.0, generated=100.0, prompted=8.0), Metrics(15.0, generated=3.0, prompted=9.0)
    assert tokens_per_second(before, after) is None and prompt_tokens_per_second(before, after) is None
    first = measured(measured({}, {"a": before}), {"a": Metrics(11.0, generated=3.0, prompted=9.0)})
    assert found(first, {"a": Metrics(13.0, generated=23.0, prompted=9.0)}) == {
        "a": Load(10.0, prompt_tokens_per_second=0.0)
    }


class _Servers:
    """Servers by port: a page, or none that answers."""

    def __init__(self, pages: Mapping[int, HttpReply]) -> None:
        self._pages = pages
        self.calls: list[HttpCall] = []

    async def ask(self, transport: object, call: HttpCall) -> HttpReply:
        self.calls.append(call)
        if call.port not in self._pages:
            raise HostError("refused")
        return self._pages[call.port]


async def test_only_our_workloads_that_serve_are_asked_and_failures_are_left_out() -> None:
    ranks = (WorkloadRank("spark-1", "id", "name", 0, "solo", "running"),)
    fine = Workload("fine", "r", "vllm", "m", "m", 8000, ranks, 1, Health.SERVING, address="10.0.0.7")
    gone, bare = replace(fine, launch_id="gone", port=8001), replace(fine, launch_id="bare", port=8002)
    foreign, slow = replace(fine, ours=False), replace(fine, launch_id="slow", health=Health.STARTING)
    servers = _Servers({8000: HttpReply(200, VLLM.encode()), 8002: HttpReply(404, b"no page")})
    services = SimpleNamespace(http=servers, connector=lambda name: name, clock=lambda: 20.0)
    view = FleetView("lab", 1.0, (), (fine, gone, bare, foreign, slow))
    assert await readings(view, cast(HostServices, services)) == {"fine": parse(VLLM, 20.0)}
    assert sorted((call.port, call.address, call.path) for call in servers.calls) == [
        (port, "10.0.0.7", "/metrics") for port in (8000, 8001, 8002)
    ]
