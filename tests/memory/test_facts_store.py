"""The store: the files here first, then digests of earlier look-ups, then the shipped table; quick, and never stale."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from sparkrun_tui.models.config.drafters import is_block_drafter
from sparkrun_tui.models.digest import Digest
from sparkrun_tui.models.digest_cache import digest_path, write_digest
from sparkrun_tui.models.facts import WeightFacts
from sparkrun_tui.models.parameters import count_parameters
from sparkrun_tui.models.shipped_table import find_digest, known_models
from sparkrun_tui.models.store import LocalFacts
from tests.support.weights import safetensors

MODEL = "acme/tiny"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
CONFIG = {
    "model_type": "qwen3",
    "hidden_size": 1024,
    "intermediate_size": 3072,
    "head_dim": 128,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "num_hidden_layers": 4,
    "vocab_size": 32000,
}


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    return tmp_path / "hub"


@pytest.fixture
def digests(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def store(hub: Path, digests: Path) -> LocalFacts:
    return LocalFacts(hub, digests)


def snapshot(hub: Path, model: str = MODEL, commit: str = COMMIT, revision: str = "main", **files: bytes) -> Path:
    folder = hub / ("models--" + model.replace("/", "--"))
    (folder / "refs").mkdir(parents=True, exist_ok=True)
    (folder / "refs" / revision).write_text(commit)
    path = folder / "snapshots" / commit
    path.mkdir(parents=True, exist_ok=True)
    (path / "config.json").write_text(json.dumps(CONFIG))
    for name, content in files.items():
        (path / name).write_bytes(content)
    return path


def keep(digests: Path, commit: str, revision: str = "", layers: int = 6) -> None:
    digest = Digest(
        MODEL, "Hub", commit, {**CONFIG, "num_hidden_layers": layers}, weights=WeightFacts(77, "headers", 70)
    )
    write_digest(digest_path(digests, MODEL, revision), digest)


def layers_of(store: LocalFacts, revision: str = "") -> int:
    facts = store.find(MODEL, revision)
    assert facts is not None and facts.layers is not None
    return len(facts.layers)


def test_nothing_is_known_of_a_model_nobody_knows(store: LocalFacts) -> None:
    assert store.find(MODEL) is None


@pytest.mark.parametrize(
    "name", ["", "tiny", "/models/tiny", "~/tiny", "../a/b", "a/..", "a/b/c", "a b/c", "a/b:c:d", "{model}"]
)
def test_names_that_are_no_repository_know_nothing(store: LocalFacts, name: str) -> None:
    assert store.find(name) is None


def test_a_revision_cannot_lead_out_of_the_cache(store: LocalFacts, hub: Path) -> None:
    snapshot(hub)
    assert store.find(MODEL, "../../refs/main") is None
    assert layers_of(store) == 4


def test_the_files_here_tell_layers_and_bytes(store: LocalFacts, hub: Path) -> None:
    names = {"model-00001-of-00002.safetensors": safetensors(300), "model-00002-of-00002.safetensors": safetensors(200)}
    snapshot(hub, **names)
    facts = store.find(MODEL)
    assert facts is not None
    assert facts.source == "files in the Hugging Face cache"
    assert facts.weights == WeightFacts(sum(map(len, names.values())), "files")
    assert (facts.heads, facts.kv_heads, facts.head_dim) == (16, 8, 128)


def test_a_part_that_is_missing_leaves_the_bytes_unknown(store: LocalFacts, hub: Path) -> None:
    snapshot(hub, **{"model-00001-of-00002.safetensors": safetensors(300)})
    facts = store.find(MODEL)
    assert facts is not None and facts.weights is None


@pytest.mark.parametrize("kept", [0, 5, 60, -1])
def test_a_file_that_was_cut_off_leaves_the_bytes_unknown(store: LocalFacts, hub: Path, kept: int) -> None:
    """A download that ended too early leaves it under its whole name; its size says nothing of the model."""
    snapshot(hub, **{"model.safetensors": safetensors(300)[:kept]})
    facts = store.find(MODEL)
    assert facts is not None and facts.weights is None


def test_a_snapshot_without_a_configuration_falls_through(store: LocalFacts, hub: Path, digests: Path) -> None:
    (snapshot(hub) / "config.json").unlink()
    assert store.find(MODEL) is None
    keep(digests, "f" * 40)
    assert layers_of(store) == 6


def test_a_damaged_configuration_falls_through(store: LocalFacts, hub: Path, digests: Path) -> None:
    (snapshot(hub) / "config.json").write_text("{")
    keep(digests, "f" * 40)
    assert layers_of(store) == 6


def test_the_digest_of_the_same_commit_knows_more_than_the_files(store: LocalFacts, hub: Path, digests: Path) -> None:
    snapshot(hub)
    keep(digests, COMMIT)
    facts = store.find(MODEL)
    assert facts is not None and facts.weights == WeightFacts(77, "headers", 70)
    keep(digests, "f" * 40)
    os.utime(digest_path(digests, MODEL), ns=(1, 1))
    assert layers_of(store) == 4


def test_revisions_are_apart(store: LocalFacts, hub: Path, digests: Path) -> None:
    keep(digests, "a" * 40)
    keep(digests, "b" * 40, revision="v2", layers=9)
    assert (layers_of(store), layers_of(store, "v2")) == (6, 9)
    snapshot(hub, commit="c" * 40, revision="v3")
    assert layers_of(store, "v3") == 4
    assert layers_of(store, "c" * 40) == 4


def test_what_changed_on_disk_is_read_again(store: LocalFacts, hub: Path, digests: Path) -> None:
    assert store.find(MODEL) is None
    keep(digests, "a" * 40)
    assert layers_of(store) == 6
    first = store.find(MODEL)
    assert store.find(MODEL) is first
    snapshot(hub)
    assert layers_of(store) == 4


def test_the_table_is_asked_last(store: LocalFacts, hub: Path) -> None:
    facts = store.find("Qwen/Qwen3-1.7B")
    assert facts is not None and facts.source == "shipped table (config.json)"
    assert facts.layers is not None and len(facts.layers) == 28
    snapshot(hub, "Qwen/Qwen3-1.7B")
    facts = store.find("Qwen/Qwen3-1.7B")
    assert facts is not None and facts.source == "files in the Hugging Face cache"


def test_without_folders_there_is_the_table_alone() -> None:
    facts = LocalFacts().find("openai/gpt-oss-120b")
    assert facts is not None and facts.quant is not None and facts.quant.method == "mxfp4"


def test_a_gguf_is_told_by_its_quantisation(store: LocalFacts) -> None:
    facts = store.find("unsloth/Qwen3.6-35B-A3B-GGUF:UD-Q4_K_XL")
    assert facts is not None and facts.gguf and facts.quant is not None
    assert facts.model_type == "qwen35moe"
    assert "UD-Q4_K_XL" in facts.quant.method
    assert store.find("Qwen/Qwen3-1.7B:Q8_0") is None


def test_names_are_compared_as_the_hub_does() -> None:
    assert find_digest("QWEN/qwen3-1.7b") is not None


PUBLISHED = {
    "Qwen/Qwen3-1.7B": 1.72e9,
    "Qwen/Qwen3-30B-A3B": 30.53e9,
    "Qwen/Qwen3-Coder-Next": 79.67e9,
    "Qwen/Qwen3.5-122B-A10B": 122e9,
    "Qwen/Qwen3.5-397B-A17B": 397e9,
    "openai/gpt-oss-20b": 20.91e9,
    "openai/gpt-oss-120b": 116.83e9,
    "nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16": 31.58e9,
    "nvidia/NVIDIA-Nemotron-3-Super-120B-A12B-NVFP4": 120.67e9,
    "nvidia/NVIDIA-Nemotron-3-Ultra-550B-A55B-NVFP4": 550e9,
    "nvidia/NVIDIA-Nemotron-3.5-Lightning-30B-A3B-NVFP4": 31.6e9,
    "MiniMaxAI/MiniMax-M2.5": 228.7e9,
    "deepseek-ai/DeepSeek-V4-Flash": 284e9,
    "meta-llama/Llama-3.1-8B-Instruct": 8.03e9,
    "meta-llama/Llama-3.3-70B-Instruct": 70.55e9,
    "meta-llama/Llama-4-Scout-17B-16E-Instruct": 107.8e9,
    "microsoft/phi-4": 14.66e9,
    "google/gemma-3-27b-it": 27.0e9,
    "ibm-granite/granite-4.0-h-small": 32.2e9,
    "LiquidAI/LFM2-8B-A1B": 8.34e9,
    "moonshotai/Kimi-Linear-48B-A3B-Instruct": 49.1e9,
    "unsloth/Nemotron-3-Nano-30B-A3B-GGUF": 31.58e9,
    "ggml-org/gpt-oss-120b-GGUF": 116.83e9,
}
"""Parameters of the text models as their makers state them (without vision towers and drafters)."""


@pytest.mark.parametrize("model", PUBLISHED)
def test_the_tables_architectures_add_up_to_the_published_sizes(model: str) -> None:
    facts = LocalFacts().find(model)
    assert facts is not None
    counted = count_parameters(facts)
    assert counted is not None
    assert counted.total == pytest.approx(PUBLISHED[model], rel=0.01)


def test_every_row_of_the_table_has_layers_or_says_that_they_are_not_known() -> None:
    store = LocalFacts()
    assert len(known_models()) >= 120
    for name in known_models():
        facts = store.find(name)
        assert facts is not None
        assert facts.source.startswith("shipped table ("), name
        if facts.layers:
            # A drafter of blocks goes as far as its target.
            assert facts.max_length or is_block_drafter(facts.config), name
            assert facts.vocab and facts.hidden and facts.heads, name
        else:
            # Of a family that is not modelled the size may be known; the row says what is not.
            assert facts.params and "is not known" in facts.notes[0], name
