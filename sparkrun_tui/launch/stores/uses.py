"""Who uses a model or an image: containers by their labels, mounts and commands, recipes, earlier launches. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath

from sparkrun_tui.engines.layout.labels import label_of
from sparkrun_tui.launch.run.parts.leases import holder_of
from sparkrun_tui.launch.stores.model import HostStores, NamedBy, Use, User
from sparkrun_tui.recipe.names.detect import split_gguf
from sparkrun_tui.remote.docker.types import ContainerInfo, ImageListed
from sparkrun_tui.remote.hub.host_store import StoredRepo

_NEVER_AGAIN = ("", "no")
"""Restart policies of containers that Docker does not start again by itself."""


def repo_of_model(model: str) -> str:
    """The repository of a model as recipes and labels write it, which may name a quantisation of a GGUF."""
    return split_gguf(model)[0]


def uses_of_model(host: HostStores, stored: StoredRepo, named: Sequence[NamedBy]) -> tuple[Use, ...]:
    """What uses a model in the cache of a host."""
    found = [*_of_lease(host), *_of_parts(host, stored)]
    for one in (host, *host.beside):
        for container in one.containers or ():
            found += _of_container(one, container, stored)
    for other in host.beside:
        found += _of_lease(other)
    for name in named:
        if repo_of_model(name.model) == stored.repo:
            found.append(Use(name.user, name.name, when=name.when))
    return tuple(dict.fromkeys(found))


def uses_of_image(host: HostStores, image: ImageListed, named: Sequence[NamedBy]) -> tuple[Use, ...]:
    """What uses an image of a host."""
    found = list(_of_lease(host))
    for container in host.containers or ():
        if container.image_id == image.id or container.image in (*image.tags, *image.digests, image.id):
            found.append(_use(host, container, holds=True))
    names = {_whole_name(name) for name in (*image.tags, *image.digests)}
    for name in named:
        if name.image and _whole_name(name.image) in names:
            found.append(Use(name.user, name.name, when=name.when))
    return tuple(dict.fromkeys(found))


def _of_lease(host: HostStores) -> Iterator[Use]:
    """A launch that prepares the host may be bringing anything."""
    store = host.store
    if store is None or store.lease is None:
        return
    holder = holder_of(store.lease, store.lease_age)
    if holder:
        yield Use(User.TRANSFER, f"launch {holder} prepares {host.name}", host.name, holds=True)


def _of_parts(host: HostStores, stored: StoredRepo) -> Iterator[Use]:
    if stored.busy:
        yield Use(User.TRANSFER, f"it is being downloaded on {host.name}", host.name, holds=True)


def _of_container(host: HostStores, container: ContainerInfo, stored: StoredRepo) -> Iterator[Use]:
    """Whether a container uses a model.

    Containers of this program name their models in labels. Others are known by the cache that they mount: one that
    names no model in its command may use any of them.
    """
    named = _models_of(container)
    if named:
        if stored.repo in named:
            yield _use(host, container)
        return
    mentions = stored.repo in container.command or stored.folder in " ".join((container.command, *container.mounts))
    if mentions:
        yield _use(host, container)
        return
    if not _mounts_all(host, container) or _mentions_one(host, container):
        return
    use = _use(host, container)
    yield Use(use.user, use.name, use.host, use.holds, f"{use.detail}; it mounts the cache and may use any model")


def _models_of(container: ContainerInfo) -> set[str]:
    """The repositories that the labels of a container name; empty for one that another tool made."""
    names = [label_of(container.labels, "model"), *label_of(container.labels, "models").split(",")]
    return {repo_of_model(name) for name in names if name}


def _mounts_all(host: HostStores, container: ContainerInfo) -> bool:
    """Whether a container mounts the whole cache of its host, or a folder that it lies in."""
    if host.store is None or not host.store.hub:
        return False
    hub = PurePosixPath(host.store.hub)
    # Programs that watch a host mount all of it: they use no model.
    around = [folder for folder in (hub, *hub.parents) if folder != folder.parent]
    return any(PurePosixPath(source) in around for source in container.mounts)


def _mentions_one(host: HostStores, container: ContainerInfo) -> bool:
    """Whether its command names some model of the cache, so that it needs no other."""
    assert host.store is not None
    return any(repo.repo in container.command or repo.folder in container.command for repo in host.store.repos)


def _use(host: HostStores, container: ContainerInfo, holds: bool | None = None) -> Use:
    comes_back = container.restart_policy not in _NEVER_AGAIN
    words = [] if container.running else [container.state]
    if comes_back:
        words.append("kept over a restart")
    if not label_of(container.labels, "launch"):
        words.append("another tool's")
    if holds is None:
        holds = container.running or comes_back
    name = label_of(container.labels, "launch") or container.name or container.id[:12]
    return Use(
        User.CONTAINER,
        f"{name} on {host.name}",
        host.name,
        holds=holds,
        detail=", ".join(words),
        when=container.started,
    )


def _whole_name(reference: str) -> str:
    """A reference as Docker lists it: `latest` where it names no tag, and no name of Docker's own registry."""
    bare = reference.removeprefix("docker.io/").removeprefix("library/")
    name, at, digest = bare.partition("@")
    if at:
        # With a digest, a tag says nothing more.
        head, colon, tag = name.rpartition(":")
        if colon and "/" not in tag:
            name = head
        return f"{name}@{digest}"
    _, colon, tag = bare.rpartition(":")
    if colon and "/" not in tag:
        return bare
    return f"{bare}:latest"


def holding(uses: Iterable[Use]) -> tuple[Use, ...]:
    """The uses for which a thing must stay."""
    return tuple(use for use in uses if use.holds)
