"""E1: no host, registry or jump host is given the SSH agent, whatever the person's configuration forwards."""

from __future__ import annotations

import re
from pathlib import Path

import sparkrun_tui

SOURCES = Path(sparkrun_tui.__file__).parent


def test_no_call_of_ssh_leaves_the_agent_to_the_configuration() -> None:
    """Hosts call ssh, too: the agent of a host's user is as good as the keys of that user."""
    calls = 0
    for file in SOURCES.rglob("*.py"):
        for line in file.read_text().splitlines():
            if not re.search(r"\bssh( -[A-Za-z])* -o |\"ssh\", \"-T\"", line):
                continue
            calls += 1
            assert "ssh -a -x " in line or "*NO_FORWARDING" in line, f"{file}: {line.strip()}"
    assert calls >= 6
