"""The simulated start-up logs, read as the real ones are: every phase is there, in order, with the right figures."""

from __future__ import annotations

import pytest

from sparkrun_tui.base.units import GIB
from sparkrun_tui.demo.clock import Clock
from sparkrun_tui.demo.engines.figures import Figures, figures, weights_by_name
from sparkrun_tui.demo.engines.llama_log import LlamaLog
from sparkrun_tui.demo.engines.log_script import filled
from sparkrun_tui.demo.engines.registry import simulated
from sparkrun_tui.demo.engines.sglang_log import SglangLog
from sparkrun_tui.demo.engines.vllm_log import VllmLog
from sparkrun_tui.engines.logs.phases import PhaseReader
from sparkrun_tui.engines.plan import Phase, Role
from sparkrun_tui.engines.registry import log_of
from sparkrun_tui.launch.sizing.sizing import size
from sparkrun_tui.memory.estimate import assumed_spark
from tests.demo import samples

ORDER = list(Phase)
Log = VllmLog | SglangLog | LlamaLog


def _figures(text: str, hosts: int = 1) -> Figures:
    return figures(samples.rendered(text), [assumed_spark(f"spark-{number}") for number in range(hosts)])


def _read(log: Log, engine: str) -> tuple[list[Phase], PhaseReader]:
    reader = PhaseReader(log_of(engine))
    phases: list[Phase] = []
    texts = [step.text for step in log.steps()] + [text for text, _ in log.up()]
    for text in texts:
        reading = reader.feed(filled(text, simulated(engine).stamp, Clock(), 0.0))
        if reading is not None and reading.phase is not None and reading.phase not in phases:
            phases.append(reading.phase)
    return phases, reader


@pytest.mark.parametrize(
    ("log", "engine", "phases"),
    [
        (VllmLog(_figures(samples.VLLM), Role.SOLO, 0, False, "10.0.0.1"), "vllm", "start load compile graphs ready"),
        (
            VllmLog(_figures(samples.VLLM_RAY, 2), Role.HEAD, 0, True, "10.0.0.1"),
            "vllm",
            "start load compile graphs ready",
        ),
        (SglangLog(_figures(samples.SGLANG, 2), Role.HEAD, 0, "10.0.0.1"), "sglang", "start load compile graphs ready"),
        (LlamaLog(_figures(samples.LLAMA)), "llama-cpp", "start load compile ready"),
    ],
)
def test_every_phase_of_a_start_is_in_the_log(log: Log, engine: str, phases: str) -> None:
    found, reader = _read(log, engine)
    assert found == [Phase(word) for word in phases.split()]
    assert reader.phase is Phase.READY and reader.done


def test_the_engine_prints_what_was_estimated() -> None:
    estimate = size(samples.rendered(samples.VLLM), [assumed_spark("spark-1")])
    _, reader = _read(VllmLog(_figures(samples.VLLM), Role.SOLO, 0, False, "10.0.0.1"), "vllm")
    assert reader.facts["kv_tokens"] == estimate.pool_tokens
    assert estimate.concurrency is not None
    assert reader.facts["concurrency"] == pytest.approx(estimate.concurrency, abs=0.01)
    weights = next(part.bytes for part in estimate.hosts[0].parts if part.kind == "weights")
    assert reader.facts["weights_bytes"] == pytest.approx(weights, abs=0.01 * GIB)


@pytest.mark.parametrize(
    ("given", "slots", "cells"),
    [
        # Without -np four slots share one cache (llama-server b11669); with it each has a part of its own.
        ("", "n_slots = 4, n_ctx_slot = 16384, kv_unified = 'true'", " 16384 cells,  32 layers,  4/1 seqs"),
        (" -np 2", "n_slots = 2, n_ctx_slot = 8192, kv_unified = 'false'", "  8192 cells,  32 layers,  2/2 seqs"),
        (" -np 2 -kvu", "n_slots = 2, n_ctx_slot = 16384, kv_unified = 'true'", " 16384 cells,  32 layers,  2/1 seqs"),
    ],
)
def test_the_slots_of_llama_server_are_those_of_the_command(given: str, slots: str, cells: str) -> None:
    text = samples.LLAMA.replace("--n-gpu-layers 99", f"--n-gpu-layers 99{given}")
    lines = [step.text for step in LlamaLog(_figures(text)).steps()]
    assert any(slots in line for line in lines), lines
    assert any(cells in line for line in lines), lines
    _, reader = _read(LlamaLog(_figures(text)), "llama-cpp")
    assert reader.facts["concurrency"] == size(samples.rendered(text), [assumed_spark("spark-1")]).concurrency


def test_a_worker_ends_with_its_cache_and_never_says_ready() -> None:
    log = VllmLog(_figures(samples.VLLM_RANKS, 2), Role.WORKER, 1, False, "10.0.0.1")
    texts = [step.text for step in log.steps() if step.text]
    assert "headless" in texts[0] and "KV cache size" in texts[-1]
    assert not any("shards" in text for text in texts)


def test_memory_only_grows_until_it_serves() -> None:
    for log in (VllmLog(_figures(samples.VLLM), Role.SOLO, 0, False, ""), LlamaLog(_figures(samples.LLAMA))):
        readings = [step.memory for step in log.steps() if step.memory is not None]
        assert readings == sorted(readings) and readings[-1] > 4 * GIB
        assert 8 < sum(step.after for step in log.steps()) < 20


@pytest.mark.parametrize(
    ("name", "size_in_gb"), [("acme/Owl-8B", 16), ("acme/Owl-70B-FP8", 74), ("acme/Owl-30B-A3B-GGUF:Q4_K_M", 17)]
)
def test_a_model_of_which_nothing_is_known_weighs_what_its_name_says(name: str, size_in_gb: int) -> None:
    assert weights_by_name(name) / 1e9 == pytest.approx(size_in_gb, abs=1)
