"""Remedies for full disks come from one place, and what they name can be typed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click

from sparkrun_tui.base import make_room
from sparkrun_tui.cli.main import cli

SELF = Path(make_room.__file__).resolve()
PACKAGE = SELF.parents[1]
BY_HAND = re.compile(r"du -sh|hf cache|huggingface-cli|docker image prune|docker rmi|remove models")


def test_the_commands_are_commands_of_the_program() -> None:
    for text in (make_room.model_command("a b"), make_room.model_command(), make_room.image_command("spark-1")):
        program, group, command, *options = shlex.split(text)
        found = cli.get_command(click.Context(cli), group)
        assert program == "sparkrun-tui" and isinstance(found, click.Group)
        known = {name for option in found.commands[command].params for name in option.opts}
        assert options[0] in known and options[1:] in ([], ["a b"], ["spark-1"])


def test_nobody_tells_people_to_remove_files_by_hand() -> None:
    wrong = []
    for path in set(PACKAGE.rglob("*.py")) - {SELF}:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if BY_HAND.search(line):
                wrong.append(f"{path.relative_to(PACKAGE)}:{number}: {line.strip()}")
    assert wrong == [], "the remedy is that of base/make_room.py"
