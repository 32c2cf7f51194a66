"""Changes to a user's YAML file: what is not changed keeps its lines, and the file means what it should."""

from __future__ import annotations

from difflib import ndiff
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkrun_tui.base.user.yaml_edit import with_data

CONFIG = """\
# My settings
default_cluster: lab   # the usual one

clusters:
    # the two in the lab
    lab:
        hosts: [spark-1, spark-2]   # head first
        description: "the lab: two"
        # still on the old switch
    # at home, since May
    home:
      hosts:
      - spark-9   # upstairs
      # the loud one
      - 'user@spark-10'

# recipes of mine
recipe_dirs:
- ~/recipes
defaults: {port: 010, y: yes, t: 12:30}   # not touched
theme: nord
# end
"""


def changed(text: str, **changes: Any) -> str:
    """The text with some of its keys changed; None takes one out."""
    data = {**(yaml.safe_load(text) or {}), **changes}
    data = {key: value for key, value in data.items() if value is not None}
    result = with_data(text, data, yaml.safe_load)
    assert (yaml.safe_load(result) or {}) == data
    return result


def lines_apart(before: str, after: str) -> tuple[list[str], list[str]]:
    """The lines that went, and those that are new."""
    found = list(ndiff(before.splitlines(), after.splitlines()))
    return [line[2:] for line in found if line[0] == "-"], [line[2:] for line in found if line[0] == "+"]


def clusters() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(CONFIG)["clusters"]
    return found


def test_nothing_changed_is_the_same_text() -> None:
    assert changed(CONFIG) == CONFIG


def test_an_entry_is_added_behind_the_last_one() -> None:
    after = changed(CONFIG, clusters=clusters() | {"new": {"hosts": ["a"]}})
    assert lines_apart(CONFIG, after) == ([], ["    new:", "      hosts:", "      - a"])
    assert after.index("    new:") < after.index("# recipes of mine")


def test_an_entry_is_taken_out_and_every_comment_stays_that_was_not_inside_it() -> None:
    without_lab = {name: body for name, body in clusters().items() if name != "lab"}
    gone, new = lines_apart(CONFIG, changed(CONFIG, clusters=without_lab))
    assert new == []
    assert gone == [
        "    lab:", "        hosts: [spark-1, spark-2]   # head first", '        description: "the lab: two"'
    ]  # fmt: skip
    without_home = {name: body for name, body in clusters().items() if name != "home"}
    gone, new = lines_apart(CONFIG, changed(CONFIG, clusters=without_home))
    assert (len(gone), new) == (5, [])
    assert "# recipes of mine" not in gone


def test_a_comment_that_is_indented_further_stays_with_its_entry() -> None:
    text = "clusters:\n  a:\n    hosts: [x]\n    # about a\n  # about nobody\nb: 1\n"
    after = changed(text, clusters={"a": {"hosts": ["x"]}, "c": {"hosts": ["y"]}})
    assert after == text.replace("    # about a\n", "    # about a\n  c:\n    hosts:\n    - y\n")


def test_a_value_is_changed_in_its_line() -> None:
    assert changed(CONFIG, default_cluster="home") == CONFIG.replace("cluster: lab ", "cluster: home ")
    with_hosts = clusters() | {"lab": {"hosts": ["spark-3"], "description": "the lab: two"}}
    assert changed(CONFIG, clusters=with_hosts) == CONFIG.replace("[spark-1, spark-2]", "[spark-3]")
    assert changed("a:  # nothing yet\nb: 1\n", a="x") == "a: x  # nothing yet\nb: 1\n"


def test_lists_change_by_item() -> None:
    home = {"hosts": ["spark-9", "spark-11", "spark-12"]}
    after = changed(CONFIG, clusters=clusters() | {"home": home})
    assert lines_apart(CONFIG, after) == (
        ["      - 'user@spark-10'"], ["      - spark-11", "      - spark-12"]
    )  # fmt: skip
    assert after.index("# the loud one") < after.index("spark-11")
    items = "items:\n  # one\n  - name: a\n    url: x  # where\n  # two\n  - name: b\n    url: y\n"
    a, b = yaml.safe_load(items)["items"]
    assert lines_apart(items, changed(items, items=[b])) == (["  - name: a", "    url: x  # where"], [])
    assert changed(items, items=[a | {"on": False}, b]) == items.replace("# where\n", "# where\n    'on': false\n")
    assert changed(items, items=[a | {"name": "c"}, b]) == items.replace("name: a", "name: c")
    assert changed(items, items=[a, b, "d"]) == items + "  - d\n"
    assert lines_apart(items, changed(items, items=["d", a, b])) == ([], ["  - d"])


def test_keys_are_added_and_taken_out_at_the_top() -> None:
    assert changed(CONFIG, keys={"quit": "ctrl+x"}).endswith("theme: nord\nkeys:\n  quit: ctrl+x\n# end\n")
    assert changed(CONFIG, theme=None) == CONFIG.replace("theme: nord\n", "")
    assert changed("# mine\na: 1\n# end", a=None) == "# mine\n# end\n"
    assert changed("# mine\n", a=1) == "# mine\na: 1\n"
    assert changed("", a=1) == "a: 1\n"
    assert changed("a: 1", b=2) == "a: 1\nb: 2\n"
    assert changed("\ufeffa: 1\n", b=2) == "a: 1\nb: 2\n"
    assert changed("---\n# mine\na: 1\n...\n", b=2) == "---\n# mine\na: 1\nb: 2\n...\n"


def test_the_last_entry_goes_with_its_key_or_leaves_an_empty_one() -> None:
    text = "a: 1\nclusters:\n  # about it\n  lab: {hosts: [x]}  # two\n# end\n"
    assert changed(text, clusters=None) == "a: 1\n# end\n"
    assert changed(text, clusters={}) == "a: 1\nclusters: {}\n  # about it\n# end\n"
    assert changed("a:  # some\n- 1\n# two\n- 2\n", a=[]) == "a: []  # some\n# two\n"


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("{a: 1, b: {c: 2}}\n", {"b": {"c": 3}}),
        ("a: &x\n  b: 1\nc: *x\n", {"a": None}),
        ("a:\n  b: |\n    text\n    more\n\n# end\nc: 1\n", {"a": {"b": "other", "d": 1}}),
        ("a: &x {b: 1}\nc:\n  <<: *x\n  d: 2\n", {"c": {"b": 1, "d": 3}}),
        ("a:\n-\n  b: 1\n- c: 2\n", {"a": [{"b": 2}, {"c": 2}]}),
        ("? a\n: 1\n? b\n: 2\n", {"a": 3}),
        ("a: 'x\n  y'\nb: 1\n", {"a": "z", "c": 1}),
        ("1: x\na: 2\n", {"a": 3}),
        ("a: !!str 1\n", {"b": {"c": [1, {"d": None}]}}),
        ("'a: b': 1\n\"c\": 2\n", {"a: b": 2, "d #": "e: f"}),
    ],
)
def test_whatever_the_text_looks_like_it_means_the_data(text: str, changes: dict[str, Any]) -> None:
    changed(text, **changes)


def test_keys_that_are_numbers_are_left_alone() -> None:
    text = "clusters:\n  1: {hosts: [x]}  # one\n"
    data = {"clusters": {"1": {"hosts": ["x"]}, "b": {"hosts": ["y"]}}}
    assert with_data(text, data, yaml.safe_load) == text + "  b:\n    hosts:\n    - y\n"


SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.text("ab :#'\"\n-é{[&*", max_size=5))
KEYS = st.text("abcd", min_size=1, max_size=2)
VALUES = st.recursive(
    SCALARS, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3))
)
DATA = st.dictionaries(KEYS, VALUES, max_size=4)


@settings(max_examples=200, deadline=None)
@given(DATA, DATA, st.booleans())
def test_any_data_becomes_any_other(before: dict[str, Any], after: dict[str, Any], shared: bool) -> None:
    text = yaml.safe_dump(before, allow_unicode=True, default_flow_style=None)
    commented = "".join(f"{line}\n# {number}\n" for number, line in enumerate(text.splitlines()))
    wanted = before | after if shared else after
    for source in (text, commented):
        try:
            meant = yaml.safe_load(source) == before
        except yaml.YAMLError:
            # A comment does not go everywhere, such as into text of several lines.
            continue
        if meant:
            assert (yaml.safe_load(with_data(source, wanted, yaml.safe_load)) or {}) == wanted
