"""The script that makes the shipped table: what it writes is what ships, and it never drops a model silently."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from benchmarks import make_facts_table
from sparkrun_tui.models.digest import packed
from sparkrun_tui.models.shipped_table import PATH, find_digest, known_models
from tests.support.hub_process import HubProcess

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "benchmarks" / "make_facts_table.py"


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True, check=False)


def test_made_again_from_itself_the_table_is_the_same(tmp_path: Path) -> None:
    out = tmp_path / "table.json"
    shutil.copy(PATH, out)
    done = run("--out", out)
    assert done.returncode == 0, done.stderr
    assert out.read_bytes() == PATH.read_bytes()


def test_every_model_of_the_list_is_in_the_table() -> None:
    listed = yaml.safe_load(make_facts_table.LIST.read_text(encoding="utf-8"))["models"]
    assert {name.lower() for name in listed} == set(known_models())


def test_a_configuration_at_hand_replaces_what_was_there(tmp_path: Path) -> None:
    out, folder = tmp_path / "table.json", tmp_path / "configs"
    shutil.copy(PATH, out)
    folder.mkdir()
    before = find_digest("Qwen/Qwen3-8B")
    assert before is not None
    config = {**before.config, "num_hidden_layers": 37, "eos_token_id": 1}
    (folder / "Qwen--Qwen3-8B_config.json").write_text(json.dumps(config))
    companion = {"quantization": {"quant_algo": "FP8"}}
    (folder / "Qwen--Qwen3-8B_hf_quant_config.json").write_text(json.dumps(companion))
    done = run("--configs", folder, "--out", out)
    assert done.returncode == 0, done.stderr
    table = json.loads(out.read_text())
    assert table["configs"]["Qwen/Qwen3-8B"]["num_hidden_layers"] == 37
    assert "eos_token_id" not in table["configs"]["Qwen/Qwen3-8B"]
    assert table["models"]["Qwen/Qwen3-8B"]["quantization_config"] == {"quant_method": "modelopt", "quant_algo": "FP8"}
    assert table["models"]["Qwen/Qwen3-8B-FP8"]["quantization_config"] == {"quant_method": "fp8"}
    assert set(table["models"]) == set(json.loads(PATH.read_text())["models"])


def test_models_of_which_nothing_is_known_are_named_and_nothing_is_written(tmp_path: Path) -> None:
    out = tmp_path / "table.json"
    done = run("--out", out)
    assert done.returncode == 1
    assert "nothing known of openai/gpt-oss-120b" in done.stderr
    assert not out.exists()


async def test_what_the_inputs_lack_is_read_from_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models, out = tmp_path / "models.yaml", tmp_path / "table.json"
    models.write_text(
        "models:\n  acme/tiny: {}\n  acme/tiny-FP8: {config: acme/tiny, quantization: fp8}\n  acme/gone: {}\n"
    )
    digest = find_digest("Qwen/Qwen3-8B")
    assert digest is not None
    async with HubProcess(tmp_path / "hub") as hub:
        hub.write("acme/tiny/config.json", json.dumps({**digest.config, "bos_token_id": 1}).encode())
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        refused = await asyncio.to_thread(run, "--hub", "--models", models, "--out", out)
        assert refused.returncode == 1 and not out.exists()
        assert "acme/gone: there is no model acme/gone on the Hub" in refused.stderr
        done = await asyncio.to_thread(run, "--hub", "--partial", "--models", models, "--out", out)
    assert done.returncode == 0, done.stderr
    table = json.loads(out.read_text())
    assert table["configs"] == {"acme/tiny": packed(digest.config)}
    assert table["models"] == {
        "acme/tiny": {"config": "acme/tiny", "source": "config.json"},
        "acme/tiny-FP8": {
            "config": "acme/tiny",
            "source": "config.json of acme/tiny",
            "quantization_config": {"quant_method": "fp8"},
        },
    }


@pytest.mark.parametrize("word", make_facts_table.QUANTISATIONS)
def test_every_word_for_a_quantisation_is_understood(word: str) -> None:
    from sparkrun_tui.models.config.reader import facts_from_config
    from sparkrun_tui.models.weight_formats import weight_format

    digest = find_digest("Qwen/Qwen3-8B")
    assert digest is not None
    facts = facts_from_config({**digest.config, "quantization_config": make_facts_table.QUANTISATIONS[word]})
    form = weight_format(facts)
    assert form is not None
    assert form.bits == pytest.approx(8 if "fp8" in word else 4.5 if "nvfp4" in word else 4.15, abs=0.06)
