"""Every screen of the app has a page in docs/screens with a picture that a test draws."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path

from textual.screen import Screen

import sparkrun_tui.ui.screens
from sparkrun_tui.ui.screens.base import PageScreen

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs" / "screens").glob("*.md"))
PICTURE = re.compile(r"!\[[^\]]+\]\(\.\./\.\./screenshots/([\w-]+)\.svg\)")


def screens() -> set[str]:
    """The classes of screens that the app opens: those that no other screen is made from."""
    for module in pkgutil.walk_packages(sparkrun_tui.ui.screens.__path__, "sparkrun_tui.ui.screens."):
        importlib.import_module(module.name)
    found: set[type[object]] = set()
    todo: list[type[object]] = [Screen, PageScreen]
    while todo:
        one = todo.pop()
        todo += one.__subclasses__()
        if not one.__subclasses__() and one.__module__.startswith("sparkrun_tui."):
            found.add(one)
    return {one.__name__ for one in found}


def named(page: Path) -> list[str]:
    """The classes of screens that a page is about."""
    found = re.search(r"<!-- screens: ([\w ]+) -->", page.read_text(encoding="utf-8"))
    return found[1].split() if found else []


def test_each_screen_has_exactly_one_page() -> None:
    assert sorted(name for page in PAGES for name in named(page)) == sorted(screens())


def test_each_page_has_pictures_and_each_picture_is_there() -> None:
    for page in PAGES:
        shown = PICTURE.findall(page.read_text(encoding="utf-8"))
        if page.name != "README.md":
            assert shown, f"{page.name} has no picture"
        for name in shown:
            assert (ROOT / "screenshots" / f"{name}.svg").exists(), f"{page.name} shows {name}"


def test_each_picture_is_on_a_page() -> None:
    shown = {name for page in PAGES for name in PICTURE.findall(page.read_text(encoding="utf-8"))}
    assert {path.stem for path in (ROOT / "screenshots").glob("*.svg")} == shown


def test_the_index_leads_to_every_page() -> None:
    index = (ROOT / "docs" / "screens" / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\]\((?!\.)([\w-]+\.md)\)", index)) == {page.name for page in PAGES} - {"README.md"}
