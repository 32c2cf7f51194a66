"""Settings that were parsed once: the same without the YAML library, and never other than their text."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from sparkrun_tui.base.disk import paths
from sparkrun_tui.base.errors import SettingsError
from sparkrun_tui.base.user import settings_yaml
from sparkrun_tui.base.user.settings import Settings, config_file, load_settings

TEXT = """\
recipe_dirs: [mine, ~/theirs]
default_cluster: lab
theme: nord
defaults: {port: 8001, gpu_memory_utilization: 0.85, trust: true, none: null}
clusters:
  lab: {hosts: [spark-1, spark-2], gpus_per_host: 2, guard_floor_gib: 4}
keys: {browse.search: s}
surplus: 1
"""


def write(text: str) -> None:
    config_file().parent.mkdir(parents=True, exist_ok=True)
    config_file().write_text(text, encoding="utf-8")


def kept_files() -> list[Path]:
    return list((paths.cache_dir() / "settings").glob("*.json"))


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that were parsed as YAML."""
    found: list[str] = []
    real = settings_yaml.parse_settings

    def counted(path: Path, text: str) -> object:
        found.append(text)
        return real(path, text)

    monkeypatch.setattr(settings_yaml, "parse_settings", counted)
    return found


def test_the_same_text_is_parsed_once_and_means_the_same(parsed: list[str]) -> None:
    write(TEXT)
    first = load_settings()
    assert first == load_settings()
    assert parsed == [TEXT]
    assert first.spots["default_cluster"].line == 2 and "surplus" in first.notes[0]
    assert repr(first.defaults) == repr(load_settings().defaults)


def test_another_text_is_parsed_even_with_the_time_and_size_of_the_first(parsed: list[str]) -> None:
    write(TEXT)
    load_settings()
    write(TEXT.replace("nord", "mono"))
    assert load_settings().theme == "mono"
    write(TEXT)
    assert load_settings().theme == "nord"


def test_clusters_of_the_sparkrun_cli_are_parsed_once_too(parsed: list[str]) -> None:
    folder = paths.sparkrun_config_dir() / "clusters"
    folder.mkdir(parents=True)
    (folder / "one.yaml").write_text("name: one\nhosts: [a]\n")
    assert load_settings() == load_settings()
    assert len(parsed) == 1
    (folder / "one.yaml").write_text("name: one\nhosts: [b]\n")
    assert load_settings().clusters[0].hosts == ("b",)


def test_a_kept_file_is_private() -> None:
    write(TEXT)
    load_settings()
    [file] = kept_files()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "text",
    [
        "defaults: {hf_token: word}\n",
        "defaults: {env: {API_KEY: word}}\n",
        "defaults: {day: 2026-01-02}\n",
        "defaults: {1: one}\n",
        "defaults: {a: .nan}\n",
        "defaults: {a: !!set {b}}\n",
    ],
)
def test_what_json_cannot_hold_and_secrets_are_not_kept(text: str, parsed: list[str]) -> None:
    write(text)
    load_settings()
    assert kept_files() == []
    load_settings()
    assert len(parsed) == 2


def test_a_text_that_is_wrong_is_an_error_at_every_start() -> None:
    for text in ("theme: a\ntheme: b\n", "theme: [\n", "clusters: 1\n"):
        write(text)
        for _ in range(2):
            with pytest.raises(SettingsError):
                load_settings()


def damaged(file: Path) -> list[bytes]:
    whole = file.read_bytes()
    digest, _, body = whole.partition(b"\n")
    other = json.loads(body)
    other["data"]["theme"] = "other"
    return [
        b"",
        b"\n",
        whole[:-1],
        whole[:70],
        body,
        digest + b"\n" + json.dumps(other).encode(),
        digest + b"\n{}",
        whole.replace(b"nord", b"n\xc3\xb6d"),
        b"[" * 100_000,
        b"\x00" * 1_000_000,
    ]


@pytest.mark.parametrize("number", range(10))
def test_a_damaged_or_foreign_kept_file_is_not_used(number: int) -> None:
    write(TEXT)
    settings = load_settings()
    [file] = kept_files()
    file.write_bytes(damaged(file)[number])
    assert load_settings() == settings


def test_a_kept_file_of_another_shape_is_not_used() -> None:
    write(TEXT)
    settings = load_settings()
    [file] = kept_files()
    file.unlink()
    file.mkdir()
    assert load_settings() == settings
    assert isinstance(settings, Settings)
