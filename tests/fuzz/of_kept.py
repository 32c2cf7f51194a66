"""Targets: files that the program kept or that its user wrote, damaged in any way."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import yaml

from sparkrun_tui.base.user.settings import config_file, load_settings
from sparkrun_tui.launch.record.fold import fold
from sparkrun_tui.launch.record.journal import launches_dir, log_path, past_launches, read_events, read_log, read_state
from sparkrun_tui.launch.record.state import LaunchState
from sparkrun_tui.models.digest_cache import digest_path, read_digest
from tests.fuzz import mutate
from tests.fuzz.target import Target, handled
from tests.fuzz.tree import to_yaml, tree

_HOST = "spark-01"
_EVENTS = (
    {
        "kind": "began", "launch_id": "abcdefgh", "recipe": "qwen", "engine": "vllm", "model": "org/m",
        "cluster": "lab", "hosts": [_HOST, "spark-02"], "port": 8000, "settings": {"tensor_parallel": "2"}, "seq": 1,
        "time": 1790000000.0,
    },
    {"kind": "step", "host": _HOST, "phase": "image", "state": "running", "detail": "pull", "time": 1790000001.0},
    {"kind": "progress", "host": _HOST, "phase": "image", "done": 5.0, "total": 10.0, "rate": 1.5, "unit": "B"},
    {"kind": "link", "host": _HOST, "state": "up", "detail": ""},
    {"kind": "memory", "host": _HOST, "available": 5 << 30, "total": 128 << 30},
    {"kind": "fact", "host": _HOST, "name": "weights_bytes", "value": 1e9},
    {"kind": "notice", "level": "warning", "text": "it is slow", "host": _HOST},
    {"kind": "endpoint", "url": "http://spark-01:8000/v1", "model": "m"},
    {
        "kind": "diagnosis", "host": _HOST, "title": "no memory", "explanation": "it needs more", "evidence": "CUDA",
        "repairs": [{"title": "lower it", "why": "why", "key": "port", "value": "1"}],
    },
    {"kind": "status", "status": "failed", "detail": "it failed", "time": 1790000009.0},
)  # fmt: skip


def journal(folders: tuple[Path, ...]) -> Target:
    """The events and logs of past launches: what cannot be read is passed over."""
    words = mutate.words_of(_EVENTS)
    folder = launches_dir() / "abcdefgh"
    log = log_path(folder, _HOST)
    log.parent.mkdir(parents=True)

    def make(chance: Random) -> bytes:
        count = chance.choice([1, 3, 10])
        return b"\n".join(mutate.json_bytes(chance, _EVENTS, words).replace(b"\n", b" ") for _ in range(count))

    def read(data: bytes) -> None:
        (folder / "events.jsonl").write_bytes(data)
        log.write_bytes(data)
        past_launches()
        read_state(folder)
        state = LaunchState()
        for event in read_events(folder):
            state = fold(state, event)
        read_log(folder, _HOST)

    whole = "\n".join(map(json.dumps, _EVENTS)).encode()
    return Target(make, read, (whole,))


_SETTINGS = """\
default_cluster: lab
clusters:
  lab: {hosts: [spark-1, spark-2], gpus_per_host: 1, privileged: false, hf_cache: "", host_to_host: false}
recipe_dirs: [~/recipes]
defaults: {port: 9000, a: [1, 2], b: {c: d}}
theme: nord
keys: {browse.launch: "L"}
"""


def settings(folders: tuple[Path, ...]) -> Target:
    """The user's settings, and a digest of a model that was kept."""
    document = yaml.safe_load(_SETTINGS)
    words = mutate.words_of([document])
    config_file().parent.mkdir(parents=True)
    kept = digest_path(config_file().parent, "org/m")
    kept.parent.mkdir(parents=True, exist_ok=True)

    def make(chance: Random) -> bytes:
        kind = chance.randrange(10)
        if kind < 6:
            root = mutate.document(chance, tree(document), words)
            if mutate.rare(chance, 8):
                root = mutate.anchors(chance, root)
            return mutate.encoded(to_yaml(root))[: mutate.MOST]
        text = mutate.encoded(mutate.text(chance, _SETTINGS, words))
        return text if kind < 9 else mutate.raw(chance, text)

    def read(data: bytes) -> None:
        config_file().write_bytes(data)
        with handled():
            found = load_settings()
            found.cluster()
        kept.write_bytes(data)
        read_digest(kept)

    return Target(make, read, (_SETTINGS.encode(),))
