"""Names for the parts of a repository: never a name of another registry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sparkrun_tui.base.disk.files import read_text
from sparkrun_tui.base.errors import RecipeError
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.recipe.format.yamltree import parse_tree, plain
from sparkrun_tui.recipe.registry import cache as registry_cache
from sparkrun_tui.recipe.registry.cache import MANIFEST
from sparkrun_tui.recipe.registry.config import NAME, PUBLIC, Registry, url_key


@dataclass(frozen=True, slots=True)
class PartNames:
    """The owners of names: `owners` has the repository (by `url_key`) of each name, in lower case."""

    owners: Mapping[str, str]

    def shown(self, registry: Registry, part: str) -> str:
        """The name of a registry's part: `PART` where it owns that name, else `REGISTRY/PART`.

        No registry's name contains a slash, so the second form is unique.
        """
        if self.owners.get(part.casefold()) == url_key(registry.url):
            return part
        return f"{registry.name}/{part}"


def part_names(known: Iterable[Registry]) -> PartNames:
    """The owners of all names: configured registries first, then the public ones, then the parts of repositories.

    Parts of the public repositories come before those of others, in any order of the configuration. A name that two
    other repositories claim for a part belongs to neither: any update could claim one that another had before.
    """
    registries = list(known)
    owners: dict[str, str] = {}
    for registry in (*registries, *PUBLIC):
        owners.setdefault(registry.name.casefold(), url_key(registry.url))
    public = {url_key(entry.url) for entry in PUBLIC}
    fetched = [registry for registry in registries if registry.enabled and not registry.subpath]
    claimed: dict[str, str] = {}
    for registry in sorted(fetched, key=lambda one: url_key(one.url) not in public):
        current = registry_cache.snapshot(registry.url)
        if current is None:
            continue
        for name, _ in manifest_entries(current.folder / MANIFEST):
            key, claimant = name.casefold(), url_key(registry.url)
            if NAME.fullmatch(name) is None or key in owners:
                continue
            if claimant in public:
                owners[key] = claimant
            elif claimed.setdefault(key, claimant) != claimant:
                claimed[key] = _NOBODY
    return PartNames({**claimed, **owners})


_NOBODY = ""
"""The owner of a name that several repositories claim."""


MAX_PARTS = 32
"""The most registries of one repository: the folders of each are searched whenever recipes are listed."""


def manifest_entries(manifest: Path) -> list[tuple[str, dict[str, Any]]]:
    """The registries that a repository declares, by name, at most `MAX_PARTS`; none when the file cannot be read."""
    try:
        data: Any = plain(parse_tree(read_text(manifest, encoding="utf-8-sig"), str(manifest)))
        entries = data["registries"]
    except (OSError, UnicodeDecodeError, RecipeError, KeyError, TypeError):
        return []
    if not isinstance(entries, list):
        return []
    named = []
    for entry in entries:
        if isinstance(entry, dict) and entry.get("name"):
            named.append((str(entry["name"]), entry))
    return named[:MAX_PARTS]
