"""Facts of models from a stand-in for the Hub: headers alone cross the wire, and what is refused is explained."""

from __future__ import annotations

import asyncio
import json
import os
import struct
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sparkrun_tui.base.secrets import Secret
from sparkrun_tui.models.digest import facts_of
from sparkrun_tui.models.digest_cache import digest_path, read_digest
from sparkrun_tui.models.store import LocalFacts
from sparkrun_tui.remote.hub.downloads import HubError
from sparkrun_tui.remote.hub.facts_worker import weight_files
from sparkrun_tui.remote.hub.model_facts import HubFacts
from tests.memory.test_facts_headers import KEYS, TENSORS, gguf, safetensors
from tests.support.hub_process import HubProcess

REPO = "acme/tiny"
CONFIG = {
    "architectures": ["Qwen3ForCausalLM"],
    "model_type": "qwen3",
    "hidden_size": 8,
    "intermediate_size": 16,
    "head_dim": 4,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "num_hidden_layers": 2,
    "vocab_size": 100,
    "max_position_embeddings": 4096,
    "tie_word_embeddings": False,
    "eos_token_id": 2,
}


def shard(sizes: dict[str, tuple[str, list[int]]], padding: int = 400_000) -> bytes:
    """A shard whose tensors have these number formats and shapes, with far more bytes than its header."""
    width = {"BF16": 2, "U8": 1}
    entries: dict[str, object] = {}
    at = 0
    for name, (dtype, shape) in sizes.items():
        size = width[dtype]
        for count in shape:
            size *= count
        entries[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + size]}
        at += size
    return safetensors(entries) + bytes(at + padding)


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[HubProcess]:
    async with HubProcess(tmp_path / "hub") as process:
        process.write(f"{REPO}/config.json", json.dumps(CONFIG).encode())
        process.write(f"{REPO}/tokenizer.json", b"{}")
        first = shard({"model.embed_tokens.weight": ("BF16", [100, 8]), "model.norm.weight": ("BF16", [8])})
        second = shard(
            {"model.layers.0.self_attn.q_proj.weight": ("BF16", [8, 8]), "lm_head.weight": ("BF16", [100, 8])}
        )
        process.write(f"{REPO}/model-00001-of-00002.safetensors", first)
        process.write(f"{REPO}/model-00002-of-00002.safetensors", second)
        process.write(f"{REPO}/consolidated.safetensors", first + second)
        process.write(f"{REPO}/original/consolidated.pth", b"x" * 1000)
        yield process


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def facts(hub: HubProcess, folder: Path, tmp_path: Path) -> HubFacts:
    return HubFacts(folder, hub=tmp_path / "cache" / "hub", endpoint=hub.endpoint)


async def test_configuration_and_headers_become_a_digest_that_the_store_finds(
    facts: HubFacts, hub: HubProcess, folder: Path
) -> None:
    digest = await facts.read(REPO)
    assert digest.source == f"Hugging Face Hub, commit {digest.commit[:7]}"
    assert "eos_token_id" not in digest.config
    weights = digest.weights
    assert weights is not None
    assert (weights.total, weights.embedding, weights.head) == (1600 + 16 + 128 + 1600, 1600, 1600)
    assert (weights.sharded, weights.replicated, weights.source) == (1600 + 128 + 1600, 16, "headers")
    assert digest.params == 800 + 8 + 64 + 800
    path = digest_path(folder, REPO)
    assert read_digest(path) == digest
    assert path.stat().st_size < 2048
    found = LocalFacts(None, folder).find(REPO)
    assert found is not None and found == facts_of(digest)
    assert found.layers is not None and len(found.layers) == 2


async def test_no_weights_cross_the_wire(facts: HubFacts, hub: HubProcess) -> None:
    hub.fault()
    await facts.read(REPO)
    asked = [request for request in hub.requests() if request["method"] == "GET" and request["status"] in (200, 206)]
    contents = [request for request in asked if "safetensors" in request["path"]]
    assert contents and all(request["range"] == "bytes=0-99999" for request in contents)
    assert not [request for request in hub.requests() if "consolidated" in request["path"]]


async def test_a_quantised_checkpoint_keeps_its_bytes_and_states_no_parameters(
    facts: HubFacts, hub: HubProcess
) -> None:
    repo = "acme/small"
    hub.write(f"{repo}/config.json", json.dumps(CONFIG).encode())
    quant = {"quantization": {"quant_algo": "NVFP4", "kv_cache_quant_algo": "FP8"}}
    hub.write(f"{repo}/hf_quant_config.json", json.dumps(quant).encode())
    hub.write(f"{repo}/model.safetensors", shard({"model.layers.0.mlp.up_proj.weight": ("U8", [16, 4])}))
    digest = await facts.read(repo)
    found = facts_of(digest)
    assert digest.params is None
    assert digest.weights is not None and digest.weights.total == 64
    assert found.quant is not None and (found.quant.bits, found.kv_scheme) == (4.5, "fp8")


async def test_the_headers_of_a_gguf_in_parts(facts: HubFacts, hub: HubProcess, folder: Path) -> None:
    repo = "acme/tiny-GGUF"
    hub.write(f"{repo}/tiny-Q8_0-00001-of-00002.gguf", gguf(KEYS, TENSORS) + bytes(2 << 20))
    hub.write(f"{repo}/tiny-Q8_0-00002-of-00002.gguf", gguf({}, [("output.weight", [64, 6000], 8)]) + bytes(1 << 20))
    hub.write(f"{repo}/tiny-Q4_K_M.gguf", b"not a gguf at all")
    digest = await facts.read(f"{repo}:Q8_0")
    assert digest.weights is not None
    assert digest.weights.head == digest.weights.embedding == 64 * 6000 * 34 // 32
    assert digest.params == 2 * 64 * 6000 + 64 * 64
    assert digest.gguf["block_count"] == 2 and digest.gguf["vocab"] == 6000
    assert not [key for key in digest.gguf if key.startswith(("tokenizer", "general"))]
    found = LocalFacts(None, folder).find(f"{repo}:Q8_0")
    assert found is not None and found.weights == digest.weights
    assert LocalFacts(None, folder).find(f"{repo}:Q4_K_M") is None
    with pytest.raises(HubError, match=r"acme/tiny-GGUF cannot be sized: the file does not begin like a GGUF"):
        await facts.read(f"{repo}:Q4_K_M")
    with pytest.raises(HubError, match="name a quantisation"):
        await facts.read(repo)


async def test_files_that_lie_here_are_read_without_the_hub(hub: HubProcess, folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache" / "hub"
    commit = "a" * 40
    snapshot = cache / "models--acme--tiny" / "snapshots" / commit
    snapshot.mkdir(parents=True)
    refs = cache / "models--acme--tiny" / "refs"
    refs.mkdir()
    (refs / "main").write_text(commit)
    for name in ("config.json", "tokenizer.json"):
        (snapshot / name).write_bytes((hub.root / REPO / name).read_bytes())
    (snapshot / "model.safetensors").write_bytes(shard({"lm_head.weight": ("BF16", [100, 8])}))
    hub.fault()
    digest = await HubFacts(folder, hub=cache, endpoint=hub.endpoint).read(REPO)
    assert hub.requests() == []
    assert digest.source == "headers of the files in the Hugging Face cache"
    assert digest.weights is not None and (digest.weights.total, digest.weights.head) == (1600, 1600)
    found = LocalFacts(cache, folder).find(REPO)
    assert found is not None and found.weights == digest.weights


async def test_a_gate_is_explained_and_a_token_opens_it(facts: HubFacts, hub: HubProcess, folder: Path) -> None:
    hub.write(f"{REPO}/.gated", b"")
    with pytest.raises(HubError) as caught:
        await facts.read(REPO)
    assert caught.value.kind == "gated"
    assert f"huggingface.co/{REPO}" in caught.value.remedy and "HF_TOKEN" in caught.value.remedy
    assert not kept(folder)
    digest = await facts.read(REPO, token=Secret("hf_" + "a" * 30))
    assert digest.weights is not None
    assert "hf_aaa" not in digest_path(folder, REPO).read_text()


@pytest.mark.parametrize(
    ("model", "revision", "kind", "words"),
    [
        ("acme/none", "", "missing", "no model acme/none"),
        (REPO, "v9", "revision", "no revision v9"),
        ("acme/bare", "", "entry", "it has no config.json"),
        ("acme/broken", "", "entry", "its config.json cannot be read"),
        ("acme/torn", "", "entry", "the header cannot be read"),
    ],
)
async def test_what_is_not_there_is_told(
    facts: HubFacts, hub: HubProcess, folder: Path, model: str, revision: str, kind: str, words: str
) -> None:
    hub.write("acme/bare/model.safetensors", b"x" * 100)
    hub.write("acme/broken/config.json", b"{")
    hub.write("acme/torn/config.json", json.dumps(CONFIG).encode())
    hub.write("acme/torn/model.safetensors", struct.pack("<Q", 30) + b"{" * 60)
    with pytest.raises(HubError, match=words) as caught:
        await facts.read(model, revision)
    assert caught.value.kind == kind
    assert not kept(folder)


async def test_a_hub_that_cannot_be_reached_says_what_to_check(folder: Path, tmp_path: Path) -> None:
    facts = HubFacts(folder, hub=tmp_path / "cache", endpoint="http://127.0.0.1:9")
    with pytest.raises(HubError) as caught:
        await facts.read(REPO)
    assert caught.value.kind == "offline"
    assert "HF_ENDPOINT" in caught.value.remedy


async def test_cancelling_ends_the_look_up_and_its_process(hub: HubProcess, folder: Path, tmp_path: Path) -> None:
    hub.write("acme/slow/config.json", b" " * 200_000 + json.dumps(CONFIG).encode())
    hub.fault(rate=1000)
    facts = HubFacts(folder, hub=tmp_path / "cache", endpoint=hub.endpoint)
    task = asyncio.create_task(facts.read("acme/slow"))
    begun = time.monotonic()
    while not [request for request in hub.requests() if request["path"].endswith("/config.json")]:
        assert time.monotonic() - begun < 60 and not task.done()
        await asyncio.sleep(0.05)
    assert _children()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not _children()
    assert not kept(folder)


def kept(folder: Path) -> bool:
    return folder.exists()


def _children() -> list[str]:
    """The workers of this test process that still run."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
            parent = path.with_name("stat").read_text().rpartition(")")[2].split()[1]
        except OSError:
            continue
        if b"sparkrun_tui.remote.hub.facts_worker" in words and parent == str(os.getpid()):
            found.append(path.parent.name)
    return found


async def test_a_look_up_that_takes_too_long_is_given_up(hub: HubProcess, folder: Path, tmp_path: Path) -> None:
    hub.write("acme/slow/config.json", b" " * 200_000 + json.dumps(CONFIG).encode())
    hub.fault(rate=1000)
    facts = HubFacts(folder, hub=tmp_path / "cache", endpoint=hub.endpoint, timeout=0.1)
    with pytest.raises(HubError, match="did not come within") as caught:
        await facts.read("acme/slow")
    assert caught.value.kind == "stalled"


async def test_a_folder_that_cannot_be_written_is_told(hub: HubProcess, tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file where the folder should be")
    facts = HubFacts(tmp_path / "models", hub=tmp_path / "cache", endpoint=hub.endpoint)
    with pytest.raises(HubError, match="cannot be kept"):
        await facts.read(REPO)


def test_the_files_that_an_engine_loads() -> None:
    assert weight_files(
        ["model-1.safetensors", "consolidated.safetensors", "x/y.safetensors", "adapter_model.safetensors"]
    ) == ["model-1.safetensors"]
    assert weight_files(["consolidated.safetensors", "params.json"]) == ["consolidated.safetensors"]
    assert weight_files(["mtp.safetensors", "model.safetensors"]) == ["model.safetensors", "mtp.safetensors"]
