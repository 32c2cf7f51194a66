from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkrun_tui.base.errors import RecipeError
from sparkrun_tui.recipe.format.export import command_line, exported, write_new_recipe
from sparkrun_tui.recipe.format.loader import load_text
from sparkrun_tui.recipe.model import Recipe, Source, SourceKind
from sparkrun_tui.recipe.values.overrides import parse_assignment, render
from sparkrun_tui.recipe.values.saved_overrides import save_overrides, saved_overrides

from .samples import FULL, recipe


def round_trip(base: Recipe, overrides: dict[str, str]) -> str:
    text = exported(base, overrides)
    again = load_text(text, base.source)
    ours, theirs = render(base, overrides), render(again, {})
    assert ours.command == theirs.command and ours.argv == theirs.argv
    assert {key: link.value.data for key, link in ours.chain.items()} == {
        key: link.value.data for key, link in theirs.chain.items()
    }
    return text


def test_only_the_changed_values_change() -> None:
    text = round_trip(recipe(FULL), {"gpu_memory_utilization": "0.90", "served_model_name": "a b", "extra": "1"})
    expected = FULL.replace("0.80 ", "0.90 ").replace(
        "served_model_name: falcon\n", 'served_model_name: "a b"\n  extra: 1\n'
    )
    assert text == expected


def test_letters_beyond_ascii_do_not_shift_the_places() -> None:
    text = "# ä€😀\nmodel: a/b\ndescription: 'ö😀'\ndefaults:\n  name: é # 😀\n  port: 9\n"
    assert round_trip(recipe(text), {"port": "1", "name": "ü"}) == text.replace("é", '"ü"').replace("9", "1")


def test_without_changes_the_file_is_the_same() -> None:
    assert exported(recipe(FULL), {"port": "8000"}) == FULL


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("model: a/b\n", "model: a/b\ndefaults:\n  port: 1\n"),
        ("model: a/b", "model: a/b\ndefaults:\n  port: 1\n"),
        ("model: a/b\ndefaults:\nenv: {}\n", "model: a/b\ndefaults:\n  port: 1\nenv: {}\n"),
        ("model: a/b\ndefaults: ~ # none\n", "model: a/b\ndefaults:\n  port: 1 # none\n"),
        ("model: a/b\ndefaults: {}\n", "model: a/b\ndefaults: {port: 1}\n"),
        ("model: a/b\ndefaults: {x: 2} # c\n", "model: a/b\ndefaults: {x: 2, port: 1} # c\n"),
        (
            "model: a/b\ndefaults:\n    x: 2  # two\n\n# end\n",
            "model: a/b\ndefaults:\n    x: 2  # two\n    port: 1\n\n# end\n",
        ),
        ("model: a/b\ndefaults:\n  port: 9 # p\n  x: 1\n", "model: a/b\ndefaults:\n  port: 1 # p\n  x: 1\n"),
        ("model: a/b\ndefaults:\n  port:\n  x: 1\n", "model: a/b\ndefaults:\n  port: 1\n  x: 1\n"),
        ("model: a/b\r\ndefaults:\r\n  x: 1\r\n", "model: a/b\r\ndefaults:\r\n  x: 1\r\n  port: 1\r\n"),
        ("model: a/b\ndefaults: {port: 9, x: 1}\n", "model: a/b\ndefaults: {port: 1, x: 1}\n"),
        ("\ufeffmodel: a/b\ndefaults:\n  port: 9", "\ufeffmodel: a/b\ndefaults:\n  port: 1"),
        (
            "b: &b {port: 9}\nmodel: a/b\ndefaults: {<<: *b}\n",
            "b: &b {port: 9}\nmodel: a/b\ndefaults: {<<: *b, port: 1}\n",
        ),
        ("p: &p 9\nmodel: a/b\ndefaults:\n  port: *p\n", "p: &p 9\nmodel: a/b\ndefaults:\n  port: 1\n"),
    ],
)
def test_every_form_of_defaults(text: str, result: str) -> None:
    assert round_trip(recipe(text), {"port": "1"}) == result


def test_values_of_several_lines_are_replaced_whole() -> None:
    text = "model: a/b\ndefaults:\n  spec:\n    method: mtp\n    n: 2\n  # next\n  x: |\n    one\n    two\n\n  y: 1\n"
    got = round_trip(recipe(text), {"spec": '{"n": 3}', "x": "z"})
    assert got == 'model: a/b\ndefaults:\n  spec: {"n":3}\n  # next\n  x: z\n\n  y: 1\n' or "# next" in got
    assert "method" not in got and "two" not in got and "y: 1" in got


def test_the_model_is_changed_at_the_top() -> None:
    got = round_trip(recipe("model: a/b # m\ncommand: serve {model}\n"), {"model": "c/d"})
    assert got == "model: c/d # m\ncommand: serve {model}\n"


def test_anchors_that_others_hang_on_are_refused() -> None:
    base = recipe("model: a/b\ndefaults: {port: &p 9, other: *p}\n")
    with pytest.raises(RecipeError, match="anchors"):
        exported(base, {"port": "1"})


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["port", "host", "served_model_name", "gpu_memory_utilization", "new_value", "other-value"]),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=15),
        max_size=4,
    )
)
def test_exporting_and_loading_gives_the_same(overrides: dict[str, str]) -> None:
    base = recipe(FULL)
    try:
        round_trip(base, overrides)
    except RecipeError as error:
        assert any(not char.isprintable() for text in overrides.values() for char in text), error


def test_a_command_line_says_the_same() -> None:
    base = recipe(FULL, "/tmp/a b.yaml")
    overrides = {"port": "9000", "served_model_name": "it's $x", "host": "0.0.0.0"}
    words = shlex.split(command_line(base, overrides))
    assert words[:3] == ["sparkrun-tui", "run", "/tmp/a b.yaml"]
    again = dict(parse_assignment(word) for word in words[4::2])
    assert again == {"port": "9000", "served_model_name": "it's $x"}
    assert render(base, again).command == render(base, overrides).command


def test_a_new_file_is_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "new.yaml"
    write_new_recipe(path, "model: ä\n")
    assert path.read_text() == "model: ä\n"
    with pytest.raises(RecipeError, match="exists"):
        write_new_recipe(path, "x")
    write_new_recipe(path, "y", overwrite=True)
    assert path.read_text() == "y"
    assert [entry.name for entry in path.parent.iterdir()] == ["new.yaml"]
    with pytest.raises(RecipeError, match="cannot be written"):
        write_new_recipe(path / "below.yaml", "z")


def test_overrides_are_kept_per_recipe(private_home: Path) -> None:
    one, two = recipe(FULL, "/x/one.yaml"), recipe(FULL, "/x/two.yaml")
    assert saved_overrides(one) == {}
    save_overrides(one, {"port": "9000", "x": "ü"})
    save_overrides(two, {"port": "1"})
    assert saved_overrides(one) == {"port": "9000", "x": "ü"}
    save_overrides(two, {})
    assert saved_overrides(two) == {}
    [file] = list(private_home.rglob("*.json"))
    assert file.stat().st_mode & 0o777 == 0o600
    file.write_text("[1")
    assert saved_overrides(one) == {}


def test_a_bundled_recipe_is_known_by_its_name(private_home: Path) -> None:
    before = load_text(FULL, Source(SourceKind.BUNDLED, "/venv-1/recipes/a.yaml"))
    after = load_text(FULL, Source(SourceKind.BUNDLED, "/venv-2/recipes/a.yaml"))
    save_overrides(before, {"port": "5"})
    assert saved_overrides(after) == {"port": "5"}


TOP = "model: a/b\nruntime: vllm\ncontainer: x:1\n"


@pytest.mark.parametrize(
    "text",
    [
        TOP + "# about the command\ncommand: |\n  vllm serve {model} --port {port}",
        TOP + "command: >\n  vllm serve {model}\n  --port {port}",
        "---\n" + TOP + "command: x {port}\n...\n",
        "runtime: vllm\ncontainer: x:1\ncommand: |\n  x {model} {port}",
        "defaults: {\n  host: h, # a comma is there\n}\n" + TOP + "command: x {port}\n",
        '{"model": "a/b", "runtime": "vllm", "container": "x:1", "command": "x {port}"}',
        "command: |\n  x {port}\n" + TOP,
    ],
)
def test_overrides_go_into_files_of_any_form(text: str) -> None:
    own = recipe(text)
    overrides = {"port": "9", "more": "a: b", "model": " c/d "}
    copy = recipe(exported(own, overrides))
    assert render(copy, {}).command == render(own, overrides).command
    assert (copy.model, copy.command) == ("c/d", own.command)


def test_a_comment_stays_with_what_it_is_about() -> None:
    text = exported(recipe(TOP + "\n# about the command\n# and more\ncommand: x {port}\n"), {"port": "9"})
    assert text == TOP + "\ndefaults:\n  port: 9\n# about the command\n# and more\ncommand: x {port}\n"


def test_a_form_that_cannot_be_edited_is_refused_in_words() -> None:
    with pytest.raises(RecipeError, match="cannot be written into a copy") as caught:
        exported(recipe(TOP + "defaults:\n  ? port\n  : 1\n"), {"more": "1"})
    assert caught.value.spot is not None
