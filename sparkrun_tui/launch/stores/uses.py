"""Who uses a model or an image: containers by their labels, mounts and commands, recipes, earlier launches. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from sparkrun_tui.base.by_identity import ByIdentity
from sparkrun_tui.engines.layout.labels import label_of
from sparkrun_tui.launch.run.parts.leases import holder_of
from sparkrun_tui.launch.stores.model import HostStores, NamedBy, Use, User
from sparkrun_tui.recipe.names.detect import split_gguf
from sparkrun_tui.remote.docker.types import ContainerInfo, ImageListed
from sparkrun_tui.remote.hub.host_store import StoredRepo

_NEVER_AGAIN = ("", "no")
"""Restart policies of containers that Docker does not start again by itself."""


_FOLDER = "models--"
_OF_NAMES = "._-/"
"""What names of models consist of, beside letters and digits."""
_MOST_NAMED = 64
"""Models that the labels of one container may name."""
_SEARCHED = 200
"""Containers of one host whose commands are searched, running ones first. Others that run may use any model."""
_MOST_USES = 32
"""Containers that are named of those that use one thing; one that holds it is among them."""


@dataclass(frozen=True, slots=True)
class _Users:
    """The containers of a host: who uses which model, who may use any, and who uses which image, by id and name.

    A host may list a thousand containers, models and images: each pair of them is not looked at.
    """

    of_repo: Mapping[str, Sequence[Use]]
    of_any: Sequence[tuple[Use, frozenset[str]]]
    """Each with the models that it is known to use anyway."""
    of_image: Mapping[str, Sequence[Use]]


@dataclass(frozen=True, slots=True)
class _Named:
    """Recipes and launches by the repository and by the image that they name."""

    by_repo: Mapping[str, Sequence[NamedBy]]
    by_image: Mapping[str, Sequence[NamedBy]]


_USERS: ByIdentity[_Users] = ByIdentity(16)
_NAMED: ByIdentity[_Named] = ByIdentity(8)


def repo_of_model(model: str) -> str:
    """The repository of a model as recipes and labels write it, which may name a quantisation of a GGUF."""
    return split_gguf(model)[0]


def uses_of_model(host: HostStores, stored: StoredRepo, named: Sequence[NamedBy]) -> tuple[Use, ...]:
    """What uses a model in the cache of a host."""
    found = [*_of_lease(host), *_of_parts(host, stored)]
    for one in (host, *host.beside):
        users = _users(one)
        found += users.of_repo.get(stored.repo, ())
        for use, known in users.of_any:
            if stored.repo not in known:
                found.append(use)
    for other in host.beside:
        found += _of_lease(other)
    for name in _named(named).by_repo.get(stored.repo, ()):
        found.append(Use(name.user, name.name, when=name.when))
    return tuple(dict.fromkeys(found))


def uses_of_image(host: HostStores, image: ImageListed, named: Sequence[NamedBy]) -> tuple[Use, ...]:
    """What uses an image of a host."""
    found = list(_of_lease(host))
    users = _users(host)
    for name in dict.fromkeys((image.id, *image.tags, *image.digests)):
        found += users.of_image.get(name, ())
    by_image = _named(named).by_image
    for whole in dict.fromkeys(_whole_name(name) for name in (*image.tags, *image.digests)):
        for naming in by_image.get(whole, ()):
            found.append(Use(naming.user, naming.name, when=naming.when))
    return tuple(dict.fromkeys(found))


def _users(host: HostStores) -> _Users:
    return _USERS.get((host,), (), lambda: _found_users(host))


def _found_users(host: HostStores) -> _Users:
    """Who uses what among the containers of a host.

    Containers of this program name their models in labels. Others are known by the cache that they mount: one that
    names no model in its command may use any of them.
    """
    of_repo: dict[str, list[Use]] = {}
    of_image: dict[str, list[Use]] = {}
    of_any: list[tuple[Use, frozenset[str]]] = []
    repos = host.store.repos if host.store is not None else ()
    around = _around(host)
    # Sorting is stable: those that run are searched first.
    ordered = sorted(host.containers or (), key=lambda info: not info.running)
    for searched, container in enumerate(ordered, 1):
        holding_it = _use(host, container, holds=True)
        for image in {container.image_id, container.image} - {""}:
            _add(of_image.setdefault(image, []), holding_it)
        labelled = _models_of(container)
        for name in labelled:
            _add(of_repo.setdefault(name, []), _use(host, container))
        mounts_all = any(PurePosixPath(source) in around for source in container.mounts)
        mentioned: set[str] = set()
        says_one = bool(labelled)
        if searched > _SEARCHED:
            mounts_all = mounts_all or container.running
        else:
            # A launch may serve a model by its path in the cache, or read a tokenizer from another one.
            text = " ".join((container.command, *container.mounts, *labelled))
            for repo in repos:
                in_command = repo.repo in container.command or repo.folder in container.command
                if in_command or repo.folder in text:
                    mentioned.add(repo.repo)
                    says_one = says_one or (in_command and _is_named(repo, container.command))
        for name in mentioned - labelled:
            _add(of_repo.setdefault(name, []), _use(host, container))
        if mounts_all and not says_one:
            use = _use(host, container)
            detail = f"{use.detail}; it mounts the cache and may use any model"
            if searched > _SEARCHED:
                detail = f"{use.detail}; it is one of very many, and may use any model"
            of_any.append((replace(use, detail=detail), frozenset(mentioned)))
    # Those that hold something come first.
    of_any.sort(key=lambda item: not item[0].holds)
    return _Users(of_repo, of_any[:_MOST_USES], of_image)


def _is_named(repo: StoredRepo, command: str) -> bool:
    """Whether a command names a model as a word of its own, so that it is the one that the container uses.

    A name without an owner, such as `gpt2`, may be any other word: who may write to a cache chooses its names.
    """
    names = [repo.folder]
    if "/" in repo.repo:
        names.append(repo.repo)
    return any(_stands_alone(name, command) for name in names)


def _stands_alone(name: str, command: str) -> bool:
    at = command.find(name)
    while at >= 0:
        before, behind = command[at - 1 : at], command[at + len(name) : at + len(name) + 1]
        # A folder of the cache stands in a path.
        is_folder = name.startswith(_FOLDER)
        is_begun = not before or not (before.isalnum() or before in _OF_NAMES) or (is_folder and before == "/")
        is_ended = not behind or not (behind.isalnum() or behind in _OF_NAMES) or (is_folder and behind == "/")
        if is_begun and is_ended:
            return True
        at = command.find(name, at + 1)
    return False


def _add(uses: list[Use], use: Use) -> None:
    """Add one, as far as there are few; one that holds is always among them."""
    if len(uses) < _MOST_USES:
        uses.append(use)
    elif use.holds and not any(known.holds for known in uses):
        uses[-1] = use


def _named(named: Sequence[NamedBy]) -> _Named:
    return _NAMED.get((named,), (), lambda: _found_named(named))


def _found_named(named: Sequence[NamedBy]) -> _Named:
    by_repo: dict[str, list[NamedBy]] = {}
    by_image: dict[str, list[NamedBy]] = {}
    for name in named:
        by_repo.setdefault(repo_of_model(name.model), []).append(name)
        if name.image:
            by_image.setdefault(_whole_name(name.image), []).append(name)
    return _Named(by_repo, by_image)


def _of_lease(host: HostStores) -> Iterator[Use]:
    """A launch that prepares the host may be bringing anything."""
    store = host.store
    if store is None or store.lease is None:
        return
    holder = holder_of(store.lease, store.lease_age)
    if holder:
        yield Use(User.TRANSFER, f"{holder}, {host.name}", host.name, holds=True)


def _of_parts(host: HostStores, stored: StoredRepo) -> Iterator[Use]:
    if stored.busy:
        yield Use(User.TRANSFER, f"it is being downloaded on {host.name}", host.name, holds=True)


def _models_of(container: ContainerInfo) -> set[str]:
    """The repositories that the labels of a container name; empty for one that another tool made."""
    more = label_of(container.labels, "models").split(",", _MOST_NAMED)[:_MOST_NAMED]
    names = [label_of(container.labels, "model"), *more]
    return {repo_of_model(name) for name in names if name}


def _around(host: HostStores) -> frozenset[PurePosixPath]:
    """The cache of a host and the folders that it lies in: who mounts one of them has all of the cache.

    Programs that watch a host mount all of it: they use no model.
    """
    if host.store is None or not host.store.hub:
        return frozenset()
    hub = PurePosixPath(host.store.hub)
    return frozenset(folder for folder in (hub, *hub.parents) if folder != folder.parent)


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
