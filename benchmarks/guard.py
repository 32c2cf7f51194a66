"""What the memory guard costs its host: `python -m benchmarks.guard [SECONDS]`, in each shell that is here.

The guard runs on the real files of this kernel, beside a process that stands for a container. Its own CPU time and that
of the processes that it starts is what the kernel accounts for.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sparkrun_tui.base import shell
from sparkrun_tui.remote.guard import script

_SHELLS = (("dash",), ("busybox", "sh"), ("bash",))
_FLOOR = 1024
"""KiB that no machine ever comes down to."""


def cost(words: tuple[str, ...], seconds: float) -> float:
    """The seconds of CPU that the guard took in `seconds`, run by the shell `words`."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        record, tools, answer = folder / "record", folder / "tools", folder / "answer"
        record.mkdir()
        tools.mkdir()
        (tools / "docker").write_text(f"#!/bin/sh\ncat {shell.word(str(answer))}\n")
        (tools / "docker").chmod(0o755)
        (folder / "guard").write_text(script.guard(shell.word(str(record)), "c0ffee", _FLOOR))
        container = subprocess.Popen(["sleep", "100000"])
        answer.write_text(f"running {container.pid}\n")
        before = os.times()
        environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"}
        guard = subprocess.Popen([*words, str(folder / "guard")], env=environment)
        time.sleep(seconds)
        answer.write_text("exited 0\n")
        container.kill()
        container.wait()
        guard.wait()
        after = os.times()
    return after.children_user - before.children_user + after.children_system - before.children_system


def main() -> None:
    """Print one line for each shell."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    for words in _SHELLS:
        if shutil.which(words[0]):
            share = cost(words, seconds) / seconds
            print(f"{' '.join(words):<12} {share * 3600:5.1f} s of CPU an hour, {share:.2%} of a core")


if __name__ == "__main__":
    main()
