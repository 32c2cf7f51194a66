"""What recipes are called in the list: by their own name where that tells them apart."""

from __future__ import annotations

from sparkrun_tui.base.user.settings import Settings
from sparkrun_tui.engines.search_words import search_words
from sparkrun_tui.recipe.model import Source, SourceKind
from sparkrun_tui.recipe.search.entry import Entry
from sparkrun_tui.recipe.search.listing import Listing
from sparkrun_tui.ui.model.catalog import Catalog


def entry(name: str, path: str, registry: str = "") -> Entry:
    kind = SourceKind.REGISTRY if registry else SourceKind.BUNDLED
    return Entry(name, Source(kind, f"/r/{registry}/{path}", registry, f"/r/{registry}"))


def titles(*entries: Entry) -> list[str]:
    catalog = Catalog(Settings())
    catalog.take(Listing({found.source.path: found for found in entries}, {}, search_words))
    return [catalog.title(found) for found in entries]


def test_a_name_that_one_recipe_has_is_its_title() -> None:
    assert titles(entry("Falcon 30B", "falcon.yaml"), entry("Other", "deep/other.yaml", "acme")) == [
        "Falcon 30B",
        "Other",
    ]


def test_a_shared_name_gives_way_to_the_file() -> None:
    assert titles(entry("Falcon", "one.yaml"), entry("Falcon", "deep/two.yaml", "acme")) == ["one", "two"]
    assert titles(entry("Falcon", "falcon.yaml"), entry("Falcon", "deep/falcon.yaml", "acme")) == ["falcon", "falcon"]


def test_files_of_one_name_in_one_registry_are_told_with_their_folders() -> None:
    found = [
        entry("Falcon", path, "acme") for path in ("falcon.yaml", "2x/falcon.yaml", "4x/falcon.yaml", "4x/tiny.yaml")
    ]
    assert titles(*found) == ["falcon", "2x/falcon", "4x/falcon", "tiny"]
