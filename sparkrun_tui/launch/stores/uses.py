"""Who uses a model or an image: containers by their labels, mounts and commands, recipes, earlier launches. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from sparkrun_tui.base.by_identity import ByIdentity
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.engines.layout.labels import label_of
from sparkrun_tui.launch.run.parts.leases import holder_of
from sparkrun_tui.launch.stores.model import HostStores, NamedBy, Use, User
from sparkrun_tui.recipe.names.detect import split_gguf
from sparkrun_tui.remote.docker.types import ContainerInfo, ImageListed
from sparkrun_tui.remote.hub.host_store import StoredRepo

_NEVER_AGAIN = ("", "no")
"""Restart policies of containers that Docker does not start again by itself."""
NOT_ASKED = "not asked"
"""In place of the restart policy of a container that was one too many to be asked for it."""


_MOST_NAMED = 64
"""Models that the labels of one container may name."""
_SEARCHED = 200
"""Containers of one host whose commands are searched, running ones first. Others that run may use any model."""
_MOST_USES = 32
"""Containers that are named of those that use one thing; one that holds it is among them."""


_PATH = late_regex(r"[A-Za-z0-9._/-]+")
"""A name or a path, of the letters that names of models have."""


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
    by_folder = {repo.folder: repo.repo for repo in repos}
    by_name = {**by_folder, **{repo.repo: repo.repo for repo in repos}}
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
        mounts_all = container.id in host.unsure or any(PurePosixPath(path) in around for path in container.mounts)
        mentioned: set[str] = set()
        says_one = bool(labelled)
        if searched > _SEARCHED:
            mounts_all = mounts_all or container.running
        else:
            # A launch may serve a model by its path in the cache, or read a tokenizer from another one.
            in_command = _named_in(container.command, by_name)
            # A name without an owner, such as `gpt2`, may be any other word: who may write to a cache chooses names.
            named = [name for name in in_command if "/" in name]
            says_one = says_one or bool(named) or bool(_named_in(container.command, by_folder))
            mentioned = in_command.union(*(_named_in(text, by_folder) for text in (*container.mounts, *labelled)))
        for name in mentioned - labelled:
            _add(of_repo.setdefault(name, []), _use(host, container))
        if mounts_all and not says_one:
            use = _use(host, container)
            detail = "it mounts the cache and may use any model"
            if container.id in host.unsure:
                detail = f"{host.unsure[container.id]}, and may use any model"
            if searched > _SEARCHED:
                detail = "it is one of very many, and may use any model"
            words = "; ".join(part for part in (use.detail, detail) if part)
            of_any.append((replace(use, detail=words), frozenset(mentioned)))
    # Those that hold something come first.
    of_any.sort(key=lambda item: not item[0].holds)
    return _Users(of_repo, of_any[:_MOST_USES], of_image)


def _named_in(text: str, by_name: Mapping[str, str]) -> set[str]:
    """The models of a host that a text names by a path of their folder, or as `org/name`.

    One pass over the text: a host may have a thousand models, and containers with long commands.
    """
    found = set()
    for path in _PATH.findall(text):
        parts = path.split("/")
        for part, after in zip(parts, [*parts[1:], ""], strict=True):
            for name in (part, f"{part}/{after}"):
                if name in by_name:
                    found.add(by_name[name])
    return found


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
    if container.restart_policy == NOT_ASKED:
        words.append("perhaps kept over a restart")
    elif comes_back:
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
