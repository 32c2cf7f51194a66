from __future__ import annotations

import os
from pathlib import Path

import pytest

from sparkrun_tui.base.disk import paths
from sparkrun_tui.base.user.settings import Settings
from sparkrun_tui.engines.search_words import search_words
from sparkrun_tui.recipe.format import loader
from sparkrun_tui.recipe.format.quick_read import sketch
from sparkrun_tui.recipe.model import Source, SourceKind
from sparkrun_tui.recipe.search.listing import finish, list_recipes
from sparkrun_tui.recipe.search.sources import all_recipes
from sparkrun_tui.recipe.search.summary import entry_of

from .samples import FULL, recipe


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    empty = tmp_path / "bundled"
    empty.mkdir()
    monkeypatch.setattr(paths, "bundled_recipes", lambda: empty)
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "full.yaml").write_text(FULL)
    (folder / "bad.yaml").write_text("model: [\n")
    (folder / "other.yaml").write_text("services: {}\n")
    (folder / "sub").mkdir()
    (folder / "sub" / "small.yml").write_text("model: a/b\ndescription: ünï\n")
    return Settings(recipe_dirs=(folder,))


def count_parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    parsed: list[str] = []
    original = loader.load_file

    def counting(path: str, source: Source) -> object:
        parsed.append(os.path.basename(path))
        return original(path, source)

    monkeypatch.setattr(loader, "load_file", counting)
    return parsed


def test_the_list_is_what_reading_all_files_gives(settings: Settings) -> None:
    got = list_recipes(settings, search_words, budget=60)
    assert got.entries == tuple(entry_of(found, search_words()) for found in all_recipes(settings))
    assert [entry.name for entry in got.entries] == ["bad", "full", "small"]
    assert got.pending == () and len(got.stamps) == 4


def test_unchanged_files_are_not_parsed_again(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    first = list_recipes(settings, search_words, budget=60)
    parsed = count_parsed(monkeypatch)
    assert list_recipes(settings, search_words, budget=60).entries == first.entries
    assert parsed == []
    changed = settings.recipe_dirs[0] / "sub" / "small.yml"
    changed.write_text("model: c/dd\n")
    (settings.recipe_dirs[0] / "new.yaml").write_text("model: n/n\n")
    (settings.recipe_dirs[0] / "bad.yaml").unlink()
    again = list_recipes(settings, search_words, budget=60)
    assert sorted(parsed) == ["new.yaml", "small.yml"]
    assert [(entry.name, entry.model) for entry in again.entries][1:] == [("new", "n/n"), ("small", "c/dd")]
    parsed.clear()
    assert list_recipes(settings, search_words, budget=60).entries == again.entries and parsed == []


def test_without_time_files_are_sketched_and_finished_later(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = list_recipes(settings, search_words, budget=0)
    assert [entry.name for entry in quick.entries] == ["bad", "full", "small"]
    assert len(quick.pending) == 4
    half = finish(quick, budget=0)
    assert half.pending == quick.pending
    done = finish(half)
    assert done.pending == () and done.entries == tuple(
        entry_of(found, search_words()) for found in all_recipes(settings)
    )
    parsed = count_parsed(monkeypatch)
    assert list_recipes(settings, search_words, budget=0).entries == done.entries and parsed == []
    assert finish(done) is done


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"format": "x"}', b'{"format": 1, "rows": 2}', b"\xff"])
def test_a_damaged_cache_is_made_anew(settings: Settings, damage: bytes) -> None:
    before = list_recipes(settings, search_words, budget=60)
    [file] = paths.cache_dir().glob("recipe-index.json")
    file.write_bytes(damage)
    assert list_recipes(settings, search_words, budget=60).entries == before.entries
    assert file.stat().st_size > 500


def test_a_sketch_is_close_to_the_recipe() -> None:
    source = Source(SourceKind.PATH, "sample.yaml")
    quick, whole = sketch(FULL, source), entry_of(recipe(FULL), search_words())
    assert quick is not None
    for name in (
        "name",
        "model",
        "runtime",
        "description",
        "container",
        "dtype",
        "params",
        "active",
        "context",
        "nodes",
    ):
        assert getattr(quick, name) == getattr(whole, name), name
    assert sketch("services: {}\n", source) is None
    odd = sketch('name: "a # b" # c\nmodel: x/y # z\ndescription: |\n  text\nsolo_only: true\nmods: [a]\n', source)
    assert odd is not None
    assert (odd.name, odd.model, odd.description, odd.nodes, odd.runtime) == ("a # b", "x/y", "", 1, "eugr-vllm")


def test_few_new_files_are_parsed_and_many_are_sketched_until_the_list_is_shown(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    settings = Settings(recipe_dirs=(folder,))
    finish(list_recipes(settings, search_words))
    for number in range(3):
        (folder / f"few-{number}.yaml").write_text(f"model: org/m{number}\nruntime: vllm\ncontainer: a/b:1\n")
    assert not list_recipes(settings, search_words).pending
    for number in range(100):
        (folder / f"many-{number}.yaml").write_text(f"model: org/n{number}\nruntime: vllm\ncontainer: a/b:1\n")
    sketched = list_recipes(settings, search_words)
    assert len(sketched.pending) == 100
    whole = finish(sketched)
    assert whole.by_path.keys() == sketched.by_path.keys()
    assert not list_recipes(settings, search_words).pending
