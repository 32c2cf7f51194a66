"""What hosts store: models and images with their sizes on each host, and what uses them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from enum import StrEnum

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.remote.docker.types import ContainerInfo, ImageListed
from sparkrun_tui.remote.hub.host_store import HostStore, StoredRepo


class User(StrEnum):
    """What kind of thing uses a model or an image."""

    CONTAINER = "container"
    RECIPE = "recipe"
    LAUNCH = "launch"
    """An earlier launch, as the journals on this machine record it."""
    TRANSFER = "transfer"


@dataclass(frozen=True, slots=True)
class Use:
    """Something that uses a model or an image. `host` is empty for recipes and launches, which are of no one host."""

    user: User
    name: str
    host: str = ""
    holds: bool = False
    """Whether it needs the thing now, so that it must not be removed."""
    detail: str = ""
    """What else there is to say: that it is another tool's, or kept over a restart."""
    when: float | None = None
    """When it began, Unix seconds."""

    @property
    def text(self) -> str:
        """The use in words."""
        words = f"{self.user} {self.name}"
        if self.user is User.TRANSFER:
            words = self.name
        if self.detail:
            words += f" ({self.detail})"
        return words


@dataclass(frozen=True, slots=True)
class NamedBy:
    """A recipe of the list, or an earlier launch, that names a model or an image."""

    user: User
    name: str
    model: str
    """As it is written, with the quantisation of a GGUF."""
    image: str = ""
    when: float | None = None


@dataclass(frozen=True, slots=True)
class HostStores:
    """What one host stores. What could not be asked is None, with `problem` in words; `place` is where it is shown."""

    name: str
    here: bool = False
    """Whether it is this machine."""
    store: HostStore | None = None
    images: tuple[ImageListed, ...] | None = None
    containers: tuple[ContainerInfo, ...] | None = None
    problem: str = ""
    remedy: str = ""
    docker_problem: str = ""
    unsure: Mapping[str, str] = field(default_factory=dict)
    """Why containers may use the cache whose mounts do not say it, by their ids."""
    beside: tuple[HostStores, ...] = ()
    """Other hosts that have, or may have, the same cache on a disk of the network; their containers use it, too."""


@dataclass(frozen=True, slots=True)
class ModelOn:
    """A model in one cache."""

    host: str
    stored: StoredRepo
    uses: tuple[Use, ...] = ()

    @property
    def size(self) -> int:
        """Bytes on the disk."""
        return self.stored.size

    @property
    def used(self) -> float | None:
        """When it was last read or launched, Unix seconds; None where that is not known."""
        times = [use.when for use in self.uses if use.when]
        if self.stored.read:
            times.append(self.stored.read)
        return max(times, default=None)


@dataclass(frozen=True, slots=True)
class ImageOn:
    """An image on one host."""

    host: str
    listed: ImageListed
    uses: tuple[Use, ...] = ()

    @property
    def size(self) -> int:
        """Bytes with all layers, also those that other images share."""
        return self.listed.size


@dataclass(frozen=True, slots=True)
class Model:
    """A model with the caches that hold it."""

    repo: str
    on: tuple[ModelOn, ...]

    @property
    def uses(self) -> tuple[Use, ...]:
        """What uses it anywhere, each once."""
        return _each_once(self.on)

    @property
    def revision(self) -> str:
        """The beginning of its commit; how many there are where it is not one, empty where none is whole."""
        commits = {revision.commit for place in self.on for revision in place.stored.revisions}
        if len(commits) == 1:
            return next(iter(commits))[:8]
        return f"{len(commits)} revisions" if commits else ""

    @property
    def used(self) -> float | None:
        """When it was last read or launched anywhere; None where that is not known."""
        return max((place.used for place in self.on if place.used), default=None)


@dataclass(frozen=True, slots=True)
class Image:
    """An image by its name, with the hosts that have it; without a name it is the beginning of its id."""

    name: str
    on: tuple[ImageOn, ...]
    nameless: bool = False

    @property
    def uses(self) -> tuple[Use, ...]:
        """What uses it anywhere, each once."""
        return _each_once(self.on)

    @property
    def digest(self) -> str:
        """The beginning of its digest, or of its id; how many there are where hosts have different ones."""
        found = {digest_of(place.listed, self.name) for place in self.on}
        if len(found) == 1:
            return next(iter(found)).removeprefix("sha256:")[:12]
        return f"{len(found)} digests"


@dataclass(frozen=True, slots=True)
class StoresView:
    """What a cluster and this machine store, at Unix time `taken`."""

    cluster: str
    taken: float
    hosts: tuple[HostStores, ...]
    models: tuple[Model, ...] = ()
    images: tuple[Image, ...] = ()

    @property
    def silent(self) -> tuple[str, ...]:
        """Hosts of which something is not known."""
        return tuple(host.name for host in self.hosts if host.problem)

    def host(self, name: str) -> HostStores | None:
        """The host of this name; None when there is none."""
        for host in self.hosts:
            if host.name == name:
                return host
        return None


def digest_of(image: ImageListed, name: str) -> str:
    """The digest by which the registry of `name` knows an image; its id where no registry does."""
    repository = repository_of(name)
    for known in image.digests:
        if known.partition("@")[0] == repository:
            return known.partition("@")[2]
    if image.digests:
        return image.digests[0].partition("@")[2]
    return image.id


def repository_of(reference: str) -> str:
    """An image's name without tag and digest."""
    bare = reference.partition("@")[0]
    head, colon, tag = bare.rpartition(":")
    if colon and "/" not in tag:
        return head
    return bare


def sizes_text(places: Sequence[tuple[str, str]]) -> str:
    """Where something is and how large, from (host, size in words): hosts with the same size are named together."""
    by_size: dict[str, list[str]] = {}
    for host, size in places:
        by_size.setdefault(size, []).append(host)
    return "; ".join(f"{size} on {', '.join(hosts)}" for size, hosts in by_size.items())


def _each_once(places: Iterable[ModelOn | ImageOn]) -> tuple[Use, ...]:
    return tuple(dict.fromkeys(use for place in places for use in place.uses))
