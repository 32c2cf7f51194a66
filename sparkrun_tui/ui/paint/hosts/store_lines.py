"""Stored models and images as lines: a row each, and all that is known of one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sparkrun_tui.base.text import clean_line
from sparkrun_tui.base.units import format_bytes, format_duration, format_gib
from sparkrun_tui.launch.stores.model import Image, Model, ModelOn, StoresView, Use, User
from sparkrun_tui.launch.stores.verify import Checked, Verdict
from sparkrun_tui.ui.ink import Line, Span, clip, fit, wrap

Found = Mapping[tuple[str, str], Checked]
"""Results of a verification by name and host; of several revisions, the worst."""

_SIGNS: Mapping[Verdict, Span] = {
    Verdict.WHOLE: ("✓", "good"),
    Verdict.FAULTY: ("✗", "bad"),
    Verdict.UNFINISHED: ("…", "tight"),
    Verdict.UNKNOWN: ("?", "tight"),
}
_WORST = (Verdict.FAULTY, Verdict.UNFINISHED, Verdict.UNKNOWN, Verdict.WHOLE)
_ROOMY = 100
_WIDE = (12, 16, 10, 30)
_NARROW = (11, 9, 6, 14)
"""The widths of the columns `size`, `on`, `used` and `used by`."""
_LABEL = 10
_USERS = (User.TRANSFER, User.CONTAINER, User.RECIPE)


def worst(results: Iterable[Checked]) -> dict[tuple[str, str], Checked]:
    """The worst result of each thing on each host."""
    found: dict[tuple[str, str], Checked] = {}
    for checked in results:
        key = (checked.name, checked.host)
        if key not in found or _WORST.index(checked.verdict) < _WORST.index(found[key].verdict):
            found[key] = checked
    return found


def head_line(width: int, *, images: bool) -> Line:
    """The names of the columns."""
    name = "image" if images else "model"
    age = "built" if images else "used"
    room, size, where, ago, _ = _columns(width)
    text = "  " + fit(name, room) + fit("size", size) + fit("on", where) + fit(age, ago) + "used by"
    return clip([(text, "dim")], width)


def _columns(width: int) -> tuple[int, int, int, int, int]:
    """The widths of the columns, that of the name first."""
    size, where, ago, users = _WIDE if width >= _ROOMY else _NARROW
    return max(width - 2 - size - where - ago - users, 16), size, where, ago, users


def store_line(thing: Model | Image, results: Found, now: float, width: int) -> Line:
    """One model or image."""
    name = thing.repo if isinstance(thing, Model) else thing.name
    hosts = [on.host for on in thing.on]
    where = hosts[0] if len(hosts) == 1 else f"{len(hosts)} hosts"
    room, size_width, where_width, ago, _ = _columns(width)
    size = format_bytes(max(on.size for on in thing.on))
    style = ""
    if isinstance(thing, Model) and any(on.stored.parts for on in thing.on):
        size, style = f"{size} …", "tight"
    spans: list[Span] = [
        _sign(name, hosts, results),
        (" " + fit(clean_line(name), room - 1) + " ", "bold"),
        (fit(size, size_width), style),
        (fit(clean_line(where), where_width - 1) + " ", ""),
        (fit(_age(thing, now), ago), "dim"),
        *_users(thing.uses),
    ]
    return clip(spans, width)


def _sign(name: str, hosts: Sequence[str], results: Found) -> Span:
    """What a verification found, the worst over all hosts; blank where there was none."""
    found = [results[name, host].verdict for host in hosts if (name, host) in results]
    if not found:
        return " ", ""
    return _SIGNS[min(found, key=_WORST.index)]


def _age(thing: Model | Image, now: float) -> str:
    when = thing.used if isinstance(thing, Model) else built(thing)
    if when is None:
        return ""
    # Days say enough.
    return format_duration(max(now - when, 0)).partition(" d ")[0] + (" d" if now - when >= 86_400 else "")


def built(image: Image) -> float | None:
    """When an image was built; None where that is not known."""
    return max((on.listed.created for on in image.on if on.listed.created), default=None)


def _users(uses: Sequence[Use]) -> list[Span]:
    named = sorted((use for use in uses if use.user in _USERS), key=lambda use: _USERS.index(use.user))
    if not named:
        return [("nothing", "dim")]
    style = "accent" if named[0].holds else ""
    more = f" +{len(named) - 1}" if len(named) > 1 else ""
    return [(clean_line(named[0].name), style), (more, "dim")]


def about_lines(thing: Model | Image, results: Found, now: float, width: int) -> list[Line]:
    """All that is known of a model or an image: what each host has, what was found, what uses it."""
    rows: list[tuple[str, str, str]] = []
    for on in thing.on:
        rows.append((on.host, _on_host(on) if isinstance(on, ModelOn) else format_bytes(on.size), ""))
        name = thing.repo if isinstance(thing, Model) else thing.name
        checked = results.get((name, on.host))
        if checked is not None:
            rows.append(("", f"{checked.verdict}: {checked.detail}", _SIGNS[checked.verdict][1]))
    rows.append(
        ("revision", thing.revision or "none", "") if isinstance(thing, Model) else ("digest", thing.digest, "")
    )
    for use in thing.uses:
        words = use.text
        if use.user is User.LAUNCH and use.when:
            words += f", {format_duration(max(now - use.when, 0))} ago"
        rows.append(("used by", words, "accent" if use.holds else ""))
    if not thing.uses:
        rows.append(("used by", "nothing that is known here", "dim"))
    lines: list[Line] = []
    for label, text, style in rows:
        for number, part in enumerate(wrap(clean_line(text), max(width - _LABEL - 1, 1))):
            lines.append([(fit(clean_line(label) if number == 0 else "", _LABEL) + " ", "dim"), (part, style)])
    return lines


def _on_host(on: ModelOn) -> str:
    stored = on.stored
    if stored.leads:
        return f"a link to {stored.leads}, which is not followed"
    words = format_bytes(on.size)
    if stored.parts:
        words += f", of it {format_bytes(stored.partial)} of an unfinished download"
    return words


def room_text(view: StoresView) -> str:
    """What is left on each host, and which hosts do not answer."""
    words = []
    for host in view.hosts:
        if host.problem:
            words.append(f"{host.name}: no answer")
        elif host.store is not None and host.store.disk_free is not None:
            words.append(f"{host.name} {format_gib(host.store.disk_free, 0)} free")
    return "  ".join(words)
