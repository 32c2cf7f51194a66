"""What the guides for users quote is what the program says, and the commands that they name are its commands."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

import click
import pytest

from sparkrun_tui.cli.main import cli

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
GUIDES = ("first-launch.md", "troubleshooting.md", "settings.md")
TROUBLES = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
_SAYS = re.compile(r"^- \*\*The app says:\*\*(.*?)(?=^- \*\*|^#|\Z)", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`]+)`")
_FENCED = re.compile(r"^```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def quotes() -> list[str]:
    found = []
    for says in _SAYS.findall(TROUBLES):
        found += [" ".join(code.split()) for code in _CODE.findall(says)]
    return found


@pytest.fixture(scope="module")
def texts() -> str:
    """All texts in the code of the program, one a line."""
    found = []
    for path in (ROOT / "sparkrun_tui").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return "\n".join(found)


@pytest.mark.parametrize("quote", quotes())
def test_what_the_app_says_is_in_its_code(quote: str, texts: str) -> None:
    parts = [part.strip() for part in quote.split("…")]
    missing = [part for part in parts if part and part not in texts]
    assert not missing, f"nothing in the program says {missing}"


def commands(guide: str) -> list[str]:
    """The command lines of this program in a guide: those of its blocks and those within its sentences."""
    text = (DOCS / guide).read_text(encoding="utf-8")
    found = [line for block in _FENCED.findall(text) for line in block.splitlines()]
    found += [" ".join(code.split()) for code in _CODE.findall(_FENCED.sub("", text))]
    return [line for line in found if line.startswith("sparkrun-tui ")]


@pytest.mark.parametrize("line", sorted({line for guide in GUIDES for line in commands(guide)}))
def test_commands_of_the_guides_exist(line: str) -> None:
    words = shlex.split(line, comments=True)[1:]
    command: click.Command = cli
    context = click.Context(cli)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name = words.pop(0)
        found = command.get_command(context, name)
        assert found is not None, f"there is no command `{name}`"
        command = found
    known = {option for parameter in command.get_params(context) for option in parameter.opts}
    unknown = [word for word in words if word.startswith("-") and word != "-" and word not in known]
    assert not unknown, f"`{line}` has options that are not there: {unknown}"


def test_every_page_is_in_the_index() -> None:
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    links = set(re.findall(r"\]\(([^)#]+)\)", index))
    pages = {str(path.relative_to(DOCS)) for path in DOCS.rglob("*") if path.suffix in (".md", ".json")}
    # These have an index of their own; that of json/ is docs/json.md (tests/cli/test_json_schemas.py).
    elsewhere = {page for page in pages if page.startswith(("decisions/", "json/", "screens/"))}
    missing = sorted(pages - links - elsewhere - {"README.md"})
    assert not missing, f"docs/README.md does not name {missing}"
