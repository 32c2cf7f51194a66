"""The judges: which rows they take, what they install, and what they say of a release's figures."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.judges import report, rows
from benchmarks.judges.absent import ANSWERS, Anything
from benchmarks.judges.each_row import judge_rows
from benchmarks.judges.environment import requirements, unpack
from benchmarks.judges.sglang import plans
from benchmarks.judges.sglang.settings import command
from benchmarks.judges.vllm import ranks
from benchmarks.judges.vllm.settings import arguments_of
from tests.memory import models

METADATA = """\
Metadata-Version: 2.1
Requires-Dist: torch==2.14.0
Requires-Dist: transformers<5.21.0,>=5.16.1
Requires-Dist: flashinfer-python==0.7.2.post1
Requires-Dist: fastapi[standard]>=0.133.0
Requires-Dist: nvidia-cutlass-dsl[cu13]==4.8.0
Requires-Dist: pytest; extra == "test"
"""


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """A wheel with one module, two compiled ones, and kernels."""
    path = tmp_path / "engine-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("engine/__init__.py", "")
        packed.writestr("engine/_C.abi3.so", b"x")
        packed.writestr("engine/deep/_D.cpython-311-x86_64-linux-gnu.so", b"x")
        packed.writestr("engine/deep/kernels.cubin", b"x")
        packed.writestr("engine-1.0.dist-info/METADATA", METADATA)
    return path


def test_requirements_are_those_that_plan(wheel: Path) -> None:
    assert requirements(wheel) == ["transformers<5.21.0,>=5.16.1", "fastapi[standard]>=0.133.0"]


def test_compiled_modules_are_named_and_left_out(wheel: Path, tmp_path: Path) -> None:
    assert unpack(wheel, tmp_path / "site") == ["engine._C", "engine.deep._D"]
    files = {
        path.relative_to(tmp_path / "site").as_posix() for path in (tmp_path / "site").rglob("*") if path.is_file()
    }
    assert files == {"engine/__init__.py", "engine-1.0.dist-info/METADATA"}


def plan_row(name: str, need: float, **observed: object) -> dict[str, object]:
    """A row of a plan of one request on a GB10."""
    inputs = {"hf_config": "dense", "tensor_parallel": 1, "max_model_len": 40960, "kv_dtype": "auto"}
    seen = {"needed_gib_at_max_len": need, **observed}
    return {"id": name, "runtime": "vllm 0.32.0", "hardware": rows.HARDWARE, "inputs": inputs, "observed": seen}


def test_what_moved_is_said_row_by_row() -> None:
    before = [plan_row("a", 5.625, num_blocks=10, fits=True), plan_row("b", 5.625)]
    now = rows.Rows({}, [plan_row("a", 6.0, num_blocks=9, fits=False), plan_row("b", 5.6250001), plan_row("c", 1.0)])
    (line,) = report.moved(before, now)
    assert " ".join(line.split()) == (
        "a dense: needed_gib_at_max_len 5.625 -> 6.0, num_blocks 10 -> 9, fits True -> False"
    )


def test_our_estimate_is_scored_beside_it() -> None:
    exact = 2560 * 2359296 / (1 << 30)
    found = rows.Rows({"dense": models.DENSE}, [plan_row("right", exact), plan_row("wrong", 2 * exact)])
    lines, scores = report.estimate(found)
    assert [score.name for score in scores if report.is_off(score)] == ["wrong"]
    assert lines[0].startswith("wrong") and report.share(scores) == 50.0


def test_rows_are_read_and_written_in_one_form(tmp_path: Path) -> None:
    file = tmp_path / "plans.yaml"
    rows.write(rows.Rows({"dense": models.DENSE, "unused": {}}, [plan_row("a", 1.0)]), file, "made here")
    again = rows.read([file], ["a"])
    assert list(again.configs) == ["dense"] and again.observations == [plan_row("a", 1.0)]
    assert yaml.safe_load(file.read_text())["source"] == "made here"
    defaults = tmp_path / "defaults.json"
    row = {"name": "d", "max_model_len": 10, "need_bytes": 1 << 30, "config": models.DENSE}
    defaults.write_text(json.dumps({"about": "vLLM 0.33.0", "rows": [row]}))
    (row,) = rows.read([defaults]).observations
    assert row["runtime"] == "vllm 0.33.0" and not rows.is_weights(row)


def test_without_rows_every_shipped_architecture_is_one() -> None:
    made = rows.shipped()
    assert len(made.observations) == 2 * len(made.configs) > 100
    assert all(made.configs[row["inputs"]["hf_config"]] for row in made.observations)
    assert len(rows.shipped(["Qwen/Qwen3-8B"]).observations) == 2


def test_a_row_becomes_the_engines_own_arguments(tmp_path: Path) -> None:
    inputs = {
        "hf_config": "dense", "tensor_parallel": 2, "kv_dtype": "fp8", "prefix_caching": False,
        "max_num_batched_tokens": 2048, "max_num_batched_tokens_from": "engine default (GB10)",
        "spec_method": "mtp", "num_spec": 2,
    }  # fmt: skip
    found = arguments_of(inputs, {"dense": models.DENSE}, tmp_path)
    assert json.loads((Path(found["model"]) / "config.json").read_text()) == models.DENSE
    assert found["tensor_parallel_size"] == 2 and found["kv_cache_dtype"] == "fp8"
    assert found["enable_prefix_caching"] is False and "max_num_batched_tokens" not in found
    assert found["speculative_config"] == {"method": "mtp", "num_speculative_tokens": 2}


def test_what_is_not_there_can_be_asked_for_anything() -> None:
    thing = Anything("kernel")

    @thing.jit
    def function() -> int:
        return 5

    assert function() == 5 and thing.x[1](2).y and not isinstance(1, thing)  # type: ignore[arg-type]
    assert ranks.GROUPS


def test_what_is_known_of_an_absent_package_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ANSWERS, "triton.driver.target().backend", "cuda")
    target = Anything("triton").driver.target()
    assert target.backend == "cuda" and target.arch is not None


def test_each_row_is_judged_apart_and_a_refusal_is_an_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job, result = tmp_path / "job.json", tmp_path / "result.jsonl"
    job.write_text(json.dumps({"rows": [{"id": "a", "n": 1}, {"id": "b", "n": 0}, {"id": "c", "n": -1}]}))
    monkeypatch.setattr("sys.argv", ["judge", str(job), str(result)])
    seen: list[int] = []

    def judge(_: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
        seen.append(row["n"])
        if row["n"] < 0:
            raise SystemExit(2)
        return {"tokens": 10 // row["n"], "before": len(seen)}

    judge_rows(judge)
    first, second, third = [json.loads(line) for line in result.read_text().splitlines()]
    assert first["observed"] == {"tokens": 10, "before": 1}
    assert second["refused"].startswith("ZeroDivisionError") and "judge" in second["where"]
    assert third["refused"] == "SystemExit: 2"


def test_an_sglang_row_becomes_the_arguments_of_its_server(tmp_path: Path) -> None:
    inputs = {
        "hf_config": "dense", "draft_config": "small", "tensor_parallel": 2, "pipeline_parallel": None,
        "kv_dtype": "fp8", "disable_radix_cache": True, "enable_multimodal": False, "max_running_requests": 8,
        "free_before_load_gib": 112.0, "free_after_load_gib": 90.0, "weight_quant": "bf16",
        "checkpoint_kv_cache_quant_algo": "FP8",
    }  # fmt: skip
    found = command(inputs, {"dense": models.DENSE, "small": models.LATENT}, tmp_path)
    model, drafter = tmp_path / "model", tmp_path / "drafter"
    assert found == [
        "--model-path", str(model), "--skip-tokenizer-init", "--load-format", "dummy", "--tp-size", "2",
        "--kv-cache-dtype", "fp8_e4m3", "--disable-radix-cache", "--max-running-requests", "8",
        "--speculative-draft-model-path", str(drafter),
    ]  # fmt: skip
    assert json.loads((model / "config.json").read_text()) == models.DENSE
    assert json.loads((drafter / "config.json").read_text()) == models.LATENT
    stated = json.loads((model / "hf_quant_config.json").read_text())
    assert stated["quantization"]["kv_cache_quant_algo"] == "FP8"


def test_pipeline_stages_are_planned_with_the_fewest_tokens_of_any(monkeypatch: pytest.MonkeyPatch) -> None:
    def stage_of(_: Any, row: Any, stage: int, smallest: Sequence[float]) -> dict[str, Any]:
        tokens = int(smallest[0]) if smallest else row["tokens"][stage]
        return {"fits": True, "kv_tokens": tokens, "kv_bytes": tokens * (stage + 1), "given": [tokens]}

    monkeypatch.setattr(plans, "stage_of", stage_of)
    row = {"inputs": {"pipeline_parallel": 2}, "tokens": [100, 60]}
    assert plans.plan({}, row) == {"fits": True, "kv_tokens": 60, "kv_bytes": 60, "kv_bytes_per_stage": [60, 120]}
    row = {"inputs": {}, "tokens": [100]}
    assert plans.plan({}, row) == {"fits": True, "kv_tokens": 100, "kv_bytes": 100}


def test_a_server_does_not_fit_where_one_of_its_stages_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    def stage_of(_: Any, __: Any, stage: int, ___: Any) -> dict[str, Any]:
        return {"fits": stage == 0, "error": f"stage {stage}", "given": [1] * (2 - stage)}

    monkeypatch.setattr(plans, "stage_of", stage_of)
    assert plans.plan({}, {"inputs": {"pipeline_parallel": 2}}) == {"fits": False, "error": "stage 1"}


def test_a_stage_that_sglang_refuses_is_not_planned(monkeypatch: pytest.MonkeyPatch) -> None:
    def stage_of(*_: Any) -> dict[str, Any]:
        raise plans.Unplanned("unrecognized arguments: --attn-dp-size 2")

    monkeypatch.setattr(plans, "stage_of", stage_of)
    with pytest.raises(plans.Unplanned, match=r"^unrecognized arguments: --attn-dp-size 2$"):
        plans.plan({}, {"inputs": {"pipeline_parallel": 2}})


def test_drafters_and_words_of_sglangs_rows_are_kept_and_compared(tmp_path: Path) -> None:
    file = tmp_path / "plans.yaml"
    row = {
        "id": "a",
        "inputs": {"hf_config": "dense", "draft_config": "small"},
        "observed": {"attention_backend": "fa3"},
    }
    data = {"configs": {"dense": models.DENSE}, "draft_configs": {"small": models.LATENT}, "observations": [row]}
    file.write_text(yaml.safe_dump(data))
    given = rows.read([file])
    rows.write(given, file, "made here")
    assert set(rows.read([file]).configs) == {"dense", "small"}
    now = rows.Rows({}, [{**row, "observed": {"attention_backend": "triton"}}])
    (line,) = report.moved(given.observations, now)
    assert line.endswith("dense: attention_backend fa3 -> triton")
