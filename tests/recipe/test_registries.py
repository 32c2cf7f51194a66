"""Registries, against git repositories in local folders."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from sparkrun_tui.base.errors import RecipeError, SettingsError, UsageError
from sparkrun_tui.base.user.settings import Settings
from sparkrun_tui.engines.search_words import search_words
from sparkrun_tui.recipe.format.export import command_line
from sparkrun_tui.recipe.model import Recipe, SourceKind
from sparkrun_tui.recipe.registry import cache as registry_cache
from sparkrun_tui.recipe.registry import config as registry_config
from sparkrun_tui.recipe.registry import git
from sparkrun_tui.recipe.registry.config import PUBLIC, configured, registries_file, set_enabled
from sparkrun_tui.recipe.registry.registries import (
    STALE,
    add_registry,
    registry_folders,
    registry_list,
    remove_registry,
    update_registries,
)
from sparkrun_tui.recipe.search.entry import reference
from sparkrun_tui.recipe.search.index import Index
from sparkrun_tui.recipe.search.listing import hidden_entries
from sparkrun_tui.recipe.search.sources import all_recipes, find_recipe
from sparkrun_tui.recipe.search.summary import entry_of
from tests.recipe.upstream import Upstream, names, ours, run


def test_a_folder_alone_is_enough_to_add_one(upstream: Upstream) -> None:
    status = add_registry(str(upstream.folder))
    assert (status.registry.name, status.recipes) == ("stream", 1)
    assert status.age is not None and not status.stale
    [found] = all_recipes(Settings())
    assert found.source.kind is SourceKind.REGISTRY and found.source.registry == "stream"
    for name in ("one", "one.yaml", "stream/one", "@stream/one", reference(found)):
        assert find_recipe(name, Settings()).model == "a/b"


def test_an_update_tells_what_changed(upstream: Upstream) -> None:
    upstream.write("recipes/gone.yaml", "model: c/d\n").commit()
    add_registry(str(upstream.folder), "mine")
    [same] = update_registries(["mine"])
    assert same.update is not None and not same.update.anything
    upstream.write("recipes/new.yaml", "model: e/f\n").write("recipes/one.yaml", "model: a/c\n")
    (upstream.folder / "recipes/gone.yaml").unlink()
    upstream.commit()
    [result] = update_registries()[:1]
    assert result.update is not None
    assert (result.update.added, result.update.changed, result.update.removed) == (
        ("recipes/new.yaml",), ("recipes/one.yaml",), ("recipes/gone.yaml",),
    )  # fmt: skip
    assert names() == ["new", "one"]
    assert find_recipe("one", Settings()).model == "a/c"


def test_a_history_that_was_rewritten_is_followed(upstream: Upstream) -> None:
    add_registry(str(upstream.folder), "mine")
    run(upstream.folder, "checkout", "-q", "--orphan", "other")
    upstream.write("recipes/one.yaml", "model: new/root\n").commit()
    run(upstream.folder, "branch", "-M", "main")
    [result] = update_registries(["mine"])
    assert result.error is None and find_recipe("one", Settings()).model == "new/root"


def test_without_the_repository_the_cache_serves(upstream: Upstream) -> None:
    add_registry(str(upstream.folder), "mine")
    upstream.folder.rename(upstream.folder.with_name("away"))
    [result] = update_registries(["mine"])
    assert result.update is None and result.error is not None and "stream" in str(result.error)
    assert find_recipe("one", Settings()).model == "a/b"


def test_a_broken_repository_leaves_the_cache(upstream: Upstream) -> None:
    add_registry(str(upstream.folder), "mine")
    upstream.write("recipes/two.yaml", "model: x/y\n").commit()
    blob = run(upstream.folder, "rev-parse", "HEAD:recipes/two.yaml")
    path = upstream.folder / ".git" / "objects" / blob[:2] / blob[2:]
    path.chmod(0o600)
    path.write_bytes(b"damaged")
    [result] = update_registries(["mine"])
    assert result.error is not None
    assert names() == ["one"]


def test_an_empty_repository_is_refused(tmp_path: Path, upstream: Upstream) -> None:
    empty = Upstream(tmp_path / "empty")
    with pytest.raises(RecipeError, match="empty"):
        add_registry(str(empty.folder))
    with pytest.raises(RecipeError):
        add_registry(str(tmp_path))
    without = Upstream(tmp_path / "without").write("README.md", "x").commit()
    with pytest.raises(RecipeError, match="no recipe files"):
        add_registry(str(without.folder))
    assert ours() == []


def test_the_manifest_names_the_registries(upstream: Upstream) -> None:
    upstream.write("good/g.yaml", "model: g/g\n").write("lab/l.yaml", "model: l/l\n").write(
        ".sparkrun/registry.yaml",
        "registries:\n"
        "  - {name: official, description: d, recipes: good}\n"
        "  - {name: lab, recipes: lab, visible: false}\n"
        "  - {name: out, recipes: ../../..}\n"
        "  - {name: abs, recipes: /etc}\n"
        "  - {name: none}\n"
        "  - words\n",
    ).commit()
    status = add_registry(str(upstream.folder))
    assert [(folder.registry, folder.visible) for folder in status.folders] == [("official", True), ("lab", False)]
    assert names() == ["g"]
    assert find_recipe("@lab/l", Settings()).model == "l/l"
    assert find_recipe("l", Settings()).model == "l/l"


def test_recipes_of_one_file_name_keep_apart(upstream: Upstream) -> None:
    for place, model in (("big", "root/x"), ("2x/big", "two/x"), ("4x/big", "four/x")):
        upstream.write(f"recipes/{place}.yaml", f"name: Big\nmodel: {model}\n")
    upstream.write("recipes/4x/other.yml", "model: y/y\n").commit()
    add_registry(str(upstream.folder), "mine")
    found = {reference(recipe): recipe for recipe in all_recipes(Settings())}
    assert list(found) == ["@mine/big", "@mine/one", "@mine/2x/big", "@mine/4x/big", "@mine/4x/other.yml"]
    for name, recipe in found.items():
        assert isinstance(recipe, Recipe)
        assert find_recipe(name, Settings()).model == recipe.model
        assert command_line(recipe, {}) == f"sparkrun-tui run {name}"
    with pytest.raises(RecipeError, match="ambiguous") as caught:
        find_recipe("Big", Settings())
    assert "`@mine/4x/big`" in str(caught.value)


def test_a_repository_of_several_registries_answers_to_its_own_name_too(upstream: Upstream) -> None:
    manifest = "registries:\n  - {name: official, recipes: good}\n  - {name: lab, recipes: lab, visible: false}\n"
    upstream.write("good/deep/g.yaml", "model: g/g\n").write("lab/l.yaml", "model: l/l\n")
    upstream.write(".sparkrun/registry.yaml", manifest).commit()
    add_registry(str(upstream.folder), "mine")
    for name in ("@mine/g", "@mine/deep/g", "@mine/official/deep/g", "@mine/official/g", "@official/g"):
        assert find_recipe(name, Settings()).model == "g/g"
    assert find_recipe("@mine/l", Settings()).model == "l/l"
    listed = [entry_of(recipe, search_words()) for recipe in all_recipes(Settings())]
    for query in ("registry:mine", "registry:official", "registry:min", "@mine", "@mine/", "@official/deep", "@mine/g"):
        assert [entry.name for entry in Index(listed).search(query)] == ["g"]
    for query in ("@mine/other", "@other", "-@mine"):
        assert [entry.name for entry in Index(listed).search(query)] == []
    for place, found in (("lab", ["l"]), ("lab/l", ["l"]), ("la", []), ("mine", []), ("official", [])):
        assert [entry.name for entry in hidden_entries(Settings(), search_words, place)] == found
    [status] = [status for status in registry_list() if status.registry.name == "mine"]
    assert (status.recipes, status.hidden) == (1, 1)
    with pytest.raises(RecipeError, match="no registry `other`") as caught:
        find_recipe("@other/g", Settings())
    assert "`mine`, `official`" in caught.value.remedy
    with pytest.raises(RecipeError) as missing:
        find_recipe("@mine/official/deap/g", Settings())
    assert "no recipe" in str(missing.value)


def test_a_part_that_two_repositories_call_alike(upstream: Upstream, tmp_path: Path) -> None:
    fork = Upstream(tmp_path / "fork")
    for stream, model in ((upstream, "first/x"), (fork, "second/x")):
        stream.write(".sparkrun/registry.yaml", "registries:\n  - {name: official, recipes: good}\n")
        stream.write("good/x.yaml", f"model: {model}\n").commit()
    add_registry(str(upstream.folder), "one")
    add_registry(str(fork.folder), "two")
    found = {reference(recipe): recipe for recipe in all_recipes(Settings())}
    assert list(found) == ["@one/official/x", "@two/official/x"], "the name that both claim is neither's"
    for name, recipe in found.items():
        assert isinstance(recipe, Recipe) and find_recipe(name, Settings()).model == recipe.model
    assert find_recipe("@two/x", Settings()).model == find_recipe("@two/official/x", Settings()).model == "second/x"


def test_a_misspelt_recipe_of_a_registry_is_told_in_full(upstream: Upstream) -> None:
    upstream.write("recipes/deep/falcon-30b.yaml", "model: a/b\n").commit()
    add_registry(str(upstream.folder), "mine")
    with pytest.raises(RecipeError) as caught:
        find_recipe("@mine/falcon-3b", Settings())
    assert "did you mean `@mine/deep/falcon-30b`?" in str(caught.value)


def test_an_update_tells_of_recipes_alone(upstream: Upstream) -> None:
    upstream.write("ci/build.yaml", "steps: []\n").commit()
    add_registry(str(upstream.folder), "mine", "recipes")
    upstream.write("ci/build.yaml", "steps: [x]\n").write("ci/more.yaml", "steps: []\n").commit()
    [result] = update_registries(["mine"])
    assert result.update is not None and not result.update.anything
    upstream.write("recipes/two.yaml", "model: c/d\n").commit()
    [result] = update_registries(["mine"])
    assert result.update is not None and result.update.added == ("recipes/two.yaml",)


def test_a_broken_manifest_is_none(upstream: Upstream) -> None:
    upstream.write(".sparkrun/registry.yaml", "registries: [\n").commit()
    assert add_registry(str(upstream.folder)).recipes == 1


def test_a_subpath_chooses_the_folder(upstream: Upstream) -> None:
    upstream.write("other/x.yaml", "model: x/x\n").commit()
    assert add_registry(str(upstream.folder), subpath="./other/").registry.subpath == "other"
    assert names() == ["x"]
    with pytest.raises(UsageError):
        add_registry(str(upstream.folder), "again", "../other")
    with pytest.raises(RecipeError, match="no recipe files"):
        add_registry(str(upstream.folder), "again", "nowhere")


def test_the_same_name_in_two_registries_is_ambiguous_unless_equal(upstream: Upstream, tmp_path: Path) -> None:
    other = Upstream(tmp_path / "other").write("one.yaml", "model: a/b\n").commit()
    add_registry(str(upstream.folder), "first")
    add_registry(str(other.folder), "second")
    assert find_recipe("one", Settings()).model == "a/b"
    other.write("one.yaml", "model: z/z\n").commit()
    update_registries(["second"])
    with pytest.raises(RecipeError, match="ambiguous") as caught:
        find_recipe("one", Settings())
    assert "@first/one`" in str(caught.value) and "@second/one`" in str(caught.value)
    assert find_recipe("@second/one", Settings()).model == "z/z"
    assert find_recipe("@second/one.yaml", Settings()).model == "z/z"
    with pytest.raises(RecipeError, match="no registry `third`"):
        find_recipe("@third/one", Settings())


def test_add_twice_remove_and_switch_off(upstream: Upstream) -> None:
    add_registry(str(upstream.folder), "mine")
    with pytest.raises(UsageError, match="already"):
        add_registry(str(upstream.folder), "mine2")
    with pytest.raises(UsageError, match="not a valid name"):
        add_registry(str(upstream.folder / ".git"), "-x")
    set_enabled("mine", False)
    assert names() == [] and not registry_list()[0].registry.enabled
    assert all(result.registry.name != "mine" for result in update_registries(["mine"])[1:])
    set_enabled("mine", True)
    assert names() == ["one"]
    remove_registry("mine")
    assert ours() == [] and names() == []
    assert not registry_cache.home(upstream.folder.as_uri()).exists()
    for action in (
        lambda: remove_registry("mine"),
        lambda: update_registries(["mine"]),
        lambda: set_enabled("mine", True),
    ):
        with pytest.raises(UsageError, match="no registry `mine`"):
            action()


def test_public_registries_come_with_the_program_and_can_be_removed() -> None:
    known, notes = configured()
    assert known == list(PUBLIC) and notes == []
    assert {registry.url for registry in known} == {
        "https://github.com/spark-arena/recipe-registry", "https://github.com/eugr/spark-vllm-docker",
    }  # fmt: skip
    assert all(status.stale and status.recipes == 0 for status in registry_list())
    remove_registry("eugr")
    assert [registry.name for registry in configured()[0]] == ["spark-arena"]


def test_a_public_registry_that_was_removed_comes_back_as_it_was(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream.write("other/x.yaml", "model: x/x\n").commit()
    url = upstream.folder.as_uri()
    public = registry_config.Registry("acme", url, "other", "Recipes of Acme", origin="public")
    monkeypatch.setattr("sparkrun_tui.recipe.registry.config.PUBLIC", (public,))
    monkeypatch.setattr("sparkrun_tui.recipe.registry.registries.PUBLIC", (public,))
    remove_registry("acme")
    added = add_registry(str(upstream.folder)).registry
    assert (added.name, added.subpath, added.description) == ("acme", "other", "Recipes of Acme")


def test_the_other_tools_list_is_read_and_never_written(private_home: Path) -> None:
    file = private_home / ".config" / "sparkrun" / "registries.yaml"
    file.parent.mkdir(parents=True)
    text = (
        "registries:\n"
        "- {name: official, url: 'https://github.com/Spark-Arena/recipe-registry.git', subpath: official-recipes}\n"
        "- {name: second, url: 'https://example.org/r', subpath: r, enabled: false, description: D}\n"
        "- {name: bad, url: 'ext::sh -c touch'}\n"
        "- {name: climbing, url: 'https://example.org/r', subpath: ../..}\n"
        "- {url: 'https://example.org/r'}\n"
    )
    file.write_text(text)
    known, notes = configured()
    assert [(registry.name, registry.origin, registry.enabled) for registry in known] == [
        ("official", "sparkrun", True), ("second", "sparkrun", False), ("eugr", "public", True),
    ]  # fmt: skip
    assert len(notes) == 3 and "bad" in notes[0]
    set_enabled("second", True)
    remove_registry("official")
    assert file.read_text() == text
    assert [(registry.name, registry.origin) for registry in configured()[0]] == [
        ("second", "config"), ("spark-arena", "public"), ("eugr", "public"),
    ]  # fmt: skip
    file.write_text("registries: {")
    assert any("skipped" in note for note in configured()[1])


def test_a_broken_list_of_our_own_is_an_error_but_hides_no_other_recipes(private_home: Path) -> None:
    registries_file().parent.mkdir(parents=True)
    registries_file().write_text("registries: [\n")
    with pytest.raises(SettingsError) as caught:
        registry_list()
    assert caught.value.spot is not None
    assert registry_folders(Settings()) == []


def test_a_registry_grows_stale(upstream: Upstream) -> None:
    url = add_registry(str(upstream.folder), "mine").registry.url
    state = registry_cache.home(url) / "state.json"
    state.write_text(state.read_text().replace('"fetched": ', f'"fetched": {time.time() - STALE - 5}, "was": '))
    [status] = [status for status in registry_list() if status.registry.name == "mine"]
    assert status.stale
    state.write_text("{")
    assert registry_cache.snapshot(url) is None
    update_registries(["mine"])
    assert names() == ["one"]


def test_two_updates_at_once_do_not_meet(upstream: Upstream) -> None:
    url = add_registry(str(upstream.folder), "mine").registry.url
    with registry_cache._lock(registry_cache.home(url), url):
        [result] = update_registries(["mine"])
    assert result.error is not None and "another process" in str(result.error)


def test_progress_is_told(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, float | None]] = []
    words = "printf 'Receiving objects:  45%% (9/20)\\r' >&2; sleep 0.3"
    process = subprocess.Popen(["sh", "-c", words], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with process:
        git._watch(process, git._Sink(), git._Words(), None, lambda phase, share: told.append((phase, share)))
    assert told == [("Receiving objects:  45% (9/20)", 0.45)]


def test_comments_and_order_survive_changes_of_our_own_list(upstream: Upstream) -> None:
    text = (
        "# ours\nregistries:\n# first\n- name: zeta\n  url: acme/zeta  # short\n  note: kept\n"
        "# second\n- {name: alpha, url: 'https://example.org/alpha'}  # in one line\n# end\n"
    )
    registries_file().parent.mkdir(parents=True)
    registries_file().write_text(text, encoding="utf-8")

    def now() -> str:
        return registries_file().read_text(encoding="utf-8")

    set_enabled("zeta", False)
    assert now() == text.replace("  note: kept\n", "  note: kept\n  enabled: false\n")
    set_enabled("zeta", True)
    assert now() == text.replace("  note: kept\n", "  note: kept\n  enabled: true\n")
    before = now()
    add_registry(str(upstream.folder), "mine")
    after = now()
    assert [line for line in before.splitlines() if line not in after.splitlines()] == []
    assert after.index("alpha") < after.index("name: mine") < after.index("# end")
    remove_registry("mine")
    assert now() == before.replace("# end\n", "removed:\n- mine\n# end\n")
    remove_registry("zeta")
    assert "# first\n# second\n- {name: alpha, url: 'https://example.org/alpha'}  # in one line\n" in now()
