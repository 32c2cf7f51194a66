"""Properties over generated recipes and damaged texts: no error but our own, and nothing that hangs."""

from __future__ import annotations

import json
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sparkrun_tui.base.errors import RecipeError
from sparkrun_tui.engines.checks.validation import validate
from sparkrun_tui.engines.search_words import search_words
from sparkrun_tui.recipe.format.loader import load_bytes, load_text
from sparkrun_tui.recipe.format.yamltree import parse_tree, plain
from sparkrun_tui.recipe.model import Recipe, Source, SourceKind
from sparkrun_tui.recipe.search.index import Index, light
from sparkrun_tui.recipe.search.query import parse_query
from sparkrun_tui.recipe.search.summary import entry_of
from sparkrun_tui.recipe.values.overrides import parse_value, render
from sparkrun_tui.recipe.values.rendered import value_text
from sparkrun_tui.recipe.values.shellwords import commands
from sparkrun_tui.recipe.values.template import expand

from .samples import FULL

QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
HERE = Source(SourceKind.PATH, "r.yaml")
KEYS = st.sampled_from(
    ["model", "runtime", "container", "command", "mode", "min_nodes", "max_nodes", "defaults", "env", "metadata",
     "recipe_version", "mods", "solo_only", "name", "port", "tensor_parallel", "a", "model_params", "x y", "{a}"]
)  # fmt: skip
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12),
    st.sampled_from(["{port}", "{a}", "${HOME}", "{{", "}}", '{{"a":1}}', "vllm serve {model}", "'", '"', "x\ny"]),
)  # fmt: skip
TREES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=5)),
    max_leaves=25,
)


def use(recipe: Recipe) -> None:
    """Everything that is done with a recipe that has been read."""
    rendered = render(recipe, {"port": "9000", "a": "{b}", "new": "x"}, {"b": [1]})
    for problem in validate(recipe, rendered, {}):
        assert problem.message
        assert problem.spot is None or (problem.spot.line >= 1 and problem.spot.column >= 1)
    Index([entry_of(recipe, search_words())]).search("a runtime:vllm")


@QUICK
@given(st.dictionaries(KEYS, TREES, max_size=8))
def test_any_mapping_loads(tree: dict[str, Any]) -> None:
    text = yaml.safe_dump(tree, allow_unicode=True)
    try:
        use(load_text(text, HERE))
    except RecipeError as error:
        assert error.what


@QUICK
@given(st.data())
def test_damaged_files_fail_with_our_error_only(data: st.DataObject) -> None:
    body = bytearray(FULL.encode())
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(body)))
        if data.draw(st.booleans()):
            del body[at : at + data.draw(st.integers(0, 40))]
        else:
            piece = st.one_of(
                st.binary(max_size=6),
                st.sampled_from(
                    [b"\t", b"{", b"}", b"[", b"'", b'"', b"&a ", b"*a ", b": ", b"- ", b"|", b"\r", b"<<: ", b"!!x "]
                ),
            )
            body[at:at] = data.draw(piece)
    try:
        use(load_bytes(bytes(body), HERE))
    except RecipeError as error:
        assert error.what


@QUICK
@given(st.binary(max_size=200))
def test_any_bytes_fail_with_our_error_only(data: bytes) -> None:
    try:
        use(load_bytes(data, HERE))
    except RecipeError as error:
        assert error.what


@QUICK
@given(st.recursive(st.one_of(st.none(), st.booleans(), st.integers(-10**9, 10**9), st.text(max_size=10)),
                    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=6), inner, max_size=4)),  # noqa: E501
                    max_leaves=20))  # fmt: skip
def test_plain_data_is_what_pyyaml_reads(data: Any) -> None:
    text = yaml.safe_dump(data, allow_unicode=True)
    assert plain(parse_tree(text, "x")) == yaml.safe_load(text)


@QUICK
@given(st.text(alphabet='{}"\\n p$}{', max_size=60), st.booleans())
def test_text_without_a_known_key_is_left_as_it_is(text: str, doubled: bool) -> None:
    result = expand(text, {}, doubled=doubled).text
    if not doubled and '{{"' not in text and '{{\\"' not in text:
        assert result == text
    assert len(result) <= len(text)


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(alphabet="ab }:,é", max_size=6)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text("abc", max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)


@QUICK
@given(st.dictionaries(st.text("abc", min_size=1, max_size=3), JSON, min_size=1, max_size=3), st.booleans())
def test_json_survives_both_formats(data: dict[str, Any], compact: bool) -> None:
    text = json.dumps(data, separators=(",", ":") if compact else None)
    assert json.loads(expand(text, {"n": "1"}, doubled=False).text) == json.loads(text)
    escaped = text.replace("{", "{{").replace("}", "}}")
    assert json.loads(expand(escaped, {"n": "1"}, doubled=True).text) == json.loads(text)


@QUICK
@given(st.text(alphabet="ab'\"\\ \n#|&;<>$(){}`E=", max_size=50))
def test_any_script_is_cut_or_refused(text: str) -> None:
    try:
        for words in commands(text):
            assert words
    except ValueError as error:
        assert "unbalanced" in str(error)


@QUICK
@given(st.text(max_size=40), st.text(max_size=20))
def test_any_query_can_be_asked(line: str, name: str) -> None:
    query = parse_query(line)
    lit = light(name, query)
    assert list(lit) == sorted(set(lit)) and all(0 <= place < len(name) for place in lit)


@QUICK
@given(st.text(max_size=20))
def test_a_typed_value_renders_as_it_was_typed_but_for_booleans(text: str) -> None:
    value = parse_value(text)
    shown = value_text(value)
    assert shown == text if not isinstance(value.data, bool) else shown in ("true", "false")


def test_hostile_texts_do_not_hang() -> None:
    big = 1 << 18
    for text in (
        "model: " + "9" * big,
        "model: a\ndefaults: {a: " + "1:" * (big // 2) + "1}",
        "model: a\nmetadata: {model_params: " + "9" * big + "}",
        "model: a\ncommand: '" + "{x}{y}" * (big // 8) + "'",
        'model: a\ncommand: "awk ' + "awk " * (big // 4) + "'{x}'\"",
        "model: a\ncommand: |\n  " + "$(" * (big // 2),
        "model: a\ncommand: |\n  " + "\\  \n  -" * (big // 8),
        "model: a\ncontainer: " + "a/" * (big // 2),
        "model: a\n" + ": a" * (big // 3),
        "model: a\ndefaults:\n"
        + "".join(f"  k{i}: '{{k{i + 1}}}{{k{i + 1}}}'\n" for i in range(3000))
        + "command: '{k0}'",
        "model: a\ndefaults: {" + ",".join(f"gpu_{i}: 1" for i in range(3000)) + "}\ncommand: '{gpu_x} {gpu_y}'",
    ):
        try:
            use(load_text(text, HERE))
        except RecipeError as error:
            assert error.what
