"""The user's settings: saved clusters, recipe folders, per-user defaults; the sparkrun CLI's clusters are read too."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from sparkrun_tui.base import paths
from sparkrun_tui.base.errors import SettingsError, SparkrunError, Spot, UsageError
from sparkrun_tui.base.files import read_text, update_private
from sparkrun_tui.base.numbers import whole_of
from sparkrun_tui.base.text import clean_line

DEMO_CLUSTER = "demo"

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MOST_DEPTH = 30
"""Lists and mappings inside one another in a file of settings."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Hosts that serve together; the first is the head. `hosts` are names as `ssh` takes them."""

    name: str
    hosts: tuple[str, ...]
    description: str = ""
    gpus_per_host: int = 1
    privileged: bool = False
    hf_cache: str = ""
    """The Hugging Face cache on the hosts; empty: each host is asked."""
    source: str = "config"
    host_to_host: bool = False
    """Whether a host may send models to others with its own SSH keys; else all models come from the workstation."""

    @property
    def is_demo(self) -> bool:
        """Whether this is the built-in cluster that needs no hardware."""
        return self.source == "demo"


@dataclass(frozen=True, slots=True)
class Settings:
    """The content of `config.yaml`, with defaults for the rest."""

    clusters: tuple[Cluster, ...] = ()
    default_cluster: str = ""
    recipe_dirs: tuple[Path, ...] = ()
    data_dirs: tuple[str, ...] = ()
    """Folders of the hosts that recipes of others may mount without a question, as written; checked where used."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    theme: str = ""
    keys: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    """What was skipped while reading, to be shown to the user."""

    def cluster(self, name: str = "") -> Cluster | None:
        """The cluster called `name`, or the default one, or the only one; None when there is no such cluster."""
        wanted = name or self.default_cluster
        if wanted:
            for cluster in self.clusters:
                if cluster.name == wanted:
                    return cluster
            return None
        return self.clusters[0] if self.clusters else None


def config_file() -> Path:
    """The user's `config.yaml`."""
    return paths.config_dir() / "config.yaml"


def load_settings() -> Settings:
    """Read `config.yaml` and the sparkrun CLI's clusters; a missing file is an empty one.

    Raises `SettingsError` with file and line when `config.yaml` cannot be used.
    """
    path = config_file()
    data = _read_mapping(path)
    known = {"clusters", "default_cluster", "recipe_dirs", "data_dirs", "defaults", "theme", "keys"}
    notes = []
    for key in data:
        if key not in known:
            notes.append(f"{path}: unknown key `{key}` is ignored")
    clusters = []
    for name, body in _mapping(path, data, "clusters").items():
        clusters.append(_cluster(path, name, body))
    foreign, foreign_notes = _sparkrun_clusters({cluster.name for cluster in clusters})
    keys = {}
    for key, value in _mapping(path, data, "keys").items():
        keys[key] = _word(path, f"keys.{key}", value)
    return Settings(
        clusters=(*clusters, *foreign),
        default_cluster=_word(path, "default_cluster", data.get("default_cluster") or ""),
        recipe_dirs=tuple(_folder(path, item) for item in _strings(path, data, "recipe_dirs")),
        data_dirs=tuple(_strings(path, data, "data_dirs")),
        defaults=_mapping(path, data, "defaults"),
        theme=_word(path, "theme", data.get("theme") or ""),
        keys=keys,
        notes=(*notes, *foreign_notes),
    )


def check_hosts(names: Sequence[str]) -> None:
    """Raises `UsageError` unless these can be the hosts of a cluster, each a name that `ssh` accepts."""
    if not names:
        raise UsageError("a cluster needs hosts", remedy="name at least one host")
    if len(set(names)) != len(names):
        raise UsageError("a host is named twice", remedy="name each host of the cluster once")
    for name in names:
        has_blank = any(letter.isspace() for letter in name)
        if has_blank or name.startswith("-"):
            raise UsageError(
                f"`{clean_line(name)}` is not the name of a host", remedy="name hosts as you would for `ssh`"
            )


def save_cluster(cluster: Cluster) -> None:
    """Add or replace `cluster` in `config.yaml`; all other lines stay as they are. Raises `SettingsError`."""
    body: dict[str, Any] = {"hosts": list(cluster.hosts)}
    if cluster.description:
        body["description"] = cluster.description
    if cluster.gpus_per_host != 1:
        body["gpus_per_host"] = cluster.gpus_per_host
    if cluster.privileged:
        body["privileged"] = True
    if cluster.host_to_host:
        body["host_to_host"] = True
    if cluster.hf_cache:
        body["hf_cache"] = cluster.hf_cache

    def add(path: Path, data: dict[str, Any]) -> None:
        data["clusters"] = {**_mapping(path, data, "clusters"), cluster.name: body}
        data.setdefault("default_cluster", cluster.name)

    _update(add)


def remove_cluster(name: str) -> None:
    """Remove a cluster from `config.yaml`. Raises `SettingsError` when there is none of that name."""

    def remove(path: Path, data: dict[str, Any]) -> None:
        clusters = _mapping(path, data, "clusters")
        if name not in clusters:
            raise SettingsError(f"{path} has no cluster `{name}`")
        del clusters[name]
        data["clusters"] = clusters
        if data.get("default_cluster") == name:
            del data["default_cluster"]

    _update(remove)


def _update(change: Callable[[Path, dict[str, Any]], None]) -> None:
    """Change `config.yaml`: `change` gets its path and its data. Raises `SettingsError`, and what `change` raises."""
    # Needed for a change only; the settings are read at every start.
    from sparkrun_tui.base.yaml_edit import with_data

    path = config_file()

    def changed(text: str) -> str:
        data = _parse(path, text)
        change(path, data)
        return with_data(text, data, plain_yaml)

    try:
        update_private(path, changed)
    except OSError as error:
        # The settings are right: it was tried and failed.
        raise SparkrunError(f"{path} cannot be written: {error.strerror or error}") from error


def _read_mapping(path: Path) -> dict[str, Any]:
    try:
        text = read_text(path)
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from error
    return _parse(path, text)


def plain_yaml(text: str) -> Any:
    """The data of a YAML text. Raises `yaml.YAMLError`, also for what no settings are: too deep, too long, endless.

    This is judged on the events first: building the data may take minutes, and using it for ever.
    """
    counts = _Counts()
    for event in yaml.parse(text, Loader=_LOADER):
        counts.take(event)
    return yaml.load(text, Loader=_LOADER)


_MOST_VALUES = 100_000
"""Values in a file of settings, each counted as often as an alias repeats it."""
_MOST_DIGITS = 40
_NUMBER = re.compile(r"[-+]?[0-9][0-9A-Fa-fxob_:.]*")
"""What YAML may read as a whole number, to any base: one of many thousand digits takes minutes, and no text."""


class _Counts:
    """Counts the values of a YAML text by its events, what aliases repeat included."""

    def __init__(self) -> None:
        self._open: list[tuple[str, int]] = []
        """The lists and mappings around: the anchor of each, and the count at its beginning."""
        self._sizes: dict[str, int] = {}
        """The values below each anchor."""
        self._count = 0

    def take(self, event: Any) -> None:
        """Count one event. Raises `yaml.YAMLError` when a limit is exceeded."""
        if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            self._open.append((event.anchor or "", self._count))
            if len(self._open) > _MOST_DEPTH:
                raise yaml.YAMLError(f"lists and mappings are nested more than {_MOST_DEPTH} deep")
            self._add(1)
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            anchor, before = self._open.pop()
            self._sizes[anchor] = self._count - before
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event.anchor or "")
        elif isinstance(event, yaml.ScalarEvent):
            self._scalar(event)

    def _alias(self, anchor: str) -> None:
        if any(anchor == around for around, _ in self._open):
            raise yaml.YAMLError(f"`*{anchor[:60]}` is inside of what it repeats")
        self._add(self._sizes.get(anchor, 1))

    def _scalar(self, event: Any) -> None:
        self._add(1)
        self._sizes[event.anchor or ""] = 1
        is_text = bool(event.style) and event.tag is None
        if not is_text and len(event.value) > _MOST_DIGITS and _NUMBER.fullmatch(event.value):
            raise yaml.YAMLError(f"`{event.value[:20]}...` is a number of {len(event.value)} digits")

    def _add(self, more: int) -> None:
        self._count += more
        if self._count > _MOST_VALUES:
            raise yaml.YAMLError(f"it has more than {_MOST_VALUES:,} values")


def _parse(path: Path, text: str) -> dict[str, Any]:
    try:
        data = plain_yaml(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        spot = Spot(str(path), mark.line + 1, mark.column + 1) if mark else None
        raise SettingsError(f"not valid YAML: {error.problem}", spot=spot) from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        # ValueError: a tag or a number that YAML allows and Python cannot represent.
        raise SettingsError(f"{path} is not valid YAML: {error}") from error
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise SettingsError("the settings must be a mapping of keys", spot=Spot(str(path), 1, 1))
    return data


def _mapping(path: Path, data: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = data.get(key) or {}
    if not isinstance(value, dict):
        raise SettingsError(f"{path}: `{key}` must be a mapping")
    return {str(name): body for name, body in value.items()}


def _folder(path: Path, text: str) -> Path:
    """A folder that the settings name; a relative path starts at the folder of the settings.

    Relative to the current folder it would mean another folder each time, whose recipes would count as the user's own.
    """
    if "\0" in text:
        raise SettingsError(f"{path}: `{clean_line(text)[:60]}` is not the path of a folder")
    return path.parent / os.path.expanduser(text)


def _strings(path: Path, data: Mapping[str, Any], key: str) -> list[str]:
    value = data.get(key) or []
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list):
        raise SettingsError(f"{path}: `{key}` must be a list")
    return [_word(path, key, item) for item in value]


def _word(path: Path, key: str, value: object) -> str:
    """A text of the settings; numbers and words to which YAML gives another type are taken as text."""
    if isinstance(value, dict):
        raise SettingsError(f"{path}: `{key}` must be text, not a mapping")
    if isinstance(value, list | set | tuple):
        raise SettingsError(f"{path}: `{key}` must be text, not a list")
    return str(value)


def _cluster(path: Path, name: str, body: object, source: str = "config") -> Cluster:
    if isinstance(body, list):
        body = {"hosts": body}
    if not isinstance(body, dict):
        raise SettingsError(f"{path}: cluster `{name}` must be a list of hosts, or a mapping with `hosts`")
    hosts = body.get("hosts")
    if isinstance(hosts, str):
        parts = [part.strip() for part in hosts.split(",")]
        hosts = [part for part in parts if part]
    if not isinstance(hosts, list) or not hosts:
        raise SettingsError(f"{path}: cluster `{name}` has no `hosts`")
    user = _word(path, f"clusters.{name}.user", body.get("user") or "")
    names = []
    for host in hosts:
        word = _word(path, f"clusters.{name}.hosts", host)
        if user and "@" not in word:
            word = f"{user}@{word}"
        names.append(word)
    gpus = whole_of(body.get("gpus_per_host", 1), least=1)
    if gpus is None:
        raise SettingsError(f"{path}: cluster `{name}`: `gpus_per_host` must be a whole number of at least 1")
    cache = body.get("hf_cache") or body.get("cache_dir") or ""
    return Cluster(
        name=name,
        hosts=tuple(names),
        description=_word(path, f"clusters.{name}.description", body.get("description") or ""),
        gpus_per_host=gpus,
        privileged=body.get("privileged") is True,
        host_to_host=body.get("host_to_host") is True,
        hf_cache=_word(path, f"clusters.{name}.hf_cache", cache),
        source=source,
    )


def _sparkrun_clusters(taken: set[str]) -> tuple[list[Cluster], list[str]]:
    folder = paths.sparkrun_config_dir() / "clusters"
    clusters: list[Cluster] = []
    notes: list[str] = []
    if not folder.is_dir():
        return clusters, notes
    for path in sorted(folder.glob("*.y*ml")):
        try:
            body = _read_mapping(path)
            name = str(body.get("name") or path.stem)
            if name not in taken:
                clusters.append(_cluster(path, name, body, source="sparkrun"))
                taken.add(name)
        except SettingsError as error:
            notes.append(f"skipped: {error}")
    return clusters, notes
