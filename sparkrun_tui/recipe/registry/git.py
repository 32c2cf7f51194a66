"""Calls git so that a hostile repository cannot run programs, ask questions or fill the disk."""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from sparkrun_tui.base.disk.files import read_text
from sparkrun_tui.base.disk.memory_limit import within
from sparkrun_tui.base.errors import RecipeError
from sparkrun_tui.base.reading.numbers import whole
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.base.secrets import Redactor
from sparkrun_tui.base.text import decode, log_line

MAX_CLONE = 300 << 20
"""The most bytes of a clone on disk."""
TIMEOUT = 180.0
"""Seconds for one call of git."""
MAX_MEMORY = 400 << 20
"""The most bytes of memory of git and of each program that it starts.

They hold in memory what a server lists, and every object but a large file: a megabyte that was sent can be gigabytes.
"""
MAX_BLOB = 1 << 20
"""Larger files are not fetched where the server can leave them out."""
MAX_OUTPUT = 32 << 20
"""The most bytes that a call of git may print by default."""
MAX_ENTRIES = 100_000
"""The most files that a repository may list. A small one may list any number: its folders may repeat each other."""

_MAX_WORDS = 4 << 20
"""The most bytes that git, and the server through it, may print to stderr; the first and last are kept."""
_KEPT_WORDS = 32 << 10

_TICK = 0.1
_CHUNK = 1 << 16
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
    # Larger files are passed through in pieces, and no more threads are started than the limit on memory has room for.
    f"core.bigFileThreshold={MAX_BLOB + 1}",
    "pack.threads=2",
    "gc.auto=0",
    "maintenance.auto=false",
    "advice.detachedHead=false",
    "http.followRedirects=initial",
)
_PROGRESS = late_regex(r"(Receiving|Resolving|Counting|Compressing) \w+:\s+(\d+)%[^\r\n]*")

Progress = Callable[[str, float | None], None]
"""Called with a phase in words and its progress from 0 to 1, None when it is unknown."""


def environment() -> dict[str, str]:
    """The environment for git: it asks no questions, and reads no configuration from outside."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    return kept | {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "/bin/false",
        "SSH_ASKPASS": "/bin/false",
        "SSH_ASKPASS_REQUIRE": "never",
        "GIT_SSH_COMMAND": "ssh -a -x -o BatchMode=yes -o ConnectTimeout=15 -o ClearAllForwardings=yes",
        "GIT_LFS_SKIP_SMUDGE": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_SYSTEM": "/dev/null",
        "GIT_OPTIONAL_LOCKS": "0",
        # Some systems know no limit for a process; this is git's own, on a single piece of memory.
        "GIT_ALLOC_LIMIT": str(MAX_MEMORY),
        "LC_ALL": "C",
    }


def clone(url: str, target: Path, progress: Progress | None = None) -> None:
    """A shallow clone without a work tree of `url` in `target`. Raises `RecipeError`."""
    arguments = [
        "clone", "--bare", "--depth", "1", "--no-tags", "--no-recurse-submodules", "--single-branch", "--template=",
        f"--filter=blob:limit={MAX_BLOB + 1}", "--progress", "--", url, str(target),
    ]  # fmt: skip
    _run(arguments, url=url, watched=target, progress=progress)
    # Without its remote the clone cannot fetch what was left out: a missing file stays missing.
    config = "[core]\n\trepositoryformatversion = 0\n\tbare = true\n"
    if "objectformat = sha256" in read_text(target / "config").lower():
        config = "[core]\n\trepositoryformatversion = 1\n\tbare = true\n[extensions]\n\tobjectformat = sha256\n"
    (target / "config").write_text(config, encoding="utf-8")


def remote_commit(url: str) -> str:
    """The commit of the repository's default branch. Raises `RecipeError`."""
    output = _run(["ls-remote", "--", url, "HEAD"], url=url)
    commit = decode(output).partition("\t")[0].strip()
    if re.fullmatch(r"[0-9a-f]{40,64}", commit) is None:
        raise RecipeError(f"{url} has no default branch: the repository may be empty")
    return commit


def local(
    folder: Path, arguments: Sequence[str], stdin: bytes = b"", *, url: str = "", most: int = MAX_OUTPUT, rows: int = 0
) -> bytes:
    """The output of a git command on a clone of `url`, without access to the network.

    Raises `RecipeError`, also when it prints more than `most` bytes, or more than `rows` rows that end in NUL (0: no
    limit); git is stopped then.
    """
    sink = _Sink(most, rows)
    return _run([f"--git-dir={folder}", *arguments], url=url, stdin=stdin, offline=True, sink=sink)


def _options(url: str, offline: bool) -> list[str]:
    options = [word for setting in _SAFE for word in ("-c", setting)]
    if offline:
        options += ["-c", "protocol.https.allow=never", "-c", "protocol.ssh.allow=never"]
    elif url.startswith("file:"):
        options += ["-c", "protocol.file.allow=always"]
    return options


def _protocols(url: str, offline: bool) -> str:
    """The allowed protocols, also for programs that git starts: those for a local repository do not get `_options`."""
    if offline:
        return "none"
    return "file" if url.startswith("file:") else "https:ssh"


def _as_environment(settings: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Settings for git as variables: all users of this machine can read its arguments."""
    if not settings:
        return {}
    variables = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (key, value) in enumerate(settings):
        variables[f"GIT_CONFIG_KEY_{number}"] = key
        variables[f"GIT_CONFIG_VALUE_{number}"] = value
    return variables


_USED = late_regex(
    r"credential\.(?:.+\.)?(?:helper|username|usehttppath)"
    r"|http\.(?:.+\.)?(?:proxy|sslcainfo)"
    r"|url\..+\.insteadof",
    re.IGNORECASE | re.DOTALL,
)
"""The settings of the user's git that are used, each also for one address only (`credential.ADDRESS.helper`).

They say how to reach a server and where its password is. None of them changes what git may do with what it gets:
`GIT_ALLOW_PROTOCOL` holds for the address that `insteadOf` makes, too.
"""
_MOST_SETTINGS = 1 << 20
"""The most bytes of the user's settings that are read."""


def _credentials() -> list[tuple[str, str]]:
    """The user's credential helpers, proxies, certificates and replaced addresses, in the order of their files."""
    found_here: list[tuple[str, str]] = []
    for scope in ("--system", "--global"):
        try:
            found = subprocess.run(
                ["git", "config", scope, "--includes", "--null", "--list"],
                capture_output=True, timeout=5, check=False, stdin=subprocess.DEVNULL, cwd="/",
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired):
            return found_here
        for entry in decode(found.stdout[:_MOST_SETTINGS]).split("\0"):
            # A key without `=` in its file has no value: it is a switch that is on.
            key, has_value, value = entry.partition("\n")
            if _USED.fullmatch(key):
                found_here.append((key, value if has_value else "true"))
    return found_here


def _passwords(settings: Sequence[tuple[str, str]]) -> list[str]:
    """The user names and passwords in replaced addresses, which git may print in its messages."""
    found = []
    for key, _ in settings:
        match = re.match(r"url\.[a-z]+://([^/@]+)@", key, re.IGNORECASE)
        if match is not None:
            found += [match[1], match[1].rpartition(":")[2]]
    return found


class _Sink:
    """Git's output, within limits."""

    def __init__(self, most: int = MAX_OUTPUT, rows: int = 0) -> None:
        self.data = bytearray()
        self._most = most
        self._rows = rows
        self._seen = 0

    def take(self, chunk: bytes) -> str:
        """Add output. The reason to stop git, empty while there is none."""
        self.data += chunk
        self._seen += chunk.count(b"\0")
        if self._rows and self._seen > self._rows:
            return f"the repository lists more than {self._rows:,} files"
        if len(self.data) > self._most:
            return f"the repository makes git print more than {self._most >> 20} MiB"
        return ""


class _Words:
    """The beginning and the end of what git prints to stderr."""

    def __init__(self) -> None:
        self._head = bytearray()
        self._tail = bytearray()
        self._seen = 0

    def take(self, chunk: bytes) -> str:
        """Add output. The reason to stop git, empty while there is none."""
        self._seen += len(chunk)
        room = _KEPT_WORDS - len(self._head)
        self._head += chunk[:room]
        self._tail += chunk[room:]
        del self._tail[:-_KEPT_WORDS]
        if self._seen > _MAX_WORDS:
            return f"the server says more than {_MAX_WORDS >> 20} MiB"
        return ""

    def text(self) -> str:
        """The kept text."""
        return decode(bytes(self._head + self._tail))

    def end(self) -> str:
        """The last part, which shows the progress."""
        return decode(bytes((self._tail or self._head)[-4096:]))


def _run(
    arguments: Sequence[str],
    *,
    url: str = "",
    stdin: bytes = b"",
    offline: bool = False,
    watched: Path | None = None,
    progress: Progress | None = None,
    sink: _Sink | None = None,
) -> bytes:
    """What git prints. Raises `RecipeError` when it fails or is stopped, see `_watch`."""
    command = within(MAX_MEMORY, [_program(), *_options(url, offline), *arguments])
    variables = environment() | {"GIT_ALLOW_PROTOCOL": _protocols(url, offline)}
    is_local = offline or url.startswith("file:")
    hidden: list[str] = []
    if not is_local:
        settings = _credentials()
        variables |= _as_environment(settings)
        hidden = _passwords(settings)
    out = sink or _Sink()
    words = _Words()
    with tempfile.TemporaryFile() as source:
        source.write(stdin)
        source.seek(0)
        process = subprocess.Popen(
            command, stdin=source, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=variables,
            start_new_session=True, cwd="/",
        )  # fmt: skip
        with process:
            try:
                reason = _watch(process, out, words, watched, progress)
            finally:
                _kill(process)
    if reason or process.returncode != 0:
        message = reason or _reason(words.text()) or f"git ended with exit status {process.returncode}"
        if _OUT_OF_MEMORY.search(message):
            message = f"the repository makes git take more than {MAX_MEMORY >> 20} MiB of memory"
        if url:
            message = f"{url}: {message}"
        # An address, or that of a proxy in git's message, may contain a password.
        raise RecipeError(Redactor(hidden)(message))
    return bytes(out.data)


def _program() -> str:
    """The path of git. Raises `RecipeError` where there is none."""
    found = shutil.which("git")
    if found is None:
        raise RecipeError("git is not on this machine", remedy="install git, which fetches registries")
    return found


def _watch(
    process: subprocess.Popen[bytes], out: _Sink, words: _Words, watched: Path | None, progress: Progress | None
) -> str:
    """Read git's output until it ends. The reason to stop it, empty when it ended by itself."""
    deadline = time.monotonic() + TIMEOUT
    shown = ""
    checked = 0.0
    with selectors.DefaultSelector() as selector:
        for stream, taker in ((process.stdout, out), (process.stderr, words)):
            if stream is not None:
                selector.register(stream, selectors.EVENT_READ, taker.take)
        while True:
            # Checked before reading: when git has ended, all of its output is in the pipes. A helper that it started
            # may keep the pipes open, so their end is not waited for.
            ended = process.poll() is not None
            reason, quiet = _take(selector, 0.0 if ended else _TICK)
            if reason or (ended and quiet):
                return reason
            now = time.monotonic()
            if now > deadline:
                return f"git did not finish within {TIMEOUT:.0f} s"
            if watched is not None and now - checked > 0.5:
                checked = now
                if folder_size(watched) > MAX_CLONE:
                    return f"the repository is larger than {MAX_CLONE >> 20} MiB"
            if progress is not None:
                found = list(_PROGRESS.finditer(words.end()))
                if found and found[-1].group() != shown:
                    shown = found[-1].group()
                    progress(log_line(shown), min(whole(found[-1][2]) or 0, 100) / 100)


def _take(selector: selectors.BaseSelector, wait: float) -> tuple[str, bool]:
    """Read the available output once. The reason to stop git, if any, and whether there was no output."""
    if not selector.get_map():
        # Both streams are closed, but git has not ended yet.
        time.sleep(min(wait, _TICK))
        return "", True
    ready = selector.select(wait)
    for key, _ in ready:
        chunk = os.read(key.fd, _CHUNK)
        if not chunk:
            selector.unregister(key.fileobj)
        elif reason := key.data(chunk):
            return reason, False
    return "", not ready


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        # It may end between the check and the signal.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


_OUT_OF_MEMORY = late_regex(r"[Oo]ut of memory|attempting to allocate|[Cc]annot allocate memory|unable to mmap")
"""What git says where it gets no memory, or by its own limit."""

_PROGRESS_LINE = late_regex(r"(remote: )?([A-Z][a-z]+( [a-z]+)*: +\d+|Total \d+ |Cloning into |From )")
"""Lines about git's progress."""


def _reason(text: str) -> str:
    """Why git ended, in its own words or the server's; lines about its progress are left out."""
    last = ""
    of_server = []
    of_git = []
    for row in text.replace("\r", "\n").split("\n"):
        line = log_line(row).strip()
        if not line or _PROGRESS_LINE.match(line):
            continue
        last = line
        if line.startswith("remote: "):
            of_server.append(line)
        elif line.startswith(("fatal:", "error:", "ERROR:")):
            of_git.append(line.removeprefix("fatal: "))
    reasons = of_server + of_git
    if not reasons:
        return last
    if len(reasons) > 3:
        # The lines in between follow from the first ones.
        reasons = [*reasons[:2], reasons[-1]]
    return "; ".join(dict.fromkeys(reasons))


def folder_size(folder: Path) -> int:
    """The bytes of all files below a folder."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(root, name)).st_size
            except FileNotFoundError:
                # git moves its temporary files at the same time.
                continue
    return total
