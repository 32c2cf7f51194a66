"""What a recipe copies into its containers: found where it may lie, refused with its line where it may not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.base.user.settings import Settings
from sparkrun_tui.engines.checks.validation import validate
from sparkrun_tui.recipe.bundled_files import sent_files
from sparkrun_tui.recipe.bundled_files.attachments import Attachments, find_attachments
from sparkrun_tui.recipe.format.export import exported, write_new_recipe
from sparkrun_tui.recipe.format.loader import load_recipe, load_text
from sparkrun_tui.recipe.model import Recipe, Severity, Source, SourceKind
from sparkrun_tui.recipe.registry import checkouts
from sparkrun_tui.recipe.registry.registries import add_registry, update_registries
from sparkrun_tui.recipe.search.sources import find_recipe
from sparkrun_tui.recipe.trust import Kind, changed_since_consent, demands, give_consent, needs_consent
from sparkrun_tui.recipe.values.overrides import render
from tests.recipe.upstream import Upstream

HEAD = "model: a/b\nruntime: vllm\ncontainer: x/y:1\ndefaults: {part: sub}\ncommand: vllm serve {model}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The recipe's folder, with files to copy and a secret beside it."""
    (tmp_path / "secret").write_text("s3cret")
    place = tmp_path / "mine"
    (place / "patches" / "sub").mkdir(parents=True)
    (place / "patches" / "a.patch").write_text("+a\n")
    (place / "patches" / "sub" / "tool").write_bytes(b"\x7fELF\x00")
    (place / "patches" / "sub" / "tool").chmod(0o755)
    (place / "mods" / "fix").mkdir(parents=True)
    (place / "mods" / "fix" / "run.sh").write_text("pip install x\n")
    return place


def written(folder: Path, fields: str, name: str = "r.yaml") -> Recipe:
    (folder / name).write_text(HEAD + fields)
    return load_recipe(folder / name, Source(SourceKind.PATH, str(folder / name)))


def attachments(folder: Path, fields: str, **overrides: str) -> Attachments:
    return find_attachments(render(written(folder, fields), overrides))


def problem(folder: Path, fields: str) -> str:
    found = attachments(folder, fields)
    assert not found.bundles
    [only] = found.problems
    assert only.severity is Severity.ERROR and only.spot is not None and only.spot.line == 7
    return only.message


def test_a_folder_and_a_file_are_found_beside_the_recipe(folder: Path) -> None:
    fields = "pre_exec:\n  - {copy: patches, dest: /opt/p}\n  - copy: 'patches/{part}/tool'\n"
    got = attachments(folder, fields)
    assert got.problems == ()
    (whole, alone), (one, two) = got.bundles, got.bundles.values()
    assert (whole.target, alone.target) == ("/opt/p", "/workspace/mods/tool")
    assert [(file.name, file.program) for file in one.files] == [("a.patch", False), ("sub/tool", True)]
    assert two.alone and list(two.names) == ["tool"] and one.size == 8
    assert sorted(got.contents().values()) == [b"+a\n", b"\x7fELF\x00"]
    again = attachments(folder, fields)
    assert again.digests == got.digests
    (folder / "patches" / "a.patch").write_text("+b\n")
    with pytest.raises(LaunchError, match=r"a\.patch has changed"):
        got.contents()
    assert attachments(folder, fields).digests != got.digests


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ("pre_exec:\n  - {copy: ../secret}\n", "leads out"),
        ("pre_exec:\n  - {copy: /etc/passwd, dest: /x}\n", "leads out"),
        ("pre_exec:\n  - {copy: '~/.ssh', dest: /x}\n", "no such file"),
        ("pre_exec:\n  - {copy: patches/none}\n", "no such file"),
        ("mods:\n  - '@other/x'\n", "neither beside the recipe nor"),
    ],
)
def test_what_lies_elsewhere_is_refused_with_its_line(folder: Path, fields: str, said: str) -> None:
    assert said in problem(folder, fields)


def test_a_mod_of_a_registry_that_is_not_there_says_how_it_is_fetched(folder: Path) -> None:
    (found,) = attachments(folder, "mods: ['@other/x']\n").problems
    assert found.code == "mod-missing"
    assert "`sparkrun-tui registry update` fetches its registry" in found.remedy
    assert "name a registry" not in found.remedy


@pytest.mark.parametrize("link", ["file", "folder", "deep"])
def test_links_out_are_refused(folder: Path, link: str) -> None:
    if link == "file":
        os.symlink(folder.parent / "secret", folder / "patches" / "l")
    elif link == "folder":
        os.symlink(folder.parent, folder / "patches" / "l")
    else:
        os.symlink("../../../secret", folder / "patches" / "sub" / "l")
    assert "leads out" in problem(folder, "pre_exec:\n  - {copy: patches}\n")


def test_links_that_stay_inside_are_followed_and_circles_end(folder: Path) -> None:
    os.symlink("patches/sub", folder / "other")
    got = attachments(folder, "pre_exec: [{copy: other, dest: /o}]\n")
    assert [file.name for bundle in got.bundles.values() for file in bundle.files] == ["tool"]
    (folder / "empty").mkdir()
    os.symlink(".", folder / "empty" / "a")
    os.symlink(".", folder / "empty" / "b")
    assert "circle" in problem(folder, "pre_exec:\n  - {copy: empty}\n")


def test_pipes_strange_names_and_masses_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(folder / "patches" / "pipe")
    assert "not a regular file" in problem(folder, "pre_exec:\n  - {copy: patches}\n")
    os.rename(folder / "patches" / "pipe", folder / "mods" / "fix" / "\x1b]0;x\x07")
    assert "name that cannot be shown" in problem(folder, "mods:\n  - fix\n")
    monkeypatch.setattr(sent_files, "MAX_TOTAL", 6)
    assert "larger than 6 B" in problem(folder, "pre_exec:\n  - {copy: patches}\n")
    monkeypatch.setattr(sent_files, "MAX_FILES", 1)
    assert "more than 1 files" in problem(folder, "pre_exec:\n  - {copy: patches}\n")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ("pre_exec: [{copy: x, source_host: 10.0.0.1}]", "another host"),
        ("pre_exec: [{copy: x, dest: relative}]", "absolute path"),
        ("pre_exec: [{copy: [x]}]", "must be paths"),
        ("pre_exec: [{copy: x, owner: me}]", "has no key `owner`"),
        ("mods: [../x]", "not the name of a mod"),
        ("mods: [/x]", "not the name of a mod"),
        ("mods: [{a: b}]", "not the name of a mod"),
        ("mods: {a: b}", "must be a list of names"),
        ("stop_after_post: maybe", "must be true or false"),
    ],
)
def test_wrong_entries_are_errors(folder: Path, fields: str, said: str) -> None:
    found = validate(written(folder, fields + "\n"), None, {})
    [only] = [item for item in found if item.severity is Severity.ERROR]
    assert said in only.message and only.spot is not None and only.spot.line == 6


@pytest.mark.parametrize("name", ["fix", "mods/fix", "./mods/fix/"])
def test_a_mod_is_found_beside_the_recipe(folder: Path, name: str) -> None:
    got = attachments(folder, f"mods: ['{name}']\n")
    [(entry, bundle)] = got.bundles.items()
    assert (entry.target, bundle.place) == ("/workspace/mods/fix", str(folder / "mods" / "fix"))


def test_a_missing_mod_is_a_warning_of_the_recipe_and_an_error_of_a_launch(folder: Path) -> None:
    recipe = written(folder, "mods: ['@none/gone']\n")
    [missing] = [item for item in validate(recipe, None, {}) if item.code == "mod-missing"]
    assert missing.severity is Severity.WARNING and "a launch stops at it" in missing.message
    assert "`sparkrun-tui registry update` fetches its registry" in missing.remedy
    [stopping] = find_attachments(render(recipe, {})).problems
    assert stopping.severity is Severity.ERROR


def test_mods_that_nobody_here_knows_are_left_to_the_hosts(folder: Path) -> None:
    recipe = written(folder, "mods: [mods/theirs, fix]\n")
    got = find_attachments(render(recipe, {}))
    assert [entry.source for entry in got.left] == ["mods/theirs"] and len(got.bundles) == 1
    [unseen] = got.problems
    assert (unseen.code, unseen.severity) == ("mod-unseen", Severity.WARNING) and unseen.spot is not None
    assert [item.severity for item in validate(recipe, None, {}) if item.code == "mod-unseen"] == [Severity.NOTE]
    details = [demand.detail for demand in demands(render(recipe, {}), {}) if demand.kind is Kind.MODS]
    assert "on the hosts: it is not on this machine" in details[0] and details[1] == "pip install x\n"


def _registry(upstream: Upstream, fields: str, name: str = "arena") -> Recipe:
    upstream.write("recipes/deep/r.yaml", HEAD + fields).commit()
    add_registry(str(upstream.folder), name)
    return find_recipe(f"@{name}/r", Settings())


def test_a_registry_brings_files_of_its_whole_repository(upstream: Upstream) -> None:
    upstream.write("shared/x.jinja", "{{ x }}").write("mods/fix/run.sh", "echo fixed")
    recipe = _registry(upstream, "pre_exec: [{copy: ../../shared, dest: /t}]\nmods: [mods/fix, '@arena/fix']\n")
    got = find_attachments(render(recipe, {}))
    assert got.problems == () and [list(bundle.names) for bundle in got.bundles.values()] == [
        ["x.jinja"],
        ["run.sh"],
        ["run.sh"],
    ]
    assert all(bundle.registry == "" for bundle in got.bundles.values())
    out = _problems(upstream, "pre_exec: [{copy: ../../../state.json}]\n")
    assert "leads out" in out and "shared" not in out


def _problems(upstream: Upstream, fields: str) -> str:
    upstream.write("recipes/deep/r.yaml", HEAD + fields).commit()
    update_registries()
    return " ".join(item.message for item in find_attachments(render(find_recipe("@arena/r", Settings()), {})).problems)


def test_a_mod_that_is_not_here_whole_is_refused(upstream: Upstream) -> None:
    upstream.write("mods/fix/run.sh", "echo").write("mods/fix/wheel", "x" * ((1 << 20) + 1))
    recipe = _registry(upstream, "mods: [fix]\n")
    [only] = find_attachments(render(recipe, {})).problems
    assert "lacks `mods/fix/wheel`" in only.message


def test_the_manifest_says_where_mods_are(upstream: Upstream) -> None:
    manifest = "registries:\n  - {name: official, recipes: recipes, mods: official-mods}\n"
    upstream.write(".sparkrun/registry.yaml", manifest).write("official-mods/fix/run.sh", "echo official")
    upstream.write("mods/fix/run.sh", "echo other").write("recipes/r.yaml", HEAD + "mods: [mods/fix]\n").commit()
    add_registry(str(upstream.folder), "arena")
    got = find_attachments(render(find_recipe("@official/r", Settings()), {}))
    assert list(got.contents().values()) == [b"echo official"]


def test_mods_are_taken_from_where_they_began_when_no_nearer_one_is_there(
    upstream: Upstream, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Upstream(tmp_path / "up" / "mods-home").write("recipes/x.yaml", HEAD).write("mods/far/run.sh", "echo far")
    url = add_registry(str(home.commit().folder), "home").registry.url
    monkeypatch.setattr(checkouts, "EUGR", url)
    recipe = _registry(upstream.write("mods/near/run.sh", "echo near"), "mods: [near, mods/far]\n")
    near, far = find_attachments(render(recipe, {})).bundles.values()
    assert (near.registry, far.registry) == ("", "home")
    own = attachments(folder, "mods: [far]\n")
    assert own.problems == ()
    [missing] = attachments(folder, "mods: [farther]\n").problems
    assert missing.code == "mod-missing", "eugr's mods are here, and it is none of them"
    text = (folder / "r.yaml").read_text().replace("runtime: vllm", "runtime: eugr-vllm")
    (folder / "r.yaml").write_text(text)
    delegated = find_attachments(render(load_recipe(folder / "r.yaml"), {}))
    assert delegated.bundles == {} and delegated.problems == (), "the scripts have it themselves"
    assert [entry.source for entry in delegated.left] == ["farther"]


def test_a_copy_of_a_registrys_recipe_names_its_mods_with_the_registry(upstream: Upstream, tmp_path: Path) -> None:
    upstream.write("mods/fix/run.sh", "echo fixed").write("recipes/deep/mods/near/run.sh", "echo near")
    recipe = _registry(upstream, "mods:\n  - mods/fix  # the fix\n  - 'near'\n  - theirs\n")
    text = exported(recipe, {"part": "other"})
    assert "  - \"@arena/fix\"  # the fix\n  - 'near'\n  - theirs\n" in text
    copy = tmp_path / "copies" / "r.yaml"
    write_new_recipe(copy, text)
    own = render(load_recipe(copy), {})
    assert [bundle.registry for bundle in find_attachments(own).bundles.values()] == ["arena"]
    assert "mods/fix" in exported(written(tmp_path, "mods: [mods/fix]\n"), {"part": "other"}), "only a registry's"


def test_a_recipe_in_the_home_folder_copies_nothing_of_it(private_home: Path) -> None:
    (private_home / ".ssh").mkdir()
    (private_home / ".ssh" / "id_ed25519").write_text("key")
    assert "your home folder, with its keys" in problem(private_home, "pre_exec:\n  - {copy: .ssh, dest: /x}\n")


def test_a_folder_called_recipes_without_any_is_not_taken_for_theirs(upstream: Upstream) -> None:
    (upstream.folder / "recipes" / "one.yaml").rename(upstream.folder / "top.yaml")
    upstream.write("recipes/README.md", "none here").commit()
    assert add_registry(str(upstream.folder), "flat").recipes == 1


_ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=12)
    | st.sampled_from(["{part}", "..", "~/x", "mods/a", "@a/b"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["copy", "dest", "source_host", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.sampled_from(["pre_exec", "mods", "post_exec", "stop_after_post", "builder", "build_args"]), _ANY)
@settings(max_examples=150, deadline=None)
def test_no_value_of_these_fields_is_more_than_a_problem(key: str, value: object) -> None:
    recipe = load_text(HEAD + yaml.safe_dump({key: value}))
    rendered = render(recipe, {})
    for found in validate(recipe, rendered, {}):
        assert found.message
    assert all(demand.title for demand in demands(rendered, {}))
    assert find_attachments(rendered).contents() == {}


def test_files_are_agreed_to_and_asked_about_again_when_they_change(upstream: Upstream) -> None:
    upstream.write("mods/fix/run.sh", "pip install evil\n")
    recipe = _registry(upstream, "mods: [fix]\npre_exec: [{copy: ../one.yaml, dest: /c}]\n")
    found = demands(render(recipe, {}), {})
    told = {demand.kind: f"{demand.title} {demand.detail}" for demand in found}
    assert "pip install evil" in told[Kind.MODS] and "run.sh (17 B)" in told[Kind.MODS]
    assert "copies ../one.yaml into every container, to /c" in told[Kind.FILES]
    assert "installs Python packages" in told[Kind.CODE]
    files = find_attachments(render(recipe, {})).digests
    assert len(files) == 2 and needs_consent(recipe, files)
    give_consent(recipe, None, files)
    assert not needs_consent(recipe, files) and not needs_consent(recipe)
    upstream.write("mods/fix/run.sh", "pip install worse\n").commit()
    update_registries()
    again = find_recipe("@arena/r", Settings())
    other = find_attachments(render(again, {})).digests
    assert again.digest == recipe.digest and needs_consent(again, other) and changed_since_consent(again, other)
    [gone] = find_attachments(render(recipe, {})).problems
    assert "not here any more" in gone.message


@pytest.mark.parametrize(
    ("fields", "severity", "said"),
    [
        ("builder: eugr\ncontainer: local-name", Severity.NOTE, "is carried out"),
        ("build_args: [--x]\ncontainer: local-name:1", Severity.NOTE, "is carried out"),
        ("builder: eugr", Severity.NOTE, "nothing to build"),
        ("builder: other", Severity.WARNING, "not carried out"),
        ("builder: docker-pull", Severity.NOTE, "is carried out"),
        ("builder: eugr\nruntime: sglang\ncontainer: local-name", Severity.WARNING, "not carried out"),
        ("builder_config: {branch: x}", Severity.WARNING, "not carried out"),
        ("stop_after_post: true\npost_exec: [x]", Severity.NOTE, "is carried out"),
        ("stop_after_post: false", Severity.NOTE, "has no effect"),
    ],
)
def test_later_fields_say_what_becomes_of_them(folder: Path, fields: str, severity: Severity, said: str) -> None:
    key = fields.partition(":")[0]
    found = validate(written(folder, fields + "\n"), None, {})
    [only] = [item for item in found if item.code == "later-field" and f"`{key}`" in item.message]
    assert only.severity is severity and said in only.message


def test_a_stop_without_anything_before_it_is_pointed_out(folder: Path) -> None:
    found = validate(written(folder, "stop_after_post: true\n"), None, {})
    assert any(item.severity is Severity.WARNING and "has no effect" in item.message for item in found)
