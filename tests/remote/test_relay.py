"""A model sent from one host's cache to another's: real scripts, stand-ins for ssh and rsync that stay here.

The real programs send between real hosts in `tests/integration/test_relay.py`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.remote.local_transport import LocalTransport
from sparkrun_tui.remote.ports.models import ModelFile, StoredModel, Transfer
from sparkrun_tui.remote.ssh.host_key_policy import HostKeyPolicy
from sparkrun_tui.remote.ssh.resolve import SshConfigResolver
from sparkrun_tui.remote.transfer.relay import reach_script, send_script
from sparkrun_tui.remote.transfer.rsync import RsyncShipper

FILES = {"config.json": "{}", "sub/a b's.safetensors": "12345" * 1000}
MODEL = StoredModel("org/m", "abc", "", tuple(ModelFile(name, len(text)) for name, text in FILES.items()))
BOOT = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
SSH = """\
#!/bin/sh
[ -e "$0.refuses" ] && { echo "Permission denied (publickey)." >&2; exit 255; }
while :; do case $1 in -a|-x) shift ;; -o) shift 2 ;; *) break ;; esac; done
[ "$1" = -- ] && shift
shift
exec sh -c "$*"
"""
# What rsync does of it: the names of --files-from, through the remote shell, to the folder after HOST:.
RSYNC = (
    f"#!{sys.executable}\n"
    + """\
import os, shlex, shutil, subprocess, sys
words = sys.argv[1:]
names = [name for name in sys.stdin.buffer.read().decode().split(chr(0)) if name]
assert "--from0" in words and "--files-from=-" in words and words[-3] == "--", words
source, target = words[-2:]
host, _, folder = target.partition(":")
shell = shlex.split(words[words.index("-e") + 1])
code = subprocess.run([*shell, "--", host, "test", "-d", shlex.quote(folder)], stdin=subprocess.DEVNULL).returncode
if code:
    sys.exit(code)
sent = 0
for name in names:
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if os.path.lexists(path):
        os.unlink(path)
    shutil.copy2(source + name, path, follow_symlinks=False)
    sent += 0 if os.path.islink(path) else os.path.getsize(path)
    sys.stdout.write(chr(13) + f"{sent:>17,}  50%  100.00MB/s    0:00:00 (xfr#1, to-chk=1/2)")
print()
"""
)


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An ssh that runs the command here and an rsync that copies here, first on PATH."""
    program = tmp_path / "bin/ssh"
    program.parent.mkdir()
    for path, text in ((program, SSH), (program.with_name("rsync"), RSYNC)):
        path.write_text(text)
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path))
    return program


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A cache that holds the model."""
    folder = tmp_path / "it's one/hub/models--org--m"
    (folder / "blobs").mkdir(parents=True)
    for number, (name, text) in enumerate(FILES.items()):
        (folder / f"blobs/{number}").write_text(text)
        link = folder / "snapshots/abc" / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(f"{'../' * name.count('/')}../../blobs/{number}")
    (folder / "refs").mkdir()
    (folder / "refs/main").write_text("abc")
    return tmp_path / "it's one"


def shipper() -> RsyncShipper:
    return RsyncShipper(SshConfigResolver(), HostKeyPolicy())


async def send(source: Path, target: Path) -> list[Transfer]:
    host = LocalTransport()
    moving = shipper().relay(MODEL, host, str(source), host, str(target), "10.0.0.2")
    return [moved async for moved in moving]


@pytest.mark.usefixtures("ssh")
async def test_blobs_links_and_the_ref_arrive_as_they_are(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "another one"
    moved = await send(source, target)
    assert (moved[0].done, moved[-1].done, moved[-1].total) == (0, MODEL.size, MODEL.size)
    there = target / "hub/models--org--m"
    for name, text in FILES.items():
        link = there / "snapshots/abc" / name
        assert link.is_symlink() and link.read_text() == text
    assert sorted(path.name for path in (there / "blobs").iterdir()) == ["0", "1"]
    assert (there / "refs/main").read_text() == "abc"
    assert await shipper().present(MODEL, LocalTransport(), str(target))
    assert not any((tmp_path / ".cache/sparkrun-tui/jobs").iterdir())


async def test_a_host_that_is_not_let_in_is_known_beforehand_and_told(ssh: Path, source: Path, tmp_path: Path) -> None:
    assert await shipper().reaches(LocalTransport(), "10.0.0.2", BOOT)
    ssh.with_name("ssh.refuses").touch()
    assert not await shipper().reaches(LocalTransport(), "10.0.0.2", BOOT)
    with pytest.raises(HostError, match="Permission denied"):
        await send(source, tmp_path / "another one")
    assert not (tmp_path / "another one").exists()


@pytest.mark.parametrize("address", ["-oProxyCommand=x", "a b", "a;b", "", "$(x)", "a\nb"])
def test_addresses_are_plain_words(address: str) -> None:
    with pytest.raises(ValueError, match="not an address"):
        reach_script(address, BOOT)
    with pytest.raises(ValueError, match="not an address"):
        send_script(MODEL, "/a", address, "/b", ())
