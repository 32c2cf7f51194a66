"""No modules that import each other, directly or through others, in any package.

Imports inside functions and imports for types alone count too: they hide a circle, they do not open it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path

import grimp
import pytest

import sparkrun_tui

REMEDY = (
    "These modules import each other. Move what both need into a module below them, or let the lower one take a "
    "protocol or a value instead of importing the upper one. Imports inside functions and under TYPE_CHECKING count."
)


def groups(imports: Mapping[str, set[str]]) -> Iterator[list[str]]:
    """The groups of modules that reach each other by imports, each sorted; modules alone are left out."""
    reached = {module: reach(imports, module) for module in imports}
    grouped: set[str] = set()
    for module in sorted(imports):
        if module in grouped or module not in reached[module]:
            continue
        group = {other for other in reached[module] if module in reached[other]}
        grouped |= group
        yield sorted(group)


def reach(imports: Mapping[str, set[str]], start: str) -> set[str]:
    """Every module that `start` imports, directly or through others; itself only when it is part of a circle."""
    found: set[str] = set()
    ahead = [start]
    while ahead:
        for module in imports[ahead.pop()] - found:
            found.add(module)
            ahead.append(module)
    return found


def shortest_circle(imports: Mapping[str, set[str]], start: str) -> list[str]:
    """The modules of a shortest circle through `start`, which comes first and last."""
    ways = [[start]]
    seen: set[str] = set()
    while True:
        way = ways.pop(0)
        for module in sorted(imports[way[-1]]):
            if module == start:
                return [*way, start]
            if module not in seen:
                seen.add(module)
                ways.append([*way, module])


def circles(package: str) -> list[str]:
    """One text for each group of modules of `package` that import each other: a circle, with lines, and its size."""
    graph = grimp.build_graph(package, cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    texts = []
    for group in groups(imports):
        circle = min((shortest_circle(imports, module) for module in group), key=len)
        steps = [f"{len(group)} modules, for example:"]
        for importer, imported in pairwise(circle):
            line = graph.get_import_details(importer=importer, imported=imported)[0]["line_number"]
            steps.append(f"  {importer}:{line} imports {imported}")
        texts.append("\n".join(steps))
    return texts


def test_no_module_imports_itself_by_way_of_others() -> None:
    found = circles(sparkrun_tui.__name__)
    assert not found, "\n\n".join([REMEDY, *found])


@pytest.mark.parametrize(
    ("name", "files", "circle"),
    [
        (
            "circle_by_types",
            {
                "plan": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from {name}.steps import Step\n",
                "steps": "import {name}.plan\nclass Step: ...\n",
            },
            ["{name}.plan:3 imports {name}.steps", "{name}.steps:1 imports {name}.plan"],
        ),
        (
            "circle_by_functions",
            {
                "app": "def late() -> None:\n    import {name}.title\n",
                "title": "import {name}.launches\n",
                "launches": "import {name}.app\n",
            },
            [
                "{name}.app:2 imports {name}.title",
                "{name}.title:1 imports {name}.launches",
                "{name}.launches:1 imports {name}.app",
            ],
        ),
        ("no_circle", {"low": "", "middle": "import {name}.low\n", "top": "import {name}.low, {name}.middle\n"}, []),
    ],
)
def test_circles_are_found_and_named(
    name: str, files: Mapping[str, str], circle: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / name
    package.mkdir()
    for module, text in {"__init__": "", **files}.items():
        (package / f"{module}.py").write_text(text.format(name=name))
    monkeypatch.syspath_prepend(str(tmp_path))
    found = circles(name)
    sys.modules.pop(name, None)
    assert len(found) == (1 if circle else 0)
    for step in circle:
        assert step.format(name=name) in found[0]
