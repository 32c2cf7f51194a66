"""The configured git repositories of recipes: this program's file, the sparkrun CLI's, and the two public ones."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sparkrun_tui.base.disk import paths
from sparkrun_tui.base.disk.files import behind_links, read_text, update_private
from sparkrun_tui.base.errors import RecipeError, SettingsError, SparkrunError, UsageError
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.base.text import shorten
from sparkrun_tui.recipe.format.yamltree import parse_tree, plain
from sparkrun_tui.recipe.suggestions import did_you_mean

NAME = late_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SCP = late_regex(r"(?:[A-Za-z0-9._-]+@)?[A-Za-z0-9][A-Za-z0-9.-]*:(?![-/])[A-Za-z0-9._~/-]+")
_SHORT = late_regex(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}")
_AT_HOST = late_regex(r"(?:[\w.][\w.-]*@)?(?:[\w][\w.-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
"""User, host and port of an address: ssh puts the first two into commands of the user's configuration."""
_CONTROL = late_regex(r"[\x00-\x20\x7f-\x9f\\]")
_GENERIC = ("recipes", "recipe-registry", "registry", "sparkrun-recipes")
"""Names of repositories that do not say whose recipes they contain."""


@dataclass(frozen=True, slots=True)
class Registry:
    """A configured repository. `subpath` is the folder of its recipes; empty: the folders of its own manifest.

    `origin` is `public` (the two that come with the program), `sparkrun` (read from that tool) or `config`.
    """

    name: str
    url: str
    subpath: str = ""
    description: str = ""
    enabled: bool = True
    visible: bool = True
    origin: str = "config"

    @property
    def identity(self) -> tuple[str, str]:
        """The repository, in one spelling, and the folder: two registries must not share both."""
        return url_key(self.url), self.subpath.strip("/")


PUBLIC = (
    Registry(
        "spark-arena",
        "https://github.com/spark-arena/recipe-registry",
        description="Recipes of the Spark Arena community",
        origin="public",
    ),
    Registry(
        "eugr",
        "https://github.com/eugr/spark-vllm-docker",
        "recipes",
        "Recipes of eugr's vLLM images for the Spark",
        origin="public",
    ),
)
"""Registries without any configuration; they are fetched when the user updates."""


def is_public(name: str, url: str) -> bool:
    """Whether a registry is one that comes with the program, by its name and address."""
    return any(entry.name == name and url_key(entry.url) == url_key(url) for entry in PUBLIC)


def registries_file() -> Path:
    """The file of the user's registries."""
    return paths.config_dir() / "registries.yaml"


def configured() -> tuple[list[Registry], list[str]]:
    """All registries, the user's first, and notes about entries that were skipped.

    Raises `SettingsError` when the user's file cannot be used. The sparkrun CLI's file is only read; when that fails,
    it is skipped with a note.
    """
    data = _read(registries_file())
    removed = {str(name) for name in _items(data.get("removed"))}
    notes: list[str] = []
    found = _registries(_items(data.get("registries")), "config", notes)
    try:
        foreign = _read(paths.sparkrun_config_dir() / "registries.yaml")
        found += _registries(_items(foreign.get("registries")), "sparkrun", notes)
    except SettingsError as error:
        notes.append(f"skipped: {error}")
    found += PUBLIC
    identities: set[tuple[str, str]] = set()
    names: set[str] = set()
    repositories: set[str] = set()
    kept: list[Registry] = []
    for registry in found:
        repository = url_key(registry.url)
        if registry.name in names or registry.identity in identities:
            continue
        if registry.origin == "public" and repository in repositories:
            # The public entry means a whole repository: configured parts of it replace it.
            continue
        if registry.origin != "config" and registry.name in removed:
            continue
        names.add(registry.name)
        identities.add(registry.identity)
        repositories.add(repository)
        kept.append(registry)
    return kept, notes


def save(registry: Registry) -> None:
    """Add a registry to the user's file, or replace the one of its name. Raises `SettingsError`."""
    body = {}
    for key, value in asdict(registry).items():
        if key != "origin" and value != "":
            body[key] = value

    def put(data: dict[str, Any]) -> None:
        entries = []
        is_there = False
        for entry in _items(data.get("registries")):
            if _name_of(entry) != registry.name:
                entries.append(entry)
            elif not is_there:
                entries.append(_updated(entry, registry) or body)
                is_there = True
        if not is_there:
            entries.append(body)
        data["registries"] = entries
        data["removed"] = [name for name in _items(data.get("removed")) if name != registry.name]

    _update(put)


def _updated(entry: dict[str, Any], registry: Registry) -> dict[str, Any] | None:
    """An entry as the user wrote it, with the changed values; None for one that cannot be read."""
    try:
        before = _registry(entry, "config")
    except (UsageError, KeyError, TypeError, AttributeError):
        return None
    updated = dict(entry)
    for key, value in asdict(registry).items():
        if key != "origin" and value != getattr(before, key):
            updated[key] = value
    return updated


def forget(name: str) -> None:
    """Remove a registry; one of another file is remembered as removed, since that file is never written."""
    known, _ = configured()
    if name not in {registry.name for registry in known}:
        raise no_registry(name, known)

    def take_out(data: dict[str, Any]) -> None:
        entries = _items(data.get("registries"))
        removed = list(map(str, _items(data.get("removed"))))
        data["registries"] = [entry for entry in entries if _name_of(entry) != name]
        data["removed"] = removed if name in removed else [*removed, name]

    _update(take_out)


def set_enabled(name: str, enabled: bool) -> None:
    """Switch a registry on or off, from any file."""
    known, _ = configured()
    for registry in known:
        if registry.name == name:
            save(replace(registry, enabled=enabled))
            return
    raise no_registry(name, known)


def no_registry(name: str, known: Sequence[Registry]) -> UsageError:
    """The error for the name of a registry that is not configured."""
    hint = did_you_mean(name, (registry.name for registry in known))
    return UsageError(f"there is no registry `{name}`", remedy=hint or "`sparkrun-tui registry list` shows them")


def check_url(text: str) -> str:
    """The address of a repository in full: `https`, `ssh`, `git@host:path`, a local folder, or `OWNER/NAME`.

    `OWNER/NAME` means GitHub. Raises `UsageError` for everything else, above all for what git would run as a program.
    """
    refused = f"`{shorten(text, 80)}` is not the address of a repository"
    forms = "write https://HOST/PATH, git@HOST:PATH, OWNER/NAME, or a local folder"
    url = text.strip()
    if not url or url.startswith("-") or _CONTROL.search(url):
        raise UsageError(refused, remedy=forms)
    local = Path(os.path.expanduser(url))
    if url.startswith(("/", "./", "../", "~")) and os.path.isdir(local):
        return local.resolve().as_uri()
    if _SHORT.fullmatch(url) and not url.endswith("/"):
        return f"https://github.com/{url}"
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError as error:
        # For example an invalid address in brackets.
        raise UsageError(f"{refused}: {error}", remedy=forms) from None
    if parts.scheme in ("https", "ssh") and host:
        # SSH addresses have a user's name; over https it may be a token.
        has_token = parts.scheme == "https" and parts.username
        if parts.password or has_token:
            remedy = "leave it out of the address: git asks its credential helper"
            raise UsageError("the address contains a password or token", remedy=remedy)
        # An address of https as well: `insteadOf` of the user's git may make one of ssh of it.
        if _AT_HOST.fullmatch(parts.netloc) is None:
            raise UsageError(refused, remedy=forms)
        return url
    is_local = parts.scheme == "file" and not parts.netloc
    if is_local and parts.path.startswith("/"):
        return url
    if _SCP.fullmatch(url) and not url.startswith("ext:"):
        return url
    raise UsageError(refused, remedy=forms)


def url_key(url: str) -> str:
    """One spelling per repository: without scheme, user, `.git` and case of the host."""
    plain_url = re.sub(r"^(?:https|ssh)://(?:[^/@]+@)?", "", url)
    plain_url = re.sub(r"^[^/@:]+@([^/:]+):", r"\1/", plain_url)
    host, slash, path = plain_url.rstrip("/").removesuffix(".git").partition("/")
    host = host.lower()
    if host == "github.com":
        path = path.lower()
    return f"{host}{slash}{path}"


def default_name(url: str, taken: Sequence[str]) -> str:
    """A name for the registry at `url`: the repository's, or with its owner before it when that is taken."""
    words = []
    for part in url_key(url).split("/"):
        word = re.sub(r"[^A-Za-z0-9._-]+", "-", part).strip("-.")
        if word:
            words.append(word)
    if not words:
        words = ["registry"]
    first = words[-1]
    if first.lower() in _GENERIC and len(words) > 2:
        first = words[-2]
    for name in (first, "-".join(words[-2:])):
        if name not in taken and NAME.fullmatch(name):
            return name
    number = 2
    while f"{words[-1][:50]}-{number}" in taken:
        number += 1
    return f"{words[-1][:50]}-{number}"


def safe_subpath(text: str) -> str:
    """A folder inside a repository, without `.` parts. Raises `UsageError` when it would lead out of it."""
    parts = [part for part in text.replace("\\", "/").split("/") if part not in ("", ".")]
    if text.startswith(("/", "~")) or ".." in parts or _CONTROL.search(text.replace(" ", "")):
        raise UsageError(f"`{shorten(text, 80)}` is not a folder inside the repository")
    return "/".join(parts)


def _registries(entries: Iterable[Any], origin: str, notes: list[str]) -> list[Registry]:
    found = []
    for entry in entries:
        try:
            found.append(_registry(entry, origin))
        except (UsageError, KeyError, TypeError, AttributeError) as error:
            shown = str(_name_of(entry) or entry)[:60]
            reason = error.what if isinstance(error, UsageError) else "name and url are needed"
            notes.append(f"registry `{shown}` is skipped: {reason}")
    return found


def _registry(entry: Any, origin: str) -> Registry:
    name = str(entry["name"])
    if NAME.fullmatch(name) is None:
        raise UsageError(f"`{shorten(name, 40)}` is not a valid name")
    subpath = entry.get("subpath") or ""
    description = entry.get("description") or ""
    return Registry(
        name=name,
        url=check_url(str(entry["url"])),
        subpath=safe_subpath(str(subpath)),
        description=str(description)[:500],
        enabled=entry.get("enabled") is not False,
        visible=entry.get("visible") is not False,
        origin=origin,
    )


def _name_of(entry: object) -> object:
    return entry.get("name") if isinstance(entry, dict) else None


def _items(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _read(path: Path) -> dict[str, Any]:
    try:
        text = read_text(path, encoding="utf-8-sig")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from error
    return _parse(path, text)


def _parse(path: Path, text: str) -> dict[str, Any]:
    text = text.removeprefix("\ufeff")
    if not text.strip():
        return {}
    try:
        data = plain(parse_tree(text, str(path)))
    except RecipeError as error:
        raise SettingsError(error.what, spot=error.spot) from error
    if not isinstance(data, dict):
        raise SettingsError(f"{path} must be a mapping with `registries`")
    return data


def _update(change: Callable[[dict[str, Any]], None]) -> None:
    """Change the user's file: `change` gets its data. Raises `SettingsError`."""
    # Needed for a change only; the list is read at every start.
    from sparkrun_tui.base.user.yaml_edit import with_data

    path = registries_file()

    def changed(text: str) -> str:
        data = _parse(path, text)
        change(data)
        body = {key: value for key, value in data.items() if value not in ([], None)}
        return with_data(text, body, lambda written: _parse(path, written))

    try:
        update_private(behind_links(path), changed)
    except OSError as error:
        # The settings are right: it was tried and failed.
        raise SparkrunError(f"{path} cannot be written: {error.strerror or error}") from error
