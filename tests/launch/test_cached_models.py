"""Models in the caches of the hosts: their headers come with the probe, and the estimate says whose they are."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import struct
from dataclasses import replace
from pathlib import Path

import pytest

from sparkrun_tui.engines.plan import ModelNeed
from sparkrun_tui.launch.sizing.host_models import cached_digest, remember_cached, wanted_of
from sparkrun_tui.launch.sizing.sizing import known_models, model_facts
from sparkrun_tui.models.store import LocalFacts
from sparkrun_tui.remote.local_transport import LocalTransport
from sparkrun_tui.remote.probe.ask import probe
from sparkrun_tui.remote.probe.cached_model import (
    MOST_HEADERS,
    MOST_PACKED,
    CachedModel,
    Wanted,
    answers,
    split,
    unpacked,
)
from tests.launch.fakes import FakeCluster, rendered
from tests.launch.virtual import virtual_time
from tests.support.weights import gguf

COMMIT = "abc0" * 10
CONFIG = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 128, "vocab_size": 256,
    "max_position_embeddings": 2048, "torch_dtype": "bfloat16",
}  # fmt: skip


def header(**tensors: list[int]) -> bytes:
    """The header of a safetensors file whose tensors of bf16 have these shapes, and nothing behind it."""
    at, rows = 0, {}
    for name, shape in tensors.items():
        size = 2
        for side in shape:
            size *= side
        rows[name.replace("__", ".")] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    data = json.dumps(rows).encode()
    return struct.pack("<Q", len(data)) + data


FIRST = header(model__embed_tokens__weight=[256, 64], lm_head__weight=[256, 64])
SECOND = header(model__layers__0__mlp__up_proj__weight=[128, 64], model__norm__weight=[64])
WEIGHTS = 2 * (2 * 256 * 64 + 128 * 64 + 64)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A cache with a model of two files of weights, as the Hub's client keeps it."""
    folder = tmp_path / "it's a cache/hub/models--org--m"
    at = folder / f"snapshots/{COMMIT}"
    at.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs/main").write_text(COMMIT)
    (at / "config.json").write_text(json.dumps(CONFIG))
    (at / "model-00001-of-00002.safetensors").write_bytes(FIRST + bytes(4 * 256 * 64))
    (at / "model-00002-of-00002.safetensors").write_bytes(SECOND + bytes(2 * 128 * 64 + 128))
    return tmp_path / "it's a cache"


async def test_the_probe_has_the_headers_of_what_it_was_asked_for(cache: Path, tmp_path: Path) -> None:
    wanted = wanted_of([ModelNeed("org/m"), ModelNeed("org/other")], str(cache))
    facts = await probe(LocalTransport(), models=wanted)
    assert list(facts.models) == wanted[:1]
    await remember_cached(facts.models, "spark-1", tmp_path / "digests")
    known = LocalFacts(None, tmp_path / "digests").find("org/m")
    assert known is not None and known.weights is not None
    assert (known.source, known.weights.total, known.weights.source) == ("headers on spark-1", WEIGHTS, "headers")
    assert known.layers is not None and len(known.layers) == 2
    recipe = rendered(
        "model: org/m\nruntime: vllm\ncontainer: acme/vllm:1\nmax_nodes: 1\ncommand: vllm serve {model}\n"
    )
    assert "headers on spark-1" in model_facts(recipe, LocalFacts(None, tmp_path / "digests")).source


async def test_nothing_is_read_unasked(cache: Path) -> None:
    assert (await probe(LocalTransport())).models == {}


async def test_a_file_of_this_machine_is_believed_before_one_on_a_host(cache: Path, tmp_path: Path) -> None:
    facts = await probe(LocalTransport(), models=[Wanted("org/m", cache=str(cache))])
    await remember_cached(facts.models, "spark-1", tmp_path / "digests")
    known = LocalFacts(cache / "hub", tmp_path / "digests").find("org/m")
    assert known is not None and known.source == "files in the Hugging Face cache"


async def test_a_download_that_lacks_a_part_states_no_weights(cache: Path) -> None:
    (cache / f"hub/models--org--m/snapshots/{COMMIT}/model-00002-of-00002.safetensors").unlink()
    ((wanted, seen),) = (await probe(LocalTransport(), models=[Wanted("org/m", cache=str(cache))])).models.items()
    digest = await cached_digest(wanted, seen, "spark-1")
    assert digest is not None and digest.weights is None and digest.source == "config.json on spark-1"


@pytest.mark.parametrize("kept", [6, 100, len(FIRST), len(FIRST) + 500])
async def test_a_file_that_was_cut_off_states_no_weights(cache: Path, kept: int) -> None:
    """Neither its size nor the header of a part says how large the model is."""
    path = cache / f"hub/models--org--m/snapshots/{COMMIT}/model-00001-of-00002.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    ((wanted, seen),) = (await probe(LocalTransport(), models=[Wanted("org/m", cache=str(cache))])).models.items()
    digest = await cached_digest(wanted, seen, "spark-1")
    assert digest is not None and digest.weights is None


async def test_headers_that_are_too_long_leave_the_sizes_of_the_files(cache: Path) -> None:
    at = cache / f"hub/models--org--m/snapshots/{COMMIT}"
    (at / "model-00001-of-00002.safetensors").write_bytes(struct.pack("<Q", 1 << 40) + bytes(100))
    ((wanted, seen),) = (await probe(LocalTransport(), models=[Wanted("org/m", cache=str(cache))])).models.items()
    digest = await cached_digest(wanted, seen, "spark-1")
    assert digest is not None and digest.weights is not None
    assert digest.weights.source == "files" and digest.source == "config.json on spark-1"


async def test_a_gguf_is_known_by_its_first_keys(tmp_path: Path) -> None:
    at = tmp_path / f"hub/models--org--g/snapshots/{COMMIT}"
    at.mkdir(parents=True)
    (tmp_path / "hub/models--org--g/refs").mkdir()
    (tmp_path / "hub/models--org--g/refs/main").write_text(COMMIT)
    (at / "g-Q8_0.gguf").write_bytes(gguf(3200))
    (at / "g-Q4_K_M.gguf").write_bytes(gguf(6400))
    wanted = Wanted("org/g", quant="Q8_0", cache=str(tmp_path))
    seen = (await probe(LocalTransport(), models=[wanted])).models[wanted]
    digest = await cached_digest(wanted, seen, "spark-1")
    assert digest is not None and digest.weights is not None and digest.gguf is not None
    assert (digest.model, digest.gguf["arch"]) == ("org/g:Q8_0", "llama")
    assert digest.weights.total == len(gguf(3200))


@pytest.mark.parametrize(
    "lines",
    [
        ["commit\t0\t../../etc"],
        ["commit\t7\t" + COMMIT],
        ["commit\tx\t" + COMMIT, "commit"],
        ["commit\t٠\t" + COMMIT],
    ],
)
def test_an_answer_about_something_else_is_none(lines: list[str]) -> None:
    assert answers(lines, [Wanted("org/m")]) == {}


def test_names_that_lead_elsewhere_and_sizes_that_are_none_are_left_out() -> None:
    wanted = Wanted("org/m")
    lines = [
        f"commit\t0\t{COMMIT}",
        "file\t0\t5\t../x.safetensors",
        "file\t0\t-5\ta.safetensors",
        "file\t0\t5\tb\x1b[m",
        "small\t0\t../../config.json\tAAAA",
        "file\t0\t7\tc.safetensors",
        "headers\t0\tnot base64!",
    ]
    assert answers(lines, [wanted]) == {wanted: CachedModel(COMMIT, {"c.safetensors": 7}, {})}


def test_what_unpacks_to_more_than_allowed_is_cut() -> None:
    bomb = base64.b64encode(gzip.compress(bytes(64 << 20))).decode()
    assert len(bomb) < MOST_PACKED
    assert len(unpacked(bomb, MOST_HEADERS)) == MOST_HEADERS
    assert next(split(unpacked(bomb, 100), ["a.safetensors", "b.safetensors"])) == ("a.safetensors", bytes(8))


async def test_headers_that_are_no_headers_never_break_an_estimate(tmp_path: Path) -> None:
    for junk in (b"\x05\0\0\0\0\0\0\0hello", b"\x02\0\0\0\0\0\0\0{}" + bytes(50), struct.pack("<Q", 3) + b"[1]"):
        seen = CachedModel(
            COMMIT, {"model.safetensors": 99}, {"config.json": json.dumps(CONFIG).encode(), "model.safetensors": junk}
        )
        digest = await cached_digest(Wanted("org/m"), seen, "spark-1")
        assert digest is not None and digest.config is not None


async def test_what_is_asked_cannot_leave_its_word(cache: Path, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    bad = Wanted("org/m", f"$(touch {canary})", f"Q4;touch {canary}", f"{cache}/$(touch {canary})")
    await probe(LocalTransport(), models=[bad, bad])
    await asyncio.sleep(0)
    assert not canary.exists()


@virtual_time
async def test_the_head_node_of_a_plan_is_asked_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    cluster = FakeCluster("spark-1")
    small = {"config.json": json.dumps(CONFIG).encode()}
    wanted = Wanted("org/m")
    cluster[1].facts = replace(cluster[1].facts, models={wanted: CachedModel(COMMIT, {}, small)})
    recipe = rendered(
        "model: org/m\nruntime: vllm\ncontainer: acme/vllm:1\nmax_nodes: 1\ncommand: vllm serve {model}\n"
    )
    launcher = cluster.launcher()
    plan = launcher.plan(recipe, cluster.cluster)
    await launcher.probe(cluster.cluster, plan.host_names, plan=plan)
    assert await launcher.learn(plan) == ""
    assert cluster.asked == [wanted]
    known = known_models().find("org/m")
    assert known is not None and known.source == f"config.json on {plan.serve.ready.host}"
