"""A small model in a Hugging Face cache of this machine, as huggingface_hub lays it out."""

from __future__ import annotations

import json
import os
from pathlib import Path

from tests.remote.test_model_facts import CONFIG, shard

COMMIT = "c0ffee" * 6 + "beef"
SHARDS = {
    "model-00001-of-00002.safetensors": {
        "model.embed_tokens.weight": ("BF16", [100, 8]),
        "model.layers.0.self_attn.q_proj.weight": ("BF16", [8, 8]),
    },
    "model-00002-of-00002.safetensors": {"lm_head.weight": ("BF16", [100, 8]), "model.norm.weight": ("BF16", [8])},
}


def hub_here() -> Path:
    """The `hub` folder of this machine; tests have a home of their own."""
    return Path(os.environ["HF_HOME"]) / "hub"


def put_model(hub: Path, repo: str, commit: str = COMMIT) -> Path:
    """Lay a whole model down in a cache; its snapshot."""
    folder = hub / ("models--" + repo.replace("/", "--"))
    snapshot = folder / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (folder / "refs").mkdir(exist_ok=True)
    (folder / "refs" / "main").write_text(commit)
    files = {name: shard(tensors, padding=0) for name, tensors in SHARDS.items()}
    files["config.json"] = json.dumps(CONFIG).encode()
    blobs = folder / "blobs"
    blobs.mkdir(exist_ok=True)
    for number, (name, data) in enumerate(files.items()):
        blob = blobs / f"{number:040x}"
        blob.write_bytes(data)
        (snapshot / name).symlink_to(f"../../blobs/{blob.name}")
    return snapshot
