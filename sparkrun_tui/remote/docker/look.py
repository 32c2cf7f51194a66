"""Whether an image has a program, seen in a container of it that has no network, no rights and no GPU."""

from __future__ import annotations

import asyncio
import re
import secrets
from typing import Any

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.remote.docker.client import DockerClient
from sparkrun_tui.remote.docker.types import ImageProgram
from sparkrun_tui.remote.failures import LinkLost

LABEL = "io.sparkrun-tui.look"
"""The label of such a container. It belongs to no launch, and ends and is removed by itself."""

LIFE = 60
"""Seconds after which the container ends, whatever happens to this program."""

_REMOVE_TRIES = 5
_REMOVE_PAUSE = 1.0
"""Seconds between two tries to remove the container after a lost link."""

_ASK = """\
found=$(command -v "$1") || { echo none; exit 0; }
inside=$(head -n 1 "$found" | tr -d '\\r' | sed -n 's/^#! *//p')
for python in "$inside" python3 python; do
    [ -n "$python" ] || continue
    version=$($python -c 'import sys, importlib.metadata as m; print(m.version(sys.argv[1]))' "$1" 2>/dev/null) && break
done
echo "has ${version:-?}"
"""
"""Prints `none`, or `has` and the version of the Python package of the same name, `?` where there is none."""

_ANSWER = late_regex(r"^(?:none|has (?P<version>[0-9A-Za-z.+!-]{1,40}|\?))\s*$", re.MULTILINE)


def ask_words(program: str) -> tuple[str, ...]:
    """The command that asks for a program inside a container."""
    return ("sh", "-c", _ASK, "look", program)


def read_answer(text: str) -> ImageProgram | None:
    """The answer of the command; None where it is none."""
    found = _ANSWER.search(text)
    if found is None:
        return None
    version = found["version"]
    if version is None:
        return ImageProgram(False)
    return ImageProgram(True, version.replace("?", ""))


def body(image: str) -> dict[str, Any]:
    """The body of `POST /containers/create` for the container: it can read the image, and do nothing else."""
    return {
        "Image": image,
        "Entrypoint": ["sleep", str(LIFE)],
        "Cmd": [],
        # Where NVIDIA's runtime is the daemon's own, an image would get the GPUs that its variables name.
        "Env": ["NVIDIA_VISIBLE_DEVICES=void"],
        "Healthcheck": {"Test": ["NONE"]},
        "Labels": {LABEL: "1"},
        "NetworkDisabled": True,
        "HostConfig": {
            "NetworkMode": "none",
            "AutoRemove": True,
            "Init": True,
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "ReadonlyRootfs": True,
            "PidsLimit": 64,
            "Memory": 1 << 30,
            "RestartPolicy": {"Name": "no"},
        },
    }


async def look_for(client: DockerClient, image: str, program: str) -> ImageProgram | None:
    """Whether an image that the host has holds a program on its path; None where it cannot be asked.

    Raises `LinkLost` when the host cannot be reached.
    """
    name = f"sparkrun-tui-look-{secrets.token_hex(4)}"
    try:
        container = await client.create(name, body(image))
        await client.start(container)
        asked = await client.run_exec(container, ask_words(program), timeout=LIFE)
        return read_answer(asked.stdout)
    except LinkLost:
        raise
    except HostError:
        # An image without a shell, or a daemon that refuses such a container: it stays unknown.
        return None
    finally:
        # Also when the reply to its creation was lost with the link: one that never started is not removed by itself.
        await _remove(client, name)


async def _remove(client: DockerClient, container: str) -> None:
    for _ in range(_REMOVE_TRIES):
        try:
            await client.remove(container, force=True)
            return
        except LinkLost:
            await asyncio.sleep(_REMOVE_PAUSE)
        except HostError:
            # It ends and is removed by itself.
            return
