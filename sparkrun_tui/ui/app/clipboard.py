"""Copying by a program of this machine, for terminals that do not take OSC 52."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys

_LIMIT = 5.0


def _command() -> list[str] | None:
    if os.environ.get("SSH_CONNECTION"):
        return None  # the clipboard wanted is the one at the other end, which only the terminal reaches
    if sys.platform == "darwin":
        return ["pbcopy"]
    if os.environ.get("WAYLAND_DISPLAY") and shutil.which("wl-copy"):
        return ["wl-copy"]
    if os.environ.get("DISPLAY"):
        if shutil.which("xclip"):
            return ["xclip", "-selection", "clipboard"]
        if shutil.which("xsel"):
            return ["xsel", "--clipboard", "--input"]
    return None


async def copy_natively(text: str) -> bool:
    """Copy `text` by the desktop's own program; False when there is none or it failed."""
    command = _command()
    if command is None:
        return False
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError:
        return False  # the terminal's own way has been used already
    try:
        await asyncio.wait_for(process.communicate(text.encode()), _LIMIT)
    except TimeoutError:
        process.kill()
        return False
    return process.returncode == 0
