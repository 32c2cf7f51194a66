"""How wide a text is on a terminal is Rich's to say: nobody counts characters for it, or pads by them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.project.test_repo import ROOT, sources

PADS = re.compile(r"(?:.?[<>^])?(?:[1-9]|\{)|.?[<>^]")
"""A format that fills up to a width, of characters."""

NUMBERS = frozenset({"d", "f", "g", "e", "%", "x"})

OF_OUR_OWN = {
    ("cli/commands/story.py", "title + ':'"): "words of this program",
    ("launch/record/narration.py", "whole // 60"): "a number",
    ("cli/text/recipes.py", "name + ':'"): "the kind of a part of the memory",
    ("cli/commands/bench.py", "label"): "numbers, and words of this program",
    ("cli/commands/bench.py", "name + ':'"): "the name of a field",
    ("cli/text/recipes.py", "name"): "the name of a field",
    ("cli/text/recipes.py", "format_gib(part.bytes)"): "a number",
    ("cli/text/recipes.py", "format_gib(picture.budget)"): "a number",
    ("cli/text/recipes.py", "left"): "a number",
    ("ui/paint/recipe/command_view.py", "number"): "a number",
    ("ui/screens/history.py", "heading"): "words of this program",
    ("ui/paint/recipe/context_plot.py", "'0'.ljust(room - len(end))"): "a number",
    ("ui/paint/recipe/memory_tab.py", "name"): "the kind of a part of the memory",
    ("ui/paint/recipe/memory_tab.py", "figure"): "a number",
    ("ui/paint/recipe/memory_tab.py", "band"): "a number",
    ("ui/paint/launch/phases.py", "bars(readings[-width:], total, width).rjust(width)"): "bars",
    ("ui/paint/launch/phases.py", "phase.value"): "a word of this program",
    ("ui/paint/launch/plan_lines.py", "number"): "a number",
    ("ui/paint/recipe/registry_lines.py", "count"): "a number",
    ("ui/screens/history.py", "began"): "a date in digits",
    ("ui/screens/registries.py", "label"): "a word of this program",
}
"""What may be padded by characters, since each of them takes one cell."""


def nodes() -> Iterator[tuple[str, ast.AST]]:
    """Every node of the modules that paint."""
    for path in sources():
        where = path.relative_to(ROOT / "sparkrun_tui").as_posix()
        if where.startswith(("ui/", "cli/", "launch/record/narration")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                yield where, node


def padded(node: ast.AST) -> str:
    """What a node pads to a width in characters; empty when it pads nothing, or a constant."""
    if isinstance(node, ast.FormattedValue) and node.format_spec is not None:
        assert isinstance(node.format_spec, ast.JoinedStr)
        parts = [part.value if isinstance(part, ast.Constant) else "{" for part in node.format_spec.values]
        spec = "".join(map(str, parts))
        by_number = spec[-1:] in NUMBERS
        if PADS.match(spec) and not by_number and not isinstance(node.value, ast.Constant):
            return ast.unparse(node.value)
    called = node.func if isinstance(node, ast.Call) else None
    if isinstance(called, ast.Attribute) and called.attr in ("ljust", "rjust", "center"):
        return ast.unparse(node)
    return ""


def test_texts_of_others_are_padded_by_their_cells() -> None:
    found = {(where, padded(node)) for where, node in nodes()}
    used = {entry for entry in found if entry[1]}
    assert sorted(used - OF_OUR_OWN.keys()) == [], "use ink.fit or output.table, or say here why not"
    assert sorted(OF_OUR_OWN.keys() - used) == [], "no longer there"


def test_lengths_of_spans_are_not_their_widths() -> None:
    """`sum(len(text) for text, _ in line)` is `width_of(line)`."""
    found = [
        where for where, node in nodes() if isinstance(node, ast.GeneratorExp) and ast.unparse(node.elt) == "len(text)"
    ]
    # A place in the text of a line, not on the screen.
    assert found == ["ui/paint/launch/log_rows.py"]


def test_nobody_has_a_table_of_widths() -> None:
    own = re.compile(r"east_asian_width|unicodedata\.combining|wcwidth|def cell_(?:width|len)\b")
    found = [path.name for path in sources() if own.search(path.read_text(encoding="utf-8"))]
    assert found == []
