"""Writes what shells and `man` read: the manual pages and completion scripts that the wheel carries.

`./dev manpages` calls it; tests/project/test_wheel.py fails where the files of the checkout are not what it writes.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click
from click_man.core import write_man_pages

from sparkrun_tui import __version__
from sparkrun_tui.cli.commands.config import completion_command
from sparkrun_tui.cli.main import COMMANDS, cli

NAME = "sparkrun-tui"
SHELLS = ("bash", "fish", "zsh")
DATE = "November 2026"
"""In the foot of the pages: the month of the version, so that a page changes with its command only."""


def write(docs: Path) -> None:
    """Write `man/*.1` and `completions/*` in a folder; files of commands that are gone are removed."""
    pages, scripts = docs / "man", docs / "completions"
    for folder in (pages, scripts):
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
    write_man_pages(NAME, _whole(), version=__version__, target_dir=str(pages), date=DATE)
    for page in pages.iterdir():
        page.write_text(_safe(page.read_text(encoding="utf-8")), encoding="utf-8")
    for shell in SHELLS:
        script = completion_script(shell)
        (scripts / f"{NAME}.{shell}").write_text(script, encoding="utf-8")


def completion_script(shell: str) -> str:
    """What `sparkrun-tui completion SHELL` prints."""
    from click.testing import CliRunner

    done = CliRunner().invoke(completion_command, [shell])
    assert done.exit_code == 0, done.output
    return done.stdout


def _whole() -> click.Group:
    """The program as one group with all its commands, which it otherwise imports one by one."""
    context = click.Context(cli, info_name=NAME)
    commands = {name: command for name in COMMANDS if (command := cli.get_command(context, name)) is not None}
    return click.Group(NAME, commands=commands, params=cli.params, help=cli.help)


def _safe(page: str) -> str:
    """The page with what roff would take for its own: click's mark for lines to keep, and dots that begin a line."""
    lines = []
    for line in page.splitlines():
        text = line.replace("\b", "").rstrip()
        if text.startswith((".", "'")) and not text.startswith((".TH ", ".SH ", ".PP", ".B ", ".TP")):
            text = rf"\&{text}"
        lines.append(text)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    os.environ.pop("COLUMNS", None)
    write(Path(sys.argv[1]))
