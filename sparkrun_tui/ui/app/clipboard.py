"""Copies through a clipboard program of this machine, for terminals that do not support OSC 52."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys

_LIMIT = 5.0


def _command() -> list[str] | None:
    if os.environ.get("SSH_CONNECTION"):
        return None  # the user's clipboard is on the other machine, which only the terminal reaches
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
    """Copy `text` with the desktop's clipboard program; False when there is none or it failed."""
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
        return False  # the text was already copied through the terminal
    try:
        await asyncio.wait_for(process.communicate(text.encode()), _LIMIT)
    except TimeoutError:
        process.kill()
        return False
    return process.returncode == 0
