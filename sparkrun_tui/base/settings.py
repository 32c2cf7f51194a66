"""The user's settings: saved clusters, recipe folders, per-user defaults; the sparkrun CLI's clusters are read too."""

from __future__ import annotations

import os
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
    """The data of a YAML text. Raises `yaml.YAMLError`, also for one that is nested deeper than any settings are.

    Depth is counted on the events first: building the data of a thousand nested lists takes more than a second.
    """
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            depth += 1
            if depth > _MOST_DEPTH:
                raise yaml.YAMLError(f"lists and mappings are nested more than {_MOST_DEPTH} deep")
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            depth -= 1
    return yaml.load(text, Loader=_LOADER)


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
