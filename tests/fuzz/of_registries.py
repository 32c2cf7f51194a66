"""Targets: what repositories of recipes and lists of registries say."""

from __future__ import annotations

import json
import os
from pathlib import Path
from random import Random

import yaml

from sparkrun_tui.base.disk import paths
from sparkrun_tui.recipe.registry import cache as registry_cache
from sparkrun_tui.recipe.registry.config import Registry, configured, registries_file
from sparkrun_tui.recipe.registry.registries import folders_of
from tests.fuzz import mutate
from tests.fuzz.target import Target, handled, insist
from tests.fuzz.tree import to_yaml, tree

_MANIFESTS = (
    "registries:\n  - {name: one, recipes: recipes, visible: true}\n  - {name: two, recipes: a/b, visible: false}\n",
    "registries: []\n",
    "registries:\n- name: x\n  recipes: ../..\n- name: y\n  recipes: /etc\n- name: z\n  recipes: a/../../b\n",
)
_LISTS = (
    "registries:\n  - {name: r1, url: 'https://example.org/a/b', subpath: recipes, enabled: true}\nremoved: [eugr]\n",
    "registries:\n- name: x\n  url: file:///nowhere\n  description: d\n",
    "version: 1\nregistries: {a: b}\n",
)


def manifest(folders: tuple[Path, ...]) -> Target:
    """The manifest of a repository: its folders lie inside of it, whatever it says."""
    registry = Registry("r1", "https://example.org/a/b")
    home = registry_cache.home(registry.url)
    place = home / "files" / registry_cache.MANIFEST
    for folder in ("recipes", "a/b", ".sparkrun"):
        (home / "files" / folder).mkdir(parents=True, exist_ok=True)
    state = {"folder": "files", "commit": "0" * 40, "fetched": 1.0, "form": 2}
    (home / "state.json").write_text(json.dumps(state), encoding="utf-8")

    def read(data: bytes) -> None:
        place.write_bytes(data)
        with handled():
            for found in folders_of(registry):
                inside = os.path.realpath(found.path).startswith(os.path.realpath(home / "files"))
                insist(inside, "a folder of recipes lies outside of its repository")

    return Target(_maker(_MANIFESTS), read, tuple(text.encode() for text in _MANIFESTS))


def registries(folders: tuple[Path, ...]) -> Target:
    """The user's list of registries, and that of the sparkrun CLI."""
    foreign = paths.sparkrun_config_dir() / "registries.yaml"
    for file in (registries_file(), foreign):
        file.parent.mkdir(parents=True, exist_ok=True)

    def read(data: bytes) -> None:
        for file, other in ((registries_file(), foreign), (foreign, registries_file())):
            file.write_bytes(data)
            other.write_text("", encoding="utf-8")
            with handled():
                known, _notes = configured()
                insist(len({registry.name for registry in known}) == len(known), "two registries have one name")

    return Target(_maker(_LISTS), read, tuple(text.encode() for text in _LISTS))


def _maker(texts: tuple[str, ...]):  # type: ignore[no-untyped-def]
    documents = [yaml.safe_load(text) for text in texts]
    words = mutate.words_of(documents)

    def make(chance: Random) -> bytes:
        kind = chance.randrange(10)
        if kind < 6:
            root = mutate.document(chance, tree(chance.choice(documents)), words)
            if mutate.rare(chance, 8):
                root = mutate.anchors(chance, root)
            return mutate.encoded(to_yaml(root))[: mutate.MOST]
        text = mutate.encoded(mutate.text(chance, chance.choice(texts), words))
        return text if kind < 9 else mutate.raw(chance, text)

    return make
