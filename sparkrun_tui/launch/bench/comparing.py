"""Two results side by side: their figures by combination, and what differs between what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.launch.bench.result import Point, Result, Spread, to_data


@dataclass(frozen=True, slots=True)
class Pair:
    """One combination in two results; None where a result does not have it."""

    combination: tuple[int, int, int, int]
    """Depth, prompt and output in tokens, and the requests at once."""
    first: Point | None
    second: Point | None


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that two results were not measured on alike."""

    name: str
    first: str
    second: str


def pairs(first: Result, second: Result) -> Sequence[Pair]:
    """The combinations of both results, in order."""
    ours = {point.combination: point for point in first.points}
    theirs = {point.combination: point for point in second.points}
    return [Pair(key, ours.get(key), theirs.get(key)) for key in sorted({*ours, *theirs})]


def change(before: Spread | None, after: Spread | None) -> float | None:
    """The change of a figure as a share of the first (0.1 is 10 % more); None where one is missing or zero."""
    if before is None or after is None or before.mean <= 0:
        return None
    return after.mean / before.mean - 1


def is_beyond_noise(before: Spread | None, after: Spread | None) -> bool:
    """Whether two means are further apart than their deviations together."""
    if before is None or after is None:
        return False
    return abs(after.mean - before.mean) > before.deviation + after.deviation


def differences(first: Result, second: Result) -> Sequence[Difference]:
    """What two results were not measured on alike."""
    found: list[Difference] = []

    def differ(name: str, one: str, two: str) -> None:
        if one != two:
            found.append(Difference(name, one, two))

    ours, theirs = first.measured, second.measured
    differ("recipe", ours.recipe, theirs.recipe)
    if ours.recipe == theirs.recipe:
        differ("recipe's content", ours.recipe_digest[:12], theirs.recipe_digest[:12])
    for key in sorted({*ours.overrides, *theirs.overrides}):
        differ(key, ours.overrides.get(key, ""), theirs.overrides.get(key, ""))
    differ("model", ours.model, theirs.model)
    differ("engine", ours.engine, theirs.engine)
    differ("image", ours.image, theirs.image)
    if ours.image == theirs.image:
        differ("image's content", ours.image_digest[:19], theirs.image_digest[:19])
    differ("hosts", _names(first), _names(second))
    differ("GPU", _gpus(first), _gpus(second))
    differ("driver", _drivers(first), _drivers(second))
    differ("client", first.client, second.client)
    return found


def _names(result: Result) -> str:
    return ", ".join(host.name for host in result.measured.hosts)


def _gpus(result: Result) -> str:
    return ", ".join(sorted({host.gpu for host in result.measured.hosts}))


def _drivers(result: Result) -> str:
    return ", ".join(sorted({host.driver for host in result.measured.hosts}))


def compared_data(first: Result, second: Result) -> dict[str, Any]:
    """Both results, the change of each figure by combination, and the differences, as JSON data."""
    changes = []
    for pair in pairs(first, second):
        depth, prompt, output, concurrency = pair.combination
        changes.append(
            {
                "concurrency": concurrency,
                "prompt": prompt,
                "output": output,
                "depth": depth,
                "first_token_change": _change(pair, "first_token"),
                "decode_change": _change(pair, "decode"),
                "decode_total_change": _change(pair, "decode_total"),
                "prefill_change": _change(pair, "prefill"),
            }
        )
    alike = [{"name": item.name, "first": item.first, "second": item.second} for item in differences(first, second)]
    return {"first": to_data(first), "second": to_data(second), "changes": changes, "differences": alike}


def _change(pair: Pair, name: str) -> float | None:
    return change(getattr(pair.first, name, None), getattr(pair.second, name, None))
