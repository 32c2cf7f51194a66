"""D1: a file of settings that no person would write is an error in plain words, at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparkrun_tui.base.disk import paths
from sparkrun_tui.base.errors import SettingsError
from sparkrun_tui.base.user.settings import Cluster, config_file, load_settings, save_cluster
from sparkrun_tui.recipe.registry.cache import safe_path

LONG = "0x" + "f" * 6000
BOMB = "defaults:\n  a: &a [x]\n" + "".join(
    f"  a{number}: &a{number} [{', '.join([f'*a{number - 1}' if number else '*a'] * 10)}]\n" for number in range(9)
)


@pytest.mark.parametrize(
    "text",
    [
        f"theme: {LONG}\n",
        f"keys: {{a: {LONG}}}\n",
        f"clusters: {{c: [{LONG}]}}\n",
        f"clusters: {{{LONG}: [a]}}\n",
        f"defaults: {{port: {LONG}}}\n",
        f"recipe_dirs: [{LONG}]\n",
        f'theme: !!int "{LONG}"\n',
        f"theme: 0b{'1' * 60_000}\n",
        f"theme: 1{':59' * 200_000}\n",
        BOMB,
        "defaults: {a: &a [*a]}\n",
        "defaults: {a: &a {b: [*a]}}\n",
        'recipe_dirs: ["a\\0b"]\n',
    ],
    ids=range(13),
)
def test_settings_that_no_person_writes_are_refused(text: str) -> None:
    config_file().parent.mkdir(parents=True, exist_ok=True)
    config_file().write_text(text)
    with pytest.raises(SettingsError):
        load_settings()
    if 'recipe_dirs: ["a' not in text:
        with pytest.raises(SettingsError):
            save_cluster(Cluster("c", ("h",)))
    assert config_file().read_text() == text


def test_so_are_clusters_of_the_other_program() -> None:
    folder = paths.sparkrun_config_dir() / "clusters"
    folder.mkdir(parents=True)
    (folder / "a.yaml").write_text(f"name: {LONG}\nhosts: [a]\n")
    (folder / "b.yaml").write_text("name: good\nhosts: [b]\n")
    found = load_settings()
    assert [cluster.name for cluster in found.clusters] == ["good"]
    assert any("digits" in note for note in found.notes)


@pytest.mark.parametrize(
    "text",
    [
        f'theme: "{"1" * 60}"\n',
        f"theme: {'ab12' * 20}\n",
        "defaults: {port: 8000, share: 0.9, when: 12:30:45}\n",
        "a: &a {hosts: [x, y]}\nclusters: {c: *a, d: *a}\n",
    ],
)
def test_what_people_write_is_read(text: str) -> None:
    config_file().parent.mkdir(parents=True, exist_ok=True)
    config_file().write_text(text)
    load_settings()


@pytest.mark.parametrize("name", ["é" * 190, "\U0001f600" * 100, "x" * 250])
def test_a_name_that_no_file_system_takes_is_left_out_of_a_registry(name: str, tmp_path: Path) -> None:
    """One such file kept the whole registry from being added or updated."""
    assert not safe_path(f"recipes/{name}.yaml")
    assert not safe_path(f"{name}/x.yaml")
    with pytest.raises(OSError, match="too long"):
        (tmp_path / f"{name}.yaml.padding").touch()
