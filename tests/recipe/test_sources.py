from __future__ import annotations

import os
from pathlib import Path

import pytest

from sparkrun_tui.base.disk import paths
from sparkrun_tui.base.errors import RecipeError
from sparkrun_tui.base.user.settings import Settings
from sparkrun_tui.recipe.model import BrokenRecipe, SourceKind
from sparkrun_tui.recipe.search.entry import reference
from sparkrun_tui.recipe.search.folders import source_notes
from sparkrun_tui.recipe.search.sources import all_recipes, find_recipe


@pytest.fixture
def bundled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "bundled"
    folder.mkdir()
    monkeypatch.setattr(paths, "bundled_recipes", lambda: folder)
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    folder.mkdir()
    return folder


def write(path: Path, model: str = "a/b", extra: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"model: {model}\n{extra}")
    return path


def test_a_path_wins_over_everything(bundled: Path, tmp_path: Path) -> None:
    write(bundled / "same.yaml", "bundled/one")
    write(tmp_path / "same.yaml", "path/one")
    got = find_recipe("same.yaml", Settings())
    assert (got.model, got.source.kind) == ("path/one", SourceKind.PATH)
    assert find_recipe(str(tmp_path / "same"), Settings()).model == "path/one"
    assert find_recipe("./same", Settings()).model == "path/one"


def test_names_work_with_and_without_ending(bundled: Path) -> None:
    write(bundled / "one.yaml")
    write(bundled / "two.yml", "c/d")
    for name in ("one", "one.yaml", "one.yml"):
        assert find_recipe(name, Settings()).source.kind is SourceKind.BUNDLED
    for name in ("two", "two.yml", "two.yaml"):
        assert find_recipe(name, Settings()).model == "c/d"


def test_bundled_then_the_users_directories_in_order(bundled: Path, mine: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    settings = Settings(recipe_dirs=(mine, other))
    write(other / "x.yaml", "other/x")
    assert find_recipe("x", settings).model == "other/x"
    write(mine / "deep" / "x.yaml", "mine/x")
    assert find_recipe("deep/x", settings).source.kind is SourceKind.USER
    write(mine / "x.yaml", "mine/x2")
    assert find_recipe("x", settings).model == "mine/x2"
    write(bundled / "x.yaml", "bundled/x")
    assert find_recipe("x", settings).model == "bundled/x"


def test_a_stem_in_a_subfolder_is_found_and_two_are_ambiguous(bundled: Path, mine: Path) -> None:
    settings = Settings(recipe_dirs=(mine,))
    write(mine / "a" / "deep.yaml", "one/x")
    assert find_recipe("deep", settings).model == "one/x"
    write(mine / "b" / "deep.yaml", "one/x")
    assert find_recipe("deep", settings).model == "one/x"
    write(mine / "b" / "deep.yaml", "two/x")
    with pytest.raises(RecipeError, match="ambiguous") as caught:
        find_recipe("deep", settings)
    assert "a/deep.yaml" in str(caught.value) and "b/deep.yaml" in str(caught.value)


def test_the_display_name_is_a_last_resort(bundled: Path) -> None:
    write(bundled / "file.yaml", "a/b", "name: GLM 5 (TP=8)\n")
    assert find_recipe("glm 5 (tp=8)", Settings()).model == "a/b"


def test_a_misspelt_name_gets_a_suggestion(bundled: Path) -> None:
    write(bundled / "qwen3-coder.yaml")
    with pytest.raises(RecipeError) as caught:
        find_recipe("qwen3-codr", Settings())
    assert "did you mean `qwen3-coder`?" in str(caught.value)
    with pytest.raises(RecipeError, match="there is no recipe"):
        find_recipe("zzz", Settings())


@pytest.mark.parametrize(
    "name", ["../outside", "/etc/none", "a\0b", "", "~nobody-at-all/x", "..", "@reg/x", "x" * 5000]
)
def test_names_never_climb_out(name: str, bundled: Path, tmp_path: Path) -> None:
    write(tmp_path.parent / "outside.yml")
    with pytest.raises(RecipeError):
        find_recipe(name + "/nothing" if name == ".." else name if name != "../outside" else "../outside2", Settings())


def test_a_found_file_that_is_broken_says_why(bundled: Path) -> None:
    (bundled / "bad.yaml").write_text("model: [\n")
    with pytest.raises(RecipeError) as caught:
        find_recipe("bad", Settings())
    assert caught.value.spot is not None and caught.value.spot.path.endswith("bad.yaml")


def test_a_list_holds_everything_that_is_meant_as_a_recipe(bundled: Path, mine: Path, tmp_path: Path) -> None:
    write(bundled / "b.yaml")
    write(bundled / "a.yml")
    write(mine / "sub" / "c.yaml")
    (mine / "broken.yaml").write_text("a: [")
    (mine / "other.yaml").write_text("services: {}\n")
    (mine / "note.txt").write_text("model: a/b")
    write(mine / ".git" / "hidden.yaml")
    secret = write(tmp_path / "secret" / "s.yaml")
    os.symlink(secret, mine / "link.yaml")
    os.symlink(secret.parent, mine / "folder")
    os.symlink(mine / "sub" / "c.yaml", mine / "inner.yaml")
    got = all_recipes(Settings(recipe_dirs=(mine, tmp_path / "none")))
    assert [recipe.name for recipe in got] == ["a", "b", "broken", "inner"]
    assert isinstance(got[2], BrokenRecipe)
    assert [recipe.source.kind for recipe in got] == [SourceKind.BUNDLED] * 2 + [SourceKind.USER] * 2


def test_notes_name_directories_that_are_none(tmp_path: Path) -> None:
    assert source_notes(Settings(recipe_dirs=(tmp_path, tmp_path / "x"))) == [
        f"recipe_dirs: {tmp_path / 'x'} is not a directory"
    ]


def test_a_reference_finds_the_recipe_again(bundled: Path, mine: Path) -> None:
    settings = Settings(recipe_dirs=(mine,))
    write(bundled / "b.yaml", "a/b")
    write(mine / "sub" / "c.yaml", "c/d")
    for recipe in all_recipes(settings):
        again = find_recipe(reference(recipe), settings)
        assert again.source.path == recipe.source.path


def test_a_display_name_of_a_bundled_recipe_hides_the_same_one_of_the_user(bundled: Path, mine: Path) -> None:
    write(bundled / "one.yaml", "first/x", "name: Falcon\n")
    write(mine / "two.yaml", "second/x", "name: Falcon\n")
    assert find_recipe("falcon", Settings(recipe_dirs=(mine,))).model == "first/x"
    write(bundled / "three.yaml", "third/x", "name: Falcon\n")
    with pytest.raises(RecipeError, match="ambiguous"):
        find_recipe("falcon", Settings(recipe_dirs=(mine,)))
