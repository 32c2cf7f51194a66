"""A served model measured by the real client: installed on the first use, through SSH, stopped half-way, compared."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

from cluster import Host

Run = Callable[..., subprocess.CompletedProcess[str]]

WORDS = [f"word{number}" for number in range(500)]


def put_text(folder: Path) -> tuple[Path, Path]:
    """A text, and a tokenizer that knows its words."""
    text, tokenizer = folder / "text.txt", folder / "tokenizer.json"
    text.write_text(" ".join(WORDS * 20))
    model = {"type": "WordLevel", "vocab": {"[UNK]": 0} | {word: at + 1 for at, word in enumerate(WORDS)}}
    data = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
        "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": None, "decoder": None,
        "model": model | {"unk_token": "[UNK]"},
    }  # fmt: skip
    tokenizer.write_text(json.dumps(data))
    return text, tokenizer


def test_a_served_model_is_measured_and_compared(
    hosts: list[Host], sparkrun: Run, recipes: Path, tmp_path: Path
) -> None:
    head = hosts[0]
    assert sparkrun("run", str(recipes / "tiny-llama.yaml"), "--solo", "-H", head.name).returncode == 0
    text, tokenizer = put_text(tmp_path)
    asked = ("--prompt", "64", "--output", "48", "--text", str(text), "--tokenizer", str(tokenizer), "-H", head.name)

    refused = sparkrun("bench", "tiny-llama", *asked)
    assert refused.returncode == 2 and "Agree with --yes." in refused.stderr

    first = sparkrun("bench", "tiny-llama", "--concurrency", "1,2", "--runs", "2", "--yes", *asked, "--json")
    assert first.returncode == 0, first.stdout + first.stderr
    result = json.loads(first.stdout)
    assert (result["end"], result["client"], result["recipe"]) == ("complete", "llama-benchy 0.4.0", "tiny-llama")
    assert result["end"] == "complete", result
    assert [point["concurrency"] for point in result["points"]] == [1, 2]
    for point in result["points"]:
        assert point["decode_total"]["mean"] > 0
        assert point["first_token"]["mean"] > 0
    assert result["image_digest"].startswith("sha256:") and len(result["recipe_digest"]) == 64
    assert [host["name"] for host in result["hosts"]] == [head.name]

    second = sparkrun("bench", "tiny-llama", "--concurrency", "1", "--runs", "1", *asked, "--json")
    assert second.returncode == 0, second.stderr
    other = json.loads(second.stdout)["id"]
    compared = sparkrun("bench", "compare", result["id"], other)
    assert compared.returncode == 0 and "→" in compared.stdout
    listed = json.loads(sparkrun("bench", "list", "--json").stdout)
    assert [item["id"] for item in listed] == [other, result["id"]]

    missing = sparkrun("bench", "tiny-llama", "--tokenizer", str(tmp_path / "none.json"), *asked[:6], "-H", head.name)
    assert missing.returncode == 1 and "--tokenizer" in missing.stderr
    assert sparkrun("stop", "tiny-llama", "-H", head.name).returncode == 0
