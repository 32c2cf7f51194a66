"""The reference of the settings and their JSON Schema have the keys that the program reads, and agree with it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from sparkrun_tui.base.errors import SettingsError
from sparkrun_tui.base.user.settings import CLUSTER_KEYS, KEYS, Cluster, Settings, config_file, load_settings

DOCS = Path(__file__).parents[2] / "docs"
SCHEMA = json.loads((DOCS / "settings.schema.json").read_text(encoding="utf-8"))
CLUSTER_SCHEMA = SCHEMA["$defs"]["clusterMapping"]
TEXT = (DOCS / "settings.md").read_text(encoding="utf-8")
README = (DOCS.parent / "README.md").read_text(encoding="utf-8")
_EXAMPLE = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ROW = re.compile(r"^\| `([^`]+)` \|", re.MULTILINE)
SAMPLES = [text for text in _EXAMPLE.findall(TEXT + README) if "clusters:" in text]

ACCEPTED = (
    "{}",
    "clusters:\ndefault_cluster:\nrecipe_dirs:\ndata_dirs:\ndefaults:\ntheme:\nkeys:\n",
    "clusters: {lab: [a, b]}",
    "clusters: {lab: {hosts: 'a, b'}}",
    "clusters: {lab: {hosts: [a], guard_floor_gib: 0}}",
    "clusters: {lab: {hosts: [a], guard_floor_gib: 2.5, gpus_per_host: 8, cache_dir: /x}}",
    "clusters: {lab: {hosts: [a], user: null, privileged: null, host_to_host: null, guard_floor_gib: null}}",
    "clusters: {lab: {hosts: [a], description: null, hf_cache: null, cache_dir: null}}",
    "recipe_dirs: ~/recipes",
    "keys: {browse.launch: 1, browse.plan: }",
)
REFUSED = (
    "clusters: [a, b]",
    "clusters: {lab: a}",
    "clusters: {lab: []}",
    "clusters: {lab: {user: me}}",
    "clusters: {lab: {hosts: []}}",
    "clusters: {lab: {hosts: [a], gpus_per_host: 0}}",
    "clusters: {lab: {hosts: [a], gpus_per_host: two}}",
    "clusters: {lab: {hosts: [a], privileged: 'yes'}}",
    "clusters: {lab: {hosts: [a], host_to_host: 1}}",
    "clusters: {lab: {hosts: [a], guard_floor_gib: -1}}",
    "clusters: {lab: {hosts: [a], guard_floor_gib: 2000}}",
    "clusters: {lab: {hosts: [a], hf_cache: [x]}}",
    "default_cluster: [lab]",
    "recipe_dirs: {a: b}",
    "recipe_dirs: [[a]]",
    "data_dirs: 5",
    "defaults: [port]",
    "theme: {name: nord}",
    "keys: {browse.launch: [a]}",
)


def problems(text: str) -> list[str]:
    """What the schema says against a settings file."""
    data = yaml.safe_load(text)
    return [error.message for error in Draft202012Validator(SCHEMA).iter_errors(data)]


def loaded(text: str) -> Settings:
    path = config_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return load_settings()


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_the_schema_has_the_keys_that_are_read() -> None:
    assert sorted(SCHEMA["properties"]) == sorted(KEYS)
    assert sorted(CLUSTER_SCHEMA["properties"]) == sorted(CLUSTER_KEYS)


def rows(heading: str) -> list[str]:
    """The keys of the table below a heading of the reference."""
    part = TEXT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return _ROW.findall(part)


def test_the_reference_has_the_keys_that_are_read() -> None:
    assert sorted(rows("Keys at the top")) == sorted(KEYS)
    assert sorted(rows("Keys of a cluster")) == sorted(CLUSTER_KEYS)


def test_defaults_of_the_schema_are_those_of_the_program() -> None:
    bare: Any = Cluster("lab", ("a",))
    for key, schema in CLUSTER_SCHEMA["properties"].items():
        if key in ("hosts", "user", "cache_dir"):
            continue
        assert schema["default"] == getattr(bare, key), key
    explicit = {key: schema["default"] for key, schema in SCHEMA["properties"].items() if "default" in schema}
    assert problems(yaml.safe_dump(explicit)) == []
    assert loaded(yaml.safe_dump(explicit)).clusters == loaded("").clusters


@pytest.mark.parametrize("text", SAMPLES)
def test_samples_of_the_documents_are_settings(text: str) -> None:
    assert problems(text) == []
    settings = loaded(text)
    assert settings.notes == ()
    assert settings.cluster() is not None


def test_the_sample_has_every_key() -> None:
    sample = yaml.safe_load(next(text for text in SAMPLES if text.startswith("# config.yaml\n")))
    assert sorted(sample) == sorted(KEYS)
    assert sorted([*sample["clusters"]["lab"], "cache_dir"]) == sorted(CLUSTER_KEYS)


@pytest.mark.parametrize("text", ACCEPTED)
def test_what_is_read_agrees_with_the_schema(text: str) -> None:
    assert problems(text) == []
    assert loaded(text).notes == ()


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_refused_disagrees_with_the_schema(text: str) -> None:
    assert problems(text) != []
    with pytest.raises(SettingsError):
        loaded(text)


@pytest.mark.parametrize("text", ["colour: red", "clusters: {lab: {hosts: [a], gpu: 2}}"])
def test_an_unknown_key_has_a_note_and_disagrees_with_the_schema(text: str) -> None:
    assert problems(text) != []
    assert "unknown key" in " ".join(loaded(text).notes)
