"""Stored models and images as tables and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from sparkrun_tui.base.units import format_bytes, format_duration, format_gib
from sparkrun_tui.launch.stores.model import HostStores, Image, Model, StoresView, Use, User, sizes_text
from sparkrun_tui.launch.stores.prune import Item, PruneReport, Stays
from sparkrun_tui.launch.stores.verify import Checked, Verdict

if TYPE_CHECKING:
    from sparkrun_tui.cli.shapes.stores import (
        ImageJson,
        ItemJson,
        ModelJson,
        PruneJson,
        StoreHost,
        StoresJson,
        UseJson,
        VerifiedJson,
    )

MODEL_HEAD = ("MODEL", "REVISION", "SIZE", "LAST USED", "USED BY")
IMAGE_HEAD = ("IMAGE", "DIGEST", "SIZE", "BUILT", "USED BY")
_MOST_USES = 3


def model_row(model: Model, now: float) -> tuple[str, ...]:
    """The cells of one model."""
    sizes = []
    for on in model.on:
        words = f"link to {on.stored.leads}" if on.stored.leads else format_bytes(on.size)
        if on.stored.parts:
            words += f" (unfinished: {format_bytes(on.stored.partial)})"
        sizes.append((on.host, words))
    return model.repo, model.revision or "-", sizes_text(sizes), ago(model.used, now), uses_text(model.uses)


def image_row(image: Image, now: float) -> tuple[str, ...]:
    """The cells of one image."""
    built = max((on.listed.created for on in image.on if on.listed.created), default=None)
    sizes = [(on.host, format_bytes(on.size)) for on in image.on]
    return image.name, image.digest, sizes_text(sizes), ago(built, now), uses_text(image.uses)


def ago(when: float | None, now: float) -> str:
    """How long ago something was, in words; empty when that is not known."""
    if when is None:
        return ""
    return f"{format_duration(max(now - when, 0))} ago"


def uses_text(uses: Sequence[Use]) -> str:
    """What uses something: containers first, then recipes, the first few by name. Earlier launches are left out."""
    order = (User.TRANSFER, User.CONTAINER, User.RECIPE)
    named = sorted((use for use in uses if use.user in order), key=lambda use: order.index(use.user))
    words = [use.text for use in named[:_MOST_USES]]
    if len(named) > _MOST_USES:
        words.append(f"{len(named) - _MOST_USES} more")
    return ", ".join(words) or "-"


def host_lines(view: StoresView) -> Iterator[str]:
    """What is left on each host, and what could not be asked."""
    for host in view.hosts:
        if host.problem:
            yield f"{host.name}: {host.problem}" + (f"\n  {host.remedy}" if host.remedy else "")
            continue
        store = host.store
        if store is not None and store.disk_free is not None and store.disk_total is not None:
            text = f"{host.name}: {format_gib(store.disk_free, 0)} of {format_gib(store.disk_total, 0)} free"
            yield f"{text} in {store.hub}"
        elif store is not None:
            yield f"{host.name}: it has no model cache"
        if store is not None and store.cut_short:
            yield f"{host.name}: it has more models than are listed"
        if host.docker_problem and host.images is None:
            yield f"{host.name}: its images and what its containers use are not known: {host.docker_problem}"
        elif host.docker_problem:
            yield f"{host.name}: what its containers use is not known: {host.docker_problem}"


def no_images(view: StoresView) -> str:
    """The line in place of an empty list of images."""
    if any(host.images is None for host in view.hosts):
        return "no image is known"
    return "no image is there"


def stores_json(view: StoresView) -> StoresJson:
    """The common part of both lists as JSON; sizes in bytes, times as Unix seconds."""
    return {"cluster": view.cluster or None, "taken": view.taken, "hosts": [_host_json(host) for host in view.hosts]}


def _host_json(host: HostStores) -> StoreHost:
    store = host.store
    return {
        "name": host.name,
        "workstation": host.here,
        "error": host.problem or None,
        "docker_error": host.docker_problem or None,
        "cache": store.hub if store is not None else None,
        "disk_free": store.disk_free if store is not None else None,
        "disk_total": store.disk_total if store is not None else None,
    }


def model_json(model: Model) -> ModelJson:
    """One model with what each host has of it."""
    return {
        "model": model.repo,
        "on": [
            {
                "host": on.host,
                "size": on.size,
                "written": on.stored.changed or None,
                "used": on.used,
                "link": on.stored.leads or None,
                "owners": list(on.stored.owners),
                "unfinished": {"files": on.stored.parts, "size": on.stored.partial, "growing": on.stored.busy},
                "revisions": [
                    {
                        "commit": revision.commit,
                        "refs": list(revision.refs),
                        "files": revision.files,
                        "size": revision.size,
                        "without_content": revision.lost,
                    }
                    for revision in on.stored.revisions
                ],
                "used_by": [use_json(use) for use in on.uses],
            }
            for on in model.on
        ],
    }


def image_json(image: Image) -> ImageJson:
    """One image with the hosts that have it."""
    return {
        "image": image.name,
        "on": [
            {
                "host": on.host,
                "id": on.listed.id,
                "digests": list(on.listed.digests),
                "size": on.size,
                "created": on.listed.created,
                "used_by": [use_json(use) for use in on.uses],
            }
            for on in image.on
        ],
    }


def use_json(use: Use) -> UseJson:
    """One use; `holds` says whether it keeps the thing from being removed."""
    return {
        "kind": use.user,
        "name": use.name,
        "host": use.host or None,
        "holds": use.holds,
        "detail": use.detail or None,
        "when": use.when,
    }


_SIGNS = {Verdict.WHOLE: "✓", Verdict.FAULTY: "✗", Verdict.UNFINISHED: "…", Verdict.UNKNOWN: "?"}


def checked_line(checked: Checked) -> str:
    """One result of a verification."""
    return f"{_SIGNS[checked.verdict]} {checked.text}"


def checked_json(checked: Checked) -> VerifiedJson:
    """One result of a verification as JSON."""
    return {
        "host": checked.host,
        "name": checked.name,
        "revision": checked.revision or None,
        "verdict": checked.verdict,
        "detail": checked.detail,
        "size": checked.size,
    }


def item_json(item: Item) -> ItemJson:
    """One thing that may be removed."""
    return {
        "kind": item.kind,
        "host": item.host,
        "name": item.name,
        "size": item.size,
        "note": item.note or None,
    }


def prune_json(
    view: StoresView, report: PruneReport | None, offered: Sequence[Item], stays: Sequence[Stays]
) -> PruneJson:
    """What was offered, what stays and why, and what became of what was removed; `gone` is null where not known."""
    pruned = report.items if report is not None else ()
    return {
        **stores_json(view),
        "offered": [item_json(item) for item in offered],
        "stays": [{"host": stay.host, "name": stay.name, "why": stay.why} for stay in stays],
        "removed": [{**item_json(done.item), "gone": done.gone, "why": done.why or None} for done in pruned],
        "freed": report.freed if report is not None else 0,
    }
