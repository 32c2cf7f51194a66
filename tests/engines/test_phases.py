"""Phases, progress and figures out of the logs of the engines."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparkrun_tui.base.units import GIB, MIB
from sparkrun_tui.engines.logs.lines import strip_prefixes
from sparkrun_tui.engines.logs.phases import PhaseReader
from sparkrun_tui.engines.plan import Phase
from sparkrun_tui.engines.registry import log_of

DATA = Path(__file__).parent / "data"


def lines(name: str) -> list[str]:
    return (DATA / f"{name}.log").read_bytes().decode().split("\n")


def phases(engine: str, name: str) -> list[tuple[Phase, bool]]:
    """Each state the reader takes, once."""
    reader = PhaseReader(log_of(engine))
    seen: list[tuple[Phase, bool]] = []
    for line in lines(name):
        reading = reader.feed(line)
        if reading is not None and reading.phase is not None and (reading.phase, reading.done) not in seen:
            seen.append((reading.phase, reading.done))
    return seen


def facts(engine: str, name: str) -> dict[str, float]:
    reader = PhaseReader(log_of(engine))
    for line in lines(name):
        reader.feed(line)
    return reader.facts


def test_vllm_goes_through_its_phases_in_order() -> None:
    assert phases("vllm", "vllm_ray_head") == [
        (Phase.START, False),
        (Phase.LOAD, False),
        (Phase.LOAD, True),
        (Phase.COMPILE, False),
        (Phase.COMPILE, True),
        (Phase.GRAPHS, False),
        (Phase.GRAPHS, True),
        (Phase.READY, False),
        (Phase.READY, True),
    ]


def test_vllm_figures() -> None:
    found = facts("eugr-vllm", "vllm_ray_head")
    assert found == {
        "max_model_len": 131072,
        "checkpoint_bytes": 75.5 * GIB,
        "load_seconds": 66.02,
        "weights_bytes": 37.75 * GIB,
        "kv_bytes": 50.5 * GIB,
        "kv_tokens": 825904,
        "concurrency": 6.3,
        "graphs_bytes": 0.45 * GIB,
        "init_seconds": 70.68,
    }


def test_progress_and_details_of_vllm() -> None:
    reader = PhaseReader(log_of("vllm"))
    readings = [reading for line in lines("vllm_ray_head") if (reading := reader.feed(line))]
    assert [reading.progress for reading in readings if reading.progress is not None] == [0, 40, 50]
    details = [reading.detail for reading in readings if reading.detail]
    assert details.index("joining Ray") < details.index("waiting for the other ranks") < details.index("ranks have met")
    assert details.index("torch.compile") < details.index("KV cache sized")


def test_sglang() -> None:
    assert phases("sglang", "sglang_head") == [
        (Phase.START, False),
        (Phase.START, True),
        (Phase.LOAD, False),
        (Phase.LOAD, True),
        (Phase.COMPILE, False),
        (Phase.COMPILE, True),
        (Phase.GRAPHS, False),
        (Phase.GRAPHS, True),
        (Phase.READY, False),
        (Phase.READY, True),
    ]
    assert facts("sglang", "sglang_head") == {
        "weights_bytes": 37.75 * GIB,
        "load_seconds": 118.38,
        "kv_bytes": 40.5 * GIB,
        "kv_tokens": 914573,
        "graphs_bytes": 0.5 * GIB,
        "max_model_len": 131072,
        "concurrency": 914573 / 131072,
    }


def test_llama_server_and_its_rehearsal() -> None:
    assert phases("llama-cpp", "llama_server") == [
        (Phase.START, False),
        (Phase.LOAD, False),
        (Phase.LOAD, True),
        (Phase.COMPILE, False),
        (Phase.COMPILE, True),
        (Phase.READY, False),
        (Phase.READY, True),
    ]
    assert facts("llama-cpp", "llama_server") == {
        "weights_bytes": 4352 * MIB,
        "kv_bytes": 1024 * MIB,
        "activation_bytes": 128 * MIB,
        "kv_tokens": 8192,
        "max_model_len": 8192,
        "concurrency": 1.0,
    }


@pytest.mark.parametrize(
    ("line", "who", "level", "text"),
    [
        ("(EngineCore pid=2) INFO 03-01 10:00:55 [core.py:102] hello", ("EngineCore",), "INFO", "hello"),
        (
            "\x1b[36m(RayWorkerProc pid=94, ip=10.0.0.2)\x1b[0m (Worker_TP1 pid=94) ERROR 03-01 10:01:11 [a.py:1] x",
            ("RayWorkerProc", "Worker_TP1"),
            "ERROR",
            "x",
        ),
        ("(pid=92, ip=10.0.0.2) starting", (), "", "starting"),
        ("[2026-03-01 10:00:20 DP0 TP1] Load weight begin.", ("DP0 TP1",), "", "Load weight begin."),
        ("0.00.046.201 W srv    load_model: x", (), "W", "srv    load_model: x"),
        ("2026-03-01 10:00:56,976\tINFO worker.py:1841 -- Connecting", (), "INFO", "Connecting"),
        (
            "2026-03-01T10:00:56.123456789Z (APIServer pid=1) INFO 03-01 10:00:56 [a.py:1] x",
            ("APIServer",),
            "INFO",
            "x",
        ),
        ("(APIServer pid=1) INFO 03-01 10:00:56 [a.py:1] banner line\r", ("APIServer",), "INFO", "banner line"),
        ("  File indented", (), "", "  File indented"),
    ],
)
def test_prefixes_come_off(line: str, who: tuple[str, ...], level: str, text: str) -> None:
    found = strip_prefixes(line)
    assert (found.who, found.level, found.text) == (who, level, text)


def test_a_phase_never_goes_back() -> None:
    reader = PhaseReader(log_of("vllm"))
    reader.feed("Capturing CUDA graphs:  10%|")
    assert reader.feed("Loading safetensors checkpoint shards:  40% Completed | 2/5") is None
    assert reader.phase is Phase.GRAPHS


def test_two_spellings_of_old_and_new_versions() -> None:
    reader = PhaseReader(log_of("vllm"))
    reader.feed("GPU KV cache size: 2,902,470 tokens")
    reader.feed("Maximum concurrency for 131,072 tokens per request: 22.14x")
    assert reader.facts == {"kv_tokens": 2902470, "concurrency": 22.14}
    new = PhaseReader(log_of("vllm"))
    reading = new.feed("CUDA graph pool memory: 0.50 GiB (actual), 0.60 GiB (estimated), difference: 0.10 GiB")
    assert reading is not None
    assert (reading.phase, reading.done, reading.facts) == (Phase.GRAPHS, True, {"graphs_bytes": 0.5 * GIB})


def test_noise_tells_nothing() -> None:
    for engine in ("vllm", "sglang", "llama-cpp"):
        reader = PhaseReader(log_of(engine))
        for line in ("", "\x1b[0m", 'INFO:     10.0.0.9:1 - "GET /health HTTP/1.1" 200 OK', "x" * 100_000, "\r\r\r"):
            assert reader.feed(line) is None
        assert (reader.phase, reader.facts) == (None, {})


def test_ranks_of_one_host_share_a_log_and_are_not_added_up() -> None:
    # Eight ranks of SGLang on one host, 2026-02: each prints the figures of its own GPU.
    reader = PhaseReader(log_of("sglang"))
    for rank in ("TP0", "TP1"):
        reader.feed(f"[2026-02-26 05:35:08 {rank}] Load weight end. elapsed=9.1 s, type=X, mem usage=89.50 GB.")
        reader.feed(f"[2026-02-26 05:35:08 {rank}] KV Cache is allocated. #tokens: 3262823, KV size: 186.50 GB")
    assert reader.facts["weights_bytes"] == 89.5 * GIB
    assert reader.facts["kv_bytes"] == 186.5 * GIB
    assert (reader.phase, reader.facts["kv_tokens"]) == (Phase.COMPILE, 3262823)


def test_a_pool_whose_line_has_no_tokens() -> None:
    # SGLang of 2026-05 with graphs off.
    reader = PhaseReader(log_of("sglang"))
    reader.feed("[2026-05-14 10:55:40 TP0] KV Cache is allocated. K size: 4.50 GB, V size: 4.50 GB.")
    reader.feed("[2026-05-14 10:55:40 TP0] max_total_num_tokens=420200, max_prefill_tokens=16384, context_len=2048")
    assert reader.facts["kv_bytes"] == 9 * GIB
    assert reader.facts["kv_tokens"] == 420200


def test_a_capture_that_begins_out_of_sight_is_seen_by_its_end() -> None:
    reader = PhaseReader(log_of("sglang"))
    reader.feed("[2026-09-08 01:33:12 TP0] Capture target verify CUDA graph end. elapsed=0.78 s, mem usage=0.12 GB")
    assert reader.phase is Phase.GRAPHS
