from __future__ import annotations

import pytest

from sparkrun_tui.recipe.values.template import MAX_ROUNDS, TemplateError, expand

VALUES = {"n": "3", "port": "8000", "model": "a/b", "max-len": "9", "k": "{n}", "deep": "{k}{k}"}


def one(text: str) -> str:
    return expand(text, VALUES, doubled=True).text


def two(text: str) -> str:
    return expand(text, VALUES, doubled=False).text


@pytest.mark.parametrize(
    ("template", "result"),
    [
        ("--port {port} {model}", "--port 8000 a/b"),
        ("{max-len}", "9"),
        ("{deep}", "33"),
        ("{n}}}", "3}}"),
        ("{{n}}", "{3}"),
        ('\'{"method": "mtp"}\'', '\'{"method": "mtp"}\''),
        ('\'{"a":{"n":{n}}}\'', '\'{"a":{"n":3}}\''),
        ('\'{"a":{"b":{"n":1}}}\'', '\'{"a":{"b":{"n":1}}}\''),
        ("${VAR:-x} ${port} $port", "${VAR:-x} ${port} $port"),
        ("{ port } {0} {} { {por t}", "{ port } {0} {} { {por t}"),
        ("f() { echo {n}; }", "f() { echo 3; }"),
        ('{{"method":"mtp","n":{n}}}', '{"method":"mtp","n":3}'),
        ('{{"a":{{"b":{n}}},"c":[{n}]}}', '{"a":{"b":3},"c":[3]}'),
        ('{{"a":{"b":{n}}}}', '{"a":{"b":3}}'),
        ('{{"never closed', '{{"never closed'),
        ("{{ jinja }}", "{{ jinja }}"),
        ("{__class__} {n.real} {n!r} {n:>5}", "{__class__} {n.real} {n!r} {n:>5}"),
    ],
)
def test_version_two(template: str, result: str) -> None:
    assert two(template) == result


@pytest.mark.parametrize(
    ("template", "result"),
    [
        ("{port}", "8000"),
        ("{{port}}", "{port}"),
        ("{{{n}}}", "{3}"),
        ("{n}}}", "3}"),
        ('\'{{"method":"mtp","n":{n}}}\'', '\'{"method":"mtp","n":3}\''),
        ('\'{{"a":{{"n":{n}}}}}\'', '\'{"a":{"n":3}}\''),
        ('\'{"a":{"n":{n}}}\'', '\'{"a":{"n":3}}\''),
        ("${{HOME}}", "${HOME}"),
        ("{{}}", "{}"),
        ("a }} b", "a } b"),
    ],
)
def test_version_one_escapes_as_format_does(template: str, result: str) -> None:
    assert one(template) == result


def test_escaped_text_is_not_filled_in_a_later_round() -> None:
    assert expand("{{n}} {v}", {"n": "1", "v": "{n}"}, doubled=True).text == "{n} 1"


@pytest.mark.parametrize("doubled", [True, False])
def test_doubled_braces_mean_in_a_value_what_they_mean_in_a_command(doubled: bool) -> None:
    assert expand("{v}", {"v": '{{"x":1}}'}, doubled=doubled).text == '{"x":1}'
    assert expand("{v}", {"v": '{"x":{"y":1}}'}, doubled=doubled).text == '{"x":{"y":1}}'
    assert expand("{v}", {"v": '{{"x":{"y":"{n}"}}}', "n": "1"}, doubled=False).text == '{"x":{"y":"1"}}'


def test_braces_of_a_value_are_left_alone_otherwise() -> None:
    for text in ("{{ messages }}", "${X:-{{}}", "a }} b", "{{}}"):
        assert expand("{v}", {"v": text}, doubled=False).text == text


def test_keys_used_through_others_count_as_used() -> None:
    assert expand("{deep}", VALUES, doubled=False).used == {"deep", "k", "n"}


def test_unknown_slots_have_offsets_and_patterns_are_none() -> None:
    result = expand("a {nope} b {3} ${x} {v}", {"v": "{inner}"}, doubled=False)
    assert [(slot.key, slot.offset) for slot in result.unknown] == [("nope", 2)]
    assert result.unknown_in == {"inner": ("v",)}
    assert result.text == "a {nope} b {3} ${x} {inner}"


def test_a_circle_shows_its_keys() -> None:
    with pytest.raises(TemplateError) as caught:
        expand("{a}", {"a": "{b}", "b": "x{c}", "c": "{b}"}, doubled=False)
    assert caught.value.keys == ("b", "c", "b")
    assert "b -> c -> b" in str(caught.value)
    with pytest.raises(TemplateError) as caught:
        expand("{a}", {"a": "{a}"}, doubled=False)
    assert "a -> a" in str(caught.value)


def test_depth_and_growth_are_limited() -> None:
    chain = {f"k{i}": f"{{k{i + 1}}}" for i in range(MAX_ROUNDS + 5)} | {f"k{MAX_ROUNDS + 5}": "end"}
    with pytest.raises(TemplateError, match="32 deep"):
        expand("{k0}", chain, doubled=False)
    assert expand(f"{{k{6}}}", chain, doubled=False).text == "end"
    growth = {f"k{i}": f"{{k{i + 1}}}" * 10 for i in range(20)} | {"k20": "x"}
    with pytest.raises(TemplateError, match="grows"):
        expand("{k0}", growth, doubled=False)


def test_long_runs_of_braces_do_not_hang() -> None:
    text = "{" * 50_000 + '{{"' * 15_000
    assert two(text) == text
    assert one("{" * 100_000) == "{" * 50_000
    assert two(text + "}" * 30_000).count("}") == 15_000
