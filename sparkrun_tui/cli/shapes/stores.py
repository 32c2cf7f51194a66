"""Models and images that hosts store, and registries of recipes, as JSON."""

from __future__ import annotations

from typing import Annotated, TypedDict

from sparkrun_tui.base.quantities import Bytes, Count, Moment
from sparkrun_tui.launch.stores.model import User
from sparkrun_tui.launch.stores.prune import Kind
from sparkrun_tui.launch.stores.verify import Verdict


class StoreHost(TypedDict):
    """A host, and how much room it has left for models."""

    name: str
    workstation: bool
    error: str | None
    docker_error: str | None
    cache: Annotated[str | None, "The folder of models."]
    disk_free: Bytes | None
    disk_total: Bytes | None


class StoresJson(TypedDict):
    """The hosts that were asked."""

    cluster: str | None
    taken: Annotated[Moment, "When the hosts were asked."]
    hosts: list[StoreHost]


class UseJson(TypedDict):
    """Something that uses a model or an image."""

    kind: User
    name: str
    host: str | None
    holds: Annotated[bool, "Whether it keeps the thing from being removed."]
    detail: str | None
    when: Annotated[Moment | None, "When it began."]


class UnfinishedJson(TypedDict):
    """What broken or running downloads have left."""

    files: Count
    size: Bytes
    growing: Annotated[Count, "Files that are being written now."]


class RevisionJson(TypedDict):
    """One commit of a model."""

    commit: str
    refs: list[str]
    files: Count
    size: Bytes
    without_content: Annotated[Count, "Files whose content is missing."]


class ModelOnHost(TypedDict):
    """What one host has of a model."""

    host: str
    size: Bytes
    written: Moment | None
    used: Moment | None
    link: Annotated[str | None, "Where it leads, when it is a link."]
    owners: list[str]
    unfinished: UnfinishedJson
    revisions: list[RevisionJson]
    used_by: list[UseJson]


class ModelJson(TypedDict):
    """One model with what each host has of it."""

    model: str
    on: list[ModelOnHost]


class ImageOnHost(TypedDict):
    """An image on one host."""

    host: str
    id: str
    digests: list[str]
    size: Bytes
    created: Moment | None
    used_by: list[UseJson]


class ImageJson(TypedDict):
    """One image with the hosts that have it."""

    image: str
    on: list[ImageOnHost]


class ModelsJson(StoresJson):
    """The models on the hosts and on this machine."""

    models: list[ModelJson]


class ImagesJson(StoresJson):
    """The images on the hosts and on this machine."""

    images: list[ImageJson]


class VerifiedJson(TypedDict):
    """Whether a model or an image is whole on a host."""

    host: str
    name: str
    revision: str | None
    verdict: Verdict
    detail: str
    size: Bytes | None


class VerifyJson(StoresJson):
    """What a verification has found."""

    checked: list[VerifiedJson]


class ItemJson(TypedDict):
    """One thing that may be removed."""

    kind: Kind
    host: str
    name: str
    size: Bytes
    note: str | None


class RemovedItem(ItemJson):
    """One thing that was to be removed."""

    gone: Annotated[bool | None, "null where that is not known."]
    why: str | None


class StaysJson(TypedDict):
    """One thing that stays, and why."""

    host: str
    name: str
    why: str


class PruneJson(StoresJson):
    """What was offered, what stays, and what became of what was removed."""

    offered: list[ItemJson]
    stays: list[StaysJson]
    removed: list[RemovedItem]
    freed: Bytes


class RegistryJson(TypedDict):
    """A registry of recipes."""

    name: str
    url: str
    subpath: str | None
    description: str
    enabled: bool
    visible: bool
    origin: str
    recipes: Count
    hidden: Annotated[Count, "Recipes that are not listed; they can be run by name."]
    parts: list[str]
    commit: str | None
    fetched: Moment | None
    skipped: Annotated[Count | None, "Files that were left out."]


class UpdatedJson(TypedDict):
    """What is new in a registry."""

    name: str
    error: str | None
    commit: str | None
    added: list[str]
    changed: list[str]
    removed: list[str]
