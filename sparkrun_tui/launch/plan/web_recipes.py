"""Recipes by address: `https://.../recipe.yaml`, and `@spark-arena/UUID`, which is an address in short."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from sparkrun_tui.base.disk import paths
from sparkrun_tui.base.disk.files import write_private
from sparkrun_tui.base.errors import RecipeError, UsageError
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.base.secrets import looks_secret
from sparkrun_tui.base.text import clean_line
from sparkrun_tui.base.user.settings import Settings
from sparkrun_tui.recipe.format.loader import load_recipe
from sparkrun_tui.recipe.format.yamltree import MAX_BYTES
from sparkrun_tui.recipe.model import Recipe, Source, SourceKind
from sparkrun_tui.recipe.search.sources import find_recipe, refuse_compose
from sparkrun_tui.remote.http.web import check_address, fetch

_ARENA = late_regex(r"@spark-arena/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})", re.IGNORECASE)
_ARENA_ADDRESS = "https://spark-arena.com/api/recipes/{}/raw"
"""Where the Spark Arena gives a recipe by its id, as the sparkrun CLI asks for it."""
_GITHUB_PAGE = late_regex(r"https://github\.com/([^/]+/[^/]+)/blob/(.+)")
_SCHEME = late_regex(r"[A-Za-z][A-Za-z0-9+.-]{0,30}://")
_NAME = late_regex(r"[^A-Za-z0-9._-]+")


def address_of(name: str) -> str:
    """The address that a recipe's name is; empty for a name of another kind.

    A page of GitHub that shows a file means the file. Raises `UsageError` for an address that is not fetched.
    """
    arena = _ARENA.fullmatch(name)
    if arena is not None:
        return _ARENA_ADDRESS.format(arena[1].lower())
    if _SCHEME.match(name) is None:
        return ""
    page = _GITHUB_PAGE.fullmatch(name)
    if page is not None:
        name = f"https://raw.githubusercontent.com/{page[1]}/{page[2]}"
    _refuse_secrets(check_address(name))
    return name


def _refuse_secrets(address: str) -> None:
    """Raise `UsageError` for an address with a token in its query: addresses are shown, and kept in the history."""
    for name, value in parse_qsl(urlsplit(address).query):
        if value and looks_secret(name):
            raise UsageError(
                f"the address contains a secret (`{clean_line(name)[:40]}`), and addresses are shown and kept",
                remedy="fetch the file with another program, and run it by its path",
            )


def any_recipe(name: str, settings: Settings) -> Recipe:
    """The recipe that a name, a path or an address means; one at an address is fetched now.

    Raises `RecipeError` when nothing is found, `UsageError` for an address that is not https.
    """
    if "://" in name or name.startswith("@"):
        address = address_of(name)
        if address:
            return web_recipe(address)
    return find_recipe(name, settings)


def web_recipe(address: str) -> Recipe:
    """The recipe at an address, fetched now; a copy is kept in the cache, as what was run.

    Raises `UsageError` for an address that is not https, `RecipeError` when it cannot be fetched or read.
    """
    data = fetch(address, MAX_BYTES)
    folder = paths.cache_dir() / "web" / hashlib.sha256(address.encode()).hexdigest()[:32]
    path = folder / f"{_stem(address)}.yaml"
    try:
        write_private(path, data.decode("utf-8"))
    except UnicodeDecodeError:
        raise RecipeError(f"{address} is not text in UTF-8: it is not a recipe") from None
    except OSError as error:
        raise RecipeError(f"{path} cannot be written: {error.strerror or error}") from error
    recipe = load_recipe(path, Source(SourceKind.URL, str(path), address=address))
    refuse_compose(recipe)
    return recipe


def _stem(address: str) -> str:
    """The name of the file at an address; of the Spark Arena, its id."""
    parts = [part for part in unquote(urlsplit(address).path).split("/") if part]
    if len(parts) > 1 and parts[-1] == "raw":
        parts.pop()
    last = Path(parts[-1]).name if parts else "recipe"
    for ending in (".yaml", ".yml"):
        last = last.removesuffix(ending)
    return _NAME.sub("-", last).strip(".-")[:80] or "recipe"
