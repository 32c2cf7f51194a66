"""Evaluations side by side: what each needs of the hosts, what it serves, and in which values they differ."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.units import GIB
from sparkrun_tui.launch.sizing.evaluation import Evaluation
from sparkrun_tui.memory.result import Estimate, HostPicture, Level, Verdict
from sparkrun_tui.memory.speed.words import figure
from sparkrun_tui.recipe.values.masking import shown, shown_settings

Text = Callable[[Evaluation], str]

UNKNOWN = "?"
ABSENT = "–"
"""What stands for a value that one side does not have."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One side's text of a row, with the level of a verdict where it is one."""

    text: str
    level: Level | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One thing compared; `differs` where the sides are not alike, `value` where it is a value of the recipe."""

    label: str
    cells: tuple[Cell, ...]
    value: bool = False

    @property
    def differs(self) -> bool:
        """Whether the sides are not alike."""
        return len({cell.text for cell in self.cells}) > 1


def compare(sides: Sequence[Evaluation]) -> tuple[Row, ...]:
    """What evaluations have in common and what not: verdicts and figures, then the values that differ."""
    rows = [
        _row("model", sides, lambda side: side.recipe.model),
        _row("engine", sides, lambda side: side.engine),
        _row("hosts", sides, lambda side: str(side.hosts)),
        _verdicts("starts", [side.estimate.starts for side in sides]),
        _verdicts("context", [side.estimate.context for side in sides]),
        _verdicts("headroom", [side.estimate.headroom for side in sides]),
        _row("longest context", sides, lambda side: _tokens(side.estimate.max_context)),
        _row("requests at once", sides, lambda side: _at_once(side.estimate)),
        _row("tokens/s of one request", sides, lambda side: _speed(side.estimate, prefill=False)),
        _row("tokens/s of its prompt", sides, lambda side: _speed(side.estimate, prefill=True)),
        _row("GiB left", sides, lambda side: _left(side.estimate)),
        _row("weights, GiB a host", sides, lambda side: _part(side.estimate, "weights")),
        _row("KV cache, GiB a host", sides, lambda side: _part(side.estimate, "kv")),
        _row("GiB of a request", sides, lambda side: _gib(side.estimate.kv_bytes_per_request)),
    ]
    return (*rows, *_values(sides))


def _row(label: str, sides: Sequence[Evaluation], text: Text) -> Row:
    return Row(label, tuple(Cell(text(side) or ABSENT) for side in sides))


def _verdicts(label: str, verdicts: Sequence[Verdict]) -> Row:
    return Row(label, tuple(Cell(verdict.text, verdict.level) for verdict in verdicts))


def _values(sides: Sequence[Evaluation]) -> list[Row]:
    """The values of the chain, and the overrides beside it, that are not the same on all sides."""
    keys: dict[str, None] = {}
    for side in sides:
        keys |= dict.fromkeys(side.rendered.chain)
    for side in sides:
        keys |= dict.fromkeys(side.rendered.overrides)
    rows = []
    for key in keys:
        row = Row(key, tuple(Cell(_value(side, key)) for side in sides), value=True)
        if row.differs and key != "model":
            rows.append(row)
    return rows


def _value(side: Evaluation, key: str) -> str:
    link = side.rendered.chain.get(key)
    if link is not None:
        return shown(key, link.value)
    text = side.rendered.overrides.get(key)
    return ABSENT if text is None else str(shown_settings({key: text})[key])


def _tokens(count: int | None) -> str:
    return UNKNOWN if count is None else f"{count:,}"


def _gib(size: int | None) -> str:
    return UNKNOWN if size is None else f"{size / GIB:.1f}"


def _at_once(found: Estimate) -> str:
    if found.concurrency is None or found.context.level not in (Level.GOOD, Level.TIGHT):
        return UNKNOWN
    return f"{found.concurrency:.1f}"


def _speed(found: Estimate, *, prefill: bool) -> str:
    if found.speed is None:
        return UNKNOWN
    rate = found.speed.prefill if prefill else found.speed.decode
    return UNKNOWN if rate is None else f"~{figure(rate.likely)}"


def _left(found: Estimate) -> str:
    """What stays free on the fullest host."""
    if found.headroom.level is Level.UNKNOWN:
        return UNKNOWN
    free = [picture.free for picture in found.hosts]
    known = [size for size in free if size is not None]
    return _gib(min(known)) if known and len(known) == len(free) else UNKNOWN


def _part(found: Estimate, kind: str) -> str:
    """The largest part of a kind among the hosts."""
    sizes = [_size(picture, kind) for picture in found.hosts]
    known = [size for size in sizes if size is not None]
    return _gib(max(known)) if known else UNKNOWN


def _size(picture: HostPicture, kind: str) -> int | None:
    for part in picture.parts:
        if part.kind == kind:
            return part.bytes
    return None
