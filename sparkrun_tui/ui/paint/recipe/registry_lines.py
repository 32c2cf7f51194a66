"""Registries as rows: number of recipes, age, what is being done, errors."""

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
    name_style, style = "bold", ""
    if not row.registry.enabled:
        name_style = style = "dim"
    state_style = "bad" if failed and busy is None else style
    spans: list[Span] = [
        sign(row, busy, failed),
        (f" {fit(name, 17)} ", name_style),
        (f"{count:>8}  ", style),
        (fit(state(row, busy, failed), 25) + " ", state_style),
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
        return "update failed"
    if not row.registry.enabled:
        return "switched off"
    if row.age is None:
        return "never fetched"
    stale = ", stale" if row.stale else ""
    return f"checked {ago(row.age)}{stale}"


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
        ("source", origin.get(registry.origin, registry.origin)),
        ("commit", snapshot.commit[:12] if snapshot else ""),
        ("lists", ", ".join(dict.fromkeys(folder.registry for folder in row.folders if folder.visible))),
        ("hidden", _hidden(row)),
        ("failed", failed),
    ]
    return [(label, clean_line(value)) for label, value in pairs if value]


def _hidden(row: RegistryStatus) -> str:
    """The recipes of the repository that are not listed, and how to run them."""
    names = dict.fromkeys(folder.registry for folder in row.folders if not folder.visible)
    if not row.hidden:
        return ""
    return f"{row.hidden} recipes that are not listed: run them as {', '.join(f'@{name}/NAME' for name in names)}"


def changes(result: UpdateResult) -> str:
    """What an update changed, in words."""
    update = result.update
    if result.error is not None:
        return f"{result.registry.name}: {result.error.what}"
    if update is None or not update.anything:
        return f"{result.registry.name}: nothing new"
    groups = (("new", update.added), ("changed", update.changed), ("removed", update.removed))
    return f"{result.registry.name}: " + ", ".join(f"{len(names)} {word}" for word, names in groups if names)
