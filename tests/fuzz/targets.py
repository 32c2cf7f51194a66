"""The targets by name, each with how many inputs its short run takes; a target is imported when it is run."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.target import Build, Target


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a target is built, and the inputs of its short run."""

    module: str
    builder: str
    inputs: int


TARGETS: Mapping[str, Entry] = {
    "recipe": Entry("of_recipes", "recipe", 150),
    "quoting": Entry("of_recipes", "quoting", 150),
    "config": Entry("of_models", "config", 300),
    "gguf": Entry("of_models", "gguf", 300),
    "safetensors": Entry("of_models", "safetensors", 300),
    "probe": Entry("of_hosts", "probe", 500),
    "cache": Entry("of_hosts", "cache", 500),
    "docker": Entry("of_hosts", "docker", 100),
    "frames": Entry("of_hosts", "frames", 150),
    "fleet": Entry("of_hosts", "fleet", 80),
    "lease": Entry("of_hosts", "lease", 200),
    "metrics": Entry("of_hosts", "metrics", 500),
    "served": Entry("of_hosts", "served", 300),
    "log": Entry("of_texts", "log", 150),
    "gate": Entry("of_texts", "gate", 500),
    "manifest": Entry("of_registries", "manifest", 300),
    "registries": Entry("of_registries", "registries", 300),
    "journal": Entry("of_kept", "journal", 100),
    "settings": Entry("of_kept", "settings", 200),
}


def build(name: str, folders: tuple[Path, ...] = ()) -> Target:
    """The target of that name."""
    entry = TARGETS[name]
    make: Build = getattr(importlib.import_module(f"tests.fuzz.{entry.module}"), entry.builder)
    return make(folders)
