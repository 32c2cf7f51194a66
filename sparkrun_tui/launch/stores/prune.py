"""Removes models and images that nothing needs, host by host; what went is what is no longer seen afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import replace
from enum import StrEnum
from pathlib import Path

from sparkrun_tui.base.disk.files import Busy, hold
from sparkrun_tui.base.errors import HostError, LaunchError, SparkrunError
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.units import format_bytes
from sparkrun_tui.base.user.settings import Cluster
from sparkrun_tui.launch.plan.launch_id import new_launch_id
from sparkrun_tui.launch.run.parts.leases import lease_of
from sparkrun_tui.launch.services import Services
from sparkrun_tui.launch.stores.look import Place, ask, beside_others, names_of, places
from sparkrun_tui.launch.stores.model import HostStores, ImageOn, StoresView, User
from sparkrun_tui.launch.stores.uses import holding, uses_of_image, uses_of_model
from sparkrun_tui.models.snapshot import folder_name
from sparkrun_tui.remote.docker.types import ImageListed
from sparkrun_tui.remote.hub.host_store import StoredRepo
from sparkrun_tui.remote.hub.store_removal import remove

_DOWNLOAD_LOCK = "sparkrun-tui.lock"
"""The file that a download to this machine holds, see `remote.hub.worker`."""


class Kind(StrEnum):
    """What is removed."""

    PARTS = "parts"
    """What broken downloads and transfers of a model have left."""
    MODEL = "model"
    IMAGE = "image"


@dataclass(frozen=True, slots=True)
class Item:
    """One thing on one host that may be removed; `size` is bytes. `note` says whose it is, and what used it."""

    kind: Kind
    host: str
    name: str
    size: int
    note: str = ""

    @property
    def text(self) -> str:
        """One line about it."""
        what = {Kind.PARTS: "unfinished download of ", Kind.MODEL: "", Kind.IMAGE: ""}[self.kind]
        return f"{self.host}: {what}{self.name}, {format_bytes(self.size)}{f' ({self.note})' if self.note else ''}"


@dataclass(frozen=True, slots=True)
class Stays:
    """Something that was asked for and is not removed, with the reason."""

    host: str
    name: str
    why: str

    @property
    def text(self) -> str:
        """One line about it."""
        return f"{self.host}: {self.name} stays: {self.why}"


@dataclass(frozen=True, slots=True)
class Offer:
    """What may be removed, in the order in which it is offered.

    `first` are leftovers, which nothing can use: parts of downloads, images that lost their name. `unused` is what no
    container uses and no recipe of the list names. `stays` is what was asked for by name and stays.
    """

    first: tuple[Item, ...] = ()
    unused: tuple[Item, ...] = ()
    named: tuple[Item, ...] = ()
    stays: tuple[Stays, ...] = ()


@dataclass(frozen=True, slots=True)
class Pruned:
    """What became of one item: gone by what was seen (None where the host could not be asked again), and why not."""

    item: Item
    gone: bool | None
    why: str = ""

    @property
    def text(self) -> str:
        """One line about it."""
        if self.gone:
            return f"{self.item.text}: gone"
        if self.gone is None:
            return f"{self.item.text}: not known, {self.why}"
        return f"{self.item.text}: still there{f', {self.why}' if self.why else ''}"


@dataclass(frozen=True, slots=True)
class PruneReport:
    """What became of all items."""

    items: tuple[Pruned, ...]

    @property
    def freed(self) -> int:
        """Bytes of what is gone. Layers that other images share stay on the disk."""
        return sum(item.item.size for item in self.items if item.gone)

    @property
    def complete(self) -> bool:
        """Whether all of it is gone."""
        return all(item.gone for item in self.items)

    @property
    def unclear(self) -> bool:
        """Whether a host could not be asked what is left."""
        return any(item.gone is None for item in self.items)

    @property
    def text(self) -> str:
        """One line for the user."""
        gone = sum(1 for item in self.items if item.gone)
        text = f"{gone} of {len(self.items)} gone, {format_bytes(self.freed)}"
        for item in self.items:
            if not item.gone:
                text += f"; {item.text}"
        return text


def offer_models(view: StoresView, names: Sequence[str] = ()) -> Offer:
    """What of the models may be removed; with `names`, these models wherever they are."""
    first: list[Item] = []
    unused: list[Item] = []
    named: list[Item] = []
    stays: list[Stays] = []
    known = _named_on(view)
    for host, stored in _stored(view):
        wanted = stored.repo in names
        why = why_model_stays(host, stored)
        note = _whose(host, stored)
        left = stored.parts - stored.busy
        if wanted and why:
            stays.append(Stays(host.name, stored.repo, why))
        elif wanted:
            named.append(Item(Kind.MODEL, host.name, stored.repo, stored.size, note))
        elif not names and left > 0 and not _why_untouched(host, stored):
            first.append(Item(Kind.PARTS, host.name, stored.repo, stored.partial, note))
        if names or why or (host.name, stored.repo) in known:
            continue
        size = stored.size
        if left > 0:
            # What is offered first is not counted twice.
            size -= stored.partial
        if stored.revisions or not left:
            unused.append(Item(Kind.MODEL, host.name, stored.repo, max(size, 0), note))
    return Offer(tuple(first), tuple(unused), tuple(named), tuple(stays))


def offer_images(view: StoresView, names: Sequence[str] = ()) -> Offer:
    """What of the images may be removed; with `names`, these images wherever they are."""
    first: list[Item] = []
    unused: list[Item] = []
    named: list[Item] = []
    stays: list[Stays] = []
    # Host by host, and each image once: one may have many names.
    reasons: dict[tuple[str, str], str] = {}
    for host in view.hosts:
        for listed in host.images or ():
            reasons[host.name, listed.id] = why_image_stays(host, listed)
    for image in view.images:
        wanted = image.name in names
        for on in image.on:
            why = reasons[on.host, on.listed.id]
            used = any(use.user in (User.CONTAINER, User.RECIPE) for use in on.uses)
            item = _image_item(on, image.name)
            if wanted and why:
                stays.append(Stays(on.host, image.name, why))
            elif wanted:
                named.append(item)
            elif names or why or used:
                continue
            elif image.nameless and not on.listed.digests:
                first.append(replace(item, note="it lost its name to a newer one"))
            else:
                unused.append(replace(item, note=item.note or "no recipe names it: whose it is is not known"))
    return Offer(tuple(first), tuple(unused), tuple(named), tuple(stays))


def _image_item(on: ImageOn, name: str) -> Item:
    """An image under one name; with another name, only the name goes and no room is made."""
    if len(names_of(on.listed)) > 1:
        return Item(Kind.IMAGE, on.host, name, 0, "it has other names: only this one goes")
    return Item(Kind.IMAGE, on.host, name, on.size)


def why_model_stays(host: HostStores, stored: StoredRepo) -> str:
    """Why a model of a host must not be removed, in words; empty when it may be."""
    why = _why_untouched(host, stored)
    if why:
        return why
    for use in holding(uses_of_model(host, stored, ())):
        return use.text
    return ""


def _why_untouched(host: HostStores, stored: StoredRepo) -> str:
    """Why nothing of a model may be removed, parts neither."""
    if stored.leads:
        return f"it is a link to {stored.leads}, which is not followed"
    if host.containers is None:
        return f"what runs there is not known: {host.docker_problem or 'Docker was not asked'}"
    for other in host.beside:
        if other.containers is None:
            why = other.problem or other.docker_problem or "Docker was not asked"
            return f"it lies on a disk of the network, and what runs on {other.name} is not known: {why}"
    if not stored.writable:
        return f"it belongs to {' and '.join(stored.owners) or 'another user'}"
    for use in holding(uses_of_model(host, stored, ())):
        if use.user is User.TRANSFER:
            return use.text
    return ""


def why_image_stays(host: HostStores, image: ImageListed) -> str:
    """Why an image of a host must not be removed, in words; empty when it may be."""
    if host.containers is None:
        return f"what runs there is not known: {host.docker_problem or 'Docker was not asked'}"
    for use in holding(uses_of_image(host, image, ())):
        return use.text
    return ""


def _stored(view: StoresView) -> Iterator[tuple[HostStores, StoredRepo]]:
    for host in view.hosts:
        for stored in host.store.repos if host.store is not None else ():
            yield host, stored


def _named_on(view: StoresView) -> frozenset[tuple[str, str]]:
    """The models, by host and repository, that a recipe of the list names or any container uses."""
    found = set()
    for model in view.models:
        for on in model.on:
            if any(use.user in (User.CONTAINER, User.RECIPE) for use in on.uses):
                found.add((on.host, model.repo))
    return frozenset(found)


def _whose(host: HostStores, stored: StoredRepo) -> str:
    """Whose files a model's are, where they are not those of the user who logs in."""
    others = [owner for owner in stored.owners if host.store is not None and owner != host.store.user]
    if not others:
        return ""
    return f"files of {' and '.join(others)}"


async def prune(items: Sequence[Item], cluster: Cluster | None, services: Services) -> PruneReport:
    """Remove these things. Each host is asked again before, so that what is used by now stays, and afterwards.

    While a host's things are removed, this holds its lease: no launch prepares it meanwhile. Never raises for a host.
    """
    wanted: dict[str, list[Item]] = {}
    for item in items:
        wanted.setdefault(item.host, []).append(item)
    by_name = {place.name: place for place in places(cluster, services)}
    around: Sequence[HostStores] = ()
    if any(item.kind is not Kind.IMAGE for item in items):
        around = await asyncio.gather(*map(_asked, by_name.values()))

    async def one(host: str, of_host: Sequence[Item]) -> list[Pruned]:
        place = by_name.get(host)
        if not isinstance(place, Place):
            why = place.problem if place is not None else "it is not among the hosts any more"
            return [Pruned(item, None, why) for item in of_host]
        return await _prune_host(place, of_host, around)

    done = await asyncio.gather(*(one(host, of_host) for host, of_host in wanted.items()))
    return PruneReport(tuple(pruned for of_host in done for pruned in of_host))


async def _asked(place: Place | HostStores) -> HostStores:
    return await ask(place) if isinstance(place, Place) else place


async def _prune_host(place: Place, items: Sequence[Item], around: Sequence[HostStores]) -> list[Pruned]:
    """Remove things of one host; `around` are all hosts, some of which may have the same cache."""
    try:
        await place.transport.connect()
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(lease_of(place.transport, new_launch_id(), "removing models or images"))
            # Its own lease does not count among what keeps things.
            before = beside_others(_without_lease(await ask(place)), around)
            if before.problem:
                return [Pruned(item, None, before.problem) for item in items]
            reasons = _why_not_now(before, items)
            going = [item for item in items if not reasons[item]]
            reasons |= await _remove(place, before, going)
            after = await ask(place)
    except LaunchError as error:
        return [Pruned(item, False, error.what) for item in items]
    except SparkrunError as error:
        return [Pruned(item, None, error.what) for item in items]
    if after.problem:
        return [Pruned(item, None, after.problem) for item in items]
    found = []
    for item, there in _there(after, items).items():
        if there is None:
            found.append(Pruned(item, None, after.docker_problem))
        else:
            found.append(Pruned(item, not there, reasons.get(item, "") if there else ""))
    return found


def _without_lease(host: HostStores) -> HostStores:
    if host.store is None:
        return host
    return replace(host, store=replace(host.store, lease=None))


def _why_not_now(host: HostStores, items: Sequence[Item]) -> dict[Item, str]:
    """Why items stay by what their host says now; empty for those that may go, or are gone already."""
    images = _by_name(host)
    models = _by_repo(host)
    reasons = {}
    for item in items:
        why = ""
        if item.kind is Kind.IMAGE and item.name in images:
            why = why_image_stays(host, images[item.name])
        elif item.kind is Kind.MODEL and item.name in models:
            why = why_model_stays(host, models[item.name])
        elif item.kind is Kind.PARTS and item.name in models:
            why = _why_untouched(host, models[item.name])
        reasons[item] = why
    return reasons


def _by_name(host: HostStores) -> Mapping[str, ImageListed]:
    """The images of a host by each of their names."""
    return {name: listed for listed in host.images or () for name in names_of(listed)}


def _by_repo(host: HostStores) -> Mapping[str, StoredRepo]:
    """The models of a host by repository."""
    return {stored.repo: stored for stored in host.store.repos} if host.store is not None else {}


async def _remove(place: Place, host: HostStores, items: Sequence[Item]) -> dict[Item, str]:
    """Remove items of a host; why some were left, as far as that is said. Raises `HostError`."""
    said: dict[Item, str] = {}
    for item in items:
        if item.kind is Kind.IMAGE:
            try:
                await place.docker.remove_image(item.name)
            except HostError as error:
                said[item] = error.what
    models = [item for item in items if item.kind is Kind.MODEL]
    parts = [item for item in items if item.kind is Kind.PARTS]
    if not models and not parts:
        return said
    if host.store is None or not host.store.hub:
        return said
    with ExitStack() as locks:
        if place.here:
            for item in (*models, *parts):
                why = _locked(locks, Path(host.store.hub), item.name)
                if why:
                    said[item] = why
        left = await remove(
            place.transport,
            host.store,
            models=[item.name for item in models if item not in said],
            parts=[item.name for item in parts if item not in said],
        )
    for item in (*models, *parts):
        if item.name in left:
            said[item] = left[item.name]
    return said


def _locked(locks: ExitStack, hub: Path, repo: str) -> str:
    """Hold the lock that a download to this machine would take; why that is not possible, empty when it is held."""
    folder = hub / ".locks" / folder_name(repo)
    if not folder.is_dir() or folder.is_symlink() or folder.parent.is_symlink():
        return ""
    try:
        locks.enter_context(hold(folder / _DOWNLOAD_LOCK, wait=0))
    except Busy:
        return "it is being downloaded"
    except OSError as error:
        return f"its lock cannot be taken: {error.strerror or error}"
    return ""


def _there(host: HostStores, items: Sequence[Item]) -> dict[Item, bool | None]:
    """Whether items are on a host; None where that is not known."""
    images = _by_name(host)
    models = _by_repo(host)
    found: dict[Item, bool | None] = {}
    for item in items:
        stored = models.get(item.name)
        if item.kind is Kind.IMAGE:
            found[item] = None if host.images is None else item.name in images
        elif host.store is None:
            found[item] = None
        else:
            found[item] = stored is not None and (item.kind is Kind.MODEL or stored.parts > stored.busy)
    return found


def total(items: Iterable[Item]) -> int:
    """Bytes of all items."""
    return sum(item.size for item in items)
