"""Registries as rows: how many recipes, how old, what is being done, what went wrong."""

from __future__ import annotations

from sparkrun_tui.base.text import clean_line
from sparkrun_tui.recipe.registry.registries import RegistryStatus, UpdateResult
from sparkrun_tui.ui.ink import Line, Span, clip, fit

Busy = tuple[str, float | None]


def head_line(width: int) -> Line:
    """The names of the columns."""
    return clip([(f"  {'registry':<18}{'recipes':>8}  {'state':<26}about", "dim")], width)


def registry_line(row: RegistryStatus, busy: Busy | None, failed: str, width: int) -> Line:
    """One registry."""
    name = clean_line(row.registry.name)
    count = str(row.recipes) if row.snapshot is not None else "–"
    about = clean_line(row.registry.description) or clean_line(row.registry.url)
    shown = "" if row.registry.enabled else "dim"
    spans: list[Span] = [
        sign(row, busy, failed),
        (f" {fit(name, 17)} ", shown or "bold"),
        (f"{count:>8}  ", shown),
        (fit(state(row, busy, failed), 25) + " ", "bad" if failed and busy is None else shown),
        (about, "dim"),
    ]
    return clip(spans, width)


def sign(row: RegistryStatus, busy: Busy | None, failed: str) -> Span:
    """The state as a glyph with its colour."""
    if busy is not None:
        return "▶", "accent"
    if failed:
        return "✗", "bad"
    if not row.registry.enabled or row.snapshot is None:
        return "·", "dim"
    return ("!", "tight") if row.stale else ("✓", "good")


def state(row: RegistryStatus, busy: Busy | None, failed: str) -> str:
    """The state in words: what is being done, else how old it is."""
    if busy is not None:
        phase, share = busy
        return f"{phase} {share:.0%}" if share is not None else f"{phase} …"
    if failed:
        return "could not be asked"
    if not row.registry.enabled:
        return "switched off"
    if row.age is None:
        return "never fetched"
    return f"asked {ago(row.age)}{', stale' if row.stale else ''}"


def ago(seconds: float) -> str:
    """How long ago, in one unit: `just now`, `5 min ago`, `2 d ago`."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit} ago"
    return "just now"


def about_lines(row: RegistryStatus, failed: str) -> list[tuple[str, str]]:
    """What is known of one registry, as labels and values."""
    registry, snapshot = row.registry, row.snapshot
    origin = {"public": "comes with sparkrun-tui", "sparkrun": "sparkrun's own list", "config": "added by you"}
    pairs = [
        ("address", registry.url),
        ("folder", registry.subpath),
        ("about", registry.description),
        ("listed", origin.get(registry.origin, registry.origin)),
        ("commit", snapshot.commit[:12] if snapshot else ""),
        ("brings", ", ".join(dict.fromkeys(folder.registry for folder in row.folders if folder.visible))),
        ("hidden", _hidden(row)),
        ("failed", failed),
    ]
    return [(label, clean_line(value)) for label, value in pairs if value]


def _hidden(row: RegistryStatus) -> str:
    """What the repository holds besides, and how to name it."""
    names = dict.fromkeys(folder.registry for folder in row.folders if not folder.visible)
    if not row.hidden:
        return ""
    return f"{row.hidden} recipes that are not listed: run them as {', '.join(f'@{name}/NAME' for name in names)}"


def changes(result: UpdateResult) -> str:
    """What an update brought, in words."""
    update = result.update
    if result.error is not None:
        return f"{result.registry.name}: {result.error.what}"
    if update is None or not update.anything:
        return f"{result.registry.name}: nothing new"
    groups = (("new", update.added), ("changed", update.changed), ("removed", update.removed))
    return f"{result.registry.name}: " + ", ".join(f"{len(names)} {word}" for word, names in groups if names)
