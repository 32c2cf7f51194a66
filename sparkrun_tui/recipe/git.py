"""The git binary, called so that a hostile repository can run nothing, ask nothing and fill no disk."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from sparkrun_tui.base.errors import RecipeError
from sparkrun_tui.base.secrets import Redactor
from sparkrun_tui.base.text import clean_line, decode

MAX_CLONE = 300 << 20
"""Bytes that a clone may take on disk."""
TIMEOUT = 180.0
"""Seconds for one call of git."""
MAX_BLOB = 1 << 20
"""Larger files are not fetched where the server can leave them out."""

_TICK = 0.1
_SAFE = (
    "core.hooksPath=/dev/null",
    "core.symlinks=false",
    "core.fsmonitor=false",
    "core.askPass=",
    "core.sshCommand=",
    "transfer.fsckObjects=true",
    "fetch.fsckObjects=true",
    "submodule.recurse=false",
    "protocol.allow=never",
    "protocol.https.allow=always",
    "protocol.ssh.allow=always",
    "gc.auto=0",
    "maintenance.auto=false",
    "advice.detachedHead=false",
    "http.followRedirects=initial",
)
_PROGRESS = re.compile(r"(Receiving|Resolving|Counting|Compressing) \w+:\s+(\d+)%[^\r\n]*")

Progress = Callable[[str, float | None], None]
"""Called with a phase in words and its share from 0 to 1, None when it has none."""


def environment() -> dict[str, str]:
    """The environment for git: nobody is asked anything, and no configuration of a repository is taken from outside."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    return kept | {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "/bin/false",
        "SSH_ASKPASS": "/bin/false",
        "SSH_ASKPASS_REQUIRE": "never",
        "GIT_SSH_COMMAND": "ssh -o BatchMode=yes -o ConnectTimeout=15",
        "GIT_LFS_SKIP_SMUDGE": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_SYSTEM": "/dev/null",
        "GIT_OPTIONAL_LOCKS": "0",
        "LC_ALL": "C",
    }


def clone(url: str, target: Path, progress: Progress | None = None) -> None:
    """A shallow clone without a work tree of `url` in `target`. Raises `RecipeError`."""
    arguments = [
        "clone", "--bare", "--depth", "1", "--no-tags", "--no-recurse-submodules", "--single-branch", "--template=",
        f"--filter=blob:limit={MAX_BLOB + 1}", "--progress", "--", url, str(target),
    ]  # fmt: skip
    _run(arguments, url=url, watched=target, progress=progress)
    # Without its remote the clone cannot fetch what was left out: a missing file is then just missing.
    config = "[core]\n\trepositoryformatversion = {}\n\tbare = true\n"
    sha256 = "[extensions]\n\tobjectformat = sha256\n"
    modern = "objectformat = sha256" in (target / "config").read_text(encoding="utf-8").lower()
    (target / "config").write_text(config.format(1 if modern else 0) + (sha256 if modern else ""), encoding="utf-8")


def remote_commit(url: str) -> str:
    """The commit that the repository's default branch is at. Raises `RecipeError`."""
    output = _run(["ls-remote", "--", url, "HEAD"], url=url)
    commit = decode(output).partition("\t")[0].strip()
    if re.fullmatch(r"[0-9a-f]{40,64}", commit) is None:
        raise RecipeError(f"{url} has no default branch: the repository is empty")
    return commit


def local(folder: Path, arguments: Sequence[str], stdin: bytes = b"") -> bytes:
    """The output of a git command on a clone, with every way to the network shut. Raises `RecipeError`."""
    return _run([f"--git-dir={folder}", *arguments], stdin=stdin, offline=True)


def _options(url: str, offline: bool) -> list[str]:
    options = [word for setting in _SAFE for word in ("-c", setting)]
    if offline:
        options += ["-c", "protocol.https.allow=never", "-c", "protocol.ssh.allow=never"]
    elif url.startswith("file:"):
        options += ["-c", "protocol.file.allow=always"]
    return options


def _as_environment(settings: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Settings for git as variables: its arguments can be read by everybody on this machine."""
    variables = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (key, value) in enumerate(settings):
        variables |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return variables if settings else {}


def _credentials() -> list[tuple[str, str]]:
    """The user's own credential helpers and proxy, the only settings that are taken over from their git."""
    found_here: list[tuple[str, str]] = []
    for key in ("credential.helper", "http.proxy", "http.sslCAInfo"):
        try:
            found = subprocess.run(
                ["git", "config", "--global", "--get-all", key],
                capture_output=True, timeout=5, check=False, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired):
            return found_here
        found_here += [(key, value) for value in decode(found.stdout).splitlines()]
    return found_here


def _run(
    arguments: Sequence[str],
    *,
    url: str = "",
    stdin: bytes = b"",
    offline: bool = False,
    watched: Path | None = None,
    progress: Progress | None = None,
) -> bytes:
    command = ["git", *_options(url, offline), *arguments]
    remote = not offline and not url.startswith("file:")
    variables = environment() | (_as_environment(_credentials()) if remote else {})
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        source.write(stdin)
        source.seek(0)
        try:
            process = subprocess.Popen(
                command, stdin=source, stdout=out, stderr=err, env=variables, start_new_session=True, cwd="/"
            )
        except OSError as error:
            remedy = "install git: registries are fetched with it"
            raise RecipeError(f"git cannot be run: {error.strerror or error}", remedy=remedy) from error
        try:
            reason = _watch(process, err, watched, progress)
        finally:
            _kill(process)
        err.seek(0)
        message = _reason(decode(err.read()))
        if reason or process.returncode != 0:
            name = f"{url}: " if url else ""
            # An address, or a proxy's that git names, may hold a password.
            raise RecipeError(Redactor()(f"{name}{reason or message or f'git ended with {process.returncode}'}"))
        out.seek(0)
        return out.read()


def _watch(process: subprocess.Popen[bytes], err: IO[bytes], watched: Path | None, progress: Progress | None) -> str:
    """Waits for git; returns why it was stopped, empty when it ended by itself."""
    deadline = time.monotonic() + TIMEOUT
    shown = ""
    checked = 0.0
    while True:
        try:
            process.wait(_TICK)
            return ""
        except subprocess.TimeoutExpired:
            pass
        now = time.monotonic()
        if now > deadline:
            return f"no answer within {TIMEOUT:.0f} s"
        if watched is not None and now - checked > 0.5:
            checked = now
            if folder_size(watched) > MAX_CLONE:
                return f"the repository is larger than {MAX_CLONE >> 20} MiB"
        if progress is not None:
            tail = os.pread(err.fileno(), 4096, max(0, os.fstat(err.fileno()).st_size - 4096))
            found = list(_PROGRESS.finditer(decode(tail)))
            if found and found[-1].group() != shown:
                shown = found[-1].group()
                progress(clean_line(shown), int(found[-1][2]) / 100)


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        # It may end between the question and the signal.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _reason(text: str) -> str:
    lines = [clean_line(line).strip() for line in text.replace("\r", "\n").splitlines()]
    told = [line for line in lines if line.startswith(("fatal:", "error:", "ERROR:", "remote: "))]
    return "; ".join(dict.fromkeys(line.removeprefix("fatal: ") for line in told[:3])) or (lines[-1] if lines else "")


def folder_size(folder: Path) -> int:
    """The bytes of all files below a folder."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(root, name)).st_size
            except FileNotFoundError:
                # git moves its temporary files while we look.
                continue
    return total
