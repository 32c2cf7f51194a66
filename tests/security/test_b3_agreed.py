"""B3: what is agreed to is what runs: delegated launches, arguments of their scripts, files that change meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparkrun_tui.base.disk import paths
from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.base.user.settings import Settings, load_settings
from sparkrun_tui.cli.main import run
from sparkrun_tui.launch.plan.consent import consent_needed, give, insist_on_consent, question
from sparkrun_tui.recipe.bundled_files.attachments import find_attachments
from sparkrun_tui.recipe.format.loader import load_text
from sparkrun_tui.recipe.model import Source, SourceKind
from sparkrun_tui.recipe.registry.registries import add_registry, update_registries
from sparkrun_tui.recipe.search.sources import find_recipe
from sparkrun_tui.recipe.trust import Demand, Kind
from sparkrun_tui.recipe.values.overrides import render
from sparkrun_tui.recipe.values.rendered import Rendered
from tests.recipe.upstream import Upstream

HEAD = "model: org/m\ncommand: vllm serve org/m\n"
DELEGATED = HEAD + "runtime: eugr-vllm\ncontainer: evil/image:1\n"
SENT = "build_args: [--vllm-repo, 'https://evil.example/vllm', --copy-to, 10.9.9.9]\n"


def foreign(text: str, kind: SourceKind = SourceKind.REGISTRY) -> Rendered:
    stranger = kind is SourceKind.PATH
    return render(load_text(text, Source(kind, "/x/r.yaml", "" if stranger else "arena", stranger=stranger)), {})


def graves(what: Rendered) -> list[Demand]:
    return [demand for demand in consent_needed(what, {}) if demand.is_risky]


@pytest.mark.parametrize("kind", [SourceKind.REGISTRY, SourceKind.PATH])
def test_a_delegated_launch_is_asked_about_as_privileged(kind: SourceKind) -> None:
    found = graves(foreign(DELEGATED, kind))
    assert [demand.kind for demand in found] == [Kind.PRIVILEGE, Kind.CODE]
    assert "privileged" in found[0].title and "head node" in found[1].title


@pytest.mark.parametrize("kind", [SourceKind.REGISTRY, SourceKind.PATH])
@pytest.mark.parametrize("text", [DELEGATED + SENT, HEAD + "runtime: vllm\ncontainer: own:1\nbuilder: eugr\n" + SENT])
def test_the_question_has_every_argument_of_the_scripts(text: str, kind: SourceKind) -> None:
    told = "\n".join(demand.detail for demand in graves(foreign(text, kind)))
    for word in ("--vllm-repo", "https://evil.example/vllm", "--copy-to", "10.9.9.9"):
        assert word in told


def test_a_mod_that_changes_while_the_question_stands_was_not_agreed_to(tmp_path: Path) -> None:
    mods = Upstream(tmp_path / "mods").write("mods/fix/run.sh", "echo harmless\n")
    mods.write("recipes/y.yaml", HEAD).commit()
    add_registry(str(mods.folder), "tools")
    text = HEAD + "runtime: vllm\ncontainer: a/b:1\nmods: ['@tools/fix']\n"
    add_registry(str(Upstream(tmp_path / "r").write("recipes/x.yaml", text).commit().folder), "arena")
    what = render(find_recipe("@arena/x", Settings()), {})
    attachments = find_attachments(what)
    assert "echo harmless" in "".join(demand.detail for demand in consent_needed(what, {}, attachments))

    mods.write("mods/fix/run.sh", "touch CANARY\n").commit()
    update_registries(["tools"])
    give(what, attachments=attachments)

    now = find_attachments(what)
    assert now.digests != attachments.digests
    assert "touch CANARY" in "".join(demand.detail for demand in consent_needed(what, {}, now))
    assert "has changed since you agreed" in question(what, now)
    with pytest.raises(LaunchError, match="needs your consent"):
        insist_on_consent(what, {}, now)


# A copy of one's own.

HOOKED = HEAD + "runtime: vllm\ncontainer: a/b:1\ndefaults: {port: 8000}\npost_commands: [touch CANARY]\n"


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A registry's recipe with a hook; gives the folder of the user's own recipes."""
    add_registry(str(Upstream(tmp_path / "r").write("recipes/x.yaml", HOOKED).commit().folder), "arena")
    return paths.user_recipes()


def export(target: Path, *words: str) -> int:
    return run(["recipe", "export", "@arena/x", "-o", "port=9000", "--output", str(target), *words], open_app=no_app)


def no_app(demo: bool, cluster: str, query: str) -> int:
    return 0


def test_a_copy_among_the_users_own_recipes_is_asked_about(theirs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export(theirs / "mine.yaml") == 2
    told = capsys.readouterr().err
    assert "touch CANARY" in told and "is launched without a question" in told and "not written" in told
    assert not (theirs / "mine.yaml").exists()
    assert export(theirs / "mine.yaml", "--yes") == 0
    assert (theirs / "mine.yaml").exists()


def test_a_link_into_that_folder_is_no_way_around(theirs: Path, tmp_path: Path) -> None:
    theirs.mkdir(parents=True)
    (tmp_path / "link").symlink_to(theirs)
    assert export(tmp_path / "link" / "mine.yaml") == 2 and list(theirs.iterdir()) == []


def test_a_copy_anywhere_else_is_a_strangers_file(theirs: Path, tmp_path: Path) -> None:
    assert export(tmp_path / "copy.yaml") == 0
    assert consent_needed(render(find_recipe(str(tmp_path / "copy.yaml"), Settings()), {}), {})


def test_what_was_agreed_to_is_not_asked_about_again(theirs: Path) -> None:
    give(render(find_recipe("@arena/x", Settings()), {}))
    assert export(theirs / "mine.yaml") == 0


def test_a_folder_of_the_settings_is_not_the_current_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = paths.config_dir()
    config.mkdir(parents=True)
    (config / "config.yaml").write_text("recipe_dirs: [recipes, ~/mine, /srv/recipes]\n")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "x.yaml").write_text(HOOKED)
    settings = load_settings()
    assert settings.recipe_dirs == (config / "recipes", Path("~/mine").expanduser(), Path("/srv/recipes"))
    found = find_recipe("recipes/x.yaml", settings)
    assert found.source.stranger and consent_needed(render(found, {}), {})
