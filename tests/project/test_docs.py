"""The documents name files, commands and links that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "sparkrun_tui"
DOCUMENTS = [
    *ROOT.glob("*.md"),
    *(path for path in ROOT.glob("docs/**/*.md")),
]
_CODE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\(([^)#\s]+)\)")
_COMMAND = re.compile(r"\./dev (\w+)")
_OURS = re.compile(
    r"(?:cli|ui|demo|launch|fleet|engines|remote|recipe|memory|models|base|tests|docs|benchmarks|recipes|styles"
    r"|screenshots)/[\w./*-]*"
)
"""A path inside the package, or one of the folders at the top."""
_ENGINES = ("vllm", "sglang", "llama_cpp")


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def paths_in(document: Path) -> list[str]:
    """The paths of files of the project that a document names as code."""
    text = document.read_text(encoding="utf-8")
    return [code for code in _CODE.findall(text) if _OURS.fullmatch(code)]


def is_there(path: str) -> bool:
    """Whether a path, or one pattern of paths, is a file or folder of the project."""
    return any(any(folder.glob(path.rstrip("/"))) for folder in (ROOT, PACKAGE))


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_files_that_a_document_names_are_there(document: Path) -> None:
    missing = []
    for path in paths_in(document):
        spellings = [path.replace("ENGINE", engine) for engine in _ENGINES]
        if not all(is_there(spelling) for spelling in spellings):
            missing.append(path)
    assert not missing, f"{name(document)} names files that are not there: {missing}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_links_of_a_document_lead_to_files(document: Path) -> None:
    links = _LINK.findall(document.read_text(encoding="utf-8"))
    local = [link for link in links if "://" not in link]
    missing = [link for link in local if not (document.parent / link).exists()]
    assert not missing, f"{name(document)} links to files that are not there: {missing}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_commands_of_a_document_are_commands_of_dev(document: Path) -> None:
    usage = (ROOT / "dev").read_text(encoding="utf-8")
    named = set(_COMMAND.findall(document.read_text(encoding="utf-8")))
    unknown = sorted(command for command in named if not re.search(rf"^ *{command}\)", usage, re.MULTILINE))
    assert not unknown, f"{name(document)} names commands that ./dev does not have: {unknown}"
