"""A screen as text that can be kept and compared: what stands where, and below it how it looks in each theme."""

from __future__ import annotations

from string import ascii_letters, digits

from rich.style import Style
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode
from textual.pilot import Pilot

_SIGNS = ascii_letters + digits + "!#$%&*+-/<=>?@^~"


class ScreenExtension(SingleFileSnapshotExtension):
    """One text file for each screen."""

    _file_extension = "screen"
    _write_mode = WriteMode.TEXT

    def serialize(self, data: object, **options: object) -> str:
        """The text as it is."""
        return str(data)


async def as_text(pilot: Pilot[int], themes: tuple[str, ...]) -> str:
    """The rows of the terminal, then for each theme a sign for each cell's look, and what the signs stand for."""
    parts: list[str] = []
    for theme in themes:
        pilot.app.theme = theme
        await pilot.pause()
        await pilot.pause()
        rows, looks = _cells(pilot)
        if not parts:
            parts += ["\n".join(row.rstrip() for row in rows)]
        signs = dict(zip(dict.fromkeys(look for line in looks for look in line), _SIGNS, strict=False))
        grid = "\n".join("".join(signs.get(look, "_") for look in line) for line in looks)
        legend = "\n".join(f"{sign} {look}" for look, sign in signs.items())
        parts.append(f"--- {theme} ---\n{grid}\n{legend}")
    return "\n".join(parts) + "\n"


def _cells(pilot: Pilot[int]) -> tuple[list[str], list[list[str]]]:
    rows: list[str] = []
    looks: list[list[str]] = []
    for strip in pilot.app.screen._compositor.render_strips():
        rows.append("".join(segment.text for segment in strip))
        looks.append([_look(segment.style) for segment in strip for _ in range(segment.cell_length)])
    return rows, looks


def _look(style: Style | None) -> str:
    if style is None:
        return "plain"
    color = style.color.name if style.color else "-"
    ground = style.bgcolor.name if style.bgcolor else "-"
    names = ("bold", "dim", "italic", "underline", "reverse")
    return " ".join([color, "on", ground, *(name for name in names if getattr(style, name))])
