from __future__ import annotations

import os
from pathlib import Path

import pytest

from sparkrun_tui.base.errors import RecipeError
from sparkrun_tui.recipe.format.loader import load_bytes, load_file, load_recipe, load_text
from sparkrun_tui.recipe.model import BrokenRecipe, Mode, Recipe, Severity, Source, SourceKind

from .samples import FULL, codes, minimal, recipe

HERE = Source(SourceKind.PATH, "r.yaml")


def failure(text: str | bytes) -> RecipeError:
    data = text.encode() if isinstance(text, str) else text
    with pytest.raises(RecipeError) as caught:
        load_bytes(data, HERE)
    return caught.value


def test_every_field_is_read() -> None:
    got = recipe(FULL)
    assert (got.name, got.model, got.runtime) == ("sample", "acme/Falcon-30B-A3B-NVFP4", "vllm")
    assert (got.mode, got.min_nodes, got.max_nodes) == (Mode.AUTO, 1, 4)
    assert got.metadata.description == "Falcon 30B for one to four hosts"
    assert got.metadata.maintainer == "Ada <ada@example.org>"
    assert (got.metadata.model_params, got.metadata.active_params) == (30_000_000_000, 3_000_000_000)
    assert (got.metadata.num_layers, got.metadata.num_kv_heads, got.metadata.head_dim) == (52, 2, 128)
    assert got.defaults["gpu_memory_utilization"].text == "0.80"
    assert got.defaults["gpu_memory_utilization"].data == 0.8
    assert got.defaults["host"].data == "0.0.0.0"
    assert got.env["OMP_NUM_THREADS"].data == "4"
    assert got.env["HF_TOKEN"].text == "${HF_TOKEN}"
    assert got.problems == ()
    assert len(got.digest) == 64


def test_places_are_lines_and_columns_of_the_file() -> None:
    got = recipe(FULL)
    lines = FULL.splitlines()
    spot = got.spots["defaults.max_model_len"]
    assert lines[spot.line - 1][spot.column - 1 :].startswith("max_model_len:")
    value = got.defaults["max_model_len"].spot
    assert value is not None and lines[value.line - 1][value.column - 1 :] == "200000"
    first = got.command_spot
    assert first is not None and lines[first.line - 1][first.column - 1 :].startswith("vllm serve")


def test_the_document_of_version_two_needs_no_version() -> None:
    assert recipe("model: a/b").version == "2"
    assert recipe('recipe_version: "1"\nmodel: a/b').version == "1"
    assert recipe("recipe_version: 1\nmodel: a/b").version == "1"
    own = recipe('recipe_version: "7"\nmodel: a/b')
    assert own.version == "2"
    assert [(problem.severity, problem.code) for problem in own.problems] == [(Severity.NOTE, "version")]


@pytest.mark.parametrize(
    ("text", "message", "line", "column"),
    [
        ("", "empty", 1, 1),
        ("# only a comment\n", "empty", 1, 1),
        ("- a\n- b\n", "a list", 1, 1),
        ("just words\n", "plain text", 1, 1),
        ("model: a\n---\nmodel: b\n", "several YAML documents", 2, 1),
        ("model: a\ndefaults:\n\tport: 1\n", "tab", 3, 1),
        ("model: a\nenv: {A: 1\n", "not valid YAML", 3, 1),
        ("model: !!python/object:os.system x\n", "tag", 1, 8),
        ("model: a\nx: *nope\n", "alias", 2, 4),
        ("a: &a\n  b: *a\n", "refers to itself", 2, 6),
    ],
)
def test_what_is_not_a_recipe_says_where_and_why(text: str, message: str, line: int, column: int) -> None:
    error = failure(text)
    assert message in error.what
    assert error.spot is not None
    assert (error.spot.path, error.spot.line, error.spot.column) == ("r.yaml", line, column)


def test_unquoted_colon_gets_the_remedy() -> None:
    error = failure("model: a/b\ndescription: fast: and small\n")
    assert error.spot is not None and error.spot.line == 2
    assert "quotes" in error.remedy


def test_a_tab_elsewhere_is_no_error() -> None:
    assert recipe("model: a/b\ndescription: 'a\tb'\n").metadata.description == "a\tb"


def test_control_characters_are_named_with_their_place() -> None:
    error = failure("model: a/b\ndescription: x\x07y\n")
    assert "U+0007" in error.what
    assert error.spot is not None and (error.spot.line, error.spot.column) == (2, 15)


def test_limits_refuse_at_once() -> None:
    assert "larger than 1 MiB" in failure("a: " + "x" * (1 << 20)).what
    assert "50 levels" in failure("a: " + "[" * 30_000).what
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n"
        for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    )
    assert "10,000" in failure(bomb).what
    assert "10,000" in failure("a: [" + "1," * 10_001 + "]").what
    deep = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 60))
    assert "50 levels" in failure(deep).what


def test_encodings_and_line_ends() -> None:
    plain = recipe(FULL)
    for data in (b"\xef\xbb\xbf" + FULL.encode(), FULL.replace("\n", "\r\n").encode(), FULL.rstrip("\n").encode()):
        got = load_bytes(data, HERE)
        assert got.command is not None and plain.command is not None
        assert got.command.rstrip("\n") == plain.command.rstrip("\n")
        assert got.defaults["port"].data == 8000
    error = failure(b"model: a/b\ndescription: \xff\n")
    assert "UTF-8" in error.what
    assert error.spot is not None and (error.spot.line, error.spot.column) == (2, 14)


def test_a_key_given_twice_warns_with_both_lines_and_the_last_wins() -> None:
    got = recipe("model: a/b\ndefaults:\n  port: 1\n  port: 2\ncontainer: a\ncontainer: b\n")
    assert got.defaults["port"].data == 2
    assert got.container == "b"
    assert [problem.code for problem in got.problems] == ["duplicate-key"] * 2
    text = " ".join(problem.message for problem in got.problems)
    assert "line 3" in text and "line 4" in text and "line 5" in text and "line 6" in text


def test_keys_given_twice_deep_inside_are_told_once() -> None:
    got = recipe("a: &a {x: {y: 1, y: 2}}\nmodel: m\nb: *a\nc:\n  - {z: 1, z: 2}\n")
    assert [problem.message for problem in got.problems] == [
        "`a.x.y` is given in line 1 and again in line 1; the last one wins",
        "`c.z` is given in line 5 and again in line 5; the last one wins",
    ]


def test_merge_keys_are_resolved_and_are_no_duplicates() -> None:
    got = recipe("base: &b {port: 1, host: h}\nmodel: a/b\ndefaults:\n  <<: *b\n  port: 2\n")
    assert {key: value.data for key, value in got.defaults.items()} == {"port": 2, "host": "h"}
    assert got.problems == ()


def test_yaml_1_1_words_and_what_python_cannot_convert() -> None:
    got = recipe(
        "model: a/b\ndefaults: {a: yes, b: 017, c: 22:22, d: 1_000, e: 2024-01-01, f: ~, g: 0x_, h: 1e3, i: '5', j: "
        + "9" * 5000
        + "}\n"
    )
    data = {key: value.data for key, value in got.defaults.items()}
    assert data["a"] is True and data["b"] == 15 and data["c"] == 1342 and data["d"] == 1000
    assert data["e"] == "2024-01-01" and data["f"] is None and data["g"] == "0x_" and data["h"] == "1e3"
    assert data["i"] == "5" and isinstance(data["j"], str)
    assert got.defaults["c"].text == "22:22"


def test_wrong_types_are_errors_with_places_and_the_rest_is_read() -> None:
    got = recipe(
        "model: [a]\ncontainer: {x: y}\nmin_nodes: two\nmax_nodes: 0\nsolo_only: maybe\nmode: both\n"
        "defaults: [1]\nenv: text\nmetadata:\n  num_layers: many\n  model_vram: big\n  model_params: lots\n"
        "description: still here\n"
    )
    assert got.metadata.description == "still here"
    errors = [problem for problem in got.problems if problem.severity is Severity.ERROR]
    assert [problem.spot.line for problem in errors if problem.spot] and len(errors) == 11
    assert {problem.spot.line for problem in errors if problem.spot} == {1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12}


def test_a_number_is_taken_as_text_where_text_is_wanted() -> None:
    got = recipe("model: a/b\nname: 7\nmetadata: {model_dtype: 8, description: 2.50}\nenv: {A: 1.10, B: 017}\n")
    assert (got.name, got.metadata.model_dtype, got.metadata.description) == ("7", "8", "2.50")
    assert (got.env["A"].data, got.env["B"].data) == ("1.10", "017")


def test_env_accidents() -> None:
    got = recipe("model: a/b\nenv:\n  MODEL: {model}\n  FLAG: true\n  NONE:\n  LIST: [a]\n")
    by_code = {problem.code: problem for problem in got.problems}
    accident = next(problem for problem in got.problems if problem.code == "env-type")
    assert accident.severity is Severity.ERROR and 'MODEL: "{model}"' in accident.remedy
    assert accident.spot is not None and accident.spot.line == 3
    assert by_code["env-boolean"].severity is Severity.WARNING
    assert got.env["FLAG"].data == "true" and got.env["NONE"].data == ""
    assert "MODEL" not in got.env and "LIST" not in got.env


def test_model_in_braces_shows_the_quoting() -> None:
    got = recipe("model: {model}\n")
    assert got.problems[0].remedy == 'write it in quotes: model: "{model}"'
    assert codes(got.problems) == ["type"]


def test_missing_model_is_an_error_not_a_failure() -> None:
    got = recipe("runtime: vllm\n")
    assert codes(got.problems) == ["missing-model"]
    assert got.model == ""
    assert "defaults.model" not in got.problems[0].remedy
    elsewhere = recipe("runtime: vllm\ndefaults: {model: a/b}\n")
    assert "`defaults.model` is not read" in elsewhere.problems[0].remedy


def test_names_and_descriptions_have_their_order() -> None:
    assert recipe("model: a/b\n", "dir/my-file.yml").name == "my-file"
    assert recipe("model: a/b\nmetadata: {name: inner}\n").name == "inner"
    assert recipe("name: outer\nmodel: a/b\nmetadata: {name: inner}\n").name == "outer"
    both = recipe("description: top\nmodel: a/b\nmetadata: {description: below, maintainer: me}\n")
    assert (both.metadata.description, both.metadata.maintainer) == ("top", "me")


def test_unknown_keys_are_swept_into_runtime_config() -> None:
    got = recipe("model: a/b\nmods: [m]\nruntime_config: {x: 1, mods: [old]}\npre_exec:\n  - echo hi\n")
    assert got.runtime_config == {"x": 1, "mods": ["old"], "pre_exec": ["echo hi"]}


def test_memory_fields_are_in_bytes() -> None:
    meta = recipe("model: a/b\nmetadata: {model_vram: 1.5, kv_vram_per_token: 2048}\n").metadata
    assert meta.model_vram == 3 << 29
    assert meta.kv_vram_per_token == 2048.0


def test_values_that_are_lists_or_mappings_have_compact_json_as_text() -> None:
    got = minimal(defaults="{spec: {method: mtp, n: 2}, sizes: [1, 2]}")
    assert got.defaults["spec"].text == '{"method":"mtp","n":2}'
    assert got.defaults["sizes"].data == [1, 2]


def test_files_load_or_stay_visible_with_their_error(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text("model: a/b\n")
    bad.write_text("model: [\n")
    assert isinstance(load_file(good), Recipe)
    assert load_recipe(good).source == Source(SourceKind.PATH, str(good))
    broken = load_file(bad)
    assert isinstance(broken, BrokenRecipe)
    assert (broken.name, broken.text) == ("bad", "model: [\n")
    assert broken.error.severity is Severity.ERROR and broken.error.spot is not None
    for path in (tmp_path, tmp_path / "none.yaml", "nul\0.yaml"):
        missing = load_file(path)
        assert isinstance(missing, BrokenRecipe) and missing.error.message


def test_a_named_pipe_does_not_hang(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.yaml"
    os.mkfifo(pipe)
    broken = load_file(pipe)
    assert isinstance(broken, BrokenRecipe)
    assert "not a regular file" in broken.error.message


def test_load_text_takes_any_text() -> None:
    assert load_text("model: ä/ö\n").model == "ä/ö"
    with pytest.raises(RecipeError):
        load_text("model: \ud800\n")
