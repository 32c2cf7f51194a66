"""The secrets of a container that was launched by another run of the program, or by another program.

What was typed for a launch is kept nowhere. So whoever reads the log of a container later asks the container itself:
Docker tells the variables and arguments that it was made with, and its processes those that they have now. What is
found is only ever used to hide it.
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

Line breaks within them are bytes of value 1, since each stands on a line of its own.
"""

_TIME = 10.0
"""Seconds that a container may take to answer."""

_BREAK = "\x01"
_NAME = re.compile(r"[\w.+-]+")


async def secrets_of_container(docker: Docker, info: ContainerInfo) -> tuple[Secret, ...]:
    """What a container was given of secrets. Raises `LinkLost` when its host cannot be asked."""
    if not info.running:
        return info.secrets
    try:
        told = await docker.run_exec(info.id, READ, timeout=_TIME)
    except LinkLost:
        raise
    except HostError:
        # It has ended meanwhile, or has no shell: what Docker knows of it is all there is.
        return info.secrets
    return (*info.secrets, *read(told.stdout))


def read(text: str) -> tuple[Secret, ...]:
    """The secrets in what `READ` prints."""
    variables, _, words = text.partition("\n\n")
    return secrets_given(map(_whole, variables.split("\n")), [_whole(word) for word in words.split("\n")])


def _whole(line: str) -> str:
    return line.replace(_BREAK, "\n")


def secrets_of_recipe_called(name: str, settings: Settings) -> list[str]:
    """The secrets in the file of a recipe of that name, in the overrides saved for it, and in the user's defaults.

    A host says the name: only what can be the name of a recipe is looked for, and no path.
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
