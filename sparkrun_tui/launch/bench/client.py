"""The benchmark client, llama-benchy, in an environment of its own: made once, from a lock with hashes.

It is no dependency of this program: it brings 50 packages of its own, and most people never measure.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import signal
import sys
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

from sparkrun_tui.base.disk import paths
from sparkrun_tui.base.disk.files import private_folder, read_text, write_private
from sparkrun_tui.base.errors import SparkrunError
from sparkrun_tui.base.text import clean_line
from sparkrun_tui.remote import children

NAME = "llama-benchy"
VERSION = "0.4.0"
DISK = "350 MB"
"""What the environment takes on disk, measured on Linux with Python 3.11."""
_MOST_SECONDS = 1200.0

_LOCK = Path(__file__).with_name("client.lock")
_STAMP = "made-from.sha256"


def folder() -> Path:
    """The folder of the environment."""
    return paths.cache_dir() / "bench" / f"{NAME}-{VERSION}"


def python() -> Path:
    """The interpreter of the environment."""
    return folder() / "bin" / "python"


def is_installed() -> bool:
    """Whether the environment is there, whole and from this very lock."""
    try:
        return read_text(folder() / _STAMP).strip() == _wanted() and python().exists()
    except OSError:
        return False


def _wanted() -> str:
    text = f"{sys.version_info[:2]}\n{read_text(_LOCK)}"
    return hashlib.sha256(text.encode()).hexdigest()


def stamp() -> None:
    """Note that the environment is whole. Raises `OSError`."""
    write_private(folder() / _STAMP, _wanted())


async def install() -> AsyncGenerator[str, None]:
    """Make the environment; what is being done in words. Raises `SparkrunError`; cancelling leaves none behind."""
    place = folder()
    private_folder(place.parent)
    await asyncio.to_thread(shutil.rmtree, place, True)
    try:
        async with asyncio.timeout(_MOST_SECONDS):
            yield f"making an environment for {NAME} {VERSION} in {place}"
            await _run([sys.executable, "-m", "venv", str(place)], "make the environment")
            yield f"installing {NAME} {VERSION} and what it needs ({DISK} on disk)"
            words = [str(python()), "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
            await _run([*words, "--require-hashes", "--only-binary=:all:", "-r", str(_LOCK)], f"install {NAME}")
        await asyncio.to_thread(stamp)
    except TimeoutError as error:
        raise SparkrunError(
            f"{NAME} could not be installed within {_MOST_SECONDS / 60:.0f} minutes", remedy="Check the network."
        ) from error
    except OSError as error:
        raise SparkrunError(
            f"{NAME} cannot be installed in {place}: {error.strerror or error}", remedy=f"See to {place.parent}."
        ) from error
    finally:
        if not is_installed():
            await asyncio.shield(asyncio.to_thread(shutil.rmtree, place, True))


async def _run(words: list[str], what: str) -> None:
    process = await children.spawn(words, env=_environment())
    async with children.stopping(process, signal.SIGINT):
        said, wrong = await asyncio.gather(children.last_words(process.stdout), children.last_words(process.stderr))
        code = await process.wait()
    if code == 0:
        return
    text = (wrong or said).decode(errors="replace").strip()
    remedy = "Check the network and try again."
    if "ensurepip" in text:
        remedy = "Install the package python3-venv of your system, then try again."
    raise SparkrunError(f"could not {what}: {clean_line(text.rpartition(chr(10))[2])[:300]}", remedy=remedy)


def _environment() -> Mapping[str, str]:
    """The variables of pip: the user's, without what would point it at another environment."""
    return {name: text for name, text in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME", "PIP_TARGET")}
