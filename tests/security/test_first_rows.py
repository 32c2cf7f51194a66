"""A kept file of rows that another program wrote: bounded, typed, without escapes, and never a way to a recipe."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from sparkrun_tui.base.disk import paths
from sparkrun_tui.base.user.settings import Settings
from sparkrun_tui.recipe.model import Recipe, SourceKind
from sparkrun_tui.ui.model.catalog import Catalog
from sparkrun_tui.ui.model.first_rows import FirstRows, keep_first_rows, read_first_rows
from sparkrun_tui.ui.model.rows import RecipeRow

RECIPE = "name: one\nmodel: acme/one\nruntime: vllm\ncontainer: acme/image\ncommand: vllm serve acme/one\n"


def file() -> Path:
    return paths.cache_dir() / "first-rows.json"


def write(data: object) -> None:
    file().parent.mkdir(parents=True, exist_ok=True)
    file().write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf-8")


def good(**changes: Any) -> dict[str, Any]:
    row = {"key": "/a.yaml", "name": "a", "cells": {"size": "8B"}, "matched": [0]}
    return {"format": 1, "listed": "x", "rows": [row], "cursor": 0, "below": False, "longest": 5} | changes


def test_what_is_kept_is_read_again() -> None:
    rows = (RecipeRow("/a", "aä", {"size": "8B"}, True, frozenset({0, 1}), True, True), RecipeRow("/b", "b"))
    first = FirstRows(rows, 1, True, 12)
    keep_first_rows("x", first)
    assert read_first_rows("x") == first
    assert read_first_rows("y") is None


@pytest.mark.parametrize(
    "data",
    [
        "", "[]", "{", "null", "[" * 50_000, "1" * 5000, '"\\ud800"', "\x00" * 70_000, "é",
        good(format=2), good(format="1"), good(rows=[]), good(rows={}), good(rows=[[]]), good(rows="a"),
        good(cursor=1), good(cursor=-1), good(cursor="0"), good(cursor=None), good(longest="5"), good(longest=10**9),
        good(rows=[{"name": "a"}]), good(rows=[{"key": 1, "name": "a"}]), good(rows=[{"key": "/a", "name": ["a"]}]),
        good(rows=[{"key": "/a", "cells": [1]}]), good(rows=[{"key": "/a", "cells": {"size": 1}}]),
        good(rows=[{"key": "/a", "matched": "a"}]), good(surplus="x" * 70_000), good(listed=None),
    ],
)  # fmt: skip
def test_a_file_of_another_shape_counts_as_none(data: object) -> None:
    write(data)
    assert read_first_rows("x") is None


def test_texts_are_cut_and_cannot_act_on_the_terminal() -> None:
    bad = "\x1b]0;owned\x07\x1b[2J\u202e\n" + "a" * 1000
    write(good(rows=[{"key": "/a", "name": bad, "cells": {"size": bad, "no-column": "x"}, "matched": [0, "1", 10**9]}]))
    first = read_first_rows("x")
    assert first is not None
    [row] = first.rows
    for text in (row.name, *row.cells.values()):
        assert text.isprintable() and len(text) < 400
    assert row.cells.keys() == {"size"}
    assert row.matched == {0}


def test_a_pipe_a_link_to_a_device_and_a_large_file_cost_no_time() -> None:
    began = time.process_time()
    file().parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(file())
    assert read_first_rows("x") is None
    file().unlink()
    file().symlink_to("/dev/zero")
    assert read_first_rows("x") is None
    file().unlink()
    with open(file(), "wb") as made:
        made.truncate(1 << 32)
    assert read_first_rows("x") is None
    assert time.process_time() - began < 1.0


def test_more_than_fits_is_not_written() -> None:
    rows = tuple(RecipeRow(f"/{number}", "n" * 300, {"size": "s" * 60}) for number in range(200))
    keep_first_rows("x", FirstRows(rows, 0, False, 5))
    assert not file().exists()


def test_a_recipe_is_read_only_from_a_folder_of_the_settings(tmp_path: Path) -> None:
    """The key of a kept row is a path: it opens what the list would show, as the list would, and nothing else."""
    mine, other = tmp_path / "mine", tmp_path / "other"
    for folder in (mine, mine / ".hidden", other):
        folder.mkdir()
        (folder / "one.yaml").write_text(RECIPE)
    (mine / "one.txt").write_text(RECIPE)
    (mine / "link.yaml").symlink_to(other / "one.yaml")
    catalog = Catalog(Settings(recipe_dirs=(mine,)))
    found = catalog.recipe(str(mine / "one.yaml"))
    assert isinstance(found, Recipe) and found.source.kind is SourceKind.USER
    for path in (other / "one.yaml", mine / ".hidden/one.yaml", mine / "one.txt", mine / "link.yaml"):
        assert catalog.recipe(str(path)) is None
    for text in (f"{mine}/../other/one.yaml", "/etc/passwd", "one.yaml", "", f"{mine}"):
        assert catalog.recipe(text) is None
    catalog.take(catalog.listing())
    (mine / "two.yaml").write_text(RECIPE)
    assert catalog.recipe(str(mine / "two.yaml")) is None
