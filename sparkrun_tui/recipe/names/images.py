"""References to container images: their parts, and whether they are valid, pinned or moving."""

from __future__ import annotations

import re

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.recipe.model import Recipe

_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*"
_REFERENCE = late_regex(
    rf"(?P<repository>(?:(?:{_HOST}|\[[0-9a-fA-F:]+\])(?::[0-9]{{1,5}})?/)?{_PART}(?:/{_PART})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?"
    r"(?:@(?P<digest>[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}))?"
)


@dataclass(frozen=True, slots=True)
class Image:
    """An image reference: repository with its registry, tag and digest (empty when not given)."""

    repository: str
    tag: str = ""
    digest: str = ""

    @property
    def pinned(self) -> bool:
        """Whether the reference always means the same image: it names a digest."""
        return bool(self.digest)

    @property
    def moving(self) -> bool:
        """Whether the reference is known to mean another image tomorrow: `latest`, a nightly, or no tag."""
        if self.digest:
            return False
        if not self.tag:
            return True
        return re.search(r"latest|nightly|main|dev", self.tag) is not None


def same_host(name: str, written: str) -> bool:
    """Whether a recipe's word for a host means the one that `ssh` knows by `name`: `spark-1` is `me@spark-1`, too."""
    return written in (name, name.rpartition("@")[2])


def image_on(recipe: Recipe, host: str) -> str:
    """The image that a recipe names for a host: that of `containers`, else its `container`; empty without one."""
    for entry in recipe.images:
        if same_host(host, entry.host):
            return entry.image
    return recipe.container


def images_of(recipe: Recipe) -> tuple[str, ...]:
    """Every image that a recipe may run: its own, those of single hosts and of conditions; each once."""
    original = recipe.original
    found = [recipe.container, original.container]
    found += [entry.image for entry in original.images]
    found += [layer.container for layer in original.layers]
    return tuple(dict.fromkeys(image for image in found if image))


def parse_image(text: str) -> Image | None:
    """The parts of an image reference, or None when Docker would refuse it."""
    if len(text) > 512:
        return None
    match = _REFERENCE.fullmatch(text)
    if match is None or len(match["repository"]) > 255:
        return None
    return Image(match["repository"], match["tag"] or "", match["digest"] or "")
