"""E1: no host, registry or jump host is given the SSH agent, whatever the person's configuration forwards."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

import sparkrun_tui
from sparkrun_tui.recipe.registry import git
from sparkrun_tui.remote.ssh.arguments import SshAccess, destination
from sparkrun_tui.remote.ssh.host_key_policy import HostKeyPolicy
from sparkrun_tui.remote.ssh.resolve import Endpoint
from tests.support.site import FixedResolver

SOURCES = Path(sparkrun_tui.__file__).parent
CONFIG = "Host *\n  ForwardAgent yes\n  ForwardX11 yes\n  LocalForward 9 localhost:9\n  PermitLocalCommand yes\n"

needs_ssh = pytest.mark.skipif(shutil.which("ssh") is None, reason="OpenSSH is not installed")


def settings(words: list[str], config: Path) -> list[str]:
    """What OpenSSH makes of these words with a configuration that forwards everything."""
    command = [*words, "-F", str(config), "-G", "--", "spark"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout
    return printed.lower().splitlines()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config"
    path.write_text(CONFIG)
    return path


@needs_ssh
@pytest.mark.parametrize("jumps", [(), ("hop",)])
async def test_bulk_transfers_forward_nothing(jumps: tuple[str, ...], config: Path, tmp_path: Path) -> None:
    spark = Endpoint("spark", "spark", 22, "me", jumps=jumps, from_config=True)
    hop = Endpoint("hop", "hop", 22, "me", from_config=True)
    access = SshAccess(FixedResolver({"spark": spark, "hop": hop}), HostKeyPolicy(tmp_path / "own"))
    words = await access.words("spark")
    calls = [words]
    for word in words:
        if word.startswith("ProxyCommand="):
            proxy = shlex.split(word.partition("=")[2])
            calls.append(proxy[: proxy.index("-W")])
    assert len(calls) == 1 + len(jumps)
    for call in calls:
        found = settings(call, config)
        assert "forwardagent no" in found and "forwardx11 no" in found
        assert "clearallforwardings yes" in found and "permitlocalcommand no" in found
    assert destination(spark) == "spark"


@needs_ssh
def test_registries_are_forwarded_nothing(config: Path) -> None:
    found = settings(shlex.split(git.environment()["GIT_SSH_COMMAND"]), config)
    assert "forwardagent no" in found and "forwardx11 no" in found and "clearallforwardings yes" in found


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
