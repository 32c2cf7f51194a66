"""What the workstation's own rsync and ssh do with what is handed to them. A bare machine has neither."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from sparkrun_tui.recipe.registry import git
from sparkrun_tui.remote.hub.downloads import HubSource
from sparkrun_tui.remote.local_transport import LocalTransport
from sparkrun_tui.remote.ports.models import ModelRequest
from sparkrun_tui.remote.ssh.arguments import SshAccess, destination
from sparkrun_tui.remote.ssh.host_key_policy import HostKeyPolicy
from sparkrun_tui.remote.ssh.pool import SshPool
from sparkrun_tui.remote.ssh.resolve import Endpoint
from sparkrun_tui.remote.transfer.rsync import RsyncShipper
from tests.support.shared_cache import CANARY, WHOLE, build, everything
from tests.support.site import FixedResolver

CONFIG = "Host *\n  ForwardAgent yes\n  ForwardX11 yes\n  LocalForward 9 localhost:9\n  PermitLocalCommand yes\n"


@pytest.mark.parametrize("how", ["snapshot", "snapshots", "blobs", "blob", "file", "sub"])
async def test_no_file_of_the_user_is_sent_with_a_model(how: str, tmp_path: Path) -> None:
    hub = build(tmp_path, how)
    model = await HubSource(everything, hub=hub).stored(ModelRequest("org/m"))
    if model is None:
        return
    assert {file.name for file in model.files} <= set(WHOLE)
    pool = SshPool()
    shipper = RsyncShipper(pool.resolver, pool.policy)
    async for _ in shipper.ship(model, LocalTransport(), str(tmp_path / "target")):
        pass
    for path in (tmp_path / "target").rglob("*"):
        assert not path.is_file() or CANARY not in path.read_text(), path


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


def test_registries_are_forwarded_nothing(config: Path) -> None:
    found = settings(shlex.split(git.environment()["GIT_SSH_COMMAND"]), config)
    assert "forwardagent no" in found and "forwardx11 no" in found and "clearallforwardings yes" in found
