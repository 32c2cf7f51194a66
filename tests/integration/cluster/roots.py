"""Roots that hosts boot from in place of this machine's own: a Debian with other versions of what launches meet.

A root is made once by mmdebstrap, from the Debian mirror of this machine, and kept in the tests' cache. Hosts only
read it: each has a layer of its own above it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from benchmarks.debian import debian_mirror

FORMAT = 1
"""Part of every root's name: raise it when a root is made differently."""

SUITE = "trixie"
"""Debian 13: OpenSSH 10.0, Docker 26.1, containerd 1.7, Podman 5.4, and the rsync of its last point release."""

PACKAGES = (
    "ca-certificates", "curl", "docker-cli", "docker.io", "git", "iproute2", "openssh-client", "openssh-server",
    "podman", "procps", "python3", "rsync",
)  # fmt: skip

_UNREAD = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info")


def debian_13(directory: Path) -> Path:
    """The root of Debian 13 in `directory`; made where it lacks: 40 s, 650 MB, and this machine's Debian mirror."""
    wanted = "\0".join((str(FORMAT), SUITE, os.uname().machine, *PACKAGES, *_UNREAD))
    root = directory / f"{SUITE}-{hashlib.sha256(wanted.encode()).hexdigest()[:16]}"
    if root.is_dir():
        return root
    _remove_others(directory)
    partial = directory / f"{root.name}.{os.getpid()}.partial"
    partial.parent.mkdir(parents=True, exist_ok=True)
    # A root that only its owner may enter would lock out every user of its hosts.
    partial.parent.chmod(0o755)
    try:
        _make(partial)
        partial.rename(root)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return root


def _make(root: Path) -> None:
    # The clock of a test machine may be ahead of the suite's signed date; the signature is still checked.
    options = ["--quiet", "--variant=minbase", '--aptopt=Acquire::Check-Valid-Until "false"']
    options += [f"--dpkgopt=path-exclude=/{folder}/*" for folder in _UNREAD]
    command = ["mmdebstrap", *options, f"--include={','.join(PACKAGES)}", SUITE, str(root), *debian_mirror()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")


def _remove_others(directory: Path) -> None:
    """Remove roots of an earlier format, and what was left half made by a process that is gone."""
    for other in directory.glob(f"{SUITE}-*"):
        maker = other.name.rpartition(".partial")[0].rpartition(".")[2]
        if not (maker and Path(f"/proc/{maker}").exists()):
            shutil.rmtree(other)
