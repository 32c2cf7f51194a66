"""Settings are read forgivingly where they can be, and with a place where they cannot."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sparkrun_tui.base.disk.paths import sparkrun_config_dir
from sparkrun_tui.base.errors import SettingsError
from sparkrun_tui.base.user.settings import Cluster, config_file, load_settings, remove_cluster, save_cluster


def write(text: str) -> Path:
    path = config_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_no_file_is_empty_settings() -> None:
    assert load_settings().clusters == ()
    assert load_settings().cluster() is None


def test_clusters_in_their_forms() -> None:
    write(
        "default_cluster: lab\n"
        "clusters:\n"
        "  lab: {hosts: [spark-1, spark-2], user: me, gpus_per_host: 2}\n"
        "  short: [a, b]\n"
        "  words: {hosts: 'c, d'}\n"
        "colour: blue\n"
    )
    settings = load_settings()
    lab = settings.cluster()
    assert lab is not None and lab.hosts == ("me@spark-1", "me@spark-2") and lab.gpus_per_host == 2
    assert [cluster.hosts for cluster in settings.clusters[1:]] == [("a", "b"), ("c", "d")]
    assert any("colour" in note for note in settings.notes)
    assert settings.cluster("none such") is None


@pytest.mark.parametrize(
    "text",
    [
        "clusters: [",
        "- a list",
        "clusters: {lab: 5}",
        "clusters: {lab: {hosts: []}}",
        "recipe_dirs: 7",
        "a: \ttab: x: y",
    ],
)
def test_wrong_settings_name_the_file(text: str) -> None:
    path = write(text)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert str(path) in str(caught.value)


def test_the_other_cli_s_clusters_are_read_and_a_bad_one_hides_none() -> None:
    folder = sparkrun_config_dir() / "clusters"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text("name: mine\nhosts: [x, y]\nuser: u\n", encoding="utf-8")
    (folder / "bad.yaml").write_text("hosts: {", encoding="utf-8")
    settings = load_settings()
    assert [cluster.name for cluster in settings.clusters] == ["mine"]
    assert settings.clusters[0].source == "sparkrun"
    assert any("bad.yaml" in note for note in settings.notes)


def test_a_saved_cluster_comes_back_and_keeps_the_rest() -> None:
    write("recipe_dirs: [~/r]\nclusters: {old: [h]}\n")
    save_cluster(Cluster("lab", ("spark-1", "spark-2"), privileged=True, hf_cache="/data/hf", host_to_host=True))
    settings = load_settings()
    assert [cluster.name for cluster in settings.clusters] == ["old", "lab"]
    assert settings.clusters[1] == Cluster(
        "lab", ("spark-1", "spark-2"), privileged=True, hf_cache="/data/hf", host_to_host=True
    )
    assert settings.recipe_dirs[0].name == "r"


@pytest.mark.parametrize(("text", "floor"), [("", None), ("0", 0.0), ("6", 6.0), ("2.5", 2.5)])
def test_the_floor_of_the_memory_guard_is_a_setting_of_a_cluster(text: str, floor: float | None) -> None:
    line = f", guard_floor_gib: {text}" if text else ""
    write(f"clusters: {{lab: {{hosts: [h]{line}}}}}\n")
    (cluster,) = load_settings().clusters
    assert cluster.guard_floor_gib == floor
    save_cluster(replace(cluster, name="again"))
    assert load_settings().clusters[1].guard_floor_gib == floor


def test_comments_and_order_survive_a_cluster_that_is_added_and_removed() -> None:
    text = "# mine\ntheme: nord  # dark\n\nclusters:\n  # work\n  old: [h]  # host\n\n# folders\nrecipe_dirs: [~/r]\n"
    write(text)
    save_cluster(Cluster("lab", ("spark-1", "spark-2"), description="two: of them"))
    body = "  lab:\n    hosts:\n    - spark-1\n    - spark-2\n    description: 'two: of them'\n"
    with_lab = text.replace("# host\n", f"# host\n{body}")
    assert config_file().read_text(encoding="utf-8") == with_lab
    remove_cluster("lab")
    assert config_file().read_text(encoding="utf-8") == text
    remove_cluster("old")
    emptied = text.replace("clusters:\n", "clusters: {}\n").replace("  old: [h]  # host\n", "")
    assert config_file().read_text(encoding="utf-8") == emptied


def test_settings_that_are_nested_without_end_are_refused() -> None:
    config_file().parent.mkdir(parents=True, exist_ok=True)
    for text in ("[" * 3000, "a: " + "[" * 31 + "]" * 31, "? " * 31 + "x"):
        config_file().write_text(text)
        with pytest.raises(SettingsError):
            load_settings()
    config_file().write_text("defaults: {a: " + "[" * 25 + "]" * 25 + "}")
    assert "a" in load_settings().defaults
