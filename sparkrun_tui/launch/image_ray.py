"""Whether an image has Ray: asked of each image once on each host, kept, and used by the plans of later launches.

What a host says of a digest counts on that host alone: another host's Ray would be started without a password.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sparkrun_tui.base.disk import paths
from sparkrun_tui.base.disk.kept_json import keep_newest, read_kept, update_kept
from sparkrun_tui.base.reading.numbers import major_minor
from sparkrun_tui.base.secrets import Secret
from sparkrun_tui.engines.plan import ImageRay
from sparkrun_tui.engines.registry import ENGINES
from sparkrun_tui.launch.sizing.image_label import digest_of
from sparkrun_tui.launch.sizing.measured_store import image_facts
from sparkrun_tui.recipe.values.rendered import Rendered

if TYPE_CHECKING:
    from sparkrun_tui.remote.docker.types import ImageInfo, ImageProgram

PROGRAM = "ray"
TOKENS_SINCE = (2, 52)
"""The first release of Ray that knows token authentication (docs.ray.io, ray-security/token-auth)."""

_MOST = 200
_MOST_TEXT = 40


def known_ray(rendered: Rendered, hosts: Sequence[str]) -> ImageRay:
    """What is known of Ray in the image of a recipe on the first of `hosts`, the head node, without asking any host."""
    engine = ENGINES.get(rendered.recipe.runtime)
    if engine is None:
        return ImageRay()
    digest = image_facts(engine.image(rendered.recipe)).digest
    return kept_of(next(iter(hosts), ""), digest)


def key_of(image: ImageInfo) -> str:
    """The name of an image's content: its digest, for an image that was built on its host its id."""
    return digest_of(image) or image.id


def kept_of(host: str, key: str) -> ImageRay:
    """What was kept of an image as a host has it; unknown where nothing was."""
    data = read_kept(_file())
    if not key or not isinstance(data, dict):
        return ImageRay()
    entry = data.get(_entry(host, key))
    if not isinstance(entry, dict) or not isinstance(entry.get("has"), bool):
        return ImageRay()
    from sparkrun_tui.remote.docker.types import ImageProgram

    return answered(ImageProgram(entry["has"], str(entry.get("version") or "")[:_MOST_TEXT]))


def keep(host: str, key: str, found: ImageProgram) -> None:
    """Keep what an image has, as a host says. A failure to write is ignored: the next launch asks again."""
    entry = {"has": found.present, "version": found.version}
    with suppress(OSError):
        update_kept(_file(), lambda data: keep_newest(data, _entry(host, key), entry, _MOST))


def answered(found: ImageProgram | None) -> ImageRay:
    """What a look into an image says, with a new token where its Ray knows them."""
    if found is None:
        return ImageRay()
    if not found.present or not knows_tokens(found.version):
        return ImageRay(found.present, found.version)
    import secrets

    return ImageRay(True, found.version, Secret(secrets.token_urlsafe(32)))


def knows_tokens(version: str) -> bool:
    """Whether this version of Ray knows token authentication; False where the version is not known."""
    numbers = major_minor(version)
    return numbers is not None and numbers >= TOKENS_SINCE


def _entry(host: str, key: str) -> str:
    return f"{host} {key}"


def _file() -> Path:
    return paths.cache_dir() / "image-ray.json"
