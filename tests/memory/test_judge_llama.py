"""The judge of llama.cpp: files without data, what it reads from a log, and how it finds a release's tensors."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.judges import report, rows
from benchmarks.judges.environment import JudgeError
from benchmarks.judges.llama import gguf, loads
from benchmarks.judges.llama.judge import KEPT, miscounted
from benchmarks.judges.llama.log import Load, cache_kind
from benchmarks.judges.llama.server import nearest, server
from benchmarks.judges.rows import Rows
from sparkrun_tui.models.gguf.header import read_header
from tests.memory import ggufs

PLAN = """\
0.1 I print_info: no_alloc              = 1
0.1 D create_tensor: loading tensor token_embd.weight
0.1 D create_tensor: loading tensor blk.0.attn_q.weight
0.1 I load_tensors:          CPU model buffer size =     0.00 MiB
0.1 I llama_context: constructing llama_context
0.1 I llama_context: n_seq_max             = 4
0.1 I llama_context: n_ctx                 = 8192
0.1 I llama_context: n_ctx_seq             = 8192
0.1 I llama_context: n_rs_seq              = 0
0.1 I llama_context: n_outputs_max         = 4
0.1 I llama_context:        CPU  output buffer size =     2.32 MiB
0.1 I llama_kv_cache_iswa: creating non-SWA KV cache, size = 8192 cells
0.1 I llama_kv_cache: size =  160.00 MiB (  8192 cells,   5 layers,  4/1 seqs), K (f16):  80.00 MiB, V (f16):  80.00 MiB
0.1 I llama_kv_cache_iswa: creating     SWA KV cache, size = 4608 cells
0.1 I llama_kv_cache: size = 522.00 MiB ( 4608 cells,  29 layers,  4/1 seqs), K (f16):  261.00 MiB, V (f16):  261.00 MiB
0.1 I llama_memory_recurrent: size = 598.50 MiB ( 4 cells, 64 layers,  4 seqs), R (f32): 22.50 MiB, S (f32): 576.00 MiB
0.1 I sched_reserve:        CPU compute buffer size =    97.53 MiB
0.1 I common_memory_breakdown_print: |   - Host               |                 8184 =  7402 +     684 +      98     |
0.1 I common_params_fit_impl: projected to use 8184 MiB of host memory vs. 24105 MiB of total host memory
"""
LOAD = """\
0.2 I print_info: no_alloc              = 0
0.2 I load_tensors:   CPU_Mapped model buffer size =    83.71 MiB
0.2 I load_tensors:   CPU_REPACK model buffer size =   319.71 MiB
0.2 I llama_context: constructing llama_context
0.2 I llama_context: n_ctx                 = 1
"""


def read(text: str) -> Load:
    """What a log says."""
    load = Load()
    for line in text.splitlines():
        load.take(line)
    return load


def test_a_plan_and_the_buffers_of_the_load_after_it() -> None:
    found = loads.observed(read(PLAN + LOAD), None)
    assert found["outcome"] == "loaded" and found["n_slots"] == 4 and found["n_ctx"] == 8192
    assert (found["cells"], found["kv_layers"], found["kv_mib"]) == (8192, 5, 160.0)
    assert (found["cells_swa"], found["swa_layers"], found["kv_swa_mib"]) == (4608, 29, 522.0)
    assert (found["rs_mib"], found["rs_cells"], found["rs_seq"]) == (598.5, 4, 0)
    assert (found["compute_mib"], found["output_mib"]) == (97.53, 2.32)
    assert found["model_mib"] == {"CPU_Mapped": 83.71, "CPU_REPACK": 319.71}
    assert loads.observed(read(PLAN), None)["model_mib"] == {"Host": 7402}


def test_a_drafter_is_the_second_context_of_a_plan() -> None:
    first, last = PLAN.split("0.1 I common_params_fit_impl")
    drafter = "\n".join(line for line in first.splitlines() if "SWA" not in line and "29 layers" not in line)
    load = read(f"{first}{drafter}\n0.1 I common_params_fit_impl{last}")
    found = loads.observed(load, None, own_drafter=True)
    assert found["model_mib_all_models"] == {"Host": 2 * 7402} and "model_mib" not in found
    assert found["draft"]["kv_mib"] == 160.0 and "kv_swa_mib" not in found["draft"] and found["kv_swa_mib"] == 522.0
    assert loads.observed(load, None)["model_mib_all_models"] == {"Host": 7402}


def test_a_context_that_fit_cut() -> None:
    cut = (
        "0.1 I common_params_fit_impl: context size reduced from 131072 to 11520 -> need 15060 MiB less memory in total"
    )
    load = read(PLAN + cut + "\n0.1 I llama_context: n_ctx                 = 4096\n")
    assert load.cut == 11520 and load.contexts[0].sizes["n_ctx"] == 8192


def test_a_refusal_states_the_servers_words() -> None:
    text = "0.1 E llama_init_from_model: quantized V cache requires flash_attn to be enabled\n"
    found = loads.observed(read(text), 1)
    assert found["outcome"] == "refused" and found["exit_code"] == 1
    assert found["error"] == ["llama_init_from_model: quantized V cache requires flash_attn to be enabled"]


def test_caches_by_their_titles() -> None:
    titles = {"non-SWA ": "full", "    SWA ": "window", "lightning-indexer ": "indexer", "main ": "full"}
    assert {title: cache_kind(title) for title in titles} == titles


def missing(name: str) -> Load:
    """A load that misses a tensor."""
    return read(f"0.1 E llama_model_load: error loading model: check_tensor_dims: tensor '{name}' not found")


def wrong(name: str, shape: str) -> Load:
    """A load to which a tensor has the wrong shape."""
    return read(f"0.1 E error: check_tensor_dims: tensor '{name}' has wrong shape; expected {shape}, got     1,     1")


def test_a_releases_loader_says_which_tensors_it_wants() -> None:
    model = loads.Model(ggufs.DENSE | {"block_count": 3})
    assert model.learn(missing("blk.0.attn_q.weight")) and model.tensors == {"blk.0.attn_q.weight": (1,)}
    assert model.learn(wrong("blk.0.attn_q.weight", " 4096,  4096"))
    assert model.tensors == {f"blk.{block}.attn_q.weight": (4096, 4096) for block in range(3)}
    assert model.learn(wrong("blk.1.attn_q.weight", " 4096,  2048"))
    assert [shape[1] for shape in model.tensors.values()] == [4096, 2048, 2048]
    asked = "0.1 D loading tensor blk.0.attn_q.weight\n0.1 E error: wrong number of tensors; expected 3, got 1"
    assert model.learn(read(asked)) and list(model.tensors) == ["blk.0.attn_q.weight"]
    assert not model.learn(read(PLAN))


def test_a_hybrids_blocks_take_after_those_of_their_kind() -> None:
    model = loads.Model(ggufs.GDN | {"block_count": 8})
    model.learn(wrong("blk.0.ssm_conv1d.weight", "4, 10240"))
    assert {name for name, shape in model.tensors.items() if shape != (1,)} == {
        f"blk.{block}.ssm_conv1d.weight" for block in (0, 1, 2, 4, 5, 6)
    }
    assert model.tensors["blk.0.attn_qkv.weight"] == (1,)


@pytest.mark.parametrize(("kind", "size"), [("q1_0", 18 / 128), ("q8_0", 34 / 32), ("f16", 2), ("mxfp4", 17 / 32)])
def test_a_file_has_a_header_and_a_hole(tmp_path: Path, kind: str, size: float) -> None:
    path = tmp_path / "made.gguf"
    shapes = {"blk.0.ffn_up.weight": (256, 4096), "output_norm.weight": (256,), "blk.0.ssm_conv1d.weight": (4, 256)}
    model = loads.Model(ggufs.DENSE)
    written = gguf.write(path, model.metadata(), shapes, kind)
    assert written == 256 * 4096 * size + 256 * 4 + 4 * 256 * 4
    assert path.stat().st_blocks * 512 < 1 << 16 <= written
    data = path.read_bytes()
    header = read_header(lambda start, length: data[start : start + length])
    assert header.keys["general.architecture"] == "llama" and header.keys["llama.vocab_size"] == 128256
    assert {tensor.name: tensor.elements for tensor in header.tensors}["blk.0.ffn_up.weight"] == 256 * 4096


def test_our_count_of_a_file_beside_the_models_buffers() -> None:
    model = loads.Model(ggufs.DENSE)
    model.tensors = {"token_embd.weight": (4096, 1024)}
    row = {"id": "a", "model": "dense", "inputs": {"weight_quant": "q1_0"}, "observed": {}}
    for printed, said in (({"CPU": 0.5625}, 0), ({"CPU": 0.6}, 1)):
        row["observed"] = {"model_mib": printed}
        assert len(miscounted(model, row) or ()) == said
    row["observed"] = {"model_mib": {"Host": 1}}
    assert miscounted(model, row) is None


def test_what_moved_between_builds() -> None:
    row = {"id": "a", "model": "dense", "inputs": {"args": "-c 0"}}
    before = {**row, "observed": {"outcome": "loaded", "model_mib": {"CPU": 1.0, "GPU": 2.0}, "kv_mib": 4.0}}
    same = {**row, "observed": {"outcome": "loaded", "model_mib": {"Host": 3}, "kv_mib": 4.0}}
    refused = {**row, "observed": {"outcome": "refused"}}
    assert report.moved([before], Rows({}, [same])) == []
    (line,) = report.moved([before], Rows({}, [refused]))
    assert " ".join(line.split()) == "a dense -c 0: outcome loaded -> refused"


def test_a_build_that_the_index_lacks() -> None:
    said = "(from versions: 9094.0.0, 9444.0.0, 11401.0.0, 11434.0.0)"
    assert nearest(said, 11669, 2) == ["b11401", "b11434"] and nearest(said, 9444, 1) == ["b9094"]
    with pytest.raises(JudgeError, match="write b11669"), server("0.7.0"):
        pass


def test_the_kept_rows_are_estimated_as_they_were_allocated() -> None:
    kept = rows.read([KEPT])
    assert len(kept.observations) > 200
    lines, scores = report.estimate(kept)
    assert [score.name for score in scores if report.is_off(score)] == [], lines
