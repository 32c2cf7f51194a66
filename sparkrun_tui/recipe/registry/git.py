"""The git binary, called so that a hostile repository can run nothing, ask nothing and fill no disk."""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from sparkrun_tui.base.errors import RecipeError
from sparkrun_tui.base.files import read_text
from sparkrun_tui.base.numbers import whole
from sparkrun_tui.base.secrets import Redactor
from sparkrun_tui.base.text import decode, log_line

MAX_CLONE = 300 << 20
"""Bytes that a clone may take on disk."""
TIMEOUT = 180.0
"""Seconds for one call of git."""
MAX_BLOB = 1 << 20
"""Larger files are not fetched where the server can leave them out."""
MAX_OUTPUT = 32 << 20
"""Bytes that a call of git may print, unless it is asked for more."""
MAX_ENTRIES = 100_000
"""Files that a repository may list. A small one may list any number: its folders may repeat one another."""

_MAX_WORDS = 4 << 20
"""Bytes that git, and the server through it, may say on stderr; the first and the last are kept."""
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
    modern = "objectformat = sha256" in read_text(target / "config").lower()
    (target / "config").write_text(config.format(1 if modern else 0) + (sha256 if modern else ""), encoding="utf-8")


def remote_commit(url: str) -> str:
    """The commit that the repository's default branch is at. Raises `RecipeError`."""
    output = _run(["ls-remote", "--", url, "HEAD"], url=url)
    commit = decode(output).partition("\t")[0].strip()
    if re.fullmatch(r"[0-9a-f]{40,64}", commit) is None:
        raise RecipeError(f"{url} has no default branch: the repository is empty")
    return commit


def local(
    folder: Path, arguments: Sequence[str], stdin: bytes = b"", *, url: str = "", most: int = MAX_OUTPUT, rows: int = 0
) -> bytes:
    """The output of a git command on a clone of `url`, with every way to the network shut.

    Raises `RecipeError`, also when it prints more than `most` bytes, or more than `rows` rows that end in NUL (0: any
    number); git is stopped as soon as it does.
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
    """The only ways to a repository, for git and whatever it starts: that of a local one is not given our options."""
    if offline:
        return "none"
    return "file" if url.startswith("file:") else "https:ssh"


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
                capture_output=True, timeout=5, check=False, stdin=subprocess.DEVNULL, cwd="/",
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired):
            return found_here
        found_here += [(key, value) for value in decode(found.stdout).splitlines()]
    return found_here


class _Sink:
    """Git's output, as far as it is not too much."""

    def __init__(self, most: int = MAX_OUTPUT, rows: int = 0) -> None:
        self.data = bytearray()
        self._most = most
        self._rows = rows
        self._seen = 0

    def take(self, chunk: bytes) -> str:
        """Take more of it; why git is to be stopped, empty while it is not."""
        self.data += chunk
        self._seen += chunk.count(b"\0")
        if self._rows and self._seen > self._rows:
            return f"the repository lists more than {self._rows:,} files"
        if len(self.data) > self._most:
            return f"the repository makes git print more than {self._most >> 20} MiB"
        return ""


class _Words:
    """What git says on stderr: the beginning and the end of it."""

    def __init__(self) -> None:
        self._head = bytearray()
        self._tail = bytearray()
        self._seen = 0

    def take(self, chunk: bytes) -> str:
        """Take more of it; why git is to be stopped, empty while it is not."""
        self._seen += len(chunk)
        room = _KEPT_WORDS - len(self._head)
        self._head += chunk[:room]
        self._tail += chunk[room:]
        del self._tail[:-_KEPT_WORDS]
        return f"the server says more than {_MAX_WORDS >> 20} MiB" if self._seen > _MAX_WORDS else ""

    def text(self) -> str:
        """What was kept."""
        return decode(bytes(self._head + self._tail))

    def end(self) -> str:
        """The last of it, where progress is told."""
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
    command = ["git", *_options(url, offline), *arguments]
    remote = not offline and not url.startswith("file:")
    variables = environment() | {"GIT_ALLOW_PROTOCOL": _protocols(url, offline)}
    if remote:
        variables |= _as_environment(_credentials())
    out, words = sink or _Sink(), _Words()
    with tempfile.TemporaryFile() as source:
        source.write(stdin)
        source.seek(0)
        try:
            process = subprocess.Popen(
                command, stdin=source, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=variables,
                start_new_session=True, cwd="/",
            )  # fmt: skip
        except OSError as error:
            remedy = "install git: registries are fetched with it"
            raise RecipeError(f"git cannot be run: {error.strerror or error}", remedy=remedy) from error
        with process:
            try:
                reason = _watch(process, out, words, watched, progress)
            finally:
                _kill(process)
    if reason or process.returncode != 0:
        name = f"{url}: " if url else ""
        message = reason or _reason(words.text()) or f"git ended with {process.returncode}"
        # An address, or a proxy's that git names, may hold a password.
        raise RecipeError(Redactor()(f"{name}{message}"))
    return bytes(out.data)


def _watch(
    process: subprocess.Popen[bytes], out: _Sink, words: _Words, watched: Path | None, progress: Progress | None
) -> str:
    """Takes what git prints until it ends; returns why it is to be stopped, empty when it ended by itself."""
    deadline = time.monotonic() + TIMEOUT
    shown = ""
    checked = 0.0
    with selectors.DefaultSelector() as selector:
        for stream, taker in ((process.stdout, out), (process.stderr, words)):
            if stream is not None:
                selector.register(stream, selectors.EVENT_READ, taker.take)
        while True:
            # Asked before reading: what an ended git has printed is all there then. A helper that it started may hold
            # the pipes open for longer, so their end is not waited for.
            ended = process.poll() is not None
            reason, quiet = _take(selector, 0.0 if ended else _TICK)
            if reason or (ended and quiet):
                return reason
            now = time.monotonic()
            if now > deadline:
                return f"no answer within {TIMEOUT:.0f} s"
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
    """Read once what is there; why git is to be stopped (empty: it is not), and whether nothing was there."""
    if not selector.get_map():
        # Both streams are closed, and git has yet to end.
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
        # It may end between the question and the signal.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


_PROGRESS_LINE = re.compile(r"(remote: )?([A-Z][a-z]+( [a-z]+)*: +\d+|Total \d+ |Cloning into |From )")
"""Lines about how far git has come."""


def _reason(text: str) -> str:
    """Why git ended, in its own words or the server's; how far it had come is no reason."""
    found = [log_line(line).strip() for line in text.replace("\r", "\n").split("\n")]
    lines = [line for line in found if line and not _PROGRESS_LINE.match(line)]
    own = [line for line in lines if line.startswith(("fatal:", "error:", "ERROR:"))]
    told = [*(line for line in lines if line.startswith("remote: ")), *own]
    # The first words and the last: in between is what follows from them.
    chosen = told if len(told) <= 3 else [*told[:2], told[-1]]
    return "; ".join(dict.fromkeys(line.removeprefix("fatal: ") for line in chosen)) or (lines[-1] if lines else "")


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
