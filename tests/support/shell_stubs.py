"""A place to run scripts in that does no harm: other programs are stand-ins, and a payload that runs leaves a mark."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SHELLS = tuple(path for name in ("sh", "bash") if (path := shutil.which(name)) is not None)

PAYLOADS = (
    "; canary;", "$(canary)", "`canary`", "'; canary; '", '"; canary; "', '"$(canary)"', "'$(canary)'", '"`canary`"',
    "| canary", "|| canary", "&& canary", "& canary &", "\ncanary\n", "x\n canary", ">x; canary", "${IFS}; canary",
    "$(\ncanary\n)", "{canary,}", "<(canary)", ">(canary)", "\\; canary", "\\'; canary; \\'", '\\"; canary; \\"',
    "$'\\x27; canary; \\x27'", "#\ncanary", " canary ", "x' canary '", '")"; canary; ("', ")); canary; ((",
    "*; canary", "~; canary", "-x; canary", "--; canary", "%s; canary", "]; canary; [ x = x", "x ]; canary; [ x = x",
    "\nEOF\ncanary\n", "\nSPARKRUN_RUN\ncanary\n", "\nSPARKRUN_NAMES\ncanary\n", "x\tcanary\u2028canary",
)  # fmt: skip
"""Harmless values that run the program `canary` where they are not quoted as they should be."""

_REAL = (
    "awk", "base64", "cat", "cut", "date", "dirname", "du", "env", "find", "grep", "head", "hostname", "id", "ln", "ls",
    "printf", "realpath", "sed", "sh", "sort", "stat", "tail", "tr", "uname", "wc",
)  # fmt: skip
_WRITING = ("chmod", "mkdir", "mv", "rm", "rmdir", "touch")
"""Real, too, but in the folder of the sandbox alone: scripts name folders of hosts, and the tests may run as root."""
_QUIET = (
    "bash", "cp", "curl", "df", "docker", "free", "git", "hf", "ip", "kill", "llama-server", "nohup", "nvidia-smi",
    "python3", "ray", "rpc-server", "rsync", "sleep", "ss", "sparkrun-tui", "sudo", "tar", "timeout", "usermod", "vllm",
    "ssh-copy-id",
)  # fmt: skip
_LOG_OF_CONTAINER = re.compile(r"/proc/1/fd/[12]")
_INSIDE = """#!/bin/sh
for word in "$@"; do
    case $word in
    {folder}/*) ;;
    /*) echo "$word is outside of the sandbox" >&2; exit 1 ;;
    esac
done
exec {program} "$@"
"""
# What a real sshd does with the words behind the host: they become one text for the login shell over there.
_SSH = """#!/bin/sh
while [ $# -gt 0 ]; do
    case $1 in
    -o) shift 2 ;;
    --) shift; break ;;
    -*) shift ;;
    *) break ;;
    esac
done
[ $# -gt 1 ] || exit 0
shift
exec sh -c "$*"
"""


@dataclass(frozen=True, slots=True)
class Ran:
    """What became of a script: whether a payload ran, whether a shell could not read it, and what it printed."""

    canary: bool
    unbalanced: bool
    output: str


class Sandbox:
    """A folder with a home and stand-ins for all programs that a script may call."""

    def __init__(self, folder: Path, *, remote: bool = True) -> None:
        """`remote` lets `ssh` run what it is given, as a shell on a host would."""
        self.home = folder / "home"
        self._tools = folder / "tools"
        self._mark = folder / "CANARY"
        self._script = folder / "script.sh"
        self.home.mkdir(parents=True)
        self._tools.mkdir()
        for name in _REAL:
            found = shutil.which(name)
            if found is not None:
                (self._tools / name).symlink_to(found)
        for name in _WRITING:
            found = shutil.which(name)
            if found is not None:
                self._stand_in(name, _INSIDE.format(folder=shlex.quote(str(folder)), program=shlex.quote(found)))
        for name in _QUIET:
            self._stand_in(name, "#!/bin/sh\nexit 0\n")
        self._stand_in("canary", f"#!/bin/sh\n: >{self._mark}\n")
        self._stand_in("ssh", _SSH if remote else "#!/bin/sh\nexit 0\n")
        self._stand_in("setsid", '#!/bin/sh\nexec "$@"\n')

    def _stand_in(self, name: str, text: str) -> None:
        path = self._tools / name
        path.write_text(text)
        path.chmod(0o755)

    def run(self, script: str, stdin: bytes = b"", shells: Sequence[str] = SHELLS) -> Ran:
        """Run a script in each shell, from a file as hosts do, and wait for what it left running.

        What a script in a container writes to the container's log is dropped: here the first process is this
        machine's, and what root writes over may be a file.
        """
        script = _LOG_OF_CONTAINER.sub("/dev/null", script)
        self._script.write_bytes(script.encode("utf-8", "surrogateescape") + b"\nwait\n")
        self._mark.unlink(missing_ok=True)
        unbalanced, output = False, []
        for shell in shells:
            unbalanced |= self._call([shell, "-n", str(self._script)], b"").returncode != 0
            output.append(self._call([shell, str(self._script)], stdin).stdout)
        ran = self._mark.exists()
        return Ran(ran, unbalanced, b"".join(output).decode("utf-8", "replace"))

    def _call(self, words: list[str], stdin: bytes) -> subprocess.CompletedProcess[bytes]:
        env = {"PATH": str(self._tools), "HOME": str(self.home), "LC_ALL": os.environ.get("LC_ALL", "C.UTF-8")}
        return subprocess.run(words, input=stdin, env=env, cwd=self.home, capture_output=True, timeout=20, check=False)
