"""Child processes end with the program that started them, however that ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sparkrun_tui.remote import children

PROGRAM = """
import asyncio
from sparkrun_tui.remote import children
async def main():
    process = await children.spawn(["sleep", "300"])
    print(process.pid, flush=True)
    await asyncio.sleep(300)
asyncio.run(main())
"""


def lives(pid: int) -> bool:
    try:
        return "(sleep) Z" not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of other systems cannot do this")
def test_a_killed_program_leaves_no_child() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    deadline = time.monotonic() + 10
    while "sleep" not in Path(f"/proc/{child}/comm").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    while lives(child):
        assert time.monotonic() < deadline
        time.sleep(0.02)


async def test_output_and_exit_code_are_the_programs_own() -> None:
    process = await children.spawn(["sh", "-c", "echo $0 $1; exit 7", "it's", "a b"])
    out, _ = await process.communicate()
    assert (out, process.returncode) == (b"it's a b\n", 7)


async def test_a_program_that_is_not_installed_is_named() -> None:
    with pytest.raises(FileNotFoundError) as caught:
        await children.spawn(["no-such-program-here", "x"])
    assert caught.value.filename == "no-such-program-here"
