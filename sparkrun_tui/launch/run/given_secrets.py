"""The secrets of a container that another process or another program launched.

Secrets that a user types for a launch are not stored. To hide them in a log that is read later, the container is
asked: Docker reports the variables and arguments that it was created with, and its processes those that they have
now. What is found is only used to hide it.
"""

from __future__ import annotations

import re

from sparkrun_tui.base.errors import HostError, SparkrunError
from sparkrun_tui.base.secrets import Secret, secrets_given
from sparkrun_tui.base.settings import Settings
from sparkrun_tui.recipe.search.sources import find_recipe
from sparkrun_tui.recipe.values.masking import private_texts, secrets_of_recipe
from sparkrun_tui.recipe.values.saved_overrides import saved_overrides
from sparkrun_tui.remote.docker.types import ContainerInfo
from sparkrun_tui.remote.failures import LinkLost
from sparkrun_tui.remote.ports.docker import Docker

READ = (
    "sh",
    "-c",
    "cat /proc/[0-9]*/environ 2>/dev/null | tr '\\n\\0' '\\1\\n' | grep -a = | sort -u;"
    " echo; cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\n\\0' '\\1\\n'",
)
"""Prints the variables of all processes in a container, each once, an empty line, and the words of their arguments.

Each is on a line of its own, so line breaks within them are printed as bytes of value 1.
"""

_TIME = 10.0
"""Seconds that a container may take to answer."""

_BREAK = "\x01"
_NAME = re.compile(r"[\w.+-]+")


async def secrets_of_container(docker: Docker, info: ContainerInfo) -> tuple[Secret, ...]:
    """The secrets that a container was given. Raises `LinkLost` when its host cannot be asked."""
    if not info.running:
        return info.secrets
    try:
        printed = await docker.run_exec(info.id, READ, timeout=_TIME)
    except LinkLost:
        raise
    except HostError:
        # It has ended meanwhile, or has no shell: only what Docker reports is known.
        return info.secrets
    return (*info.secrets, *read(printed.stdout))


def read(text: str) -> tuple[Secret, ...]:
    """The secrets in the output of `READ`."""
    variables, _, words = text.partition("\n\n")
    return secrets_given(map(_whole, variables.split("\n")), [_whole(word) for word in words.split("\n")])


def _whole(line: str) -> str:
    return line.replace(_BREAK, "\n")


def secrets_of_recipe_called(name: str, settings: Settings) -> list[str]:
    """The secrets in the file of a recipe of that name, in the overrides saved for it, and in the user's defaults.

    The name comes from a host, so it is only looked up when it is a plain name, never when it is a path.
    """
    found = private_texts(settings.defaults)
    if not _NAME.fullmatch(name) or name.startswith("."):
        return found
    try:
        recipe = find_recipe(name, settings)
    except SparkrunError:
        # It is not on this machine, or cannot be read.
        return found
    return [*found, *secrets_of_recipe(recipe), *private_texts(saved_overrides(recipe))]
