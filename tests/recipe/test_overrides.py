from __future__ import annotations

import json

import pytest

from sparkrun_tui.base.errors import UsageError
from sparkrun_tui.engines.checks.unused import unused_overrides
from sparkrun_tui.recipe.format.loader import load_text
from sparkrun_tui.recipe.model import Recipe, Severity, Value
from sparkrun_tui.recipe.values.overrides import changed, metadata_in_force, parse_assignment, parse_value, render
from sparkrun_tui.recipe.values.rendered import Origin

from .samples import FULL, codes, minimal, recipe


def test_the_full_recipe_renders_as_its_author_wrote_it() -> None:
    got = render(recipe(FULL), {})
    assert got.command == (
        "vllm serve acme/Falcon-30B-A3B-NVFP4 \\\n"
        "    --served-model-name falcon \\\n"
        "    --max-model-len 200000 \\\n"
        "    --gpu-memory-utilization 0.80 \\\n"
        "    -tp 1 \\\n"
        "    --host 0.0.0.0 --port 8000\n"
    )
    assert got.argv[:4] == ("vllm", "serve", "acme/Falcon-30B-A3B-NVFP4", "--served-model-name")
    assert got.argv[-2:] == ("--port", "8000")
    assert got.problems == ()
    assert got.get("max_model_len") == 200000 and got.get("nothing", 5) == 5


def test_precedence_and_origins() -> None:
    base = minimal("run {a} {b} {c} {model}", "{a: 1, b: 1, c: 1}")
    got = render(base, {"a": "3"}, {"a": 2, "b": 2})
    assert got.command == "run 3 2 1 a/b\n"
    assert [got.chain[key].origin for key in ("a", "b", "c", "model")] == [
        Origin.OVERRIDE,
        Origin.USER,
        Origin.RECIPE,
        Origin.MODEL,
    ]


def test_a_default_may_replace_the_injected_model() -> None:
    assert render(minimal("run {model}", "{model: /local/path}"), {}).command == "run /local/path\n"
    assert render(minimal("run {model}"), {"model": "c/d"}).command == "run c/d\n"


@pytest.mark.parametrize(
    ("text", "default", "data"),
    [
        ("9000", None, 9000),
        ("9000", Value(1, "1"), 9000),
        ("0.8", None, 0.8),
        ("true", None, True),
        ("no", None, False),
        ("text", None, "text"),
        ("", None, ""),
        ("null", None, "null"),
        ("[1, 2]", None, "[1, 2]"),
        ("9000", Value("8000", "8000"), "9000"),
        ("true", Value("x", "x"), "true"),
        ('{"a": 1}', Value({}, "{}"), {"a": 1}),
        ("[not json", Value([], "[]"), "[not json"),
    ],
)
def test_typed_values(text: str, default: Value | None, data: object) -> None:
    assert parse_value(text, default).data == data
    assert type(parse_value(text, default).data) is type(data)


def test_values_render_as_written() -> None:
    base = minimal("x {a} {b} {c} {d} {e}", "{a: 0.80, b: yes, c: 1_000, d: 017, e: 'it''s'}")
    assert render(base, {}).command == "x 0.80 true 1_000 017 it's\n"
    assert render(base, {"a": "0.90", "b": "off"}).command == "x 0.90 false 1_000 017 it's\n"


def test_nothing_renders_as_nothing_with_a_warning() -> None:
    got = render(minimal("x {a}.", "{a: }"), {})
    assert got.command == "x .\n"
    assert codes(got.problems) == ["empty-value"]


def test_lists_and_mappings_are_json_quoted_unless_in_quotes() -> None:
    defaults = "{spec: {method: mtp, note: it's}, sizes: [1, 2]}"
    got = render(minimal("vllm serve m --a {spec} --b '{sizes}' --c \"{sizes}\" --d={sizes}", defaults), {})
    argv = got.argv
    assert json.loads(argv[argv.index("--a") + 1]) == {"method": "mtp", "note": "it's"}
    assert argv[argv.index("--b") + 1] == "[1,2]"
    assert argv[argv.index("--c") + 1] == "[1,2]"
    assert argv[-1] == "--d=[1,2]"


def test_quotes_in_comments_and_heredocs_do_not_count() -> None:
    got = render(minimal("# don't\nvllm serve m --a {spec}", "{spec: {x: 1}}"), {})
    assert json.loads(got.argv[-1]) == {"x": 1}


def test_json_arguments_survive_with_placeholders_inside() -> None:
    command = """vllm serve {model} --speculative-config '{"method": "mtp", "n": {n}, "m": {"k": {n}}}' --x ${VAR:-y}"""
    got = render(minimal(command, "{n: 3}"), {"n": "5"})
    assert json.loads(got.argv[4]) == {"method": "mtp", "n": 5, "m": {"k": 5}}
    assert got.argv[-1] == "${VAR:-y}"
    assert got.problems == ()


def test_doubled_braces_are_escapes_in_version_one_and_told_in_version_two() -> None:
    command = """vllm serve {model} --c '{{"method":"mtp","n":{n}}}'"""
    old = render(minimal(command, "{n: 3}", version="1"), {})
    new = render(minimal(command, "{n: 3}"), {})
    assert json.loads(old.argv[-1]) == json.loads(new.argv[-1]) == {"method": "mtp", "n": 3}
    assert codes(old.problems) == []
    assert codes(new.problems) == ["doubled-braces"]


def test_unknown_placeholders_have_line_column_and_a_suggestion() -> None:
    base = minimal(
        "vllm serve {model} \\\n  --gpu-memory-utilization {gpu_memory_usage}", "{gpu_memory_utilization: 0.8}"
    )
    got = render(base, {})
    [problem] = got.problems
    assert (problem.severity, problem.code) == (Severity.ERROR, "unknown-placeholder")
    assert problem.remedy == "did you mean `gpu_memory_utilization`?"
    lines = base.text.splitlines()
    assert problem.spot is not None
    assert lines[problem.spot.line - 1][problem.spot.column - 1 :].startswith("{gpu_memory_usage}")
    assert got.command is not None and "{gpu_memory_usage}" in got.command
    assert got.errors == got.problems


def test_the_models_path_is_the_model_where_nothing_else_is_said() -> None:
    base = minimal("vllm serve {resolved_model_path} --chat-template {resolved_model_path}/chat.jinja", "{}")
    assert render(base, {}).argv == ("vllm", "serve", base.model, "--chat-template", f"{base.model}/chat.jinja")
    assert render(base, {"model": "c/d"}).argv[2] == "c/d"
    assert render(base, {"resolved_model_path": "/srv/d"}).argv[2] == "/srv/d"
    assert codes(render(base, {}).problems) == []
    assert "resolved_model_path" not in render(minimal("vllm serve {model}", "{}"), {}).chain
    local = load_text(base.text.replace(f"model: {base.model}", "model: ~/models/d"))
    assert render(local, {}).argv[2] == "/root/models/d"


def test_a_path_of_cluster_config_says_how_it_is_written_here() -> None:
    text = minimal("vllm serve {resolved_model_path}", "{}").text
    [problem] = render(load_text(text + "cluster_config: {resolved_model_path: /srv/models/d}\n"), {}).problems
    assert (problem.severity, problem.code) == (Severity.ERROR, "unknown-placeholder")
    assert problem.remedy == "here a model on the hosts is `model: /srv/models/d`, and `{model}` in the command"


@pytest.mark.parametrize(
    "text",
    [
        "model: a/b\ncommand: vllm serve {model} --port {prt}\n",
        'model: a/b\ncommand: "vllm serve {model}\n  --port {prt}"\n',
        "model: a/b\ncommand: >\n  vllm serve {model}\n  --port {prt}\n",
        "model: a/b\ncommand: >-\n    vllm serve\n    {model}\n\n    --port {prt}\n",
        "model: a/b\ncommand: |2\n    vllm serve\n   --port {prt}\n",
        "model: a/b\r\ncommand: |\r\n  vllm serve {model} \\\r\n  --port {prt}\r\n",
        "\ufeffmodel: a/b\ncommand: |\n\n\n  vllm serve {model} \\\n  --port {prt}\n",
    ],
)
def test_places_are_right_in_every_style_of_text(text: str) -> None:
    base = recipe(text)
    spot = render(base, {}).problems[0].spot
    assert spot is not None
    line = text.removeprefix("\ufeff").splitlines()[spot.line - 1]
    assert line[spot.column - 1 :].startswith("{prt}")


def test_braces_of_other_languages_are_only_warned_about() -> None:
    for command in (
        "x=$(hostname -I | awk '{print}')\nvllm serve {model}",
        "python3 - <<'END'\nprint(f'{name}')\nEND\nvllm serve {model}",
        "# uses {nothing}\nvllm serve {model}",
    ):
        got = render(minimal(command), {})
        assert [problem.severity for problem in got.problems] == [Severity.WARNING]
        assert got.errors == ()


def test_a_circle_is_an_error_that_shows_the_keys() -> None:
    got = render(minimal("x {a}", "{a: '{b}', b: '{a}'}"), {})
    assert codes(got.errors) == ["cycle"]
    assert "a -> b -> a" in got.problems[0].message
    assert got.problems[0].spot is not None
    itself = render(minimal("x {a}", "{a: '{a}'}"), {})
    assert codes(itself.errors) == ["cycle"]


def test_nested_values() -> None:
    base = minimal("curl {base_url}", '{base_url: "http://localhost:{port}", port: 8000}')
    got = render(base, {"port": "9000"})
    assert got.command == "curl http://localhost:9000\n"
    assert got.used == {"base_url", "port"}


def test_overrides_that_change_nothing_are_told() -> None:
    got = render(minimal("x {port}", "{port: 1, other: 2}"), {"other": "3", "prt": "4"})
    found = list(unused_overrides(got))
    by_key = {problem.message.split("`")[1]: problem for problem in found}
    assert codes(found) == ["unused-override"] * 2
    assert by_key["other"].remedy == "" and by_key["prt"].remedy == "did you mean `port`?"


def test_shell_characters_in_a_value_are_pointed_out() -> None:
    base = minimal("x {name} {path}", "{name: plain, path: '$HOME/x'}")
    assert codes(render(base, {"name": "a; rm -rf /"}).problems) == ["shell-characters"]
    assert codes(render(base, {"path": "$HOME/y"}).problems) == []
    assert codes(render(base, {"name": "a\nb"}).problems) == ["line-break"]
    assert codes(render(base, {"name": "a-b.c/d:e"}).problems) == []


def test_without_a_command_the_chain_is_there() -> None:
    got = render(recipe("model: a/b\ndefaults: {port: 1}\n"), {"port": "2"})
    assert got.command is None and got.argv == ()
    assert got.get("port") == 2


def test_assignments() -> None:
    assert parse_assignment("port=9000") == ("port", "9000")
    assert parse_assignment("x=a=b") == ("x", "a=b")
    assert parse_assignment("x=") == ("x", "")
    for wrong in ("port", "=1", "a b=1", ""):
        with pytest.raises(UsageError):
            parse_assignment(wrong)


def test_the_difference_to_the_defaults() -> None:
    base: Recipe = recipe(FULL)
    assert changed(base, {"port": "8000", "max_model_len": "1000", "new": "x", "gpu_memory_utilization": "0.80"}) == {
        "max_model_len": "1000",
        "new": "x",
    }


def test_user_defaults_keep_a_string_a_string() -> None:
    base = minimal("x {name} {b} {l}", "{name: abc, b: 1, l: []}")
    got = render(base, {}, {"name": 5, "b": True, "l": [1, 2]})
    assert got.get("name") == "5"
    assert got.command == "x 5 true '[1,2]'\n"


def test_dtypes_of_the_metadata_may_look_at_the_chain() -> None:
    text = "model: m\nmetadata: {model_dtype: '{dtype}', kv_dtype: auto}\ndefaults: {dtype: fp8}\n"
    base = recipe(text)
    assert metadata_in_force(render(base, {})).model_dtype == "fp8"
    assert metadata_in_force(render(base, {"dtype": "int4"})).model_dtype == "int4"
    assert metadata_in_force(render(base, {"dtype": "auto"})).model_dtype == ""
    assert metadata_in_force(render(base, {})).kv_dtype == ""
    assert metadata_in_force(render(recipe(FULL), {})) == recipe(FULL).metadata


def test_keys_of_a_circle_count_as_used() -> None:
    got = recipe(
        'model: a/b\nruntime: vllm\ncontainer: x:1\ndefaults:\n  a: "{b}"\n  b: "{c}"\n  c: "{a}"\ncommand: x {a}\n'
    )
    assert render(got, {}).used == {"a", "b", "c"}


def test_an_override_with_nothing_is_told() -> None:
    rendered = render(minimal("vllm serve --port {port}", "{port: 8000}"), {"port": ""})
    assert [(problem.code, problem.severity) for problem in rendered.problems] == [("empty-value", Severity.WARNING)]


def test_the_model_in_force_is_the_one_to_download_and_to_size() -> None:
    own = minimal(extra="model_revision: v1\nmetadata: {model_params: 8B, model_dtype: fp8, description: words}")
    other = render(own, {"model": "c/d"}).recipe
    assert (other.model, other.model_revision) == ("c/d", "")
    assert (other.metadata.model_params, other.metadata.model_dtype) == (None, "")
    assert other.metadata.description == "words"
    assert render(own, {}).recipe is own
    assert render(own, {"model": "a/b"}).recipe is own
    again = render(other, {"model": "c/d"})
    assert again.recipe is other


def test_placeholders_of_the_model_are_filled() -> None:
    own = recipe(
        "model: '{org}/Falcon'\nmetadata: {model_params: 8B}\ndefaults: {org: acme}\ncommand: vllm serve {model}"
    )
    rendered = render(own, {})
    assert rendered.recipe.model == "acme/Falcon" and rendered.argv == ("vllm", "serve", "acme/Falcon")
    assert rendered.recipe.metadata.model_params == 8_000_000_000
    assert render(own, {"org": "lab"}).recipe.model == "lab/Falcon"


def test_a_model_among_the_defaults_is_a_word_for_the_command_only() -> None:
    rendered = render(minimal(defaults="{model: /models/falcon}"), {})
    assert rendered.recipe.model == "a/b" and rendered.argv[-1] == "/models/falcon"


def test_shell_characters_of_the_users_own_defaults_are_pointed_out_too() -> None:
    own = minimal("vllm serve --served-model-name {name} --x {port}", "{name: falcon, port: 80}")
    rendered = render(own, {}, {"name": "$(id)", "port": 81, "elsewhere": "a;b"})
    assert codes(rendered.problems) == ["shell-characters"]
    assert codes(render(own, {"name": "plain"}, {"name": "$(id)"}).problems) == []
