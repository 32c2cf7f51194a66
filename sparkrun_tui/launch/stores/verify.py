"""Whether stored models and images are whole: files by their headers and the Hub's list, images by their digests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from enum import StrEnum

from sparkrun_tui.base.errors import HostError, SparkrunError
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.secrets import Secret
from sparkrun_tui.base.user.settings import Cluster
from sparkrun_tui.launch.services import Services
from sparkrun_tui.launch.stores.look import Place, places
from sparkrun_tui.launch.stores.model import Image, StoresView, digest_of
from sparkrun_tui.remote.docker.types import ImageListed
from sparkrun_tui.remote.hub import cache as hub_cache
from sparkrun_tui.remote.hub.gguf_length import gguf_least_size
from sparkrun_tui.remote.hub.host_cache import listing_in
from sparkrun_tui.remote.hub.host_store import StoredRepo, StoredRevision
from sparkrun_tui.remote.ports.models import CacheListing, ModelRequest

_CONCURRENT = 4
_MOST_NAMED = 5
"""Files that are named of one fault."""

_MINUTE = 60.0
_MOST_FAILURES = 3
"""Models of one host that could not be looked at, after which the others of that host are not."""
_MOST_READING = 300.0
"""Seconds of reading headers of one host, for which the other hosts wait."""


class Verdict(StrEnum):
    """What a check has found."""

    WHOLE = "whole"
    FAULTY = "faulty"
    """A file is shorter than it must be, or missing; or hosts have different images under one name."""
    UNFINISHED = "unfinished"
    """Its download has not come to its end."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Checked:
    """The result for one model or image on one host. `revision` is a commit, or a digest."""

    host: str
    name: str
    revision: str
    verdict: Verdict
    detail: str
    size: int = 0

    @property
    def text(self) -> str:
        """One line about it."""
        return f"{self.host}: {self.name} {self.verdict}: {self.detail}"


Done = Callable[[Checked], None]
"""Called with each result as it is there."""


async def verify_models(
    view: StoresView,
    cluster: Cluster | None,
    services: Services,
    names: Sequence[str] = (),
    *,
    token: Secret | None = None,
    ask_hub: bool = True,
    done: Done | None = None,
) -> tuple[Checked, ...]:
    """Check the models of a view, or those in `names`, revision by revision; nothing is changed, no weights are read.

    Files are judged by the headers of safetensors and GGUF, by the list that the cache keeps of its repository, and by
    the Hub's, where that answers. Never raises for a host or the Hub.
    """
    hub = _Hub(services, token if ask_hub else None, asks=ask_hub)
    by_name = {place.name: place for place in places(cluster, services)}
    turns = {name: asyncio.Semaphore(_CONCURRENT) for name in by_name}

    async def one(place: Place, folder: str, stored: StoredRepo, revision: StoredRevision | None) -> Checked:
        async with turns[place.name]:
            found = await _checked(place, folder, stored, revision, hub)
        if done is not None:
            done(found)
        return found

    work = []
    for host in view.hosts:
        place = by_name.get(host.name)
        if host.store is None or not isinstance(place, Place):
            continue
        for stored in host.store.repos:
            if names and stored.repo not in names:
                continue
            for revision in stored.revisions or (None,):
                work.append(one(place, host.store.hub, stored, revision))
    return tuple(await asyncio.gather(*work))


class _Hub:
    """The Hub's lists of files, each asked for once. Once it cannot be reached, it is not asked again."""

    def __init__(self, services: Services, token: Secret | None, *, asks: bool) -> None:
        self._services = services
        self._token = token
        self._asks = asks
        self._one_header = asyncio.Lock()
        """Held while the header of a GGUF is read, which may have 64 MiB: hosts choose how many there are."""
        self._spent: dict[str, float] = {}
        self._failures: dict[str, int] = {}
        self._known: dict[tuple[str, str], asyncio.Task[Mapping[str, int]]] = {}

    def insist_on_patience(self, host: str) -> None:
        """Raises `HostError` for a host that has failed too often, or has held up all others for too long."""
        if self._failures.get(host, 0) >= _MOST_FAILURES:
            raise HostError(f"not checked, since {_MOST_FAILURES} others could not be", host=host)
        if self._spent.get(host, 0.0) > _MOST_READING:
            raise HostError("not checked, since its other files took too long to read", host=host)

    def failed(self, host: str) -> None:
        """Note that a host could not be asked for a model."""
        self._failures[host] = self._failures.get(host, 0) + 1

    @asynccontextmanager
    async def reading(self, host: str) -> AsyncIterator[None]:
        """While inside, a header of a host is read, and no other one. Raises `HostError` as above."""
        clock = asyncio.get_running_loop().time
        async with self._one_header:
            self.insist_on_patience(host)
            began = clock()
            try:
                yield
            finally:
                self._spent[host] = self._spent.get(host, 0.0) + clock() - began

    async def sizes(self, repo: str, commit: str) -> Mapping[str, int]:
        """The bytes of the files that engines read, by name; empty where the Hub does not say it."""
        if not self._asks:
            return {}
        key = (repo, commit)
        if key not in self._known:
            self._known[key] = asyncio.create_task(self._ask(repo, commit))
        return await self._known[key]

    async def _ask(self, repo: str, commit: str) -> Mapping[str, int]:
        try:
            async with asyncio.timeout(_MINUTE):
                plan = await self._services.models.plan(ModelRequest(repo, commit), self._token)
        except (SparkrunError, TimeoutError):
            # Private, withdrawn, or no network: the headers still say much.
            return {}
        return {file.name: file.size for file in plan.files}


async def _checked(
    place: Place, folder: str, stored: StoredRepo, revision: StoredRevision | None, hub: _Hub
) -> Checked:
    def result(verdict: Verdict, detail: str) -> Checked:
        commit = "" if revision is None else revision.commit
        return Checked(place.name, stored.repo, commit, verdict, detail, stored.size)

    if stored.leads:
        return result(Verdict.UNKNOWN, f"it is a link to {stored.leads}, which is not followed")
    if revision is None:
        if stored.parts:
            return result(Verdict.UNFINISHED, "no revision of it is there, only parts of a download")
        return result(Verdict.UNKNOWN, "it has no revision")
    try:
        hub.insist_on_patience(place.name)
    except HostError as error:
        return result(Verdict.UNKNOWN, error.what)
    try:
        listing = await listing_in(place.transport, folder, stored.repo, revision.commit)
        if listing is None:
            return result(Verdict.UNKNOWN, "it is gone by now")
        cut = set(listing.cut) | await _cut_ggufs(place, folder, stored, listing, hub)
    except HostError as error:
        hub.failed(place.name)
        return result(Verdict.UNKNOWN, error.what)
    listed = await hub.sizes(stored.repo, revision.commit)
    return result(*judge(listing, cut, listed, lost=revision.lost, parts=stored.parts))


def judge(
    listing: CacheListing, cut: Iterable[str], listed: Mapping[str, int], *, lost: int = 0, parts: int = 0
) -> tuple[Verdict, str]:
    """The verdict on a revision, with the reason. Pure.

    `cut` are files shorter than their headers say, `listed` the Hub's sizes by name, `lost` counts files without
    content, `parts` what downloads have left.
    """
    sizes = {file.name: file.size for file in listing.files}
    wrong = set(cut)
    for name, size in listed.items():
        if name in sizes and sizes[name] != size:
            wrong.add(name)
    if wrong:
        return Verdict.FAULTY, f"not as long as it must be: {_named(wrong)}"
    missing = [] if _is_gguf(sizes) else [name for name in listed if name not in sizes]
    if missing and parts:
        return Verdict.UNFINISHED, f"still missing: {_named(missing)}"
    if missing:
        return Verdict.FAULTY, f"missing: {_named(missing)}"
    if lost:
        return Verdict.FAULTY, f"{lost} of its files have no content"
    against = "by their headers"
    if listed:
        against = "by their headers and the Hub's list"
    if not listed and not hub_cache.whole(sizes, listing.indexes, partial=False):
        if parts:
            return Verdict.UNFINISHED, "files are missing, and parts of a download are there"
        return Verdict.UNKNOWN, "its files are as long as they must be; whether all are there only the Hub can say"
    if listing.partial or parts:
        return Verdict.WHOLE, f"{len(sizes)} files, {against}; parts of another download lie beside them"
    return Verdict.WHOLE, f"{len(sizes)} files, {against}"


def _is_gguf(names: Iterable[str]) -> bool:
    """Whether a repository of GGUF files, of which only some are wanted."""
    return any(name.endswith(".gguf") for name in names)


def _named(names: Iterable[str]) -> str:
    """Some names, and how many more there are."""
    ordered = sorted(names)
    text = ", ".join(ordered[:_MOST_NAMED])
    if len(ordered) > _MOST_NAMED:
        text += f" and {len(ordered) - _MOST_NAMED} more"
    return text


async def _cut_ggufs(place: Place, folder: str, stored: StoredRepo, listing: CacheListing, hub: _Hub) -> set[str]:
    """The GGUF files of a revision that are shorter than their headers say. Raises `HostError`."""
    cut = set()
    for file in listing.files:
        if not file.name.endswith(".gguf"):
            continue
        path = f"{folder}/{stored.folder}/snapshots/{listing.commit}/{file.name}"
        async with hub.reading(place.name):
            least = await gguf_least_size(place.transport, path, file.size)
        if least is not None and file.size < least:
            cut.add(file.name)
    return cut


async def verify_images(
    view: StoresView,
    cluster: Cluster | None,
    services: Services,
    names: Sequence[str] = (),
    *,
    ask_registry: bool = True,
    done: Done | None = None,
) -> tuple[Checked, ...]:
    """Check the images of a view, or those in `names`: one digest on all hosts, and the one that the registry has now.

    The registry is asked by a host that has the image. Never raises for a host.
    """
    by_name = {place.name: place for place in places(cluster, services)}
    turns = asyncio.Semaphore(_CONCURRENT)

    async def one(image: Image) -> list[Checked]:
        newest, why = "", "the registry was not asked"
        if ask_registry and not image.nameless:
            async with turns:
                newest, why = await _registry_digest(image, by_name)
        found = judge_image(image, newest, why)
        for checked in found:
            if done is not None:
                done(checked)
        return found

    wanted = [image for image in view.images if not names or image.name in names]
    results = await asyncio.gather(*map(one, wanted))
    return tuple(checked for found in results for checked in found)


async def _registry_digest(image: Image, by_name: Mapping[str, object]) -> tuple[str, str]:
    """The digest that a registry has for an image's name; empty with the reason where it does not say it."""
    if not any(on.listed.digests for on in image.on):
        return "", "no registry knows it: it was built or loaded there"
    place = by_name.get(image.on[0].host)
    if not isinstance(place, Place):
        return "", "its host cannot be asked"
    try:
        async with asyncio.timeout(_MINUTE):
            return await place.docker.registry_digest(image.name), ""
    except HostError as error:
        return "", f"the registry was not asked: {error.what}"
    except TimeoutError:
        return "", "the registry did not answer"


def _is_another(one: ImageListed, other: ImageListed, by_id: Mapping[str, set[str]]) -> bool:
    """Whether two images of one name are known to differ: ids of different kinds of stores are not comparable."""
    if one.id == other.id:
        return False
    known, others = by_id[one.id], by_id[other.id]
    if not known and not others:
        return True
    return bool(known) and bool(others) and not known & others


def judge_image(image: Image, newest: str, why: str) -> list[Checked]:
    """The verdict on an image on each host. Pure; `newest` is the registry's digest, else `why` says why not."""
    # One image has one id in image stores of one kind, also where it was streamed and no registry's digest is kept.
    by_id: dict[str, set[str]] = {}
    for on in image.on:
        known = by_id.setdefault(on.listed.id, set())
        if on.listed.digests:
            known.add(digest_of(on.listed, image.name))
    is_alone = len(image.on) < 2
    found = []
    for on in image.on:
        mine = digest_of(on.listed, image.name)
        known = by_id[on.listed.id]
        others = dict.fromkeys(other.host for other in image.on if _is_another(on.listed, other.listed, by_id))
        verdict, detail = Verdict.WHOLE, "as the registry has it"
        if others:
            verdict, detail = Verdict.FAULTY, f"another one than on {', '.join(others)}"
        elif not newest:
            detail = f"the same on all hosts; {why}"
            if is_alone:
                verdict, detail = Verdict.UNKNOWN, why
        elif not known:
            verdict, detail = Verdict.UNKNOWN, "it was loaded there, and has no digest of the registry"
        elif newest not in known:
            detail = "whole, but the registry has a newer one under this name"
        found.append(Checked(on.host, image.name, mine, verdict, detail, on.size))
    return found
