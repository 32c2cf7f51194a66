"""A8: no registry can call itself, or a part of itself, by another registry's name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sparkrun_tui.base.errors import RecipeError, UsageError
from sparkrun_tui.base.user.settings import Settings
from sparkrun_tui.cli.main import run
from sparkrun_tui.launch.plan.consent import question
from sparkrun_tui.recipe.bundled_files.attachments import find_attachments
from sparkrun_tui.recipe.registry import git
from sparkrun_tui.recipe.registry.checkouts import checkouts
from sparkrun_tui.recipe.registry.config import PUBLIC, check_url
from sparkrun_tui.recipe.registry.registries import add_registry, registry_list, remove_registry
from sparkrun_tui.recipe.search.entry import reference
from sparkrun_tui.recipe.search.sources import all_recipes, find_recipe
from sparkrun_tui.recipe.values.overrides import render
from tests.recipe.upstream import Upstream

Make = Callable[[str, str], Upstream]
RECIPE = "model: org/m\nruntime: vllm\ncontainer: a/b:1\ncommand: vllm serve org/m\n"


@pytest.fixture
def made(tmp_path: Path) -> Make:
    """Makes a repository that calls its part as it likes."""

    def make(folder: str, part: str) -> Upstream:
        stream = Upstream(tmp_path / folder)
        stream.write("recipes/x.yaml", RECIPE)
        stream.write("mods/fix/run.sh", "touch CANARY\n")
        manifest = f"registries: [{{name: {part}, recipes: recipes, mods: mods}}]\n"
        return stream.write(".sparkrun/registry.yaml", manifest).commit()

    return make


def listed() -> list[str]:
    found = [reference(recipe) for recipe in all_recipes(Settings())]
    return [name for name in found if name.startswith("@")]


@pytest.mark.parametrize("name", ["eugr", "EUGR", "spark-arena", "Spark-Arena"])
def test_a_part_never_has_the_name_of_a_public_registry(made: Make, name: str) -> None:
    stream = made("bad", name)
    add_registry(str(stream.folder), "r1")
    assert listed() == [f"@r1/{name}/x"]
    found = find_recipe(f"@r1/{name}/x", Settings())
    asked = question(render(found, {}))
    assert f"comes from the registry r1 ({stream.folder.as_uri()}, its part {name})" in asked
    assert not any(checkout.is_called(name) for checkout in checkouts())
    with pytest.raises(RecipeError):
        find_recipe(f"@{name}/x", Settings())


def test_nor_that_of_a_configured_one_whatever_the_order(made: Make) -> None:
    add_registry(str(made("bad", "mine").folder), "aaa")
    add_registry(str(made("good", "part").folder), "mine")
    assert sorted(listed()) == ["@aaa/mine/x", "@part/x"]
    assert find_recipe("@mine/x", Settings()).source.repository == "mine"


def test_nor_a_name_put_together_from_a_registry_and_a_part(made: Make) -> None:
    """`spark` with a part `arena` is not `spark-arena`."""
    add_registry(str(made("one", "arena").folder), "first")
    add_registry(str(made("two", "arena").folder), "spark")
    assert sorted(listed()) == ["@first/arena/x", "@spark/arena/x"]
    for name in listed():
        assert reference(find_recipe(name, Settings())) == name


def test_mods_of_a_registry_are_not_an_impostors(made: Make) -> None:
    add_registry(str(made("bad", "eugr").folder), "r1")
    other = made("third", "third").write("recipes/x.yaml", RECIPE + "mods: ['@eugr/fix']\n").commit()
    add_registry(str(other.folder), "honest")
    attachments = find_attachments(render(find_recipe("@honest/x", Settings()), {}))
    assert attachments.bundles == {}
    assert [problem.code for problem in attachments.problems] == ["mod-missing"]


def test_a_part_called_in_full_brings_its_mods(made: Make) -> None:
    add_registry(str(made("bad", "eugr").folder), "r1")
    other = made("third", "third").write("recipes/x.yaml", RECIPE + "mods: ['@r1/eugr/fix', '@r1/fix']\n").commit()
    add_registry(str(other.folder), "honest")
    attachments = find_attachments(render(find_recipe("@honest/x", Settings()), {}))
    assert [bundle.registry for bundle in attachments.bundles.values()] == ["r1", "r1"]


@pytest.mark.parametrize("name", [entry.name for entry in PUBLIC])
def test_the_name_of_a_public_registry_stays_its_own_also_when_it_was_removed(made: Make, name: str) -> None:
    remove_registry(name)
    stream = made(name, "p")
    for wanted in (name, name.upper()):
        with pytest.raises(UsageError, match="already"):
            add_registry(str(stream.folder), wanted)
    added = add_registry(str(stream.folder)).registry.name
    assert added.casefold() != name and added in {status.registry.name for status in registry_list()}


def test_show_names_the_registry_with_its_address(made: Make, capsys: pytest.CaptureFixture[str]) -> None:
    stream = made("bad", "eugr")
    add_registry(str(stream.folder), "r1")
    assert run(["show", "@r1/eugr/x"], open_app=lambda demo, cluster, query: 0) == 0
    assert f"Registry:     r1 ({stream.folder.as_uri()}, its part eugr)" in capsys.readouterr().out


@pytest.mark.parametrize("url", ["https://[::1", "https://[", "ssh://[x]y/z"])
def test_an_address_that_cannot_be_read_is_a_plain_error(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError):
        check_url(url)
    code = run(["registry", "add", url], open_app=lambda demo, cluster, query: 0)
    told = capsys.readouterr().err
    assert code != 0 and "unexpected" not in told and "Traceback" not in told


def test_a_refusal_is_told_in_gits_words_and_not_by_its_progress() -> None:
    said = (
        "Cloning into bare repository '/x'...\nremote: Enumerating objects: 3, done.\n"
        "remote: Counting objects:  33% (1/3)\rremote: Counting objects: 100% (3/3), done.\n"
        "remote: Total 3 (delta 0), reused 0 (delta 0)\nReceiving objects:  33% (1/3)\r"
        "error: object 12ab: hasDotgit: contains '.git'\nfatal: fsck error in packed object\n"
        "fatal: fetch-pack: invalid index-pack output\n"
    )
    reason = git._reason(said)
    assert reason.startswith("error: object 12ab: hasDotgit") and reason.endswith("invalid index-pack output")
    assert "Counting" not in reason and "Enumerating" not in reason and "Total" not in reason
    assert git._reason("remote: Repository not found.\nfatal: repository 'x' not found\n") == (
        "remote: Repository not found.; repository 'x' not found"
    )
    assert git._reason("Receiving objects: 33% (1/3)\r") == ""
