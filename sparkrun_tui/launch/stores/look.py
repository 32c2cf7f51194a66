"""Asks hosts and this machine what they store: one script a host, and its Docker at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.user.settings import Cluster
from sparkrun_tui.engines.layout.labels import label_of
from sparkrun_tui.launch.plan.shapes import WORKSTATION
from sparkrun_tui.launch.services import Services
from sparkrun_tui.launch.stores.model import (
    HostStores,
    Image,
    ImageOn,
    Model,
    ModelOn,
    NamedBy,
    StoresView,
    repository_of,
)
from sparkrun_tui.launch.stores.uses import NOT_ASKED, uses_of_image, uses_of_model
from sparkrun_tui.recipe.names.mounts import Judgement, judge_source, no_place_for_data
from sparkrun_tui.remote.docker.types import MOST_CONTAINERS, ContainerInfo, ImageListed, VolumeListed
from sparkrun_tui.remote.failures import NoDocker
from sparkrun_tui.remote.hub.host_mounts import led_to
from sparkrun_tui.remote.hub.host_store import TIMEOUT, HostStore, list_store
from sparkrun_tui.remote.ports.docker import Docker
from sparkrun_tui.remote.transport import Transport

T = TypeVar("T")

_SLACK = 10.0
_MOST_INSPECTED = 64
"""Containers of one host that are asked for what their list does not say, such as whether Docker starts them again."""

Seen = Callable[[HostStores], None]
"""Called with each host as it answers."""


@dataclass(frozen=True, slots=True)
class Place:
    """A host, or this machine, and the ways to it. `hub` is empty where the host is asked for its cache."""

    name: str
    transport: Transport
    docker: Docker
    hub: str = ""
    here: bool = False


def places(cluster: Cluster | None, services: Services, *, with_here: bool = True) -> tuple[Place | HostStores, ...]:
    """The hosts of a cluster and this machine, which has the name `workstation`, last.

    A host whose name is none is given as one that cannot be asked.
    """
    found: list[Place | HostStores] = []
    names = cluster.hosts if cluster is not None else ()
    hub = f"{cluster.hf_cache.rstrip('/')}/hub" if cluster is not None and cluster.hf_cache else ""
    for name in names:
        try:
            transport = services.connector(name)
        except HostError as error:
            found.append(HostStores(name, problem=error.what, remedy=error.remedy))
            continue
        found.append(Place(name, transport, services.docker(transport), hub))
    here = services.workstation
    if here is not None and with_here:
        name = "this machine" if WORKSTATION in names else WORKSTATION
        found.append(Place(name, here.transport, here.docker, here.hub, here=True))
    return tuple(found)


async def look(
    cluster: Cluster | None,
    services: Services,
    named: Iterable[NamedBy] = (),
    *,
    with_here: bool = True,
    seen: Seen | None = None,
) -> StoresView:
    """What the hosts of `cluster` and this machine store, asked at the same time; changes nothing anywhere.

    `named` are recipes and earlier launches with the models that they name. A host that does not answer is shown with
    the reason. Never raises for a host.
    """
    known = tuple(named)

    async def one(place: Place | HostStores) -> HostStores:
        found = place if isinstance(place, HostStores) else await ask(place)
        if seen is not None:
            seen(found)
        return found

    hosts = await asyncio.gather(*map(one, places(cluster, services, with_here=with_here)))
    shown = [beside_others(host, hosts) for host in _each_once(hosts)]
    return view_of(cluster.name if cluster is not None else "", services.clock(), shown, known)


def view_of(cluster: str, taken: float, hosts: Sequence[HostStores], named: Sequence[NamedBy]) -> StoresView:
    """The models and images of hosts, the largest first. Pure."""
    models: dict[str, list[ModelOn]] = {}
    images: dict[str, list[ImageOn]] = {}
    nameless: set[str] = set()
    for host in hosts:
        for stored in host.store.repos if host.store is not None else ():
            models.setdefault(stored.repo, []).append(ModelOn(host.name, stored, uses_of_model(host, stored, named)))
        for listed in host.images or ():
            on = ImageOn(host.name, listed, uses_of_image(host, listed, named))
            for name in names_of(listed):
                images.setdefault(name, []).append(on)
            if not listed.tags:
                nameless.update(names_of(listed))
    found_models = [Model(repo, tuple(on)) for repo, on in models.items()]
    found_images = [Image(name, tuple(on), name in nameless) for name, on in images.items()]
    found_models.sort(key=lambda model: (-max(on.size for on in model.on), model.repo))
    found_images.sort(key=lambda image: (-max(on.size for on in image.on), image.name))
    return StoresView(cluster, taken, tuple(hosts), tuple(found_models), tuple(found_images))


def names_of(image: ImageListed) -> tuple[str, ...]:
    """The names by which an image is shown and removed: its tags, else its digests, else the beginning of its id."""
    if image.tags:
        return tuple(dict.fromkeys(image.tags))
    if image.digests:
        return (f"{repository_of(image.digests[0])}@{image.digests[0].partition('@')[2]}",)
    return (image.id.removeprefix("sha256:")[:12],)


def _each_once(hosts: Sequence[HostStores]) -> list[HostStores]:
    """The hosts without this machine where it is one of them: one cache is shown once."""
    caches = {_cache_of(host) for host in hosts if not host.here}
    return [host for host in hosts if not host.here or _cache_of(host) is None or _cache_of(host) not in caches]


def _cache_of(host: HostStores) -> tuple[str, str] | None:
    """What tells one cache from another: the boot of its machine, and its folder's device and number."""
    if host.store is None or not host.store.boot_id or not host.store.place:
        return None
    return host.store.boot_id, host.store.place


def beside_others(host: HostStores, hosts: Iterable[HostStores]) -> HostStores:
    """The host with those of `hosts` that have its cache, too: one on a disk of the network is the same for all.

    One that could not be asked may have it.
    """
    if host.store is None or not host.store.on_network:
        return host
    beside = []
    for other in hosts:
        if other.name == host.name:
            continue
        if other.store is None or other.store.source == host.store.source:
            beside.append(other)
    return replace(host, beside=tuple(beside))


async def ask(place: Place) -> HostStores:
    """What one host stores. Never raises for a host: what could not be asked is in words."""
    found = HostStores(place.name, place.here)
    try:
        async with asyncio.timeout(TIMEOUT + _SLACK):
            await place.transport.connect()
            store, images, containers = await asyncio.gather(
                _result(list_store(place.transport, place.hub)),
                _result(place.docker.images()),
                _result(_containers(place.docker)),
            )
    except HostError as error:
        return replace(found, problem=error.what, remedy=error.remedy)
    except TimeoutError:
        return replace(found, problem=f"no answer within {TIMEOUT + _SLACK:.0f} s")
    if isinstance(store, HostError):
        return replace(found, problem=store.what, remedy=store.remedy)
    found = replace(found, store=store)
    for failed in (images, containers):
        if isinstance(failed, NoDocker) and (place.here or not failed.installed):
            # Nothing runs in a Docker that is not there. One of a host may only not be visible to its user.
            return replace(found, images=(), containers=())
    if isinstance(images, HostError):
        return replace(found, docker_problem=images.what)
    found = replace(found, images=tuple(images))
    if isinstance(containers, HostError):
        return replace(found, docker_problem=containers.what)
    try:
        return await _with_mounts(found, store, containers, place)
    except HostError as error:
        return replace(found, docker_problem=error.what)


async def _with_mounts(
    found: HostStores, store: HostStore, containers: Sequence[ContainerInfo], place: Place
) -> HostStores:
    """The host with its containers, whose mounts have the folders, too, to which they lead. Raises `HostError`."""
    # Those that run come first: only so many paths are looked at.
    ordered = sorted(containers, key=lambda info: not info.running)
    if not store.hub:
        return replace(found, containers=tuple(ordered))
    volumes: dict[str, VolumeListed] = {}
    if any(info.volumes for info in ordered):
        volumes = {volume.name: volume for volume in await place.docker.volumes()}
    typed = {info.id: (*info.mounts, *_devices(info, volumes)) for info in ordered}
    led = await led_to(place.transport, store.hub, [path for paths in typed.values() for path in paths])
    whole: list[ContainerInfo] = []
    unsure: dict[str, str] = {}
    for info in ordered:
        paths = typed[info.id]
        real = [led.to[path] for path in paths if led.to.get(path)]
        whole.append(replace(info, mounts=tuple(dict.fromkeys((*paths, *real)))))
        hidden = [path for path in paths if path in led.unknown and not _holds_no_models(path)]
        why = _why_unsure(info, volumes, store)
        if hidden:
            why = f"it mounts {hidden[0]}, into which this user may not look"
        if why:
            unsure[info.id] = why
    return replace(found, containers=tuple(whole), unsure=unsure)


def _devices(info: ContainerInfo, volumes: Mapping[str, VolumeListed]) -> list[str]:
    """The folders of the host that volumes of a container are, by their options."""
    found = []
    for name in info.volumes:
        volume = volumes.get(name)
        if volume is not None and volume.device.startswith("/") and not volume.device.startswith("//"):
            found.append(volume.device)
    return found


def _why_unsure(info: ContainerInfo, volumes: Mapping[str, VolumeListed], store: HostStore) -> str:
    """Why a container may have the cache by what Docker says of its mounts; empty where it has not."""
    if not info.mounts_known:
        return "what it mounts is not known"
    for name in info.volumes:
        volume = volumes.get(name)
        if volume is None or volume.driver != "local":
            return f"what its volume {name} is is not known"
        is_of_network = ":" in volume.device or volume.device.startswith("//")
        if volume.device and (volume.device == store.source or (is_of_network and store.on_network)):
            return f"its volume {name} may be the disk of the cache"
    return ""


_NO_FOLDERS = (
    ".json",
    ".conf",
    ".cfg",
    ".ini",
    ".env",
    ".yml",
    ".yaml",
    ".toml",
    ".sh",
    ".txt",
    ".pem",
    ".crt",
    ".key",
)


def _holds_no_models(path: str) -> bool:
    """Whether a path that cannot be looked into is a file of settings, or a place where nobody keeps models."""
    if path.endswith(_NO_FOLDERS):
        return True
    return judge_source(path) is Judgement.REFUSED and no_place_for_data(path)


async def _containers(docker: Docker) -> Sequence[ContainerInfo]:
    """All containers; of launches that do not run, whether Docker starts them again. Raises `HostError`."""
    listed = await docker.containers()
    if len(listed) >= MOST_CONTAINERS:
        # One that has run for long is older than those that were made since.
        raise HostError(f"it has {MOST_CONTAINERS:,} containers or more, of which older ones are not listed")
    asked = [info for info in listed if not info.mounts_known]
    asked += [info for info in listed if not info.running and label_of(info.labels, "launch") and info.mounts_known]
    inspected = asked[:_MOST_INSPECTED]
    whole: Mapping[str, ContainerInfo | None] = dict(
        zip(
            [info.id for info in inspected],
            await asyncio.gather(*(docker.inspect(info.id) for info in inspected)),
            strict=True,
        )
    )
    not_asked = {info.id for info in asked[_MOST_INSPECTED:]}
    found = []
    for info in listed:
        seen = whole.get(info.id)
        if info.id in not_asked:
            found.append(replace(info, restart_policy=NOT_ASKED))
        elif seen is None:
            found.append(info)
        else:
            found.append(_with_what_is_seen(info, seen))
    return found


def _with_what_is_seen(info: ContainerInfo, seen: ContainerInfo) -> ContainerInfo:
    """A container of a list with what only a whole look says."""
    info = replace(info, restart_policy=seen.restart_policy)
    if info.mounts_known:
        return info
    return replace(info, mounts=seen.mounts, volumes=seen.volumes, mounts_known=seen.mounts_known)


async def _result(work: Coroutine[Any, Any, T]) -> T | HostError:
    """What `work` gives, or why a host could not be asked."""
    try:
        return await work
    except HostError as error:
        return error
