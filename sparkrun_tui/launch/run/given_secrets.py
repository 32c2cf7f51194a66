"""The secrets of a container that another process or another program launched.

Secrets that a user types for a launch are not stored. To hide them in a log that is read later, the container is
asked: Docker reports the variables and arguments that it was created with, and its processes those that they have
now. What is found is only used to hide it.
"""

from __future__ import annotations

from sparkrun_tui.base.errors import HostError, SparkrunError
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.base.secrets import Secret, secrets_given
from sparkrun_tui.base.user.settings import Settings
from sparkrun_tui.recipe.search.sources import find_recipe
from sparkrun_tui.recipe.values.masking import private_texts, secrets_of_recipe
from sparkrun_tui.recipe.values.saved_overrides import saved_overrides
from sparkrun_tui.remote.docker.processes import READ, TIME, read
from sparkrun_tui.remote.docker.types import ContainerInfo
from sparkrun_tui.remote.failures import LinkLost
from sparkrun_tui.remote.ports.docker import Docker

_NAME = late_regex(r"[\w.+-]+")


async def secrets_of_container(docker: Docker, info: ContainerInfo) -> tuple[Secret, ...]:
    """The secrets that a container was given. Raises `LinkLost` when its host cannot be asked."""
    if not info.running:
        return info.secrets
    try:
        printed = await docker.run_exec(info.id, READ, timeout=TIME)
    except LinkLost:
        raise
    except HostError:
        # It has ended meanwhile, or has no shell: only what Docker reports is known.
        return info.secrets
    found = read(printed.stdout)
    return (*info.secrets, *secrets_given(found.variables, found.words))


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
