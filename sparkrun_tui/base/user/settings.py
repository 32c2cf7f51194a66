"""The user's settings: saved clusters, recipe folders, per-user defaults; the sparkrun CLI's clusters are read too."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any

from sparkrun_tui.base.disk import paths
from sparkrun_tui.base.disk.files import behind_links, read_text, update_private
from sparkrun_tui.base.errors import SettingsError, SparkrunError, Spot, UsageError
from sparkrun_tui.base.reading.numbers import decimal_of, whole_of
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.base.text import clean_line
from sparkrun_tui.base.user.kept_settings import Parsed, keep_parsed, parsed_before

DEMO_CLUSTER = "demo"

KEYS = ("clusters", "default_cluster", "recipe_dirs", "data_dirs", "defaults", "theme", "keys")
"""The keys of the settings file; docs/settings.md and docs/settings.schema.json have them all."""
CLUSTER_KEYS = (
    "hosts", "user", "description", "gpus_per_host", "privileged", "host_to_host", "hf_cache", "cache_dir",
    "guard_floor_gib",
)  # fmt: skip
"""The keys of a cluster that is written as a mapping. `cache_dir` is the sparkrun CLI's word for `hf_cache`."""
_MOST_FLOOR = 1024.0
_CLUSTER_NAME = late_regex(r"\w[\w.-]{0,63}")


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
    guard_floor_gib: float | None = None
    """GiB of available memory below which the memory guard ends a container on any host; 0 for no guard.

    None is the default: a guard on hosts whose GPU shares their memory, with a floor of its own.
    """

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
    spots: Mapping[str, Spot] = field(default_factory=dict)
    """The places of `default_cluster` and of each `keys.ID` in `config.yaml`."""

    def cluster(self, name: str = "") -> Cluster | None:
        """The cluster called `name`, or the default one, or the only one; None when there is no such cluster.

        Of several clusters none is the default until the user says so.
        """
        wanted = name or self.default_cluster
        if wanted:
            for cluster in self.clusters:
                if cluster.name == wanted:
                    return cluster
            return None
        return self.clusters[0] if len(self.clusters) == 1 else None

    def named_cluster(self, name: str = "") -> Cluster | None:
        """The same; None only when none is named and none is saved.

        Raises `UsageError` for an unknown name, for a default that is not there, and for several clusters without a
        default: a command must not act on hosts that nobody chose.
        """
        found = self.cluster(name)
        if found is not None:
            return found
        names = [cluster.name for cluster in self.clusters]
        known = ", ".join(names) or "none"
        if name:
            raise UsageError(f"there is no cluster `{name}`; saved clusters: {known}", remedy=_near(name, names))
        if self.default_cluster:
            raise UsageError(
                f"the default cluster `{self.default_cluster}` is not saved; saved clusters: {known}",
                spot=self.spots.get("default_cluster"),
                remedy="Choose another with `sparkrun-tui cluster use NAME`.",
            )
        if names:
            raise UsageError(
                f"there are several clusters and no default: {known}",
                remedy="Name one with --cluster NAME, or choose the default with `sparkrun-tui cluster use NAME`.",
            )
        return None


def config_file() -> Path:
    """The user's `config.yaml`."""
    return paths.config_dir() / "config.yaml"


def load_settings() -> Settings:
    """Read `config.yaml` and the sparkrun CLI's clusters; a missing file is an empty one.

    Raises `SettingsError` with file and line when `config.yaml` cannot be used.
    """
    file = _File(config_file())
    file.refuse_doubles()
    notes = file.unknown_keys((), file.data, KEYS)
    clusters = []
    for name, body in file.mapping("clusters").items():
        clusters.append(_cluster(file, ("clusters", name), name, body))
        if isinstance(body, dict):
            notes += file.unknown_keys(("clusters", name), body, CLUSTER_KEYS)
    foreign, foreign_default, foreign_notes = _sparkrun_clusters({cluster.name for cluster in clusters})
    default = file.word("default_cluster")
    spots = {}
    if default:
        spots["default_cluster"] = file.spot("default_cluster")
    keys = {}
    for key, value in file.mapping("keys").items():
        keys[key] = file.as_word("" if value is None else value, "keys", key)
        spots[f"keys.{key}"] = file.spot("keys", key)
    return Settings(
        clusters=(*clusters, *foreign),
        default_cluster=default or foreign_default,
        recipe_dirs=tuple(_folder(file.path, item) for item in file.words("recipe_dirs")),
        data_dirs=tuple(file.words("data_dirs")),
        defaults=file.mapping("defaults"),
        theme=file.word("theme"),
        keys=keys,
        notes=(*notes, *foreign_notes),
        spots=spots,
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


def check_name(name: str) -> None:
    """Raises `UsageError` unless this can be the name of a cluster."""
    if name == DEMO_CLUSTER:
        raise UsageError("`demo` is the built-in cluster", remedy="choose another name")
    if _CLUSTER_NAME.fullmatch(name) is None:
        raise UsageError(
            f"`{clean_line(name[:80])}` is not a name for a cluster",
            remedy="use letters, digits, dots, hyphens and underscores",
        )


def save_cluster(cluster: Cluster) -> bool:
    """Add a cluster to `config.yaml`, as the default if it is the first; all other lines stay as they are.

    Whether it is the default now. Raises `UsageError` when there is one of that name already, `SettingsError`.
    """
    check_name(cluster.name)
    body: dict[str, Any] = {"hosts": list(cluster.hosts)}
    if cluster.description:
        body["description"] = cluster.description
    if cluster.gpus_per_host != 1:
        body["gpus_per_host"] = cluster.gpus_per_host
    if cluster.privileged:
        body["privileged"] = True
    if cluster.host_to_host:
        body["host_to_host"] = True
    if cluster.guard_floor_gib is not None:
        body["guard_floor_gib"] = cluster.guard_floor_gib
    if cluster.hf_cache:
        body["hf_cache"] = cluster.hf_cache
    foreign, foreign_default, _ = _sparkrun_clusters(set())
    is_default = False

    def add(file: _File) -> None:
        nonlocal is_default
        clusters = file.mapping("clusters")
        if cluster.name in clusters:
            from sparkrun_tui.base import shell

            remove = shell.words(["sparkrun-tui", "cluster", "remove", cluster.name])
            raise UsageError(
                f"there is already a cluster `{cluster.name}`",
                spot=file.spot("clusters", cluster.name),
                remedy=f"Choose another name, or remove it first: {remove}",
            )
        for other in foreign:
            if other.name == cluster.name:
                raise UsageError(
                    f"there is already a cluster `{cluster.name}`, saved by the sparkrun CLI",
                    remedy="Choose another name.",
                )
        file.data["clusters"] = {**clusters, cluster.name: body}
        is_first = not clusters and not foreign
        if is_first and not file.data.get("default_cluster"):
            file.data["default_cluster"] = cluster.name
        default = file.data.get("default_cluster") or foreign_default
        is_default = default == cluster.name

    _update(add)
    return is_default


def use_cluster(name: str) -> None:
    """Make a saved cluster, of this program or the sparkrun CLI, the default. Raises `UsageError`, `SettingsError`."""
    load_settings().named_cluster(name)

    def choose(file: _File) -> None:
        file.data["default_cluster"] = name

    _update(choose)


def remove_cluster(name: str) -> None:
    """Remove a cluster from `config.yaml`. Raises `SettingsError` when there is none of that name."""

    def remove(file: _File) -> None:
        clusters = file.mapping("clusters")
        if name not in clusters:
            raise SettingsError(f"{file.path} has no cluster `{name}`", remedy=_near(name, clusters))
        del clusters[name]
        file.data["clusters"] = clusters
        if file.data.get("default_cluster") == name:
            del file.data["default_cluster"]

    _update(remove)


def _near(word: str, known: Iterable[str]) -> str:
    """A sentence with the known word that is most like this one; empty when none is."""
    import difflib  # only for messages

    found = difflib.get_close_matches(word, list(known), n=1)
    return f"Did you mean `{found[0]}`?" if found else ""


def _update(change: Callable[[_File], None]) -> None:
    """Change `config.yaml`: `change` gets the file and changes its data. Raises `SettingsError`, and what it raises."""
    # Needed for a change only; the settings are read at every start.
    from sparkrun_tui.base.user.settings_yaml import plain_yaml
    from sparkrun_tui.base.user.yaml_edit import with_data

    path = config_file()

    def changed(text: str) -> str:
        file = _File(path, text)
        file.refuse_doubles()
        change(file)
        return with_data(text, file.data, plain_yaml)

    try:
        update_private(behind_links(path), changed)
    except OSError as error:
        # The settings are right: it was tried and failed.
        raise SparkrunError(f"{path} cannot be written: {error.strerror or error}") from error


class _File:
    """A file of settings: its data, and the places of its keys for messages."""

    def __init__(self, path: Path, text: str | None = None) -> None:
        """Reads the file unless its text is given; a missing file is empty. Raises `SettingsError`."""
        self.path = path
        self._parsed = _parsed(path) if text is None else _parse(path, text)
        self.data = self._parsed.data

    def spot(self, *keys: str) -> Spot:
        """The place of a key, else of the nearest key around it (a merged key has none of its own)."""
        places = self._parsed.places
        for count in range(len(keys), 0, -1):
            place = places.get(keys[:count])
            if place is not None:
                return Spot(str(self.path), *place)
        return Spot(str(self.path), 1, 1)

    def refuse_doubles(self) -> None:
        """Raises `SettingsError` for a key that is given twice: YAML silently takes the last."""
        double = self._parsed.double
        if double is not None:
            name, place = double
            raise SettingsError(
                f"`{name}` is given twice", spot=Spot(str(self.path), *place), remedy="Keep one of them."
            )

    def unknown_keys(self, at: tuple[str, ...], body: Mapping[Any, Any], known: Sequence[str]) -> list[str]:
        """A note for each key of `body`, the mapping at `at`, that is not one of `known`."""
        notes = []
        for key in map(str, body):
            if key in known:
                continue
            name = ".".join((*at, key))
            hint = _near(key, known)
            notes.append(f"{self.spot(*at, key)}: unknown key `{name}` is ignored. {hint}".rstrip(" "))
        return notes

    def mapping(self, key: str) -> dict[str, Any]:
        """The mapping under a key, empty when there is none."""
        value = self.data.get(key) or {}
        if not isinstance(value, dict):
            raise SettingsError(f"`{key}` must be a mapping", spot=self.spot(key))
        return {str(name): body for name, body in value.items()}

    def words(self, key: str) -> list[str]:
        """The list of texts under a key; a single text counts as a list of one."""
        value = self.data.get(key) or []
        if isinstance(value, str):
            return [value]
        if not isinstance(value, list):
            raise SettingsError(f"`{key}` must be a list", spot=self.spot(key))
        return [self.as_word(item, key) for item in value]

    def word(self, key: str) -> str:
        """The text under a key, empty when there is none."""
        value = self.data.get(key)
        return self.as_word("" if value is None else value, key)

    def as_word(self, value: object, *keys: str) -> str:
        """A text of the settings; numbers and words to which YAML gives another type are taken as text."""
        kind = ""
        if isinstance(value, dict):
            kind = "a mapping"
        elif isinstance(value, list | set | tuple):
            kind = "a list"
        if kind:
            raise SettingsError(f"`{'.'.join(keys)}` must be text, not {kind}", spot=self.spot(*keys))
        return str(value)


def _text_of(path: Path) -> str:
    try:
        return read_text(path)
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from error


def _parsed(path: Path) -> Parsed:
    """The content of a file of settings, without the YAML library where this very text was parsed before."""
    text = _text_of(path)
    known = parsed_before(path, text)
    if known is None:
        known = _parse(path, text)
        keep_parsed(path, text, known)
    return known


def _parse(path: Path, text: str) -> Parsed:
    if not text.strip():
        return Parsed({}, {}, None)
    from sparkrun_tui.base.user.settings_yaml import parse_settings  # loads the YAML library

    return parse_settings(path, text)


def _folder(path: Path, text: str) -> Path:
    """A folder that the settings name; a relative path starts at the folder of the settings.

    Relative to the current folder it would mean another folder each time, whose recipes would count as the user's own.
    """
    if "\0" in text:
        raise SettingsError(f"{path}: `{clean_line(text)[:60]}` is not the path of a folder")
    return path.parent / os.path.expanduser(text)


def _cluster(file: _File, at: tuple[str, ...], name: str, body: object, source: str = "config") -> Cluster:
    """A cluster from its entry; `at` is the place of the entry in the file."""
    if isinstance(body, list):
        body = {"hosts": body}
    if not isinstance(body, dict):
        raise SettingsError(f"cluster `{name}` must be a list of hosts, or a mapping with `hosts`", spot=file.spot(*at))
    hosts = body.get("hosts")
    if isinstance(hosts, str):
        parts = [part.strip() for part in hosts.split(",")]
        hosts = [part for part in parts if part]
    if not isinstance(hosts, list) or not hosts:
        raise SettingsError(f"cluster `{name}` has no `hosts`", spot=file.spot(*at, "hosts"))
    user = file.as_word(body.get("user") or "", *at, "user")
    names = []
    for host in hosts:
        word = file.as_word(host, *at, "hosts")
        if user and "@" not in word:
            word = f"{user}@{word}"
        names.append(word)
    gpus = whole_of(body.get("gpus_per_host", 1), least=1)
    if gpus is None:
        raise SettingsError(
            f"cluster `{name}`: `gpus_per_host` must be a whole number of at least 1",
            spot=file.spot(*at, "gpus_per_host"),
        )
    cache = body.get("hf_cache") or body.get("cache_dir") or ""
    return Cluster(
        name=name,
        hosts=tuple(names),
        description=file.as_word(body.get("description") or "", *at, "description"),
        gpus_per_host=gpus,
        privileged=_switch(file, at, body, "privileged"),
        host_to_host=_switch(file, at, body, "host_to_host"),
        hf_cache=file.as_word(cache, *at, "hf_cache"),
        source=source,
        guard_floor_gib=_guard_floor(file, at, body),
    )


def _guard_floor(file: _File, at: tuple[str, ...], body: Mapping[Any, Any]) -> float | None:
    """The floor of the memory guard of a cluster, GiB; None where it is left out."""
    value = body.get("guard_floor_gib")
    if value is None:
        return None
    floor = decimal_of(value, least=0.0, most=_MOST_FLOOR)
    if floor is None:
        raise SettingsError(
            f"`{'.'.join((*at, 'guard_floor_gib'))}` must be a number of GiB from 0 (no guard) to {_MOST_FLOOR:.0f}",
            spot=file.spot(*at, "guard_floor_gib"),
        )
    return floor


def _switch(file: _File, at: tuple[str, ...], body: Mapping[Any, Any], key: str) -> bool:
    """A true or false of a cluster; left out is false."""
    value = body.get(key)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise SettingsError(f"`{'.'.join((*at, key))}` must be true or false", spot=file.spot(*at, key))
    return value


def _sparkrun_clusters(taken: set[str]) -> tuple[list[Cluster], str, list[str]]:
    """The clusters of the sparkrun CLI that are not in `taken`, the name of its default, and notes.

    Its `clusters/.default` is a file with one name in it.
    """
    folder = paths.sparkrun_config_dir() / "clusters"
    clusters: list[Cluster] = []
    notes: list[str] = []
    if not folder.is_dir():
        return clusters, "", notes
    names = set(taken)
    for path in sorted(folder.glob("*.y*ml")):
        if path.name.startswith(".") or path.name.endswith(".manifest.yaml"):
            continue
        try:
            file = _File(path)
            name = file.word("name") or path.stem
            if name not in names:
                clusters.append(_cluster(file, (), name, file.data, source="sparkrun"))
                names.add(name)
        except SettingsError as error:
            notes.append(f"skipped: {error}")
    default = ""
    try:
        default = _text_of(folder / ".default").strip()
    except SettingsError as error:
        notes.append(f"skipped: {error}")
    if default and default not in names:
        notes.append(f"{folder / '.default'} names the cluster `{clean_line(default[:80])}`, which is not there")
        default = ""
    return clusters, default, notes
